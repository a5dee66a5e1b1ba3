"""The tables of a study: what participants, and a network on their trials, look for."""

import numpy as np

from reverse_correlation.estimates.agreement import compare
from reverse_correlation.estimates.estimate import MORE_THAN_CHANCE
from reverse_correlation.estimates.intervals import wilson_interval
from reverse_correlation.estimates.regions import find_regions
from reverse_correlation.people.findings import (
    people_agreement,
    presses,
    same_choices,
)
from reverse_correlation.texts import aligned, number


def print_people(result):
    """Print what each choice image of a StudyResult is worth, and how far participants agree."""
    study = result.study
    print(
        f'\n"{study.question}" {study.trials:,} pairs, base plus and minus {study.noise.title} '
        f"noise, seed {study.seed}; participants: {len(result.participants)}"
    )
    print_line("", "plus", "left", "early", "median s", "reliability", "infoVal", "needs", "pixels")
    for person in result.people:
        left, early, seconds = presses(person.answers)
        estimate = person.estimate
        print_line(
            person.name,
            f"{np.mean(person.choices) / 2 + 0.5:.1%}",
            number(left, "{:.1%}"),
            number(early, "{:.0f}"),
            number(seconds, "{:.2f}"),
            number(estimate.reliability[0], "{:.3f}"),
            number(estimate.info_value[0], "{:.2f}"),
            number(estimate.images_needed()[0] / 2, "{:,.0f}"),  # a trial has two stimuli
            f"{estimate.significant.sum():,} of {estimate.significant.size:,}",
        )
    print(
        "plus, left: how often base plus noise, and the left picture, was chosen; early: presses "
        "that were not\nanswers; reliability: split half, over even and odd stimulus numbers, for "
        f"all trials; infoVal: {MORE_THAN_CHANCE} and\nabove is more than chance; needs: trials "
        "for a correlation of .9 with the truth; pixels: significant at\nfamily-wise 5 %"
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


def print_network(result):
    """Print how far the network of a StudyResult chooses as people do, on the very same trials."""
    who = "the majority of participants" if result.group else result.foremost.name
    print(
        f"\n{result.network.name} on the same trials: how often each class chooses as {who} did\n"
        "(chance: 50 %; ties are left out), and r of the two images across halves"
    )
    print_line("class", "same choice", "95 %", "r", "without noise", "reliability", width=17)
    for network_class in result.classes:
        same, trials = same_choices(result.foremost, network_class)
        low, high = wilson_interval(same, trials)
        found = compare([result.foremost.measurement, network_class.measurement])
        print_line(
            network_class.name,
            f"{same:,} of {trials:,}",
            f"{low:.1%} to {high:.1%}",
            number(found.correlation[0, 1, 0], "{:.3f}"),
            number(found.disattenuated[0, 1, 0], "{:.3f}"),
            number(network_class.estimate.reliability[0], "{:.3f}"),
            width=17,
        )
    print(
        f"r of unrelated observers: 0 +- {found.error:.3f}; r without noise may pass 1. Of many "
        "classes, look at\nthe one that was chosen beforehand, or ask more of the best"
    )


def print_line(first, *cells, width=12):
    """Print a line of a table, its first cell cut to 20 letters."""
    print(f"{first[:20]:>20}" + "".join(f"{cell:>{width}}" for cell in cells))
