"""The command that compares observers: what it measures, prints and refuses."""

import contextlib
import json
import re
from pathlib import Path

import numpy as np
import onnx_files
import pytest
from helpers import unrendered
from PIL import Image
from small_observers import observer

from reverse_correlation import Measurement, UserError, WhiteNoise, measure
from reverse_correlation.commands import compare
from reverse_correlation.commands.flags import read_settings
from reverse_correlation.commands.running import exit_code
from reverse_correlation.commands.settings import CompareSettings
from reverse_correlation.estimates import agreement
from reverse_correlation.estimates.agreement import Agreement, IntraclassCorrelation

PROGRAM = "python -m reverse_correlation compare"


def run(tmp_path, capsys, *flags, rendered=False):
    flags = ["--noise-images", "16000", "--out", tmp_path / "out", *flags]
    settings = read_settings(CompareSettings, PROGRAM, "", list(map(str, flags)))
    with contextlib.nullcontext() if rendered else unrendered():
        code = exit_code("compare", lambda: compare.compare_files(settings))
    captured = capsys.readouterr()
    return code, captured.out, captured.err.splitlines()[-1] if captured.err else ""


def classes_in(out):
    """Return the names of classes that a table has, of 36 pixels that may differ."""
    return [line.split()[0] for line in out.splitlines() if line.endswith("of 36")]


@pytest.fixture
def networks(tmp_path, rng):
    """Two of the same weights, in two formats, and an unrelated one."""
    weights = rng.normal(size=(6, 6, 1, 3)).astype(np.float32)
    observer(weights).save(tmp_path / "one.keras")
    onnx_files.dense(tmp_path / "same.onnx", weights.reshape(36, 3), ["n", 6, 6, 1])
    observer(rng.normal(size=(6, 6, 1, 3))).save(tmp_path / "other.keras")
    return [tmp_path / name for name in ("one.keras", "same.onnx", "other.keras")]


@pytest.fixture
def labelled(tmp_path, rng):
    """Labelled images, those of the class "two" bright, and their mean."""
    images = np.zeros((6, 6, 6), np.uint8)
    images[4:], labels = 255, np.array([0, 0, 1, 1, 2, 2])
    path = tmp_path / "images.npz"
    names = np.array(["zero", "one", "two"])
    arrays = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}
    np.savez(path, **arrays, class_names=names)
    return path, np.full((6, 6, 1), np.float32(1 / 3))


def test_the_same_network_in_two_files_agrees_and_another_does_not(networks, tmp_path, capsys):
    flags = ["--class-names", "a", "b", "c", "--response", "logit"]
    code, out, error = run(tmp_path, capsys, *networks, *flags, rendered=True)
    assert code == 0, error
    assert "seed 0" in out and "seed 2" in out and "ICC(3,3)" in out
    figure = tmp_path / "out/compare_one_same_other_logit.png"
    assert figure.stat().st_size > 10_000 and str(figure) in out
    table = json.loads(figure.with_suffix(".json").read_text())["logit images"]
    assert [row[0] for row in table["rows"]] == ["class", "a", "b", "c"]
    assert all(text in out for text in (*table["notes"], table["rows"][2][3]))
    _, crossed, *_ = json.loads(figure.with_suffix(".json").read_text()).values()
    shares = [[float(text.split("%")[0]) for text in row[1:]] for row in crossed["rows"][1:]]
    assert np.array(shares)[:2, :2].min() > 99.5 and crossed["rows"][0][1:] == [
        "one",
        "same",
        "other",
    ]
    assert "2,000 fresh pairs" in out and crossed["rows"][3][3] in out
    saved = [tmp_path / f"out/compare_{p.stem}.npz" for p in networks]
    found = agreement.compare([Measurement.load(path) for path in saved], "logit")
    assert np.all(np.abs(found.disattenuated[0, 1] - 1) < 0.02)
    assert np.all(np.abs(found.disattenuated[0, 2]) < 4 / np.sqrt(35))
    code, out, _ = run(tmp_path, capsys, *saved[:2])  # as they were saved; the choice images
    rows = [line.split() for line in out.splitlines()]
    differing = [int(row[-3]) for row in rows if row[-2:] == ["of", "36"]]
    assert code == 0 and len(differing) == 3 and max(differing) <= 1
    assert "fresh pairs" not in out  # to which nobody is there to answer


