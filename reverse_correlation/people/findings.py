"""What the choices of a study say of each observer, and how far observers agree."""

import dataclasses

import numpy as np

from reverse_correlation.estimates.agreement import IntraclassCorrelation, compare, intraclass
from reverse_correlation.estimates.intervals import wilson_interval

MORE_THAN_CHANCE = 1.96  # infoVal, as in studies of people


@dataclasses.dataclass(frozen=True)
class ObserverFindings:
    """What is found of one observer; NaN where it is not known.

    Attributes:
        plus, left: how often base plus noise, and the left picture, was chosen: shares.
        early: presses that were not answers.
        seconds: the median reaction time.
        reliability: of the choice image, split half.
        info_value: its informational value.
        trials_needed: for r = .9 with the truth.
        significant, pixels: how many pixels are significant, and how many there are.
    """

    plus: float
    left: float
    early: float
    seconds: float
    reliability: float
    info_value: float
    trials_needed: float
    significant: int
    pixels: int


@dataclasses.dataclass(frozen=True)
class PeopleAgreement:
    """How far participants agree, a mean over pairs of them.

    Attributes:
        correlation: r across halves.
        without_noise: the same, divided by the root of both reliabilities; NaN if not known.
        error: the standard deviation of r between unrelated observers.
        single, average: ICC(3,1) and ICC(3,k), of whole images.
    """

    correlation: float
    without_noise: float
    error: float
    single: IntraclassCorrelation
    average: IntraclassCorrelation


@dataclasses.dataclass(frozen=True)
class ClassAgreement:
    """How far a network's class agrees with people on the very same trials.

    Attributes:
        same, trials: on how many trials both chose the same, of those on which both chose.
        interval: (low, high) of the share of the same.
        correlation, without_noise, error: as of PeopleAgreement.
    """

    same: int
    trials: int
    interval: tuple
    correlation: float
    without_noise: float
    error: float


def observer_findings(observer, answers=()):
    """Say what an observer chose and what the choice image is worth: ObserverFindings.

    Args:
        observer: a StudyObserver.
        answers: [Answer, ...] of a participant.
    """
    estimate = observer.estimate
    left, early, milliseconds = (
        [value for value in values if value is not None]
        for values in (
            [answer.chose_left for answer in answers],
            [answer.early for answer in answers],
            [answer.milliseconds for answer in answers],
        )
    )
    return ObserverFindings(
        plus=np.mean(observer.choices) / 2 + 0.5,
        left=np.mean(left) if left else np.nan,
        early=np.sum(early) if early else np.nan,
        seconds=np.median(milliseconds) / 1000 if milliseconds else np.nan,
        reliability=estimate.reliability[0],
        info_value=estimate.info_value[0],
        trials_needed=estimate.images_needed()[0] / 2,  # a trial has two stimuli
        significant=estimate.significant.sum(),
        pixels=estimate.significant.size,
    )


def people_agreement(participants):
    """Say how far two or more StudyObservers agree: PeopleAgreement."""
    found = compare([participant.measurement for participant in participants])
    pairs = np.triu_indices(len(participants), 1)
    without_noise = found.disattenuated[pairs]
    known = np.isfinite(without_noise).any()
    images = np.array([participant.estimate.covariance.ravel() for participant in participants])
    single, average = intraclass(images / images.std(axis=1, keepdims=True))
    return PeopleAgreement(
        correlation=found.correlation[pairs].mean(),
        without_noise=np.nanmean(without_noise) if known else np.nan,
        error=found.error,
        single=IntraclassCorrelation(*single),
        average=IntraclassCorrelation(*average),
    )


def class_agreement(person, network_class):
    """Say how far a network's class agrees with a person, or a group: ClassAgreement."""
    majority = np.sign(person.choices)
    clear = (majority != 0) & (network_class.choices != 0)
    same, trials = int(np.sum(majority[clear] == network_class.choices[clear])), int(clear.sum())
    found = compare([person.measurement, network_class.measurement])
    return ClassAgreement(
        same=same,
        trials=trials,
        interval=wilson_interval(same, trials),
        correlation=found.correlation[0, 1, 0],
        without_noise=found.disattenuated[0, 1, 0],
        error=found.error,
    )
