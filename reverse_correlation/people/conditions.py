"""Two conditions of an experiment: the difference of what their participants look for."""

import dataclasses

import numpy as np

from reverse_correlation.errors import UserError
from reverse_correlation.people.choices import measurement_of
from reverse_correlation.people.observers import StudyObserver


@dataclasses.dataclass(frozen=True, eq=False)
class ConditionDifference:
    """The image of one condition minus that of another.

    Attributes:
        first, second: StudyResults of the two conditions.
        observer: a StudyObserver, whose image is the difference of the two.
        shared: names of the participants who are in both.
        same_trials: whether both judged the same noise.
    """

    first: object
    second: object
    observer: StudyObserver
    shared: tuple
    same_trials: bool


def difference_of(first, second):
    """Subtract the image of one condition from another's, with its error: a ConditionDifference.

    The image is sum (a / A - b / B) xi over trials, a and b the mean choices, A and B how many
    trials have one; its error follows from the squares of these weights. Where both conditions
    judged the same trials, what they have in common there cancels, whoever judged them.

    Args:
        first, second: StudyResults.

    Raises:
        UserError: if their pictures are of another base or noise.
    """
    one, other = first.study, second.study
    refuse_other_pictures(one, other)
    same = one.seed == other.seed
    weights = [each.foremost.choices / each.foremost.trials for each in (first, second)]
    differences = differences_of(*weights, same)
    longer = max(one, other, key=lambda study: study.trials)
    xi = longer.numbers if same else np.concatenate([one.numbers, other.numbers])
    differences = differences * np.isfinite(differences).sum()
    name = f"{one.condition} - {other.condition}"
    measurement = measurement_of(differences, xi, one.noise, seed=one.seed, name=name)
    observer = StudyObserver(name, differences, measurement)
    names = [{person.name for person in result.participants} for result in (first, second)]
    return ConditionDifference(first, second, observer, tuple(sorted(names[0] & names[1])), same)


def differences_of(first, second, same):
    """Return the differences of two rows, over the same trials or one after the other.

    NaN counts as 0 where the other row has a number.
    """
    if not same:
        return np.concatenate([first, -second])
    rows = np.full((2, max(len(first), len(second))), np.nan)
    rows[0, : len(first)], rows[1, : len(second)] = first, -second
    return np.where(np.isnan(rows).all(axis=0), np.nan, np.nansum(rows, axis=0))


def refuse_other_pictures(one, other):
    """Raise UserError if two Studies have another base or ensemble."""
    told = one.noise.describe(), other.noise.describe()
    if differing := [key for key in {**told[0], **told[1]} if told[0].get(key) != told[1].get(key)]:
        raise UserError(
            f"the pictures of the conditions {one.condition!r} and {other.condition!r} are not of "
            f"one base and noise ({', '.join(differing)}), so that their images cannot be "
            "subtracted: read each condition alone"
        )
