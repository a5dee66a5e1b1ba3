"""People's studies by their commands: made, read again, and what can be wrong with them."""

import csv
import dataclasses
import json
import shlex
import shutil

import numpy as np
import pytest
from PIL import Image
from small_observers import observer
from studies import lines_of, make_study, run_people, write_csv, write_participants

from reverse_correlation import Measurement, compare, measure_choices
from reverse_correlation.commands import people
from reverse_correlation.commands.flags import how_to_repeat, read_settings
from reverse_correlation.commands.settings import MakeSettings, ReadSettings
from reverse_correlation.people.choices import shown_pair
from reverse_correlation.people.files import file_stems
from reverse_correlation.people.study import Study
from reverse_correlation.stimuli.catalogue import ensemble_of


@pytest.fixture
def studied(tmp_path, capsys):
    """A study, and the choices of two simulated participants, in its folder."""
    study = make_study(tmp_path / "study", capsys)
    files, template = write_participants(tmp_path / "study", study)
    return study, files, template


def test_what_participants_choose_is_measured_and_kept(studied, capsys):
    study, files, _ = studied
    code, out, error = run_people(capsys, "read", *files)
    assert code == 0, error
    for name in ("ann", "bob"):
        with open(files[0].parent / f"{name}.csv") as file:
            choices = [int(row["responses"]) for row in csv.DictReader(file)]
        expected = measure_choices(choices, study.noise, seed=study.seed).classes["choice"]
        kept = Measurement.load(files[0].parent / f"measurements/{name}.npz").classes["choice"]
        assert np.array_equal(kept.covariance, expected.covariance)
        row = next(line.split() for line in out.splitlines() if line.split()[:1] == [name])
        assert row[5:8] == ["0.72", f"{kept.reliability[0]:.3f}", f"{kept.info_value[0]:.2f}"]
    group = Measurement.load(files[0].parent / "measurements/all_participants.npz")
    images = [
        Measurement.load(files[0].parent / f"measurements/{name}.npz").classes["choice"].covariance
        for name in ("ann", "bob")
    ]
    assert np.allclose(group.classes["choice"].covariance, np.mean(images, axis=0))
    assert "ICC(3,1)" in out and "ICC(3,2)" in out
    listed = out[out.index("regions of choice images, smoothed by 0.25 pixels") :].splitlines()
    assert [line.split()[0] for line in listed[2:5]] == ["ann", "bob", "all"]
    assert (files[0].parent / "people.png").stat().st_size > 10_000


@pytest.mark.parametrize("kind", ["gaussian", "coarse", "binary", "pink", "sinusoid"])
def test_a_study_draws_independently(kind, tmp_path, capsys):
    study = make_study(tmp_path, capsys, "--size", 16, "--noise-kind", kind)
    assert study.noise.orthogonal is False and study.noise.orthogonal_coordinates == 0
    contrast = study.noise.contrast
    again = ensemble_of(kind, (16, 16, 1), contrast=contrast, independent=True)
    assert np.array_equal(study.numbers, again.xi(study.seed, 0, 40))
    assert study.noise.describe() == again.describe()


@pytest.mark.parametrize(
    ("own", "shape"), [((25, 25), (32, 32)), ((28, 28), (28, 28)), ((600, 301), (256, 128))]
)
def test_a_base_image_of_any_size_makes_a_study(own, shape, tmp_path, capsys):
    Image.fromarray(np.full(own, 120, np.uint8)).save(tmp_path / "grey.png")
    code, out, error = run_people(
        capsys, "make", "--base", tmp_path / "grey.png", "--trials", 4, "--out", tmp_path / "s"
    )
    assert code == 0, error
    assert Study.load(tmp_path / "s/study.npz").noise.shape == (*shape, 1)
    assert ("was resized from" in out) == (own != shape)


def test_a_network_judges_the_very_same_trials(studied, tmp_path, capsys):
    study, files, template = studied
    weights = np.stack([template, -template], axis=-1).reshape(8, 8, 1, 2)
    observer(weights).save(tmp_path / "net.keras")
    flags = ["--model", tmp_path / "net.keras", "--class-names", "yes", "no"]
    code, out, error = run_people(capsys, "read", files[0], *flags)
    assert code == 0, error
    with open(files[0]) as file:
        choices = np.array([int(row["responses"]) for row in csv.DictReader(file)])
    first, second = (shown.reshape(40, -1) for shown in shown_pair(study.noise, study.numbers))
    same = int(np.sum(np.sign((first - second) @ template) == choices))
    rows = {line.split()[0]: line.split() for line in out.splitlines() if line.split()}
    assert rows["yes"][1] == str(same) and rows["no"][1] == str(40 - same) and same > 25


