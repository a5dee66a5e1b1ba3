"""Participants who are left out for how they pressed: never by default, and always by name."""

import numpy as np

from reverse_correlation.errors import UserError
from reverse_correlation.people.findings import presses


def without_excluded(answers, fastest=None, most_early=None):
    """Leave out participants who pressed too fast, or too early.

    Args:
        answers: {condition: {participant: [Answer, ...]}}.
        fastest: the median reaction time, in seconds, below which one is left out; None for any.
        most_early: the share of presses that were no answers above which one is; None for any.

    Returns:
        (what remains of `answers`, who was left out and why: [sentence, ...]).

    Raises:
        UserError: if a participant's file does not say what a limit is about.
    """
    kept, excluded = {}, []
    for condition, participants in answers.items():
        kept[condition] = {}
        for name, given in participants.items():
            if reason := why_excluded(name, given, fastest, most_early):
                excluded.append(f"{name} (condition {condition}): {reason}")
            else:
                kept[condition][name] = given
    return kept, excluded


def why_excluded(name, answers, fastest, most_early):
    """Say why a participant is left out; "" for nothing. The arguments are as above."""
    _, early, seconds = presses(answers)
    share, reasons = early / (early + len(answers)), []

    def passes(limit, value, sign, column, flag):
        if limit is not None and np.isnan(value):
            raise UserError(
                f"{answers[0].file} has no {column} of {name}, so that {flag} cannot be applied: "
                "leave the flag, or the file, out"
            )
        return limit is not None and sign * value > sign * limit

    if passes(fastest, seconds, -1, "reaction_time_ms", "--exclude-faster"):
        reasons.append(f"a median reaction time of {seconds:.3g} s, below {fastest:g} s")
    if passes(most_early, share, 1, "early_presses", "--exclude-early"):
        reasons.append(f"{share:.1%} of the presses early, above {most_early:.1%}")
    return "; ".join(reasons)
