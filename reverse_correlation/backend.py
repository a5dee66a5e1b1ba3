"""TensorFlow's settings: oneDNN on every CPU, no start-up messages, a record of the machine."""

import os
import platform
import sys
import warnings

ONEDNN = "TF_ENABLE_ONEDNN_OPTS"


def use_onednn():
    """Ask TensorFlow to compute with oneDNN, unless the user has set the variable.

    By default TensorFlow uses oneDNN only on CPUs with AVX-512 VNNI or newer; on other CPUs it
    makes a network two to four times as fast. TensorFlow reads the variable when it is imported;
    if that has already happened, a warning says what is lost.
    """
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
    return {
        "onednn": os.environ.get(ONEDNN, "1") not in ("0", "false", "False"),
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


def import_tensorflow_quietly():
    """Import TensorFlow and let it find its devices, with standard error silenced meanwhile."""
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
