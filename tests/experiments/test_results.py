"""What experiments found is kept for what it depends on, and for nothing else."""

import dataclasses
import json

import numpy as np
import pytest
from matplotlib.figure import Figure
from small_observers import observer

from experiments import results
from experiments.experiment import Experiment, Row
from experiments.results import run_once

SHAPE = (4, 5, 1)
WEIGHTS = np.random.default_rng(0).normal(size=(*SHAPE, 2))
ROWS = [
    Row("a share", 0.1, 0.25, (0.2, 0.3), "5 seeds", detail=True),
    Row("a number", None, 1 / 3),
]


@dataclasses.dataclass(frozen=True)
class Inner:
    rate: float = 0.1


@dataclasses.dataclass(frozen=True)
class Settings:
    repeats: int = 3
    gammas: tuple = (0.1, 0.2)
    inner: Inner = Inner()


@pytest.fixture
def asked(tmp_path):
    """A function that asks for an experiment and returns its Rows, and how often it was run."""
    runs = []

    def run(**given):
        runs.append(given)
        return ROWS, Figure(figsize=(1, 1))

    def ask(name="mixing", settings=Settings(), network=None, seed=0):
        rows = run_once(
            name,
            Experiment(settings, run),
            tmp_path / "paper.json",
            tmp_path / f"{name}.png",
            network=network or observer(WEIGHTS),
            train=None,
            seed=seed,
        )
        return rows, len(runs)

    return ask


def changed_bias():
    network = observer(WEIGHTS)
    network.get_layer("logits").bias.assign([0, 1e-3])
    return network


OTHERS = {
    "a setting": {"settings": Settings(repeats=4)},
    "a value of a setting": {"settings": Settings(gammas=(0.1, 0.3))},
    "a setting within one": {"settings": Settings(inner=Inner(0.2))},
    "the seed": {"seed": 1},
    "the weights": {"network": observer(-WEIGHTS)},
    "a bias": {"network": changed_bias()},
    "the architecture": {"network": observer(WEIGHTS, activation="relu")},
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_a_result_that_depends_on_something_else_is_computed_anew(asked, other):
    assert asked() == (ROWS, 1)
    assert asked() == (ROWS, 1)  # read, to the last bit
    assert asked(**other) == (ROWS, 2)
    assert asked(**other) == (ROWS, 2)
    assert asked() == (ROWS, 3)  # one result of each experiment is kept


def test_a_result_of_another_format_is_computed_anew(asked, monkeypatch):
    assert asked()[1] == 1
    monkeypatch.setattr(results, "FORMAT", results.FORMAT + 1)
    assert asked()[1] == 2


def test_a_result_whose_figure_is_gone_is_computed_anew(asked, tmp_path):
    asked()
    (tmp_path / "mixing.png").unlink()
    assert asked()[1] == 2 and (tmp_path / "mixing.png").exists()


def test_one_experiment_leaves_the_results_of_the_others(asked, tmp_path):
    asked("mixing")
    before = json.loads((tmp_path / "paper.json").read_text())
    asked("attack")
    asked("attack", seed=1)
    after = json.loads((tmp_path / "paper.json").read_text())
    assert set(after) == {"mixing", "attack"} and after["mixing"] == before["mixing"]
    assert asked("mixing")[1] == 3


def test_an_experiment_of_networks_of_its_own_does_not_depend_on_the_demonstrations(tmp_path):
    def ask(network, train):
        run_once(
            "backdoor",
            Experiment(Settings(), run, asked=lambda network, train: train),
            tmp_path / "paper.json",
            tmp_path / "backdoor.png",
            network=network,
            train=train,
            seed=0,
        )
        return len(runs)

    runs = []

    def run(**given):
        runs.append(given)
        return ROWS, Figure(figsize=(1, 1))

    own, other = observer(WEIGHTS), observer(2 * WEIGHTS)
    assert [ask(own, own), ask(other, own), ask(own, other)] == [1, 1, 2]
