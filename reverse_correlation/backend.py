"""What Keras computes with, oneDNN and no messages for TensorFlow, a record of the machine."""

import contextlib
import importlib.util
import json
import os
import platform
import sys
import warnings
from pathlib import Path

from reverse_correlation.errors import UserError

ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
BACKEND = "KERAS_BACKEND"
PACKAGES = ("tensorflow", "torch", "jax")  # the first that is installed is taken


def choose():
    """Say what Keras computes with, unless the user has, or Keras has been imported.

    It is what Keras's own configuration file names, if that is installed; else the first of
    PACKAGES that is. Without any, the import of what needs one says so.
    """
    if "keras" in sys.modules or os.environ.get(BACKEND):
        return
    installed = [name for name in PACKAGES if importlib.util.find_spec(name)]
    if installed and _configured() not in installed:
        os.environ[BACKEND] = installed[0]


def _configured():
    """Return the backend that Keras's configuration file names, or None."""
    home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return json.loads((Path(home) / "keras.json").read_text()).get("backend")


def chosen():
    """Return the name of what Keras computes with, or will: "tensorflow", "torch", "jax"."""
    if "keras" in sys.modules:
        return sys.modules["keras"].backend.backend()
    return os.environ.get(BACKEND) or _configured() or PACKAGES[0]


def use_onednn():
    """Ask TensorFlow to compute with oneDNN, unless the user has set the variable.

    By default TensorFlow uses oneDNN only on CPUs with AVX-512 VNNI or newer; on other CPUs it
    makes a network two to four times as fast. TensorFlow reads the variable when it is imported;
    if that has already happened, a warning says what is lost.
    """
    if chosen() != "tensorflow":
        return
    if "tensorflow" not in sys.modules:
        os.environ.setdefault(ONEDNN, "1")
    elif ONEDNN not in os.environ and not _has_vnni():
        os.environ[ONEDNN] = "0"  # what TensorFlow now does; kept for the record and for workers
        warnings.warn(
            "TensorFlow was imported before reverse_correlation and computes without oneDNN: "
            "everything takes two to four times as long on this CPU. Import reverse_correlation "
            f"first, or set {ONEDNN}=1",
            stacklevel=3,
        )


def machine():
    """Return what determines the last digits of a sum on this machine, JSON-serialisable."""
    onednn = os.environ.get(ONEDNN, "1") not in ("0", "false", "False")
    return {
        **({"onednn": onednn} if chosen() == "tensorflow" else {}),
        "instructions": " ".join(
            [
                platform.machine(),
                *_instruction_sets()[-1:],
                os.environ.get("ONEDNN_MAX_CPU_ISA", ""),
            ]
        ).strip(),
    }


def _instruction_sets():
    """Return the names of this CPU's vector instruction sets, the newest last."""
    import numpy  # here, since `--help` does not need it

    simd = numpy.show_config(mode="dicts").get("SIMD Extensions", {})
    return [*simd.get("baseline", []), *simd.get("found", [])]


def _has_vnni():
    return any(
        name.startswith(("AVX512_ICL", "AVX512_CLX", "AVX512_SPR")) for name in _instruction_sets()
    )


def import_quietly():
    """Import what Keras computes with.

    TensorFlow finds its devices, and standard error is silenced meanwhile.

    Raises:
        UserError: if nothing is installed that Keras could compute with.
    """
    refuse_none()
    if chosen() == "tensorflow":
        import_tensorflow_quietly()
    else:
        import keras  # noqa: F401  (here, since `--help` does not need it)


def refuse_none():
    """Raise UserError if Keras is to compute with what is not installed, or cannot show noise."""
    name, install = chosen(), "pip install '.[tensorflow]', '.[torch]' or '.[jax]'"
    if name not in PACKAGES:
        raise UserError(
            f"Keras is to compute with {name!r}, which cannot show noise: set {BACKEND} to one of "
            f"{', '.join(PACKAGES)}"
        )
    if not importlib.util.find_spec(name):
        lacks = f"none of {', '.join(PACKAGES)} is installed"
        if os.environ.get(BACKEND):
            lacks = f"{BACKEND} asks for {name}, which is not installed"
        raise UserError(f"{lacks}: {install} (or pip install one of these packages)")


def import_tensorflow_quietly():
    """Import TensorFlow and let it find its devices, with standard error silenced meanwhile.

    Raises:
        UserError: if Keras computes with something else, or TensorFlow is not installed.
    """
    if chosen() != "tensorflow":
        raise UserError(
            f"Keras computes with {chosen()} here, and the experiment with TensorFlow alone: "
            f"pip install -r requirements.txt, and leave {BACKEND} unset"
        )
    refuse_none()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    stderr = os.dup(2)
    with open(os.devnull, "wb") as null:
        os.dup2(null.fileno(), 2)
    try:
        import tensorflow  # here, since standard error must be silenced before

        tensorflow.config.list_physical_devices()
        tensorflow.get_logger().setLevel("ERROR")  # it would warn whenever another pass compiles
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
