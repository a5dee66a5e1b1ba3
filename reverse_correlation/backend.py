"""TensorFlow, imported without the greetings that its C++ side prints."""

import os


def import_tensorflow_quietly():
    """Import TensorFlow and let it find its devices, with standard error closed meanwhile."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
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