def test_a_mask_of_another_size_is_refused_before_anything_is_read(studied, tmp_path, capsys):
    Image.fromarray(np.eye(9, dtype=bool)).save(tmp_path / "mask.png")
    code, out, error = run_people(
        capsys, "read", *studied[1], "--mask", tmp_path / "mask.png", "--smooth", 1
    )
    assert code == 2 and "is 9 x 9 pixels, but the images are 8 x 8" in error and not out


def test_a_base_image_gives_size_and_colours(tmp_path, capsys):
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (12, 10, 3), dtype=np.uint8)).save(tmp_path / "c.png")
    study = make_study(tmp_path / "a", capsys, "--base", tmp_path / "c.png", "--size", 16, 8)
    assert study.noise.shape == (16, 8, 3)
    flags = ["--base", tmp_path / "c.png", "--noise-kind", "pink", "--out", tmp_path / "b"]
    assert run_people(capsys, "make", *flags, "--trials", 4)[0] == 0
    assert Study.load(tmp_path / "b/study.npz").noise.shape == (12, 10, 3)


def test_files_of_measurements_are_named_apart_and_stay_in_their_folder():
    names = ["ann", "../../x", "a b", "A_b"]
    stems = file_stems(names)
    assert len({stem.casefold() for stem in stems}) == 4
    assert not any(set(stem) & set("/. ") for stem in stems)
    assert file_stems(["ann", "bob"]) == ["ann", "bob"]


def test_a_study_of_another_condition_is_another_study(tmp_path, capsys):
    one, other = (make_study(tmp_path / name, capsys, "--condition", name) for name in "ab")
    assert one.id != other.id
    flags = ["--trials", 40, "--size", 8, "--noise-kind", "gaussian", "--condition", "b"]
    code, _, error = run_people(capsys, "make", *flags, "--out", tmp_path / "a")
    assert code == 2 and "has another study" in error


@pytest.mark.parametrize("kind", ["binary", "coarse", "pink", "uniform"])
def test_any_symmetric_noise_is_shown(kind, tmp_path, capsys):
    flags = ["--noise-kind", kind, "--question", r"Costs $x$ or $\foo$?"]
    study = make_study(tmp_path / "study", capsys, *flags)
    rng = np.random.default_rng(0)
    path = write_csv(tmp_path / "p.csv", study, r"$\frac$", rng.choice([-1, 1], 40))
    code, _, error = run_people(capsys, "read", path, "--study", tmp_path / "study/study.npz")
    assert code == 0, error


@pytest.fixture
def labelled(tmp_path):
    """Write labelled images, as Keras's mnist.npz: the path of their file."""

    def write(*shape, dtype=np.uint8):
        images = np.random.default_rng(0).integers(0, 256, shape).astype(dtype)
        labels = np.arange(len(images)) % 2
        path = tmp_path / "data.npz"
        np.savez(path, x_train=images, y_train=labels, x_test=images[:2], y_test=labels[:2])
        return path, images

    return write


@pytest.mark.parametrize("shape", [(6, 16, 12), (6, 16, 12, 3)], ids=["grey", "in colour"])
def test_a_study_about_the_mean_of_labelled_images_has_their_size_and_colours(
    shape, labelled, tmp_path, capsys
):
    path, images = labelled(*shape)
    flags = ["--images", path, "--base", "mean", "--noise-kind", "pink", "--trials", 4]
    code, _, error = run_people(capsys, "make", *flags, "--out", tmp_path / "s")
    assert code == 0, error
    noise = Study.load(tmp_path / "s/study.npz").noise
    mean = images.mean(axis=0).reshape(noise.shape) / 255
    assert noise.shape == (16, 12, shape[3] if len(shape) == 4 else 1)
    assert np.allclose(noise.mean, mean, atol=1e-6)


def test_gabor_noise_is_fitted_to_labelled_images(labelled, tmp_path, capsys):
    path, _ = labelled(260, 16, 16)
    flags = ["--images", path, "--noise-kind", "gabor", "--trials", 4, "--out", tmp_path / "s"]
    code, _, error = run_people(capsys, "make", *flags)
    assert code == 0, error
    assert Study.load(tmp_path / "s/study.npz").noise.coordinates == (250,)


