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
        read_answers(files, [study])
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
    whole = read_answers(files, [study])["main"]
    for path in files:
        text = [",".join(line.split(",")[:5]) for line in lines_of(path)]
        path.write_text("\n".join(text) + "\n")
    short = read_answers(files, [study])["main"]
    for name in ("ann", "bob"):
        assert [a.response for a in short[name]] == [a.response for a in whole[name]]
        assert {(a.chose_left, a.milliseconds, a.early) for a in short[name]} == {(None,) * 3}


def test_the_files_are_those_of_rcpyci(study, files):
    utils = pytest.importorskip("rcpyci.utils")
    table = pd.concat([pd.read_csv(path) for path in files])
    _, theirs = utils.extract_sorted_responses_participant(table, "bob", study.trials)
    _, means = utils.extract_sorted_responses_condition(table, "main", study.trials)
    answers = read_answers(files, [study])["main"]
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
    assert Answer(Path("a.csv"), 2, 1, response, side).chose_left is left


# ----------------------------------------------------------------------- files as others write them


def test_a_file_from_excel_is_read(study, files):
    """Semicolons, a byte-order mark, decimal commas and 1,0 for 1."""
    whole = read_answers(files, [study])["main"]
    rows = [line.split(",") for line in lines_of(files[0])]
    for row in rows[1:]:
        row[3:6] = row[3] + ",0", row[4] + ".0", row[5] + ",5"
    files[0].write_text("\n".join(";".join(row) for row in rows), encoding="utf-8-sig")
    found = read_answers(files, [study])["main"]
    assert [a.response for a in found["ann"]] == [a.response for a in whole["ann"]]
    assert [a.milliseconds for a in found["ann"]] == [700.5 + i for i in range(40)]


def test_a_decimal_comma_in_a_file_with_commas_is_no_number(study, files):
    """There it might be thousands."""
    change(files[0], 2, ",700,", ',"1,700",')
    refused(files, study, "its reaction_time_ms is '1,700'")


def test_what_r_does_not_know_is_not_known(study, files):
    change(files[0], 2, ",700,right", ",NA,NA")
    change(files[0], 3, ",701,", ',"701",')
    first, second = read_answers(files, [study])["main"]["ann"][:2]
    assert (first.milliseconds, first.chose_left, second.milliseconds) == (None, None, 701)
    change(files[0], 4, f",{lines_of(files[0])[3].split(',')[4]},", ",NA,")
    refused(files, study, "its responses is 'NA'")


@pytest.mark.parametrize("stimulus", ["6.5", "nan", "inf", "six"])
def test_a_stimulus_has_a_whole_number(stimulus, study, files):
    change(files[0], 7, "ann,6,", f"ann,{stimulus},")
    refused(files, study, f"stimulus_id is '{stimulus}'")


# ----------------------------------------------------------------------- who stopped early


def test_a_session_that_stopped_early_is_read_where_that_is_asked_for(study, files):
    files[0].write_text("\n".join(lines_of(files[0])[:-3]) + "\n")
    refused(files, study, "ann has 37 of 40 trials", "by --incomplete")
    found = read_answers(files, [study], incomplete=True)["main"]
    assert [a.stimulus for a in found["ann"]] == list(range(1, 38)) and len(found["bob"]) == 40


def test_too_few_answers_for_two_halves_are_refused(study, files):
    lines = lines_of(files[0])
    files[0].write_text("\n".join([lines[0], *lines[2:40:2], lines[1]]) + "\n")  # one odd number
    with pytest.raises(UserError, match="ann has 20 of 40 trials, and the least is 2 of even"):
        read_answers(files, [study], incomplete=True)


# ----------------------------------------------------------------------- several conditions


def test_a_line_belongs_to_the_study_of_its_condition(study, files, tmp_path):
    other = Study(study.noise, 0, 20, "Which not?", "other")
    path = write_csv(tmp_path / "other.csv", other, "ann", np.tile([1, 1, -1, -1], 5))
    found = read_answers([*files, path], [study, other])
    assert {name: list(people) for name, people in found.items()} == {
        "main": ["ann", "bob"],
        "other": ["ann"],
    }
    assert len(found["other"]["ann"]) == 20 and len(found["main"]["ann"]) == 40
    change(path, 3, "other", "third")
    with pytest.raises(UserError, match="'third', which is not 'main' or 'other', one of these"):
        read_answers([*files, path], [study, other])
