"""How many choices images predict, of people and networks on the same trials.

The image of the even trials is put to the test on the odd ones, and the other way round, so that
the errors of an image are never those of the trials that it predicts, whoever judged them.
"""

import dataclasses

import numpy as np

from reverse_correlation.estimates.intervals import student_interval
from reverse_correlation.estimates.prediction import cross_prediction
from reverse_correlation.estimates.summary import share_text
from reverse_correlation.people.tables import print_line
from reverse_correlation.texts import number


@dataclasses.dataclass(frozen=True)
class PredictionRow:
    """Shares of choices that images of the other half of the trials predict; chance is .5.

    Attributes:
        condition, name: of a participant, of all together, or of a network's class.
        own, low, high: of its own choices by its own image, with the 95 % interval (Wilson).
        by_people: of its choices by the images of participants, mean over them without itself.
        of_people: of participants' choices by its image, likewise.
    """

    condition: str
    name: str
    own: float
    low: float
    high: float
    by_people: float
    of_people: float


def prediction_rows(result):
    """Return a PredictionRow for everyone who judged the trials of a StudyResult."""
    observers = (*result.people, *result.classes)
    drives = [trial_drives(observer, result.study)[:, None] for observer in observers]
    choices = [observer.choices[:, None] for observer in observers]
    found = cross_prediction([observer.name for observer in observers], drives, choices)
    people, rows = np.arange(len(result.participants)), []
    for i, observer in enumerate(observers):
        others = people[people != i]
        by, of = found.share[others, i], found.share[i, others]
        own = found.share[i, i], found.low[i, i], found.high[i, i]
        told = result.study.condition, observer.name
        rows.append(PredictionRow(*told, *map(float, (*own, _mean(by), _mean(of)))))
    return rows


def trial_drives(observer, study):
    """Return the drive of each trial, by the image of the trials of the other half: (trials,)."""
    xi = study.numbers.reshape(study.trials, -1)
    images = [half.classes["choice"].coefficients for half in observer.measurement.halves()]
    drives = np.empty(study.trials)
    for half, image in enumerate(reversed(images)):
        drives[half::2] = xi[half::2] @ np.ravel(image)
    return drives


def _mean(shares):
    """Return the mean of the shares that are known; NaN of none."""
    known = shares[np.isfinite(shares)]
    return known.mean() if known.size else np.nan


def print_predictions(rows, participants):
    """Print PredictionRows, those of so many participants first."""
    print(
        "\nchoices that images predict, each half of the trials by images of the other half "
        "(chance: 50 %;\nties are left out)"
    )
    print_line("", "own image", "people's images", "of people", width=24)
    for row in rows:
        means = (number(value, "{:.1%}") for value in (row.by_people, row.of_people))
        print_line(row.name, share_text(row.own, row.low, row.high), *means, width=24)
    own = np.array([row.own for row in rows[:participants] if np.isfinite(row.own)])
    if len(own) > 1:
        mean = share_text(own.mean(), *student_interval(own))
        print(f"own images of participants, mean and its 95 % interval over them: {mean}")
    print(
        "own image: of one's own choices; people's images: of one's choices by the images of "
        "participants, mean over the\nothers; of people: of participants' choices by this image. "
        "Images of half the trials predict less than those of all"
    )