@pytest.mark.parametrize(
    ("shape", "flags", "sentence"),
    [
        ((6, 16, 12), ["--size", 16], "images of data are 16 x 12: leave --size out"),
        ((6, 16, 12, 4), [], "images of data have 4 channels"),
        ((6, 16, 12), ["--noise-kind", "gabor"], "250 components need at least as many images"),
    ],
)
def test_labelled_images_that_cannot_be_shown_are_refused(
    shape, flags, sentence, labelled, tmp_path, capsys
):
    words = ["--images", labelled(*shape)[0], "--noise-kind", "pink", *flags, "--out", tmp_path]
    code, _, error = run_people(capsys, "make", *words)
    assert code == 2 and sentence in error


def test_a_network_in_a_file_is_read_as_its_flags_say(studied, tmp_path, capsys):
    """Normalised by a mean and a negative deviation, it prefers the contrary."""
    _, files, template = studied
    weights = np.stack([template, -template], axis=-1).reshape(8, 8, 1, 2)
    observer(weights).save(tmp_path / "net.keras")
    words = [files[0], "--model", tmp_path / "net.keras"]
    same = []
    for flags in ([], ["--input-mean", 0.5, "--input-std", -0.25]):
        code, out, error = run_people(capsys, "read", *words, *flags)
        assert code == 0, error
        rows = {line.split()[0]: line.split() for line in out.splitlines() if line.split()}
        same.append((int(rows["0"][1]), int(rows["1"][1])))
    assert same[0] == same[1][::-1] and same[0][0] > 25 > 15 > same[0][1]


@pytest.mark.parametrize("flags", [["--class-names", "one"], ["--class-names", "a", "b", "c"]])
def test_another_number_of_class_names_is_refused(flags, studied, tmp_path, capsys):
    _, files, template = studied
    weights = np.stack([template, -template], axis=-1).reshape(8, 8, 1, 2)
    observer(weights).save(tmp_path / "n.keras")
    code, _, error = run_people(capsys, "read", files[0], "--model", tmp_path / "n.keras", *flags)
    assert code == 2 and f"{len(flags) - 1} class names were given for 2 classes" in error


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["{}/none.csv", "--study", "{}/study/study.npz"], "there is no file"),
        (["{}/study/ann.csv", "--study", "{}/other.npz"], "other.npz is not there"),
        (["{}/study/ann.csv", "--study", "{}/no.npz"], "is not a whole study file"),
        (["{}/study/ann.csv", "--model", "{}/none.keras"], "there is no file"),
        (["{}/study/ann.csv", "--model", "{}/small.keras"], "takes images of 6 x 6 x 1"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(words, sentence, studied, tmp_path, capsys):
    observer(np.ones((6, 6, 1, 2)) * np.array([1, -1])).save(tmp_path / "small.keras")
    (tmp_path / "no.npz").write_text("no")
    code, _, error = run_people(capsys, "read", *(word.format(tmp_path) for word in words))
    assert code == 2 and error.startswith("people read: ") and sentence in error, error


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--size", "25"], "too few scales"),
        (["--base", "1.5"], "from 0 (black) to 1 (white)"),
        (["--size", "2000"], "take a smaller --size"),
        (["--base", "none.png"], "there is no file none.png"),
        (["--base", "mean"], "--images FILE"),
        (["--noise-kind", "gabor"], "--images FILE"),
        (["--images", "none.npz"], "there is no file none.npz"),
    ],
)
def test_what_cannot_be_made_is_one_sentence(flags, sentence, tmp_path, capsys):
    code, _, error = run_people(capsys, "make", *flags, "--out", tmp_path / "s")
    assert code == 2 and error.startswith("people make: ") and sentence in error, error


