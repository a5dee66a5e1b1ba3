"""The whole of paper.py on made-up images, and the ways it can be asked wrongly."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import experiments
import paper
from command_line import read_paper_settings
from experiments import (
    attack,
    backdoor,
    backdoor_networks,
    individuals,
    microstimulation,
    mixing,
    signal_in_noise,
    structured,
)
from experiments.backdoor_networks import NetworkSettings
from experiments.individuals import Group
from reverse_correlation import UserError
from settings import OUT
from training import Recipe

QUICK = Recipe(epochs=1, batch=256, rate=4e-3)
PAPER = Path(paper.__file__)
NAMES = tuple(experiments.MODULES)
SMALL = {
    "mixing": mixing.Settings(repeats=2, noise_images=1000, backgrounds=10),
    "attack": attack.Settings(noise_images=1000, exact_images=100, attacked_images=1),
    "backdoor": backdoor.Settings(
        references=3,
        networks=1,
        each=NetworkSettings(recipe=QUICK, noise_images=1000),
    ),
    "microstimulation": microstimulation.Settings(doses=(-1.0, 0.0, 1.0), images=2),
    "signal": signal_in_noise.Settings(gammas=(0.3,), trials=2000),
    "structured": structured.Settings(
        repeats=2, noise_images=1000, contrast_images=1000, fit_images=30, components=20
    ),
    "individuals": individuals.Settings(
        groups=(
            Group("LeNet", "lenet", 2, 0),
            Group("LeNet+noise", "lenet", 2, 9, 0.5),
        ),
        noise_images=16_000,
        contrasts=(0.2,),
        contrast_images=1000,
        recipes=((("lenet", "mnist"), QUICK),),
    ),
}


def settings(tmp_path, *flags):
    """The settings of a small run into a folder."""
    return read_paper_settings(
        ["--epochs", "1", "--out", str(tmp_path), *flags], paper.DEFAULTS, ""
    )


def small(**changed):
    """All experiments with small settings, or with others."""
    return {
        name: dataclasses.replace(experiments.load(name), settings=changed.get(name, SMALL[name]))
        for name in NAMES
    }


def test_the_whole_of_it_runs_and_a_second_run_computes_nothing(
    made_up, tmp_path, capsys, monkeypatch
):
    rows = paper.main(settings(tmp_path, "--retrain"), small())
    first = capsys.readouterr().out
    figures = {path.name for path in (tmp_path / "part5_imgs").iterdir()}
    assert figures == {f"{name}_mnist.png" for name in NAMES}
    assert all(f"{name}: running" in first for name in NAMES)
    path = tmp_path / "results" / "paper_mnist.json"
    kept = json.loads(path.read_text())
    assert tuple(kept) == NAMES
    assert sum(len(each["rows"]) for each in kept.values()) == len(rows)
    assert all(np.isfinite(row.ours) for row in rows)
    assert kept["attack"]["identity"]["settings"] == json.loads(
        json.dumps(dataclasses.asdict(SMALL["attack"]))
    )

    # what was computed is read, to the last bit; there is nothing that could be run
    idle = {name: dataclasses.replace(each, run=None) for name, each in small().items()}
    again = paper.main(settings(tmp_path), idle)
    second = capsys.readouterr().out
    assert again == rows
    assert second.count("already in") == len(NAMES) and "running" not in second
    assert first[first.index("LeNet on MNIST\n") :] == second[second.index("LeNet on MNIST\n") :]

    # other settings run again; networks that are there are not trained again
    (tmp_path / "part5_imgs" / "backdoor_mnist.png").unlink()
    monkeypatch.setattr(backdoor_networks, "train_network", None)
    more = small(signal=signal_in_noise.Settings(gammas=(0.3,), trials=3000))
    paper.main(settings(tmp_path, "--only", "backdoor", "signal", "structured"), more)
    third = capsys.readouterr().out
    assert "backdoor: running" in third and "signal: running" in third
    assert "structured: already in" in third


def test_results_of_an_earlier_format_are_computed_anew(made_up, tmp_path, capsys):
    path = tmp_path / "results" / "paper_mnist.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"signal": {"settings": {"format": 1}, "rows": []}, "other": 1}))
    paper.main(settings(tmp_path, "--only", "signal"), small())
    assert "signal: running" in capsys.readouterr().out
    assert set(json.loads(path.read_text())) == {"signal"}

    path.write_text(path.read_text()[:100])
    with pytest.raises(UserError, match="paper_mnist.json is not a whole results file.*delete it"):
        paper.main(settings(tmp_path, "--only", "signal"), small())


@pytest.mark.parametrize("name", NAMES)
def test_an_experiment_is_described_by_what_its_result_depends_on(name):
    experiment = experiments.load(name)
    with pytest.raises(dataclasses.FrozenInstanceError):
        experiment.settings.other = 1
    assert json.dumps(dataclasses.asdict(experiment.settings))  # it can be compared with a file's
    assert sys.modules[experiment.run.__module__].__doc__.split("\n")[0].endswith("?")  # a question


@pytest.mark.parametrize(
    "flags",
    [["--dataset", "cifar"], ["--only", "psychokinesis"], ["--seed", "-1"], ["--epochs", "0"]],
)
def test_wrong_flags_are_one_sentence_and_exit_code_2(flags, capsys):
    with pytest.raises(SystemExit) as stop:
        paper.run(flags)
    assert stop.value.code == 2
    assert f"argument {flags[0]}: " in capsys.readouterr().err.splitlines()[-1]


def test_a_folder_that_cannot_be_written_is_one_sentence_and_exit_code_2(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert paper.run(["--out", str(tmp_path / "file" / "out")]) == 2
    assert capsys.readouterr().err.startswith("paper.py: cannot write in")


def test_ctrl_c_says_how_to_continue_and_exits_with_130(monkeypatch, capsys):
    def stop(settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(paper, "main", stop)
    assert paper.run([]) == 130
    assert "the same command continues" in capsys.readouterr().err


def test_help_needs_no_tensorflow():
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['paper.py', '--help']\n"
        f"try: runpy.run_path({str(PAPER)!r}, run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print('tensorflow' in sys.modules, 'numpy' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=PAPER.parent
    )
    assert "--only" in done.stdout and done.stdout.endswith("False False\n")


def test_experiments_run_in_their_own_order_whatever_is_asked_first():
    read = read_paper_settings(["--only", "structured", "mixing"], paper.DEFAULTS, "")
    assert read.only == ("mixing", "structured") and read.out == OUT
