"""The script that compares networks."""

import numpy as np
import onnx_files
import pytest
from small_observers import observer

import compare
from command_line import read_compare_settings
from reverse_correlation import Measurement


def run(tmp_path, capsys, *flags):
    flags = ["--noise-images", "16000", "--out", tmp_path / "out", *flags]
    code = compare.run(list(map(str, flags)))
    captured = capsys.readouterr()
    return code, captured.out, captured.err.splitlines()[-1] if captured.err else ""


@pytest.fixture
def networks(tmp_path, rng):
    """Two of the same weights, in two formats, and an unrelated one."""
    weights = rng.normal(size=(6, 6, 1, 3)).astype(np.float32)
    observer(weights).save(tmp_path / "one.keras")
    onnx_files.dense(tmp_path / "same.onnx", weights.reshape(36, 3), ["n", 6, 6, 1])
    observer(rng.normal(size=(6, 6, 1, 3))).save(tmp_path / "other.keras")
    return [tmp_path / name for name in ("one.keras", "same.onnx", "other.keras")]


def test_the_same_network_in_two_files_agrees_and_another_does_not(networks, tmp_path, capsys):
    flags = ["--class-names", "a", "b", "c", "--response", "logit"]
    code, out, error = run(tmp_path, capsys, *networks, *flags)
    assert code == 0, error
    assert "seed 0" in out and "seed 2" in out and "ICC(3,3)" in out
    figure = tmp_path / "out/results/compare_one_same_other_logit.png"
    assert figure.stat().st_size > 10_000 and str(figure) in out
    saved = [tmp_path / f"out/results/compare_{p.stem}.npz" for p in networks]
    found = compare.compare([Measurement.load(path) for path in saved], "logit")
    assert np.all(np.abs(found.disattenuated[0, 1] - 1) < 0.02)
    assert np.all(np.abs(found.disattenuated[0, 2]) < 4 / np.sqrt(35))
    code, out, _ = run(tmp_path, capsys, *saved[:2])  # as they were saved; the choice images
    rows = [line.split() for line in out.splitlines()]
    differing = [int(row[-3]) for row in rows if row[-2:] == ["of", "36"]]
    assert code == 0 and len(differing) == 3 and max(differing) <= 1


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--class-names", "a"], "1 class names for 3 classes"),
        (["--base", "mean"], "name a --dataset"),
        (["--noise-images", "1000"], "too few images for two halves"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_sentence(
    flags, sentence, networks, tmp_path, capsys
):
    code, _, error = run(tmp_path, capsys, *networks[:2], *flags)
    assert code == 2 and error.startswith("compare.py: ") and sentence in error


def test_chosen_classes_alone_are_compared(networks, tmp_path, capsys):
    flags = ["--classes", "2", "0", "--class-names", "a", "b", "c"]
    code, out, error = run(tmp_path, capsys, *networks[:2], *flags)
    assert code == 0, error
    rows = [line.split()[0] for line in out.splitlines() if line.endswith("of 36")]
    assert rows == ["c", "a"]


def test_other_noise_than_a_saved_measurement_s_is_refused_before_anything_is_shown(
    networks, tmp_path, capsys, monkeypatch
):
    assert run(tmp_path, capsys, *networks[::2])[0] == 0
    monkeypatch.setattr(compare, "measure", None)
    saved = tmp_path / "out/results/compare_one.npz"
    code, _, error = run(tmp_path, capsys, saved, networks[1], "--contrast", "0.1")
    assert (
        code == 2 and "is of Gaussian noise of 6 x 6 x 1 pixels that same.onnx would not" in error
    )


def test_networks_of_other_tasks_are_refused(networks, tmp_path, capsys):
    observer(np.ones((6, 6, 1, 2)) * np.array([1, -1])).save(tmp_path / "two.keras")
    code, _, error = run(tmp_path, capsys, networks[0], tmp_path / "two.keras")
    assert code == 2 and "compare observers of one task" in error
    code, _, error = run(tmp_path, capsys, networks[0], tmp_path / "none.keras")
    assert code == 2 and "there is no file" in error


@pytest.mark.parametrize("flags", [["one.keras"], ["a", "b", "--response", "guess"]])
def test_a_command_line_that_compares_nothing_is_refused(flags, capsys):
    with pytest.raises(SystemExit) as stop:
        read_compare_settings(flags, compare.DEFAULTS, "")
    assert stop.value.code == 2 and "error: argument" in capsys.readouterr().err