def test_a_command_that_is_stopped_leaves_no_study(tmp_path, capsys, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(people, "write_page", stopped)
    code, _, error = run_people(capsys, "make", "--size", 16, "--out", tmp_path)
    assert code == 130 and error == "people make: stopped" and not list(tmp_path.iterdir())


def test_a_study_that_has_answers_is_not_replaced_by_another(studied, capsys):
    _, files, _ = studied
    code, _, error = run_people(capsys, "make", "--seed", 7, "--out", files[0].parent)
    assert code == 2 and "has another study" in error


@pytest.mark.parametrize(
    ("kind", "words", "sentence"),
    [
        (MakeSettings, [], "--out"),
        (MakeSettings, ["--out", "x", "--trials", "3"], "a whole number from 4 to 100,000"),
        (MakeSettings, ["--out", "x", "--size", "1"], "--size"),
        (MakeSettings, ["--out", "x", "--size", "4", "4", "4"], "one number, or height and width"),
        (MakeSettings, ["--out", "x", "--question", " "], "--question is empty"),
        (MakeSettings, ["--out", "x", "--condition", "a,b"], "letters, digits, -, _ and ."),
        (MakeSettings, ["--out", "x", "--noise-kind", "sparse"], "sparse"),
        (MakeSettings, ["--out", "x", "--contrast", "0"], "a positive share"),
        (ReadSettings, [], "name the CSV files"),
        (ReadSettings, ["a.csv", "--class-names", "a", "b"], "--class-names says how a network"),
        (ReadSettings, ["a.csv", "--channels", "first"], "--channels says how a network"),
        (ReadSettings, ["a.csv", "--input-range", "-1", "1"], "--input-range says how a network"),
        (ReadSettings, ["a.csv", "--model", "b", "--input-mean", ".5"], "--input-std"),
        (ReadSettings, ["a.csv", "--model", "b", "--input-range", "1", "0"], "lower to a higher"),
    ],
)
def test_wrong_flags_are_one_sentence_and_exit_code_2(kind, words, sentence, capsys):
    with pytest.raises(SystemExit) as stop:
        read_settings(kind, "people", "", words)
    error = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert stop.value.code == 2 and sentence in error, error


def test_flags_come_before_or_after_the_files():
    for words in (["a.csv", "b.csv", "--model", "n"], ["--model", "n", "a.csv", "b.csv"]):
        settings = read_settings(ReadSettings, "people", "", words)
        assert [path.name for path in settings.files] == ["a.csv", "b.csv"]
        assert settings.model.name == "n"


# ----------------------------------------------------------------------- a study as it runs


@pytest.fixture
def two_conditions(tmp_path, capsys):
    """The files of ann and bob in two conditions, in folders of their own."""
    files = []
    for name in ("happy", "sad"):
        study = make_study(tmp_path / name, capsys, "--condition", name)
        files += write_participants(tmp_path / name, study)[0]
    return files


def test_conditions_are_read_together_each_with_its_image_and_their_difference(
    two_conditions, tmp_path, capsys
):
    out = tmp_path / "out"
    code, text, error = run_people(capsys, "read", *two_conditions, "--out", out)
    assert code == 0, error
    assert "(condition happy)" in text and "(condition sad)" in text
    assert "happy - sad: the image of the first minus that of the second; 2 and 2 part" in text
    assert "2 of them in both" in text
    for name in ("people_happy.png", "people_sad.png", "difference.png"):
        assert (out / name).stat().st_size > 5_000
    stems = {f"{c}_{who}" for c in ("happy", "sad") for who in ("ann", "bob", "all_participants")}
    assert {path.stem for path in out.glob("measurements/*")} == stems
    assert {path.stem for path in out.glob("images/*.npy")} == {*stems, "happy_-_sad"}
    assert {path.stem for path in out.glob("images/*.png")} == stems  # they do not differ at all
    with open(out / "people.csv") as file:
        rows = list(csv.DictReader(file))
    assert [(row["condition"], row["name"]) for row in rows][2:4] == [
        ("happy", "all participants"),
        ("sad", "ann"),
    ]
    image = np.load(out / "images/sad_bob.npy")
    kept = Measurement.load(out / "measurements/sad_bob.npz").classes["choice"]
    assert np.array_equal(image, kept.covariance[0])
    assert float(rows[4]["reliability"]) == kept.reliability[0]
    tables = json.loads((out / "people.json").read_text())["people"]
    assert [row[1] for row in tables["rows"]] == ["name", *(row["name"] for row in rows)]


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ([], "say by --out where results go"),
        (["--out", "{}/o", "--study", "{}/happy/study.npz"], "condition is 'sad', which is not"),
        (["--out", "{}/o", "--exclude-faster", "9"], "nobody is left who answered the condition"),
        (["--out", "{}/o", "--exclude-early", "0"], "has no early_presses of ann"),
    ],
)
def test_conditions_that_cannot_be_read_are_one_sentence(
    flags, sentence, two_conditions, tmp_path, capsys
):
    words = [word.format(tmp_path) for word in flags]
    code, _, error = run_people(capsys, "read", *two_conditions, *words)
    assert code == 2 and sentence in error, error