def test_each_observer_is_shown_noise_of_the_next_seed(networks, tmp_path, capsys):
    code, _, error = run(tmp_path, capsys, *networks, "--seed", 7, "--contrast", 0.1)
    assert code == 0, error
    for i, path in enumerate(networks):
        kept = Measurement.load(tmp_path / f"out/compare_{path.stem}.npz")
        assert kept.provenance["seed"] == 7 + i and kept.count == 16_384
        assert kept.noise.describe() == WhiteNoise(shape=(6, 6, 1), contrast=0.1).describe()


def test_about_an_image_all_are_shown_the_lowest_contrast_at_which_one_still_sees_it(
    networks, tmp_path, capsys, rng
):
    picture = rng.integers(0, 255, (6, 6), np.uint8)
    Image.fromarray(picture).save(tmp_path / "face.png")
    flags = ["--base", tmp_path / "face.png"]
    code, out, error = run(tmp_path, capsys, networks[0], networks[2], *flags)
    assert code == 0, error
    kept = [Measurement.load(tmp_path / f"out/compare_{name}.npz") for name in ("one", "other")]
    own = [m.provenance["at_threshold"]["contrast"] for m in kept]
    assert [m.noise.contrast for m in kept] == [min(own)] * 2
    assert out.count("its own answer, ") == 2
    assert f"contrast {min(own):.3g}, the lowest of their thresholds" in out
    saved = tmp_path / "out/compare_other.npz"
    code, _, error = run(tmp_path, capsys, networks[0], saved, *flags)  # at that file's contrast
    assert code == 0, error
    again = Measurement.load(tmp_path / "out/compare_one.npz")
    assert again.noise.contrast == min(own) and "at_threshold" not in again.provenance


