"""The image of a group by its commands: what is printed, drawn, kept and refused."""

import json

import numpy as np
import pytest
from studies import make_study, noise_of, run_people, write_csv

from reverse_correlation import WhiteNoise, measure_choices
from reverse_correlation.commands import compare
from reverse_correlation.commands.flags import read_settings
from reverse_correlation.commands.running import exit_code
from reverse_correlation.commands.settings import CompareSettings

NOISE = WhiteNoise(shape=(8, 8, 1), orthogonal=False)


def run(tmp_path, capsys, *words):
    words = [*map(str, words), "--out", str(tmp_path / "out")]
    code = exit_code("compare", lambda: compare.compare_files(read(words)))
    captured = capsys.readouterr()
    return code, captured.out, captured.err.splitlines()[-1] if captured.err else ""


def read(words):
    return read_settings(CompareSettings, "compare", "", words)


@pytest.fixture
def people(tmp_path, rng):
    """Files of eight who look at a pixel, a*.npz, and the same eight who do not, b*.npz."""
    files = {"a": [], "b": []}
    for seed in range(8):
        xi = np.asarray(NOISE.xi(seed, 0, 200)).reshape(200, -1)
        for name, strength in (("a", 1.0), ("b", 0.0)):
            choices = np.sign(strength * xi[:, 10] + rng.normal(size=200))
            path = tmp_path / f"{name}{seed}.npz"
            measure_choices(choices, NOISE, seed=seed, name=f"person {seed}").save(path)
            files[name].append(path)
    return files


def test_what_a_group_looks_for_is_printed_drawn_and_kept(people, tmp_path, capsys):
    code, out, error = run(tmp_path, capsys, "--group", *people["a"], "--smooth", 0)
    assert code == 0, error
    path = tmp_path / "out/group_a0_and_7_more_choice.png"
    assert path.exists() and "8 observers" in out and "all 128 flipped signs" in out
    table = json.loads(path.with_suffix(".json").read_text())["choice images of 8 observers"]
    row = dict(zip(*table["rows"], strict=True))
    assert row["p"] == "0.0078" and row["pixels"] == "1 of 64" and row["clusters"] == "1"


def test_conditions_of_the_same_people_differ_where_one_looks(people, tmp_path, capsys):
    words = ["--group", *people["a"], "--against", *people["b"][:7], "--paired"]
    code, out, error = run(tmp_path, capsys, *words)
    assert code == 0, error
    assert "7 observers, the first condition minus the second" in out
    assert "left out: 1 who are in one condition alone" in out and "1 of 64" in out


def test_of_too_few_observers_it_is_said_that_nothing_can_be_significant(people, tmp_path, capsys):
    code, out, error = run(tmp_path, capsys, "--group", *people["a"][:4])
    assert code == 0 and "NOTHING CAN BE SIGNIFICANT" in out and "0.125 at least" in out, error


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--group", "{}/a0.npz"], "a group of 1 has no errors over observers"),
        (["--group", "{}/a0.npz", "{}/b0.npz"], "were shown the same noise"),
        (["--group", "{}/a0.npz", "{}/a0.npz", "--same-noise"], "are the same observer"),
        (
            [
                "--group",
                "{}/a0.npz",
                "{}/a1.npz",
                "--against",
                "{}/b2.npz",
                "{}/b3.npz",
                "--paired",
            ],
            "no observers in common",
        ),
    ],
)
def test_groups_that_are_none_are_refused(words, sentence, people, tmp_path, capsys):
    code, _, error = run(tmp_path, capsys, *(word.format(tmp_path) for word in words))
    assert code == 2 and sentence in error


@pytest.mark.parametrize(
    "words",
    [
        ["a", "--group", "b"],
        ["--against", "a"],
        ["--group", "a", "b", "--paired"],
        ["a", "b", "--same-noise"],
        ["a", "b", "--smooth", "1"],
        ["--group", "a", "--smooth", "-1"],
    ],
)
def test_flags_of_groups_belong_together(words, capsys):
    with pytest.raises(SystemExit) as stop:
        read(words)
    assert stop.value.code == 2 and "--" in capsys.readouterr().err


def test_participants_have_errors_over_them_beside_those_over_trials(tmp_path, capsys, rng):
    study = make_study(tmp_path / "study", capsys, "--trials", 200)
    drive = noise_of(study)[:, 10] / noise_of(study)[:, 10].std()
    files = [
        write_csv(
            tmp_path / f"study/p{i}.csv", study, f"p{i}", np.sign(drive + rng.normal(size=200))
        )
        for i in range(7)
    ]
    code, out, error = run_people(capsys, "read", *files)
    assert code == 0, error
    assert "mean image of 7 observers, over participants" in out and "64 flipped signs" in out
    assert "all were shown the same noise" in out and (tmp_path / "study/group.png").exists()
    row = next(line for line in out.splitlines() if line.startswith("condition main"))
    assert "1 of 64" in row  # what the pictures' chance correlations add is not counted
