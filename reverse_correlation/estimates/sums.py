"""Sums: added up, and what follows from them; kept in files, read again.

Sums are {accumulator: {name: (2, ...) float64}}: the first row of even shards, the second of odd.
"""

import json
from pathlib import Path

import numpy as np

from reverse_correlation.errors import FileError, UserError
from reverse_correlation.files import DAMAGED, read_json, read_npz, replacing

EPSILON = float(np.finfo(np.float32).eps)  # of the sums of a shard
ZIP_HEADER = 30  # bytes of a zip archive before the name of the first thing in it,
FIRST_NAME = b"provenance.npy"  # which is this one in every file that `write_sums` writes
MOST_LEVELS = 64  # of a SumTree: 8**64 shards


def added_up(parts):
    """Add up sums, the last first, into new arrays."""
    total = {}
    for sums in reversed(parts):
        for accumulator, named in sums.items():
            before = total.setdefault(accumulator, {})
            for name, value in named.items():
                before[name] = before[name] + value if name in before else value
    return total


def whole_and_halves(sums):
    """Return the sums of all shards, of even ones and of odd ones, from {name: (2, ...)}."""
    whole = {name: value.sum(axis=0) for name, value in sums.items()}
    return whole, *({name: value[i] for name, value in sums.items()} for i in (0, 1))


def moments(sums):
    """Return the mean and the standard deviation of r, (R,) each, from the sums n, r and rr."""
    mean = sums["r"] / sums["n"]
    return mean, np.sqrt(np.maximum(sums["rr"] / sums["n"] - mean**2, 0))


def covariance_of(sums):
    """Return the covariance of r and x, (R, h, w, c), from the sums n, r, x and rx."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return (sums["rx"] - np.multiply.outer(sums["r"], sums["x"]) / sums["n"]) / sums["n"]


def write_sums(path, levels, provenance, fields=None):
    """Write sums, those of each level of a SumTree, to a .npz file, whole or not at all.

    Args:
        path, levels: of the file, and a list of sums.
        provenance: a dictionary that JSON can hold.
        fields: {name: array} of the ensemble.

    Raises:
        FileError: if the file cannot be written.
    """
    arrays = {
        f"{accumulator}:{name}:{level}": value
        for level, sums in enumerate(levels)
        for accumulator, named in sums.items()
        for name, value in named.items()
    }
    arrays |= {f"noise:{name}": value for name, value in (fields or {}).items()}
    record = json.dumps({**provenance, "levels": len(levels)})
    with replacing(path) as part, open(part, "wb") as file:
        np.savez(file, provenance=record, **arrays)


def read_sums(path):
    """Return the levels, the provenance and the fields that `write_sums` was given.

    Raises:
        UserError: if there is no such file, `write_sums` did not write it, or it is damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"there is no file {path}: name a measurement that was saved")
    try:
        with open(path, "rb") as file:
            beginning = file.read(ZIP_HEADER + len(FIRST_NAME))
    except OSError as error:
        raise FileError(f"{path} cannot be read ({error.strerror}): see who may") from error
    if beginning[ZIP_HEADER:] != FIRST_NAME:
        raise not_a_measurement(path, "it is some other file")
    try:
        arrays = read_npz(path, ratio=1)  # as `write_sums` does not compress
    except DAMAGED as error:
        raise UserError(
            f"{path} is not a whole measurement or checkpoint, but damaged or cut off ({error}): "
            "delete it, and measure again"
        ) from error
    try:
        provenance = read_json(arrays.pop("provenance"))
        count = range(MOST_LEVELS + 1).index(provenance.pop("levels"))
        levels, fields = [{} for _ in range(count)], {}
        for key, array in arrays.items():
            if key.startswith("noise:"):
                fields[key.removeprefix("noise:")] = array
                continue
            accumulator, name, level = key.split(":")
            if array.dtype != np.float64 or len(array) != 2 or not np.isfinite(array).all():
                raise not_a_measurement(path, f"{key} is not a pair of finite sums")
            levels[range(count).index(int(level))].setdefault(accumulator, {})[name] = array
        layouts = [_layout(level) for level in levels if level]
        if any(layout != layouts[0] for layout in layouts):
            raise not_a_measurement(path, "its levels have other sums than each other")
    except UserError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise not_a_measurement(path, "it holds something else") from error
    return levels, provenance, fields


def _layout(sums):
    """Return the shapes of sums: {(accumulator, name): shape}."""
    return {(a, name): value.shape for a, named in sums.items() for name, value in named.items()}


def not_a_measurement(path, why):
    """Return the UserError for a file that is somebody else's."""
    return UserError(
        f"{path} is not a measurement ({why}): name a file that was saved after a pass, or after "
        "people's choices were read"
    )
