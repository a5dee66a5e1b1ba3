"""Studies of people: made, run in a real browser, read again, and what can be wrong with them."""

import csv
import time

import numpy as np
import pandas as pd
import pytest
from browser import Browser, has_browser
from PIL import Image
from small_observers import observer

import people
from command_line import read_people_settings
from people_summary import draw_people
from reverse_correlation import Measurement, measure_choices
from reverse_correlation.people.choices import shown_pair
from study import Study, read_choices

COLUMNS = "idx,condition,participant_id,stimulus_id,responses,reaction_time_ms,plus_side,study,seed"


def run(capsys, *words):
    code = people.run([str(word) for word in words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err.splitlines()[-1] if captured.err else ""


def make(folder, capsys, *flags):
    flags = ["--trials", 40, "--size", 8, "--noise-kind", "gaussian", "--out", folder, *flags]
    code, _, error = run(capsys, "make", *flags)
    assert code == 0, error
    return Study.load(folder / "study.npz")


def write_csv(path, study, name, choices, **changed):
    """Write a participant's file; `changed` are other values of columns."""
    lines = [COLUMNS]
    for i, choice in enumerate(choices):
        row = {
            "idx": i + 1,
            "condition": study.condition,
            "participant_id": name,
            "stimulus_id": i + 1,
            "responses": int(choice),
            "reaction_time_ms": 700 + i,
            "plus_side": "left" if i % 2 else "right",
            "study": study.id,
            "seed": study.seed,
        }
        lines.append(",".join(map(str, {**row, **changed}.values())))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def studied(tmp_path, capsys):
    """A study, and the choices of two simulated participants, in its folder."""
    study = make(tmp_path / "study", capsys)
    flat = np.asarray(study.noise.fluctuation(study.numbers)).reshape(study.trials, -1)
    rng = np.random.default_rng(0)
    template = rng.normal(size=64)
    files = []
    for name in ("ann", "bob"):
        drive = flat @ template
        choices = np.sign(drive + 0.5 * drive.std() * rng.normal(size=len(drive)))
        files.append(write_csv(tmp_path / "study" / f"{name}.csv", study, name, choices))
    return study, files, template


def test_what_participants_choose_is_measured_and_kept(studied, capsys):
    study, files, _ = studied
    code, out, error = run(capsys, "read", *files)
    assert code == 0, error
    for name in ("ann", "bob"):
        with open(files[0].parent / f"{name}.csv") as file:
            choices = [int(row["responses"]) for row in csv.DictReader(file)]
        expected = measure_choices(choices, study.noise, seed=study.seed).classes["choice"]
        kept = Measurement.load(files[0].parent / f"measurements/{name}.npz").classes["choice"]
        assert np.array_equal(kept.covariance, expected.covariance)
        row = next(line.split() for line in out.splitlines() if line.split()[:1] == [name])
        assert row[4:7] == ["0.72", f"{kept.reliability[0]:.3f}", f"{kept.info_value[0]:.2f}"]
    group = Measurement.load(files[0].parent / "measurements/all_participants.npz")
    images = [
        Measurement.load(files[0].parent / f"measurements/{name}.npz").classes["choice"].covariance
        for name in ("ann", "bob")
    ]
    assert np.allclose(group.classes["choice"].covariance, np.mean(images, axis=0))
    assert "ICC(3,1)" in out and "ICC(3,2)" in out
    assert (files[0].parent / "people.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("own", "shape"), [((25, 25), (32, 32)), ((28, 28), (28, 28)), ((600, 301), (256, 128))]
)
def test_a_base_image_of_any_size_makes_a_study(own, shape, tmp_path, capsys):
    Image.fromarray(np.full(own, 120, np.uint8)).save(tmp_path / "grey.png")
    code, out, error = run(
        capsys, "make", "--base", tmp_path / "grey.png", "--trials", 4, "--out", tmp_path / "s"
    )
    assert code == 0, error
    assert Study.load(tmp_path / "s/study.npz").noise.shape == (*shape, 1)
    assert ("was resized from" in out) == (own != shape)


def test_a_figure_says_where_choices_are_no_more_than_chance(tmp_path, capsys):
    study = make(tmp_path / "study", capsys, "--trials", 400)
    flat = np.asarray(study.noise.fluctuation(study.numbers)).reshape(400, -1)
    template = np.random.default_rng(0).normal(size=64)
    for choices, chance in (
        (np.sign(flat @ template), False),
        (np.random.default_rng(1).choice([-1, 1], 400), True),
    ):
        figure = draw_people([people.judge("p", choices, study)], None, [], study, None)
        title = " ".join(figure.get_suptitle().split())
        assert ("NOT MORE THAN CHANCE: what they seem to show is noise" in title) == chance


def test_the_files_are_those_of_rcpyci(studied):
    utils = pytest.importorskip("rcpyci.utils")
    study, files, _ = studied
    table = pd.concat([pd.read_csv(path) for path in files])
    _, theirs = utils.extract_sorted_responses_participant(table, "bob", study.trials)
    _, means = utils.extract_sorted_responses_condition(table, "main", study.trials)
    answers = read_choices(files, study)
    responses = np.array([[each.response for each in answers[name]] for name in ("ann", "bob")])
    assert np.array_equal(theirs[:, 0], responses[1])
    assert np.array_equal(means[:, 0], responses.mean(axis=0))


def test_a_network_judges_the_very_same_trials(studied, tmp_path, capsys):
    study, files, template = studied
    weights = np.stack([template, -template], axis=-1).reshape(8, 8, 1, 2)
    observer(weights).save(tmp_path / "net.keras")
    flags = ["--model", tmp_path / "net.keras", "--class-names", "yes", "no"]
    code, out, error = run(capsys, "read", files[0], *flags)
    assert code == 0, error
    with open(files[0]) as file:
        choices = np.array([int(row["responses"]) for row in csv.DictReader(file)])
    first, second = (shown.reshape(40, -1) for shown in shown_pair(study.noise, study.numbers))
    same = int(np.sum(np.sign((first - second) @ template) == choices))
    rows = {line.split()[0]: line.split() for line in out.splitlines() if line.split()}
    assert rows["yes"][1] == str(same) and rows["no"][1] == str(40 - same) and same > 25


def test_a_base_image_gives_size_and_colours(tmp_path, capsys):
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (12, 10, 3), dtype=np.uint8)).save(tmp_path / "c.png")
    study = make(tmp_path / "a", capsys, "--base", tmp_path / "c.png", "--size", 16, 8)
    assert study.noise.shape == (16, 8, 3)
    flags = ["--base", tmp_path / "c.png", "--noise-kind", "pink", "--out", tmp_path / "b"]
    assert run(capsys, "make", *flags, "--trials", 4)[0] == 0
    assert Study.load(tmp_path / "b/study.npz").noise.shape == (12, 10, 3)


