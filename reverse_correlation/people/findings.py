"""What the choices of a study say of each observer, and how far observers agree."""

import dataclasses

import numpy as np

from reverse_correlation.estimates.agreement import IntraclassCorrelation, compare, intraclass


def presses(answers):
    """Return what a participant pressed; NaN where no Answer says.

    Returns:
        (left, early, seconds): the share of choices of the left picture, how many presses were not
        answers, and the median reaction time.
    """

    def known(name):
        values = (getattr(answer, name) for answer in answers)
        return [value for value in values if value is not None]

    left, early, milliseconds = map(known, ("chose_left", "early", "milliseconds"))
    return (
        np.mean(left) if left else np.nan,
        np.sum(early) if early else np.nan,
        np.median(milliseconds) / 1000 if milliseconds else np.nan,
    )


def people_agreement(participants):
    """Compare the images of two or more StudyObservers, of the same trials: an Agreement.

    Its intraclass correlations are of whole images, as in studies of people.
    """
    found = compare([participant.measurement for participant in participants])
    images = np.array([participant.estimate.covariance.ravel() for participant in participants])
    single, average = (
        IntraclassCorrelation(*values)
        for values in intraclass(images / images.std(axis=1, keepdims=True))
    )
    return dataclasses.replace(found, single=single, average=average)


def same_choices(person, network_class):
    """Count the trials on which a network's class chose as a person, or the majority of a group.

    Returns:
        (same, trials): of the trials on which both chose.
    """
    majority = np.sign(np.nan_to_num(person.choices))  # a trial without answers has none
    clear = (majority != 0) & (network_class.choices != 0)
    return int(np.sum(majority[clear] == network_class.choices[clear])), int(clear.sum())
