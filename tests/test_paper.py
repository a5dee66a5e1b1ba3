"""The whole of paper.py on made-up images, and the ways it can be asked wrongly."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import unrendered
from matplotlib.figure import Figure

import experiments
import paper
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
from experiments.backdoor_networks import NetworkSettings, Training
from experiments.individuals import Group
from reverse_correlation.commands import flags
from reverse_correlation.errors import UserError
from training import Recipe

QUICK = Recipe(epochs=1, batch=256, rate=4e-3)
PAPER = Path(paper.__file__)
NAMES = tuple(experiments.MODULES)
SMALL = {
    "mixing": mixing.Settings(repeats=2, noise_images=1000, backgrounds=10),
    "attack": attack.Settings(
        noise_images=1000,
        contrasts=(0.1, 0.2),
        contrast_images=1000,
        exact_images=100,
        attacked_images=1,
    ),
    "backdoor": backdoor.Settings(
        references=2,
        clean=1,
        patch=1,
        blend=0,
        published=0,
        each=NetworkSettings(Training(recipe=QUICK), noise_images=1000),
    ),
    "microstimulation": microstimulation.Settings(
        doses=(-1.0, 0.0, 1.0), gammas=(0.0, 0.25, 0.5, 0.75, 1.0), images=2
    ),
    "signal": signal_in_noise.Settings(gammas=(0.3,), trials=2000),
    "structured": structured.Settings(
        repeats=2,
        noise_images=1000,
        contrasts=(0.1, 0.2),
        contrast_images=1000,
        fit_images=30,
        components=20,
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


def settings(tmp_path, *words):
    """The settings of a small run into a folder."""
    words = ["--epochs", "1", "--out", str(tmp_path), *words]
    return flags.read_settings(paper.Settings, "paper.py", "", words)


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
    assert all(f"{name}: in {path}" in second for name in NAMES) and "running" not in second
    assert first[first.index("LeNet on MNIST\n") :] == second[second.index("LeNet on MNIST\n") :]

    # other settings run again; networks that are there are not trained again
    (tmp_path / "part5_imgs" / "backdoor_mnist.png").unlink()
    monkeypatch.setattr(backdoor_networks, "train_one", None)
    more = small(signal=signal_in_noise.Settings(gammas=(0.3,), trials=3000))
    with unrendered():
        paper.main(settings(tmp_path, "--only", "backdoor", "signal", "structured"), more)
    third = capsys.readouterr().out
    assert "backdoor: running" in third and "signal: running" in third
    assert "structured: in" in third and "structured: running" not in third


def test_large_takes_the_settings_of_the_large_run_where_there_are_any(made_up, tmp_path):
    given = []

    def run(*, settings, **_):
        given.append(settings)
        return [], Figure(figsize=(1, 1))

    chosen = small()
    for name, large in (("backdoor", backdoor.LARGE), ("mixing", None)):
        chosen[name] = dataclasses.replace(chosen[name], run=run, large=large)
    paper.main(settings(tmp_path, "--large", "--only", "backdoor", "mixing"), chosen)
    assert given == [SMALL["mixing"], backdoor.LARGE]
    assert backdoor.EXPERIMENT.large is backdoor.LARGE and backdoor.LARGE.references == 60


def test_results_of_an_earlier_format_and_damaged_ones_are_computed_anew(made_up, tmp_path, capsys):
    path = tmp_path / "results" / "paper_mnist.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"signal": {"settings": {"format": 1}, "rows": []}, "other": 1}))
    first = paper.main(settings(tmp_path, "--only", "signal"), small())
    assert "signal: running" in capsys.readouterr().out
    assert set(json.loads(path.read_text())) == {"signal"}

    path.write_text(path.read_text()[:100])
    assert paper.main(settings(tmp_path, "--only", "signal"), small()) == first
    assert "signal: running" in capsys.readouterr().out
    assert set(json.loads(path.read_text())) == {"signal"}


@pytest.mark.parametrize("name", NAMES)
def test_an_experiment_is_described_by_what_its_result_depends_on(name):
    experiment = experiments.load(name)
    with pytest.raises(dataclasses.FrozenInstanceError):
        experiment.settings.other = 1
    assert json.dumps(dataclasses.asdict(experiment.settings))  # it can be compared with a file's
    assert sys.modules[experiment.run.__module__].__doc__.split("\n")[0].endswith("?")  # a question


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--dataset", "cifar"], "invalid choice 'cifar' for argument '--dataset'"),
        (["--only", "psychokinesis"], "invalid choice 'psychokinesis' for argument '--only'"),
        (["--seed", "-1"], "--seed: -1 is not a whole number from 0"),
        (["--epochs", "0"], "--epochs: 0 is not a whole number from 1"),
    ],
)
def test_wrong_flags_are_one_sentence_and_exit_code_2(words, sentence, capsys):
    with pytest.raises(SystemExit) as stop:
        paper.run(words)
    assert stop.value.code == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("field", "value"), [("only", ("mixin",)), ("only", "mixing"), ("epochs", 0), ("seed", -1)]
)
def test_wrong_settings_in_the_code_are_refused_as_flags_are(field, value):
    with pytest.raises(UserError, match=f"--{field}: .* is not"):
        paper.Settings(**{field: value})


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


def test_experiments_run_in_their_own_order_whatever_is_asked_first(made_up, tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(paper, "load_or_train", lambda *_, **__: None)
    monkeypatch.setattr(paper, "run_once", lambda name, *_, **__: ran.append(name) or [])
    paper.main(settings(tmp_path, "--only", "structured", "mixing"))
    assert ran == ["mixing", "structured"]
    paper.main(settings(tmp_path))
    assert tuple(ran[2:]) == NAMES


def test_results_go_beside_the_script_by_default():
    assert paper.Settings().out == PAPER.parent