# ----------------------------------------------------------------------- what can be wrong


def lines_of(path):
    return path.read_text().splitlines()


def change(path, line, old, new):
    """Change a text in a line of a file, counted from 1."""
    lines = lines_of(path)
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new)
    path.write_text("\n".join(lines) + "\n")


def test_lines_that_are_no_choices_are_refused_by_file_and_line(studied, capsys):
    study, (ann, bob), _ = studied
    whole = ann.read_text()

    def refused(*expected):
        code, _, error = run(capsys, "read", ann, bob)
        ann.write_text(whole)
        assert code == 2 and error.startswith("people.py: "), error
        assert all(str(text) in error for text in expected), error

    change(ann, 7, "ann,6,", "ann,5,")
    refused(f"{ann}, line 7", "has answered stimulus 5 before", "line 6")
    change(ann, 7, "ann,6,", "ann,41,")
    refused(f"{ann}, line 7", "'41' is none of this study's, which are 1 to 40")
    change(ann, 9, f"{study.id},0", f"{study.id},3")
    refused(f"{ann}, line 9", "its seed is 3, but this study's is 0")
    change(ann, 9, study.id, "deadbeef")
    refused(f"{ann}, line 9", "its study is deadbeef")
    change(ann, 3, "main", "other")
    refused(f"{ann}, line 3", "its condition is 'other'")
    change(ann, 5, ",703,", ",")
    refused(f"{ann}, line 5", "it has 8 fields where there are 9 columns")
    ann.write_text("\n".join(lines_of(ann)[:-3]) + "\n")
    refused(f"{ann}, lines 2 to 38", "has 37 of 40 trials (stimulus 38, 39, 40 missing)")
    change(ann, 1, "responses", "answers")
    refused(f"{ann}, line 1", "there is no column responses")
    change(ann, 2, "ann", "")
    refused(f"{ann}, line 2", "its participant_id is empty")
    change(ann, 2, ",700,", ",fast,")
    refused(f"{ann}, line 2", "its reaction_time_ms is 'fast'")
    change(ann, 1, "seed", "study")
    refused(f"{ann}, line 1", "there are two columns study")
    change(ann, 2, ",700,", ",-1,")
    refused(f"{ann}, line 2", "it is a number from 0 up")
    ann.write_text(bob.read_text().replace("bob", "ann"))
    refused(f"{bob}, line 2", "bob has given the same 40 answers as ann")
    ann.write_text("")
    refused(ann, "is empty")
    ann.write_text(COLUMNS + "\n")
    refused(ann, "has no line of choices")
    ann.write_bytes(b"\xff\xfe\x00")
    refused(ann, "cannot be read as a CSV file")


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        (np.ones(40), "has given the same response 40 times"),
        (np.tile([-1, 1], 20), "has chosen the left picture 40 times"),
        (np.zeros(40), "the response '0' is neither 1"),
    ],
)
def test_answers_that_tell_nothing_are_refused(choices, sentence, studied, capsys):
    study, files, _ = studied
    write_csv(files[0], study, "ann", choices)
    code, _, error = run(capsys, "read", *files)
    assert code == 2 and sentence in error and f"{files[0]}, line" in error


