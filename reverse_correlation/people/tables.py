"""The tables of a study: what participants, and a network on their trials, look for."""

import dataclasses

import numpy as np

from reverse_correlation.estimates.agreement import compare, null_error
from reverse_correlation.estimates.estimate import MORE_THAN_CHANCE
from reverse_correlation.estimates.intervals import wilson_interval
from reverse_correlation.estimates.regions import find_regions
from reverse_correlation.people.findings import (
    people_agreement,
    presses,
    same_choices,
)
from reverse_correlation.texts import aligned, number

PEOPLE = "trials", "plus", "left", "early", "median s", "reliability", "infoVal", "needs", "pixels"


@dataclasses.dataclass(frozen=True)
class PersonRow:
    """What a choice image is worth; NaN where something is not known.

    The shares of choices of base plus noise, and of the left picture; presses that were not
    answers; trials needed for a correlation of .9 with the truth; pixels significant of all.
    """

    condition: str
    name: str
    trials: int
    plus: float
    left: float
    early: float
    median_seconds: float
    reliability: float
    info_value: float
    trials_needed: float
    significant: int
    pixels: int


@dataclasses.dataclass(frozen=True)
class NetworkRow:
    """How far a class of a network chooses as people do; NaN where something is not known.

    How many choices are the same, of the trials on which both chose, and the 95 % interval of that
    share; r of the two images, across halves; the reliability of the class's image.
    """

    condition: str
    name: str
    same: int
    trials: int
    low: float
    high: float
    r: float
    r_without_noise: float
    reliability: float


def person_rows(result):
    """Return a PersonRow for each participant of a StudyResult, and one of all together."""
    return [
        _person_row(result.study.condition, each.name, each, np.nanmean(each.choices) / 2 + 0.5)
        for each in result.people
    ]


def difference_row(found):
    """Return the PersonRow of a ConditionDifference."""
    return _person_row(found.observer.name, "difference", found.observer, np.nan)


def _person_row(condition, name, observer, plus):
    estimate, (left, early, seconds) = observer.estimate, presses(observer.answers)
    known = (
        plus,
        left,
        early,
        seconds,
        estimate.reliability[0],
        estimate.info_value[0],
        estimate.images_needed()[0] / 2,  # a trial has two stimuli
    )
    pixels = int(estimate.significant.sum()), estimate.significant.size
    return PersonRow(condition, name, observer.trials, *map(float, known), *pixels)


def network_rows(result):
    """Return a NetworkRow for each class of a StudyResult's network."""
    rows = []
    for network_class in result.classes:
        same, trials = same_choices(result.foremost, network_class)
        found = compare([result.foremost.measurement, network_class.measurement])
        known = (
            *wilson_interval(same, trials),
            found.correlation[0, 1, 0],
            found.disattenuated[0, 1, 0],
            network_class.estimate.reliability[0],
        )
        told = result.study.condition, network_class.name, same, trials
        rows.append(NetworkRow(*told, *map(float, known)))
    return rows


def of_no_study(answers):
    """Say which files do not name their study: [sentence, ...].

    Args:
        answers: {condition: {participant: [Answer, ...]}}.
    """
    given = [a for people in answers.values() for each in people.values() for a in each]
    silent = dict.fromkeys(answer.file.name for answer in given if not answer.names_study)
    if not silent:
        return []
    return [
        f"{', '.join(silent)}: without a column study, so that nothing tells whether these are "
        "answers to the pictures of this study; they are read as such"
    ]


def what_was_left_out(excluded, fastest, most_early):
    """Say by which limits, or None, participants were excluded, and who: [sentence, ...]."""
    limits = [
        *([f"median reaction time below {fastest:g} s"] if fastest is not None else []),
        *([f"more than {most_early:.1%} of the presses early"] if most_early is not None else []),
    ]
    asked = f"left out for {' or '.join(limits)}: {len(excluded) or 'nobody'}"
    return [asked, *excluded] if limits else []


