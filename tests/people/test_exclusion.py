"""Who is left out for how they pressed, and that it is said."""

from pathlib import Path

import pytest

from reverse_correlation import UserError
from reverse_correlation.people.answers import Answer
from reverse_correlation.people.exclusion import without_excluded
from reverse_correlation.people.tables import what_was_left_out


def pressed(milliseconds, early):
    """Four answers at these times, the first after so many early presses."""
    presses = [early, *[None if early is None else 0] * 3]
    return [
        Answer(Path("a.csv"), i + 2, i + 1, 1, "left", milliseconds, each)
        for i, each in enumerate(presses)
    ]


ANSWERS = {
    "main": {"slow": pressed(900, 0), "fast": pressed(299, 0), "early": pressed(900, 4)},
    "other": {"slow": pressed(300, 1)},
}


def names_of(answers):
    return {condition: list(people) for condition, people in answers.items()}


def test_nobody_is_left_out_by_default():
    kept, excluded = without_excluded(ANSWERS)
    assert names_of(kept) == names_of(ANSWERS) and not excluded
    assert what_was_left_out(excluded, None, None) == []


def test_whoever_passes_a_limit_is_left_out_by_name_and_value():
    kept, excluded = without_excluded(ANSWERS, 0.3, 0.2)
    assert names_of(kept) == {"main": ["slow"], "other": ["slow"]}  # at a limit is not beyond it
    title, *lines = what_was_left_out(excluded, 0.3, 0.2)
    assert title == (
        "left out for median reaction time below 0.3 s or more than 20.0% of the presses early: 2"
    )
    assert lines == [
        "fast (condition main): a median reaction time of 0.299 s, below 0.3 s",
        "early (condition main): 50.0% of the presses early, above 20.0%",
    ]


def test_a_limit_that_nobody_passes_is_said():
    _, excluded = without_excluded(ANSWERS, 0.1)
    assert what_was_left_out(excluded, 0.1, None) == [
        "left out for median reaction time below 0.1 s: nobody"
    ]


@pytest.mark.parametrize(
    ("answers", "limits", "sentence"),
    [
        (
            pressed(None, 0),
            (0.3, None),
            "a.csv has no reaction_time_ms of ann, so that --exclude-f",
        ),
        (pressed(500, None), (None, 0.2), "a.csv has no early_presses of ann, so that --exclude-e"),
    ],
)
def test_a_limit_on_what_a_file_does_not_say_is_refused(answers, limits, sentence):
    with pytest.raises(UserError, match=sentence):
        without_excluded({"main": {"ann": answers}}, *limits)
