"""All ensembles: made by name, and restored from the fields that a file keeps."""

import dataclasses
import importlib
import math

import numpy as np

from reverse_correlation.errors import UserError
from reverse_correlation.stimuli import KINDS

MOST_PIXELS = 2**26  # of a stimulus in a file, over all channels
FACTS = ("null", "orthogonal_power")  # of an ensemble, that take seconds to find for large images


def ensemble_of(
    kind,
    shape,
    input_range=(0.0, 1.0),
    base=None,
    contrast=None,
    images=None,
    independent=False,
    achromatic=False,
):
    """Return the ensemble of that name for images of a given shape and range.

    Args:
        kind: its name, one of KINDS.
        shape: (h, w, c).
        input_range: (low, high).
        base: a number, an image (h, w, c), or None for the middle of the range.
        contrast: as a share of the range, or None for the ensemble's default.
        images: (n, h, w, 1) training images, or None.
        independent: whether its numbers are drawn independently, not in orthogonal blocks.
        achromatic: whether the channels of a pixel share one number.

    Raises:
        UserError: if the ensemble does not support one of these.
    """
    ensemble, (low, high) = _class_at(KINDS[kind]), input_range
    given = {"shape": tuple(shape), "base": base, "contrast": contrast, "images": images}
    if achromatic:
        if "achromatic" not in {field.name for field in dataclasses.fields(ensemble)}:
            raise UserError(
                f"{kind} noise cannot be achromatic: that is for gaussian, uniform, binary, coarse "
                "and pink noise, whose channels have numbers of their own"
            )
        given["achromatic"] = True
    made = ensemble.of(kind, low=low, high=high, **given)
    return made.independent if independent else made


def kept_fields(noise):
    """Return the fields of an ensemble, and what of FACTS is known, as arrays: {name: array}."""
    if not dataclasses.is_dataclass(noise):
        return {}
    fields = {field.name: getattr(noise, field.name) for field in dataclasses.fields(noise)}
    fields |= {name: vars(noise)[name] for name in FACTS if name in vars(noise)}
    return {name: np.asarray(value) for name, value in fields.items() if value is not None}


def restored_ensemble(name, fields):
    """Restore an ensemble from the name of its class and its `kept_fields`.

    Raises:
        UserError: if its class does not come with this package, or a file could not have kept such
            fields.
    """
    home = next((home for home in KINDS.values() if home.endswith(f".{name}")), None)
    if home is None:
        raise UserError(f"this measurement was made with {name}: pass that ensemble as `noise`")
    values = {key: value.item() if value.ndim == 0 else value for key, value in fields.items()}
    null, power = (values.pop(name, None) for name in FACTS)
    for key in {"shape", "scales"} & values.keys():
        values[key] = tuple(np.ravel(values[key]).tolist())
    if math.prod(values.get("shape", ())) > MOST_PIXELS:
        raise UserError(f"stimuli of {values['shape']} are larger than any that can be shown")
    ensemble = _class_at(home)
    if "orthogonal" in {field.name for field in dataclasses.fields(ensemble)}:
        values.setdefault("orthogonal", False)  # of a file from before there were such numbers
    restored = ensemble(**values)
    if np.shape(null) == (3,):
        vars(restored)["null"] = tuple(null.tolist())
    if power is not None and np.shape(power) in ((), restored.shape):
        vars(restored)["orthogonal_power"] = power
    return restored


def _class_at(home):
    """Import an ensemble's class; this takes seconds, so it is done only when needed."""
    module, _, name = home.partition(".")
    return getattr(importlib.import_module(f"reverse_correlation.stimuli.{module}"), name)
