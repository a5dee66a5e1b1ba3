"""Files of answers: what is read, and what is refused by file and line."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from studies import COLUMNS, lines_of, write_csv, write_participants

from reverse_correlation import UserError, WhiteNoise
from reverse_correlation.people.answers import Answer, read_answers
from reverse_correlation.people.study import Study


@pytest.fixture
def study():
    return Study(WhiteNoise(shape=(8, 8, 1), contrast=0.08), 0, 40, "Which?", "main")


@pytest.fixture
def files(study, tmp_path):
    """The files of ann and bob."""
    return write_participants(tmp_path, study)[0]


def change(path, line, old, new):
    """Change a text in a line of a file, counted from 1."""
    lines = lines_of(path)
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new)
    path.write_text("\n".join(lines) + "\n")


def refused(files, study, *expected):
    """Expect a sentence with all these texts in it."""
    with pytest.raises(UserError) as error:
        read_answers(files, study)
    assert all(str(text) in str(error.value) for text in expected), error.value


@pytest.mark.parametrize(
    ("line", "old", "new", "sentence"),
    [
        (7, "ann,6,", "ann,5,", "ann has answered stimulus 5 before, in "),
        (7, "ann,6,", "ann,41,", "stimulus_id is '41', which is not one of this study's, 1 to 40"),
        (7, "ann,6,", "ann,0,", "stimulus_id is '0', which is not one of this study's"),
        (3, "main", "other", "its condition is 'other'"),
        (5, ",703,", ",", "it has 8 fields where there are 9 columns"),
        (5, ",703,", ",703,703,", "it has 10 fields where there are 9 columns"),
        (2, "ann", "", "its participant_id is '', which is not a name"),
        (2, ",700,", ",fast,", "its reaction_time_ms is 'fast', which is not a number from 0 up"),
        (2, ",700,", ",-1,", "its reaction_time_ms is '-1', which is not a number from 0 up"),
        (2, ",700,", ",nan,", "its reaction_time_ms is 'nan', which is not a number from 0 up"),
        (2, "right", "above", "its plus_side is 'above', which is not left or right"),
        (1, "responses", "answers", "it has no column responses"),
        (1, "seed", "study", "it has two columns study"),
    ],
)
def test_a_line_that_is_not_an_answer_is_refused_by_file_and_line(
    line, old, new, sentence, study, files
):
    change(files[0], line, old, new)
    refused(files, study, f"{files[0]}, line {line}: ", sentence)


def test_an_answer_to_another_study_is_refused(study, files):
    whole = files[0].read_text()
    change(files[0], 9, f"{study.id},0", f"{study.id},3")
    refused(files, study, f"{files[0]}, line 9", "its seed is '3', which is not 0, this study's")
    files[0].write_text(whole)
    change(files[0], 9, study.id, "deadbeef")
    refused(files, study, f"{files[0]}, line 9", "its study is 'deadbeef'")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "has no line of choices"),
        (COLUMNS.encode() + b"\n", "has no line of choices"),
        (b"\xff\xfe\x00", "cannot be read as a CSV file"),
    ],
)
def test_a_file_without_answers_is_refused(content, sentence, study, files):
    files[0].write_bytes(content)
    refused(files, study, files[0], sentence)


def test_trials_that_are_missing_are_named(study, files):
    files[0].write_text("\n".join(lines_of(files[0])[:-3]) + "\n")
    refused(
        files,
        study,
        f"{files[0]}, lines 2 to 38",
        "ann has 37 of 40 trials (stimulus 38, 39, 40 missing)",
    )


def test_a_copy_of_another_participant_is_refused(study, files):
    ann, bob = files
    ann.write_text(bob.read_text().replace("bob", "ann"))
    refused(files, study, f"{bob}, line 2", "bob has given the same 40 answers as ann")


def test_one_person_in_two_files_is_refused(study, files, tmp_path):
    copy = tmp_path / "copy.csv"
    copy.write_text(files[0].read_text())
    sentence = f"copy.csv, line 2: ann has answered stimulus 1 before, in {files[0]}, line 2"
    refused([files[0], copy], study, sentence)


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        (np.ones(40), "has given the same response 40 times"),
        (np.tile([-1, 1], 20), "has chosen the picture on the same side 40 times"),
        (np.zeros(40), "its responses is '0', which is not 1 (base plus noise) or -1"),
    ],
)
def test_answers_that_tell_nothing_are_refused(choices, sentence, study, files):
    write_csv(files[0], study, "ann", choices)
    refused(files, study, f"{files[0]}, line", sentence)


def test_files_with_the_five_columns_alone_are_read(study, files):
    whole = read_answers(files, study)
    for path in files:
        text = [",".join(line.split(",")[:5]) for line in lines_of(path)]
        path.write_text("\n".join(text) + "\n")
    short = read_answers(files, study)
    for name in ("ann", "bob"):
        assert [a.response for a in short[name]] == [a.response for a in whole[name]]
        assert {(a.chose_left, a.milliseconds, a.early) for a in short[name]} == {(None,) * 3}


def test_the_files_are_those_of_rcpyci(study, files):
    utils = pytest.importorskip("rcpyci.utils")
    table = pd.concat([pd.read_csv(path) for path in files])
    _, theirs = utils.extract_sorted_responses_participant(table, "bob", study.trials)
    _, means = utils.extract_sorted_responses_condition(table, "main", study.trials)
    answers = read_answers(files, study)
    responses = np.array([[answer.response for answer in answers[name]] for name in ("ann", "bob")])
    assert np.array_equal(theirs[:, 0], responses[1])
    assert np.array_equal(means[:, 0], responses.mean(axis=0))


@pytest.mark.parametrize(
    ("side", "response", "left"),
    [
        ("left", 1, True),
        ("left", -1, False),
        ("right", 1, False),
        ("right", -1, True),
        ("", 1, None),
    ],
)
def test_the_side_that_was_chosen_follows_from_where_plus_stood(side, response, left):
    assert Answer(Path("a.csv"), 2, response, side, None, None).chose_left is left
