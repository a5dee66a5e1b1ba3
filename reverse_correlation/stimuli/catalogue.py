"""All ensembles: made by name, and kept in files as the fields that make one again."""

import dataclasses
import importlib

import numpy as np

from reverse_correlation.errors import UserError
from reverse_correlation.stimuli import KINDS


def ensemble_of(kind, shape, input_range=(0.0, 1.0), base=None, contrast=None, images=None):
    """Return the ensemble of that name for images of a shape and range.

    Args:
        kind: its name, one of KINDS.
        shape: (h, w, c).
        input_range: (low, high).
        base: a number, an image (h, w, c), or None for the middle of the range.
        contrast: as a share of the range, or None for the usual one.
        images: (n, h, w, 1) training images, or None.

    Raises:
        UserError: for what the ensemble does not have.
    """
    low, high = input_range
    shape = tuple(shape)
    return _class_at(KINDS[kind]).of(
        kind, shape=shape, low=low, high=high, base=base, contrast=contrast, images=images
    )


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
    homes = {home.partition(".")[2]: home for home in KINDS.values()}
    if name not in homes:
        raise UserError(f"this measurement is of {name}: hand that ensemble over as `noise`")
    values = {key: value.item() if value.ndim == 0 else value for key, value in fields.items()}
    for key in ("shape", "scales"):
        if key in values:
            values[key] = tuple(int(n) for n in values[key])
    return _class_at(homes[name])(**values)


def _class_at(home):
    """Import an ensemble's class, which takes seconds, when it is needed."""
    module, _, name = home.partition(".")
    return getattr(importlib.import_module(f"reverse_correlation.stimuli.{module}"), name)