def test_one_person_in_two_files_is_refused(studied, tmp_path, capsys):
    _, files, _ = studied
    (tmp_path / "copy.csv").write_text(files[0].read_text())
    study = files[0].parent / "study.npz"
    code, _, error = run(capsys, "read", files[0], tmp_path / "copy.csv", "--study", study)
    assert (
        code == 2
        and f"copy.csv, line 2: ann has answered stimulus 1 before, in {files[0]}" in error
    )


def test_files_of_measurements_are_named_apart_and_stay_in_their_folder():
    names = ["ann", "../../x", "a b", "A_b"]
    stems = people.file_stems(names)
    assert len({stem.casefold() for stem in stems}) == 4
    assert not any(set(stem) & set("/. ") for stem in stems)
    assert people.file_stems(["ann", "bob"]) == ["ann", "bob"]


def test_a_study_of_another_condition_is_another_study(tmp_path, capsys):
    one, other = (make(tmp_path / name, capsys, "--condition", name) for name in "ab")
    assert one.id != other.id
    flags = ["--trials", 40, "--size", 8, "--noise-kind", "gaussian", "--condition", "b"]
    code, _, error = run(capsys, "make", *flags, "--out", tmp_path / "a")
    assert code == 2 and "has another study" in error


@pytest.mark.parametrize("kind", ["binary", "coarse", "pink", "uniform"])
def test_any_symmetric_noise_is_shown(kind, tmp_path, capsys):
    flags = ["--noise-kind", kind, "--question", r"Costs $x$ or $\foo$?"]
    study = make(tmp_path / "study", capsys, *flags)
    rng = np.random.default_rng(0)
    path = write_csv(tmp_path / "p.csv", study, r"$\frac$", rng.choice([-1, 1], 40))
    code, _, error = run(capsys, "read", path, "--study", tmp_path / "study/study.npz")
    assert code == 0, error


