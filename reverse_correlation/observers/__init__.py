"""Who answers: Keras networks, ONNX files, PyTorch, scikit-learn, functions of arrays.

measure(observers.onnx("net.onnx"), noise, 10_000)
measure(observers.torch(module.eval()), noise, 10_000)
measure(observers.sklearn(estimator), noise, 10_000)
measure(function, noise, 10_000)  # (n, h, w, c) to (n, K)
measure(function_that_answers_labels, noise, 10_000, classes=10)
"""

import importlib

_HOMES = {
    "Observer": "observer",
    "function": "arrays",
    "onnx": "onnx_files",
    "sklearn": "scikit_learn",
    "torch": "pytorch",
}
__all__ = sorted(_HOMES)


def __getattr__(name):
    """Import a public name from the module where it lives, when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__():
    """Return the public names."""
    return __all__