def print_people(result, rows):
    """Print the PersonRows of a StudyResult, and how far participants agree."""
    study = result.study
    print(
        f'\n"{study.question}" (condition {study.condition}) {study.trials:,} pairs, base plus and '
        f"minus {study.noise.title} noise, seed {study.seed}; participants: "
        f"{len(result.participants)}"
    )
    cells = [
        (
            row.name[:20],
            f"{row.trials:,}",
            f"{row.plus:.1%}",
            number(row.left, "{:.1%}"),
            number(row.early, "{:.0f}"),
            number(row.median_seconds, "{:.2f}"),
            number(row.reliability, "{:.3f}"),
            number(row.info_value, "{:.2f}"),
            number(row.trials_needed, "{:,.0f}"),
            f"{row.significant:,} of {row.pixels:,}",
        )
        for row in rows
    ]
    print(*aligned([("", *PEOPLE), *cells]), sep="\n")
    print(
        "trials: answered; plus, left: how often base plus noise, and the left picture, was "
        "chosen; early:\npresses that were not answers; reliability: split half, over even and odd "
        f"stimulus numbers, for all\ntrials; infoVal: {MORE_THAN_CHANCE} and above is more than "
        "chance; needs: trials for a correlation of .9 with\nthe truth; pixels: significant at "
        "family-wise 5 %"
    )
    if result.group:
        print_agreement(people_agreement(result.participants))


def print_regions(result, smooth=None, mask=None):
    """Print the regions of each choice image of a StudyResult.

    Args:
        smooth, mask: as for `Measurement.regions`.
    """
    people = [person.measurement for person in result.people]
    found = find_regions(people, smooth=smooth, mask=mask)
    tables = [
        each.tables(names=[person.name]) for each, person in zip(found, result.people, strict=True)
    ]
    print(f"\n{found[0].title}")
    for of_people in zip(*tables, strict=True):
        head = ("", *of_people[0][0][1:])
        print(*aligned([head, *(row for rows in of_people for row in rows[1:])]), sep="\n")
    print(found[0].legend)


def print_agreement(found):
    """Print how far participants agree, an Agreement."""
    count = len(found.names)
    pairs = np.triu_indices(count, 1)
    without_noise = found.disattenuated[pairs]
    known = without_noise[np.isfinite(without_noise)]
    print(
        f"\nagreement of participants, mean over pairs: r {found.correlation[pairs].mean():.3f} "
        f"across halves (unrelated:\n0 +- {found.error:.3f}), "
        f"{number(known.mean() if known.size else None, '{:.3f}')} without noise (it may pass 1)"
    )
    for name, icc in (("ICC(3,1)", found.single), (f"ICC(3,{count})", found.average)):
        print(f"{name} {icc.value:.3f} ({icc.low:.3f} to {icc.high:.3f})")
    print(
        "ICC as in studies of people, of whole images on the same trials: what participants share "
        "beside a template\ncan raise it, which cannot raise r across halves"
    )


def print_network(result, rows):
    """Print the NetworkRows of a StudyResult: does it choose as people do, on the same trials?"""
    who = "the majority of participants" if result.group else result.foremost.name
    print(
        f"\n{result.network.name} on the same trials: how often each class chooses as {who} did\n"
        "(chance: 50 %; ties are left out), and r of the two images across halves"
    )
    print_line("class", "same choice", "95 %", "r", "without noise", "reliability", width=17)
    for row in rows:
        print_line(
            row.name,
            f"{row.same:,} of {row.trials:,}",
            f"{row.low:.1%} to {row.high:.1%}",
            number(row.r, "{:.3f}"),
            number(row.r_without_noise, "{:.3f}"),
            number(row.reliability, "{:.3f}"),
            width=17,
        )
    print(
        f"r of unrelated observers: 0 +- {null_error(result.study.noise):.3f}; r without noise "
        "may pass 1. Of many classes, look at\nthe one that was chosen beforehand, or ask more of "
        "the best"
    )


def print_difference(found):
    """Print what the difference of two conditions, a ConditionDifference, is worth."""
    estimate = found.observer.estimate
    one, other = (len(result.participants) for result in (found.first, found.second))
    shared = f"{len(found.shared):,} of them in both" if found.shared else "none of them in both"
    print(
        f"\n{found.observer.name}: the image of the first minus that of the second; {one:,} and "
        f"{other:,} participants, {shared}, of "
        f"{'the same' if found.same_trials else 'different'} noise\nreliability "
        f"{number(estimate.reliability[0], '{:.3f}')}, infoVal "
        f"{number(estimate.info_value[0], '{:.2f}')} ({MORE_THAN_CHANCE} and above is more than "
        f"chance), {estimate.significant.sum():,} of {estimate.significant.size:,} pixels "
        "significant at family-wise 5 %\nIts error is over trials, of these participants; it is "
        "not 0, too, where people only answer one more consistently"
    )


def print_line(first, *cells, width=12):
    """Print a line of a table, its first cell cut to 20 letters."""
    print(f"{first[:20]:>20}" + "".join(f"{cell:>{width}}" for cell in cells))
