"""TensorFlow's settings: oneDNN on every CPU, no greetings, and a record of the machine."""

import os
import platform
import sys
import warnings

ONEDNN = "TF_ENABLE_ONEDNN_OPTS"


def use_onednn():
    """Ask TensorFlow to compute by oneDNN, unless the user has set the variable.

    By itself it does so only on CPUs with AVX-512 VNNI and newer; on others a network answers two
    to four times as fast with it. The variable is read when TensorFlow is imported; where that was
    before, a warning says what is lost.
    """
    if "tensorflow" not in sys.modules:
        os.environ.setdefault(ONEDNN, "1")
    elif ONEDNN not in os.environ and not _has_vnni():
        os.environ[ONEDNN] = "0"  # what TensorFlow does now; for the record, and for workers
        warnings.warn(
            "TensorFlow was imported before reverse_correlation and computes without oneDNN: "
            "everything takes two to four times as long on this CPU. Import reverse_correlation "
            f"first, or set {ONEDNN}=1",
            stacklevel=3,
        )


def machine():
    """Return what decides the last digits of a sum on this machine, as JSON can hold it."""
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
    """Return the names of the vector instructions that this CPU has, the newest last."""
    import numpy  # here, since `--help` does not need it

    simd = numpy.show_config(mode="dicts").get("SIMD Extensions", {})
    return [*simd.get("baseline", []), *simd.get("found", [])]


def _has_vnni():
    return any(
        name.startswith(("AVX512_ICL", "AVX512_CLX", "AVX512_SPR")) for name in _instruction_sets()
    )


def import_tensorflow_quietly():
    """Import TensorFlow and let it find its devices, with standard error closed meanwhile."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    stderr = os.dup(2)
    with open(os.devnull, "wb") as null:
        os.dup2(null.fileno(), 2)
    try:
        import tensorflow  # here, since the point is when it is imported

        tensorflow.config.list_physical_devices()
        tensorflow.get_logger().setLevel("ERROR")  # it warns of every further pass compiled
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
