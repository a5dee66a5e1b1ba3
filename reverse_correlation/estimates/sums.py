"""Sums of sums: added in a fixed tree, kept in files, read again.

Sums are {accumulator: {name: (2, ...) float64}}: the first row of even shards, the second of odd.
"""

import json
import zipfile
import zlib

import numpy as np

from reverse_correlation.errors import UserError
from reverse_correlation.files import replacing


def added_up(parts):
    """Add up sums, the last first, into new arrays."""
    total = {}
    for sums in reversed(parts):
        for accumulator, named in sums.items():
            before = total.setdefault(accumulator, {})
            for name, value in named.items():
                before[name] = before[name] + value if name in before else value
    return total


def write_sums(path, levels, provenance, fields=None):
    """Write sums, those of each level of a SumTree, to a .npz file, whole or not at all.

    Args:
        path: of the file.
        levels: a list of sums.
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
    told = json.dumps({**provenance, "levels": len(levels)})
    with replacing(path) as part, open(part, "wb") as file:
        np.savez(file, provenance=told, **arrays)


def read_sums(path):
    """Return the levels, the provenance and the fields that `write_sums` was given.

    Raises:
        UserError: if the file is not a whole one.
    """
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("it is no .npz file, or was cut off")
        with np.load(path, allow_pickle=False) as file:
            provenance = json.loads(str(file["provenance"]))
            levels = [{} for _ in range(provenance.pop("levels"))]
            fields = {}
            for key in file.files:
                if key.startswith("noise:"):
                    fields[key.removeprefix("noise:")] = file[key]
                elif key != "provenance":
                    accumulator, name, level = key.split(":")
                    levels[int(level)].setdefault(accumulator, {})[name] = file[key]
        return levels, provenance, fields
    except (ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path} is not a whole measurement ({error}): delete it") from error
