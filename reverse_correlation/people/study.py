"""A study of people: what participants are asked and shown, kept in a file."""

import dataclasses
import hashlib
import json
import math
from pathlib import Path

from keras import ops

from reverse_correlation.errors import UserError
from reverse_correlation.estimates.sums import read_sums, write_sums
from reverse_correlation.people.choices import trial_numbers
from reverse_correlation.stimuli.catalogue import kept_fields, restored_ensemble
from reverse_correlation.stimuli.ensemble import Ensemble

MOST_NUMBERS = 1e8  # behind all trials of a study, and pixels of them: as many as a page can have


@dataclasses.dataclass(frozen=True)
class Study:
    """What participants are asked and shown.

    Attributes:
        noise: a symmetric ensemble in the range from 0 to 1.
        seed: of the noise.
        trials: how many pairs each participant judges.
        question: asked of each pair.
        condition: of the experiment, as the CSV files name it.
    """

    noise: Ensemble
    seed: int
    trials: int
    question: str
    condition: str

    def __post_init__(self):
        """Draw independently, as all studies do; see `choices.trial_numbers`."""
        object.__setattr__(self, "noise", self.noise.independent)

    @property
    def id(self):
        """Eight letters and digits, which stand for all of it in CSV files."""
        noise = self.noise.describe()
        noise.pop("orthogonal", None)  # as in version 0.2, whose ids are in CSV files
        noise.pop("orthogonal_coordinates", None)
        whole = [noise, self.seed, self.trials, self.question, self.condition]
        return hashlib.sha256(json.dumps(whole).encode()).hexdigest()[:8]

    @property
    def _is_possible(self):
        """Whether a study from a file has the fields, and the size, of one that can be made."""
        numbers = (self.seed, self.trials)
        return (
            all(type(number) is int and number >= 0 for number in numbers)
            and self.seed < 2**32
            and self.trials * math.prod(self.noise.coordinates) <= MOST_NUMBERS
            and self.trials * math.prod(self.noise.shape) <= MOST_NUMBERS
            and isinstance(self.question, str)
            and isinstance(self.condition, str)
        )

    @property
    def numbers(self):
        """The numbers xi behind the first stimulus of each trial: (trials, *coordinates)."""
        return trial_numbers(self.noise, self.seed, self.trials)

    def practice_numbers(self, trials):
        """Return the numbers xi of practice trials, which no trial has: (trials, *coordinates)."""
        return ops.convert_to_numpy(self.noise.xi(self.seed, 1, trials))

    def save(self, path):
        """Write all that is needed to show the same trials again to a .npz file."""
        fields = {name: getattr(self, name) for name in ("seed", "trials", "question", "condition")}
        fields["noise"] = self.noise.describe()
        write_sums(path, [], fields, kept_fields(self.noise))

    @classmethod
    def load(cls, path):
        """Read what `save` wrote.

        Raises:
            UserError: if the file is missing, or is not that of a study.
        """
        try:
            _, fields, arrays = read_sums(path)
            noise = restored_ensemble(fields.pop("noise")["ensemble"], arrays)
            study = cls(noise=noise, **fields)
            if not study._is_possible:
                raise ValueError("it has other fields than any study")
            return study
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            wrong = "is not a whole study file" if Path(path).exists() else "is not there"
            raise UserError(
                f"the study {path} {wrong}: name by --study FILE the study.npz that python -m "
                "reverse_correlation people make wrote, or make it again with the same flags"
            ) from error


def load_studies(paths):
    """Read the study of each condition; copies of one count once: [Study, ...].

    Raises:
        UserError: as `Study.load`, or if two are of one condition.
    """
    studies = {}
    for path in paths:
        study = Study.load(path)
        other_path, other = studies.setdefault(study.condition, (path, study))
        if other.id != study.id:
            raise UserError(
                f"{other_path} and {path} are two studies of the condition {study.condition!r}, so "
                "that their answers cannot be told apart: read them one by one, and name the "
                "--condition when a study is made"
            )
    return [study for _, study in studies.values()]
