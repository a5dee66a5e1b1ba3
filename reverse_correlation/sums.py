"""Sums of sums: added in a fixed tree, kept in files, read again.

Sums are {accumulator: {name: (2, ...) float64}}: the first row of even shards, the second of odd.
"""

import json
import zipfile
import zlib

import numpy as np

from reverse_correlation.errors import UserError
from reverse_correlation.files import replacing

GROUP = 8  # shards, or groups of them, that are added one after another


class SumTree:
    """The sums of shards, added in a fixed order that allows for groups to be added elsewhere.

    Eight shards, one after another, make a group; eight groups one of the next level; and so on.
    `levels[k]` holds the groups of 8**k shards that are complete, up to seven of them, as one sum.
    Whoever adds a group, here or on another machine, adds the same numbers in the same order.
    """

    def __init__(self, levels=(), done=0):
        self._state = list(levels), done  # in one place, so that an interrupt finds it whole

    @property
    def levels(self):
        """The sums of complete groups, the smallest first; {} where there are none."""
        return self._state[0]

    @property
    def done(self):
        """How many shards have been added."""
        return self._state[1]

    def add(self, sums, level=0):
        """Add the sums of the next 8**level shards.

        Raises:
            ValueError: if the shards before them do not end where a group of that level begins.
        """
        if self.done % GROUP**level:
            raise ValueError(f"{GROUP**level} shards cannot be added after {self.done}")
        levels, done = list(self.levels), self.done + GROUP**level
        levels += [{} for _ in range(level - len(levels))]
        while True:
            levels += [{}] if level == len(levels) else []
            levels[level] = added_up([sums, levels[level]])
            if done // GROUP**level % GROUP:
                break
            sums, levels[level] = levels[level], {}
            level += 1
        self._state = levels, done

    def total(self):
        """Return the sums of all shards."""
        return added_up(self.levels)


def added_up(parts):
    """Add up sums, the last first, into new arrays."""
    total = {}
    for sums in reversed(parts):
        for accumulator, named in sums.items():
            before = total.setdefault(accumulator, {})
            for name, value in named.items():
                before[name] = before[name] + value if name in before else value
    return total


def decision_level(done):
    """Return k such that a pass of `done` shards may next be ended after 8**k more.

    That is after each of the first eight shards, each eighth of the first 64, and so on: wherever
    the work is done and however often it is interrupted, the decision falls on the same sums.
    """
    level = 0
    while done >= GROUP ** (level + 1):
        level += 1
    return level


def is_decision_place(done):
    """Say whether a pass may end after so many shards."""
    return done > 0 and done % GROUP ** decision_level(done) == 0


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