def test_files_with_the_five_columns_alone_are_read(studied, capsys):
    _, files, _ = studied
    for path in files:
        text = [",".join(line.split(",")[:5]) for line in lines_of(path)]
        path.write_text("\n".join(text) + "\n")
    assert run(capsys, "read", *files)[0] == 0


def test_what_cannot_be_made_or_read_is_one_sentence(studied, tmp_path, capsys):
    _, files, _ = studied
    observer(np.ones((6, 6, 1, 2)) * np.array([1, -1])).save(tmp_path / "small.keras")
    (tmp_path / "study.npz").write_text("no")
    for words, sentence in (
        (["read", tmp_path / "none.csv", "--study", files[0].parent / "study.npz"], "no file"),
        (["read", files[0], "--study", tmp_path / "other.npz"], "there is no study file"),
        (["read", files[0], "--study", tmp_path / "study.npz"], "is no whole study file"),
        (["read", files[0], "--model", tmp_path / "small.keras"], "takes images of 6 x 6 x 1"),
        (["make", "--size", "25", "--out", tmp_path / "s"], "too few scales"),
        (["make", "--base", "1.5", "--out", tmp_path / "s"], "from 0 (black) to 1 (white)"),
        (["make", "--size", "2000", "--out", tmp_path / "s"], "take a smaller --size"),
        (["make", "--base", tmp_path / "none.png", "--out", tmp_path / "s"], "cannot be read"),
        (["make", "--base", "mean", "--out", tmp_path / "s"], "name a --dataset"),
        (["make", "--seed", "7", "--out", files[0].parent], "has another study"),
    ):
        code, _, error = run(capsys, *words)
        assert code == 2 and sentence in error, error


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["make"],
        ["make", "--out", "x", "--trials", "3"],
        ["make", "--out", "x", "--size", "1", "2", "3"],
        ["make", "--out", "x", "--question", " "],
        ["make", "--out", "x", "--condition", "a,b"],
        ["make", "--out", "x", "--noise-kind", "sparse"],
        ["read", "a.csv", "--class-names", "a", "b"],
        ["read", "a.csv", "--model", "b", "--input-mean", "0.5"],
    ],
)
def test_wrong_flags_are_one_sentence_and_exit_code_2(words, capsys):
    with pytest.raises(SystemExit) as stop:
        read_people_settings(words, people.MAKE, people.READ, "")
    assert stop.value.code == 2 and "error:" in capsys.readouterr().err.splitlines()[-1]


# ----------------------------------------------------------------------- in a browser


def until(browser, condition, seconds=10):
    """Wait until JavaScript finds a condition true."""
    end = time.monotonic() + seconds
    while not browser.run(f"return Boolean({condition})"):
        assert time.monotonic() < end, condition
        time.sleep(0.02)


def pixels(browser, side):
    """Return the grey levels of a picture."""
    code = """const c = document.querySelector(arguments[0] + " canvas");
    return [...c.getContext("2d").getImageData(0, 0, c.width, c.height).data]"""
    return np.array(browser.run(code, side)).reshape(8, 8, 4)[..., 0]


def answered(browser):
    return browser.run("return session.answers.length")