def test_two_studies_of_one_condition_are_not_mixed(studied, tmp_path, capsys):
    _, files, _ = studied
    other = make_study(tmp_path / "other", capsys, "--seed", 1)
    paths = write_participants(tmp_path / "other", other)[0]
    code, _, error = run_people(capsys, "read", *files, *paths, "--out", tmp_path / "o")
    assert code == 2 and "are two studies of the condition 'main'" in error
    # a copy of a study, or a folder that has none, is nothing else than the study
    bob = tmp_path / "more/bob.csv"
    bob.parent.mkdir()
    files[1].rename(bob)
    for copied in (False, True):
        if copied:
            shutil.copy(files[0].parent / "study.npz", bob.parent)
        code, out, error = run_people(capsys, "read", files[0], bob)
        assert code == 0 and "participants: 2" in out, error


def test_incomplete_sessions_are_counted_and_exclusions_listed(studied, capsys):
    study, (ann, bob), _ = studied
    ann.write_text("\n".join(lines_of(ann)[:-10]) + "\n")
    assert run_people(capsys, "read", ann, bob)[0] == 2
    code, out, error = run_people(capsys, "read", ann, bob, "--incomplete")
    assert code == 0, error
    rows = [line.split() for line in out.splitlines()]
    assert [next(row[1] for row in rows if row[:1] == [n]) for n in ("ann", "bob")] == ["30", "40"]
    kept = Measurement.load(ann.parent / "measurements/ann.npz")
    assert kept.count == 60 and kept.answered == [30]
    limits = ["--incomplete", "--exclude-faster", 0.717]
    code, out, error = run_people(capsys, "read", ann, bob, *limits)
    assert code == 0, error
    assert "ann (condition main): a median reaction time of 0.715 s, below 0.717 s" in out
    assert "participants: 1" in out and "of an earlier reading" in out and "ann.npz" in out


def test_files_that_do_not_name_their_study_are_named(studied, capsys):
    _, (ann, bob), _ = studied
    ann.write_text("\n".join(line.rsplit(",", 2)[0] for line in lines_of(ann)) + "\n")
    code, out, error = run_people(capsys, "read", ann, bob)
    assert code == 0 and "ann.csv: without a column study" in out and "bob.csv" not in out, error


def test_a_network_s_choices_are_kept_as_those_of_people(studied, tmp_path, capsys):
    study, files, template = studied
    weights = np.stack([template, -template], axis=-1).reshape(8, 8, 1, 2)
    observer(weights).save(tmp_path / "net.keras")
    flags = ["--model", tmp_path / "net.keras", "--class-names", "yes", "no"]
    code, _, error = run_people(capsys, "read", files[0], *flags)
    assert code == 0, error
    yes, no = (
        Measurement.load(files[0].parent / f"measurements/net_{name}.npz") for name in ("yes", "no")
    )
    assert np.array_equal(yes.sums["classes"]["ox"], -no.sums["classes"]["ox"])
    assert (
        len(compare([yes, Measurement.load(files[0].parent / "measurements/ann.npz")]).names) == 2
    )
    with open(files[0].parent / "network.csv") as file:
        assert [row["name"] for row in csv.DictReader(file)] == ["yes", "no"]


def test_the_command_that_is_kept_repeats_the_reading():
    words = ["a.csv", "b.csv", "--study", "a.npz", "--study", "b.npz", "--incomplete", "--out", "o"]
    settings = read_settings(ReadSettings, "people", "", [*words, "--exclude-early", "0.2"])
    assert [path.name for path in settings.study] == ["a.npz", "b.npz"]
    command, _ = how_to_repeat("people read", settings)
    again = read_settings(ReadSettings, "people", "", shlex.split(command)[2:])
    assert dataclasses.replace(again, out=settings.out) == settings


def test_a_large_page_is_announced_before_it_is_written(tmp_path, capsys, monkeypatch):
    def written(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(people, "write_page", written)
    flags = ["--size", 128, "--noise-kind", "gaussian", "--out", tmp_path, "--trials"]
    code, out, _ = run_people(capsys, "make", *flags, 1500)
    assert code == 130 and "the page will have 33 MB" in out
    assert "the page will have" not in run_people(capsys, "make", *flags, 1300)[1]


def test_texts_of_a_file_are_in_the_page(tmp_path, capsys):
    (tmp_path / "texts.txt").write_text("# Consent\nYou may stop.\n# Practice 3\n")
    make_study(tmp_path / "s", capsys, "--text", tmp_path / "texts.txt")
    assert "You may stop." in (tmp_path / "s/study.html").read_text()
    (tmp_path / "texts.txt").write_text("")
    flags = ["--size", 16, "--text", tmp_path / "texts.txt", "--out", tmp_path / "t"]
    code, _, error = run_people(capsys, "make", *flags)
    assert code == 2 and "texts.txt is empty" in error
