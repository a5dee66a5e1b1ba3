"""Observers of a study's trials: participants, all of them together, and a network's classes."""

import dataclasses
from pathlib import Path

import numpy as np

from reverse_correlation.errors import UserError
from reverse_correlation.estimates.measurement import Measurement
from reverse_correlation.observers.observer import names_of_classes
from reverse_correlation.people.choices import measure_choices, network_choices
from reverse_correlation.people.study import Study


@dataclasses.dataclass(frozen=True, eq=False)
class StudyObserver:
    """An observer who judged the trials of a study. Two of them are never equal.

    Attributes:
        name: of a participant, "all participants", or a network's class.
        choices: (trials,) of 1 and -1, 0 for no difference, and NaN for no answer; the means of
            these for a group.
        measurement: of the choices, a Measurement.
        answers: [Answer, ...] of a participant; () of anyone else.
    """

    name: str
    choices: np.ndarray
    measurement: Measurement
    answers: tuple = ()

    @classmethod
    def of(cls, name, choices, study, answers=()):
        """Measure the choices of an observer."""
        asked = {"seed": study.seed, "question": study.question}
        measurement = measure_choices(choices, study.noise, name=name, **asked)
        return cls(name, choices, measurement, answers)

    @property
    def trials(self):
        """How many trials were answered, by any of a group."""
        return int(np.isfinite(self.choices).sum())

    @property
    def estimate(self):
        """The Estimate of the choice image."""
        return self.measurement.classes["choice"]


@dataclasses.dataclass(frozen=True, eq=False)
class StudyResult:
    """A study and all who judged its trials.

    Attributes:
        group: all participants together; None where there is one.
        classes: of a network on the same trials.
        network: path of its file, or None.
    """

    study: Study
    participants: tuple[StudyObserver, ...]
    group: StudyObserver | None = None
    classes: tuple[StudyObserver, ...] = ()
    network: Path | None = None

    @property
    def people(self):
        """The participants, and the group where there is one."""
        return (*self.participants, *filter(None, [self.group]))

    @property
    def foremost(self):
        """Whom a network is compared with: the group, or the only participant."""
        return self.group or self.participants[0]


def participants_of(answers, study):
    """Measure {participant: [Answer, ...]}: (a StudyObserver each, another of all or None).

    Raises:
        UserError: if there is nobody.
    """
    if not answers:
        raise UserError(
            f"nobody is left who answered the condition {study.condition!r}: give its CSV files, "
            "exclude fewer, or leave its study out"
        )
    participants = tuple(
        StudyObserver.of(name, choices_of(given, study), study, given)
        for name, given in answers.items()
    )
    if len(participants) == 1:
        return participants, None
    choices = np.array([participant.choices for participant in participants])
    answered = np.isfinite(choices).sum(axis=0)
    with np.errstate(invalid="ignore"):  # a trial that nobody answered has no mean
        means = np.nansum(choices, axis=0) / answered
    return participants, StudyObserver.of("all participants", means, study)


def choices_of(answers, study):
    """Return the responses of [Answer, ...], NaN where there is none: (trials,)."""
    choices = np.full(study.trials, np.nan)
    choices[[answer.stimulus - 1 for answer in answers]] = [each.response for each in answers]
    return choices


def classes_of(network, study, input_range=(0.0, 1.0), class_names=()):
    """Let a network, an Observer, judge the trials of a study: a StudyObserver for each class.

    Args:
        input_range: (low, high) of the pixels that it expects.
        class_names: of all its classes; empty for their numbers.

    Raises:
        UserError: if it takes other images, or has other classes than were named.
    """
    if tuple(network.shape) != tuple(study.noise.shape):
        taken, shown = (" x ".join(map(str, shape)) for shape in (network.shape, study.noise.shape))
        raise UserError(
            f"{network.name!r} takes images of {taken}, but the study's are {shown}: make a study "
            "of the network's --size and colours"
        )
    chosen = network_choices(network, study.noise, study.numbers, input_range).T
    names = names_of_classes(class_names, len(chosen))
    return tuple(
        StudyObserver.of(name, choices, study) for name, choices in zip(names, chosen, strict=True)
    )
