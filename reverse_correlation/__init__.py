"""Reverse correlation of image classifiers: what a network looks for, measured with noise.

    from reverse_correlation import WhiteNoise, measure

    measurement = measure(network, WhiteNoise(shape=(28, 28, 1)), 100_000)
    print(measurement.classes["logit"].reliability)

`network` is a Keras model, or anything that `observers` makes a network of.

TensorFlow takes seconds to import, so each name below is imported when it is first used. Whoever
uses this package, a script, a worker, a test or a notebook, passes through this file first; it is
where TensorFlow is told to use oneDNN.
"""

import importlib

from reverse_correlation import backend

_HOMES = {
    "ACCUMULATORS": "accumulators",
    "Accumulator": "accumulators",
    "compare": "agreement",
    "difference": "agreement",
    "Estimate": "estimates",
    "CoarseNoise": "ensembles",
    "Ensemble": "ensembles",
    "GaborNoise": "gabor",
    "Measurement": "measurement",
    "Network": "networks",
    "PinkNoise": "coloured",
    "SinusoidNoise": "coloured",
    "SparseNoise": "ensembles",
    "UserError": "errors",
    "WhiteNoise": "ensembles",
    "exact_class_images": "exact",
    "exact_classification_images": "exact",
    "exact_receptive_fields": "exact",
    "Observer": "observers",
    "load_any_network": "network_files",
    "measure": "noise_pass",
    "measure_choices": "choices",
    "receptive_field": "networks",
    "sidak_threshold": "estimates",
}
__all__ = sorted(_HOMES)

backend.use_onednn()


def __getattr__(name):
    """Import a public name from the module where it lives."""
    if name in ("cluster", "observers"):  # modules of which several names are used
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__():
    """Return the public names."""
    return __all__
