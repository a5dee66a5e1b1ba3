"""The tables of a study: what participants, and a network on their trials, look for."""

from reverse_correlation.people.findings import (
    class_agreement,
    observer_findings,
    people_agreement,
)
from reverse_correlation.texts import number


def print_people(result):
    """Print what each participant's choice image is worth, and how far participants agree.

    Args:
        result: a StudyResult.
    """
    study, participants = result.study, result.participants
    print(
        f'\n"{study.question}" {study.trials:,} pairs, base plus and minus {study.noise.title} '
        f"noise, seed {study.seed}; participants: {len(participants)}"
    )
    print_line("", "plus", "left", "early", "median s", "reliability", "infoVal", "needs", "pixels")
    for person in result.people:
        answers = () if person is result.group else result.answers.get(person.name, ())
        found = observer_findings(person, answers)
        print_line(
            person.name,
            f"{found.plus:.1%}",
            number(found.left, "{:.1%}"),
            number(found.early, "{:.0f}"),
            number(found.seconds, "{:.2f}"),
            number(found.reliability, "{:.3f}"),
            number(found.info_value, "{:.2f}"),
            number(found.trials_needed, "{:,.0f}"),
            f"{found.significant:,} of {found.pixels:,}",
        )
    print(
        "plus, left: how often base plus noise, and the left picture, was chosen; early: presses "
        "that were not\nanswers; reliability: split half, over even and odd stimulus numbers, for "
        "all trials; infoVal: 1.96 and\nabove is more than chance; needs: trials for a "
        "correlation of .9 with the truth; pixels: significant at\nfamily-wise 5 %"
    )
    if result.group:
        print_agreement(people_agreement(participants), len(participants))


def print_agreement(found, count):
    """Print a PeopleAgreement of so many participants."""
    print(
        f"\nagreement of participants, mean over pairs: r {found.correlation:.3f} across halves "
        f"(unrelated:\n0 +- {found.error:.3f}), {number(found.without_noise, '{:.3f}')} without "
        "noise (it may pass 1)"
    )
    for name, icc in (("ICC(3,1)", found.single), (f"ICC(3,{count})", found.average)):
        print(f"{name} {icc.value:.3f} ({icc.low:.3f} to {icc.high:.3f})")
    print(
        "ICC as in studies of people, of whole images on the same trials: what participants share "
        "beside a template\ncan raise it, which cannot raise r across halves"
    )


def print_network(result):
    """Print how far a network's classes choose as people do, on the very same trials.

    Args:
        result: a StudyResult.
    """
    who = "the majority of participants" if result.group else result.foremost.name
    print(
        f"\n{result.network.name} on the same trials: how often each class chooses as {who} did\n"
        "(chance: 50 %; ties are left out), and r of the two images across halves"
    )
    print_line("class", "same choice", "95 %", "r", "without noise", "reliability", width=17)
    for network_class in result.classes:
        found = class_agreement(result.foremost, network_class)
        low, high = found.interval
        print_line(
            network_class.name,
            f"{found.same:,} of {found.trials:,}",
            f"{low:.1%} to {high:.1%}",
            number(found.correlation, "{:.3f}"),
            number(found.without_noise, "{:.3f}"),
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
