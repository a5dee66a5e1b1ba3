"""Ensembles in files: the fields that make one again. No pickles, no code."""

import dataclasses

import numpy as np

from reverse_correlation.errors import UserError
from reverse_correlation.stimuli.coarse import CoarseNoise
from reverse_correlation.stimuli.gabor import GaborNoise
from reverse_correlation.stimuli.pink import PinkNoise
from reverse_correlation.stimuli.sinusoid import SinusoidNoise
from reverse_correlation.stimuli.sparse import SparseNoise
from reverse_correlation.stimuli.white import WhiteNoise

ENSEMBLES = {
    kind.__name__: kind
    for kind in (WhiteNoise, CoarseNoise, PinkNoise, SinusoidNoise, SparseNoise, GaborNoise)
}


def kept_fields(noise):
    """Return the fields of an ensemble as arrays: {name: array}."""
    if not dataclasses.is_dataclass(noise):
        return {}
    fields = {field.name: getattr(noise, field.name) for field in dataclasses.fields(noise)}
    return {name: np.asarray(value) for name, value in fields.items() if value is not None}


def restored_ensemble(name, fields):
    """Make an ensemble again from the name of its class and its fields.

    Raises:
        UserError: if it is none of those that come with this package.
    """
    if name not in ENSEMBLES:
        raise UserError(f"this measurement is of {name}: hand that ensemble over as `noise`")
    values = {key: value.item() if value.ndim == 0 else value for key, value in fields.items()}
    for key in ("shape", "scales"):
        if key in values:
            values[key] = tuple(int(n) for n in values[key])
    return ENSEMBLES[name](**values)