@pytest.mark.skipif(not has_browser(), reason="no Chromium and chromedriver here")
def test_a_whole_session_in_a_browser(tmp_path, capsys):
    folder = tmp_path / "study"
    question = 'Which is <b>"better"</b> & brighter?'
    flags = ["--trials", 20, "--pause", 8, "--question", question, "--contrast", 0.2]
    study = make(folder, capsys, *flags)
    levels = [255 * shown[..., 0] for shown in shown_pair(study.noise, study.numbers)]
    with Browser(900, 700, tmp_path) as browser:
        browser.open(folder / "study.html")
        assert browser.text("#trial h1") == question
        browser.find("#participant").send_keys("no spaces")
        browser.click("#begin")
        assert browser.run("return document.querySelector('#trial').hidden")
        browser.run("document.querySelector('#participant').value = 'p-1'")
        browser.click("#begin")
        for trial in range(20):
            until(browser, "shown !== null")
            stimulus, plus = browser.run(
                "const p = plan[arguments[0]]; return [p.stimulus, p.side]", trial
            )
            left, right = (pixels(browser, side) for side in ("#left", "#right"))
            first, second = (left, right) if plus == "left" else (right, left)
            assert np.allclose(first, levels[0][stimulus - 1])
            assert np.allclose(second, levels[1][stimulus - 1])
            brighter = "left" if left.mean() >= right.mean() else "right"
            until(browser, "performance.now() - shown > 150")
            if trial % 3 == 0:
                browser.touch(f"#{brighter}")
            else:
                key = {"left": "f", "right": "j"}[brighter]
                browser.press(key, key)  # the second press finds no pictures
            assert answered(browser) == trial + 1
            if trial in (7, 15):  # a break, where keys are not answers
                browser.press("f")
                assert answered(browser) == trial + 1
                assert browser.text("#done") == str(trial + 1)
                browser.press(" ")
            if trial == 4:  # a reload in the middle
                browser.open(folder / "study.html")
                assert browser.text("#answered") == "5" and browser.text("#returning") == "p-1"
                browser.click("#resume")
            if trial == 10:  # a pause that the participant takes
                until(browser, "shown !== null")
                browser.press("\ue00c")  # Escape
                assert browser.text("#done") == "11"
                browser.click("#go")
        until(browser, "!document.querySelector('#end').hidden")
        path = tmp_path / f"choices_p-1_{study.id}.csv"
        end = time.monotonic() + 10
        while not path.exists() and time.monotonic() < end:
            time.sleep(0.05)
        assert browser.run("return document.querySelector('#text').value") == path.read_text()
        complaints = browser.complaints()
        assert not [text for text in complaints if "willReadFrequently" not in text]  # this test's
        browser.click("#next")
        assert browser.run("return !document.querySelector('#start').hidden && kept() === null")
    with open(path) as file:
        rows = list(csv.DictReader(file))
    assert [int(row["idx"]) for row in rows] == list(range(1, 21))
    assert sorted(int(row["stimulus_id"]) for row in rows) == list(range(1, 21))
    assert sum(row["plus_side"] == "left" for row in rows) == 10
    means = levels[0].mean(axis=(1, 2)) - levels[1].mean(axis=(1, 2))
    for row in rows:
        difference = means[int(row["stimulus_id"]) - 1]
        assert difference == 0 or int(row["responses"]) == np.sign(difference)
    assert all(150 <= int(row["reaction_time_ms"]) < 10_000 for row in rows)
    assert sum(int(row["early_presses"]) for row in rows) > 5
    code, out, error = run(capsys, "read", path, "--study", folder / "study.npz", "--out", folder)
    assert code == 0 and "participants: 1" in out, error


@pytest.mark.skipif(not has_browser(), reason="no Chromium and chromedriver here")
def test_a_session_that_somebody_else_ends_is_downloaded_apart(tmp_path, capsys):
    study = make(tmp_path / "study", capsys)
    with Browser(900, 700, tmp_path) as browser:
        browser.open(tmp_path / "study/study.html")
        browser.run("document.querySelector('#participant').value = 'ann'")
        browser.click("#begin")
        for _ in range(3):
            until(browser, "shown !== null && performance.now() - shown > 150")
            browser.press("j")
        browser.open(tmp_path / "study/study.html")
        browser.click("#other")
        browser.click("#leave")
        path = tmp_path / f"choices_ann_{study.id}.csv.incomplete"
        end = time.monotonic() + 10
        while not path.exists() and time.monotonic() < end:
            time.sleep(0.05)
        assert len(lines_of(path)) == 4
        assert browser.run("return !document.querySelector('#start').hidden && kept() === null")
    code, _, error = run(capsys, "read", path, "--study", tmp_path / "study/study.npz")
    assert code == 2 and "ann has 3 of 40 trials" in error
