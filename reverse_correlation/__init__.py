"""Reverse correlation of image classifiers: what an observer looks for, measured with noise.

    from reverse_correlation import WhiteNoise, measure

    measurement = measure(network, WhiteNoise(shape=(28, 28, 1)), 100_000)
    print(measurement.summary())  # in a notebook, `measurement` shows itself

`network` is a Keras model, a function of arrays, or whatever the functions in `observers` return.

Keras and what it computes with (TensorFlow, PyTorch or JAX) take seconds to import, so each name
below is imported only when it is first used. Every script, worker, test or notebook that uses this
package imports this file first, so this is where a backend of Keras is chosen, and TensorFlow told
to use oneDNN.
"""

import importlib

from reverse_correlation import backend

__version__ = "0.3.0.dev0"
_HOMES = {
    "ACCUMULATORS": "estimates.accumulators",
    "Accumulator": "estimates.accumulator",
    "CoarseNoise": "stimuli.coarse",
    "Ensemble": "stimuli.ensemble",
    "Estimate": "estimates.estimate",
    "FileError": "errors",
    "GaborNoise": "stimuli.gabor",
    "Measurement": "estimates.measurement",
    "Network": "observers.keras_networks",
    "Observer": "observers.observer",
    "PinkNoise": "stimuli.pink",
    "SinusoidNoise": "stimuli.sinusoid",
    "SparseNoise": "stimuli.sparse",
    "UserError": "errors",
    "WhiteNoise": "stimuli.white",
    "compare": "estimates.agreement",
    "difference": "estimates.agreement",
    "exact_class_images": "estimates.exact",
    "exact_classification_images": "estimates.exact",
    "exact_receptive_fields": "estimates.exact",
    "group_difference": "estimates.groups",
    "group_image": "estimates.groups",
    "load_any_network": "observers.network_files",
    "read_observer": "observers.network_files",
    "measure": "passes.measure",
    "measure_choices": "people.choices",
    "predict": "passes.prediction",
    "receptive_field": "observers.keras_networks",
    "sidak_threshold": "stimuli.null_images",
}
_MODULES = {"cluster": "passes.cluster", "observers": "observers"}  # as in `cluster.connect`
__all__ = sorted([*_HOMES, "observers"])  # not cluster, which needs Dask

backend.choose()
backend.use_onednn()


def __getattr__(name):
    """Import a public name from the module where it lives."""
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{_MODULES[name]}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if _HOMES[name] != "errors":
        backend.refuse_none()  # in a sentence, before Keras fails to import what it computes with
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__():
    """Return the public names."""
    return sorted([*_HOMES, *_MODULES])