def test_files_of_one_name_are_told_apart(networks, tmp_path, capsys):
    (tmp_path / "again").mkdir()
    again = networks[0].rename(tmp_path / "again/other.keras")
    code, out, error = run(tmp_path, capsys, again, networks[2])
    assert code == 0 and "other-1: 16,384 images" in out, error
    assert (tmp_path / "out/compare_other-1_other-2_choice.png").exists()
    kept = Measurement.load(tmp_path / "out/compare_other-2.npz")
    assert kept.provenance["network"] == "other-2"


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--class-names", "a"], "1 class names were given for 3 classes"),
        (["--classes", "2", "0", "--class-names", "a"], "of which 2 are measured"),
        (["--classes", "3"], "classes 3 cannot be chosen"),
        (["--base", "mean"], "give labelled images with --images FILE"),
        (["--input-mean", "1", "2", "--input-std", "1", "2"], "--input-mean has 2 numbers"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_is_measured(
    flags, sentence, networks, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(compare, "measure", None)
    code, _, error = run(tmp_path, capsys, *networks[:2], *flags)
    assert code == 2 and error.startswith("compare: ") and sentence in error


def test_a_missing_file_is_refused_before_the_others_are_measured(
    networks, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(compare, "measure", None)
    for name in ("none.keras", "none.npz"):
        code, _, error = run(tmp_path, capsys, networks[0], tmp_path / name)
        assert code == 2 and "there is no file" in error and name in error


def test_too_few_images_for_two_halves_are_refused(networks, tmp_path, capsys):
    code, _, error = run(tmp_path, capsys, *networks[:2], "--noise-images", "1000")
    assert code == 2 and "too few images for two halves" in error


@pytest.mark.parametrize("names", [["a", "b", "c"], ["c", "a"]], ids=["all", "the chosen"])
def test_chosen_classes_alone_are_compared_under_their_own_names(names, networks, tmp_path, capsys):
    flags = ["--classes", "2", "0", "--class-names", *names]
    code, out, error = run(tmp_path, capsys, *networks[:2], *flags)
    assert code == 0, error
    assert classes_in(out) == ["c", "a"]
    saved = [tmp_path / f"out/compare_{path.stem}.npz" for path in networks[:2]]
    code, out, error = run(tmp_path, capsys, *saved, "--class-names", *names)
    assert code == 0 and classes_in(out) == ["c", "a"], error


def test_labelled_images_give_their_mean_and_their_names(networks, labelled, tmp_path, capsys):
    path, mean = labelled
    code, out, error = run(tmp_path, capsys, *networks[:2], "--images", path, "--base", "mean")
    assert code == 0, error
    assert classes_in(out) == ["zero", "one", "two"]
    kept = Measurement.load(tmp_path / "out/compare_same.npz")
    assert kept.noise.describe() == WhiteNoise(shape=(6, 6, 1), base=mean).describe()
    flags = ["--images", path, "--class-names", "x", "y", "z"]
    code, out, error = run(tmp_path, capsys, *networks[:2], *flags)
    assert code == 0 and classes_in(out) == ["x", "y", "z"], error


def test_labelled_images_of_other_networks_are_refused(labelled, tmp_path, capsys, rng):
    for name, classes in (("a", 3), ("b", 2)):
        observer(rng.normal(size=(6, 6, 1, classes))).save(tmp_path / f"{name}.keras")
    files = [tmp_path / "a.keras", tmp_path / "b.keras"]
    code, _, error = run(tmp_path, capsys, *files, "--images", labelled[0])
    assert code == 2 and "b.keras takes images of (6, 6, 1) and answers 2 classes" in error


def test_every_flag_that_says_how_a_file_is_read_is_heeded(tmp_path, capsys, rng):
    """Channels first, and each channel of images from -1 to 1 brought to another range."""
    weights = rng.normal(size=(2 * 5 * 5, 3)).astype(np.float32)
    for name in ("one", "two"):
        onnx_files.dense(tmp_path / f"{name}.onnx", weights, ["n", 2, 5, 5])
    flags = ["--channels", "first", "--input-range", -1, 1, "--input-mean", 0.1, 0.2]
    flags += ["--input-std", 0.5, -2, "--response", "logit"]
    code, _, error = run(tmp_path, capsys, tmp_path / "one.onnx", tmp_path / "two.onnx", *flags)
    assert code == 0, error
    kept = Measurement.load(tmp_path / "out/compare_one.npz")
    assert kept.noise.shape == (5, 5, 2) and (kept.noise.low, kept.noise.high) == (-1, 1)
    known = np.moveaxis(weights.reshape(2, 5, 5, 3), (0, 3), (3, 0)) / np.array([0.5, -2])
    known = (known - known.mean(axis=0)) * np.mean(kept.noise.pixel_std) ** 2
    estimate = kept.classes["logit"]
    assert np.all(np.abs(estimate.covariance - known) < 5 * estimate.standard_error)


def test_other_noise_than_a_saved_measurement_s_is_refused_before_anything_is_shown(
    networks, tmp_path, capsys, monkeypatch
):
    assert run(tmp_path, capsys, *networks[::2])[0] == 0
    monkeypatch.setattr(compare, "measure", None)
    saved = tmp_path / "out/compare_one.npz"
    code, _, error = run(tmp_path, capsys, saved, networks[1], "--contrast", "0.1")
    assert (
        code == 2
        and "compare_one.npz is of Gaussian noise of 6 x 6 x 1 pixels that same would not" in error
    )


def test_networks_of_other_tasks_are_refused(networks, tmp_path, capsys):
    observer(np.ones((6, 6, 1, 2)) * np.array([1, -1])).save(tmp_path / "two.keras")
    code, _, error = run(tmp_path, capsys, networks[0], tmp_path / "two.keras")
    assert code == 2 and "compare observers of one task" in error


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["one.keras"], "name two networks or measurements, or more"),
        (["a", "b", "--response", "guess"], "guess"),
        (["a", "b", "--input-range", "1", "0"], "from a lower to a higher number"),
        (["a", "b", "--dataset", "mnist"], "--dataset"),
    ],
)
def test_a_command_line_that_compares_nothing_is_refused(flags, sentence, capsys):
    with pytest.raises(SystemExit) as stop:
        read_settings(CompareSettings, PROGRAM, "", flags)
    said = " ".join(re.sub(r"[│╭╰╮╯─]", " ", capsys.readouterr().err).split())
    assert stop.value.code == 2 and sentence in said


def test_settings_from_code_are_checked_as_flags_are():
    with pytest.raises(UserError, match="name two networks"):
        CompareSettings(files=())
    with pytest.raises(UserError, match="--response: 'guess' is not one of choice, decision"):
        CompareSettings(files=(Path("a"), Path("b")), response="guess")


def test_the_table_has_a_dash_where_a_number_is_not_known(networks, capsys, rng):
    two = [measure(observer(rng.normal(size=(4, 4, 1, 2))), WhiteNoise(shape=(4, 4, 1)), 500)] * 2
    capsys.readouterr()
    r = np.stack([[[1, np.nan], [0.25, np.nan]]] * 2)
    single = IntraclassCorrelation(*np.array([[0.5, np.nan]] * 3))
    found = Agreement(("a", "b"), r, r, 0.1, single, single, np.array([[2.5, np.nan]] * 2))
    compare.print_comparison(found, None, two, ("yes", "no"), "choice")
    yes, no = (line.split() for line in capsys.readouterr().out.splitlines()[-2:])
    assert yes == ["yes", "0.250", "0.250", "0.500", "0.500", "to", "0.500", "0.500", "2.5", "2.5"]
    assert no == ["no", *5 * ["-"], "-", "-"]
