"""The command that holds networks against clean ones: what it measures, says and refuses."""

import json

import numpy as np
import pytest
from helpers import unrendered
from small_observers import observer

from reverse_correlation import Measurement, SparseNoise, measure
from reverse_correlation.commands import backdoor
from reverse_correlation.commands.flags import read_settings
from reverse_correlation.commands.running import exit_code
from reverse_correlation.commands.settings import BackdoorSettings

NAMES = ["--class-names", "cat", "dog", "owl"]
IMAGES = 1_000
NOISE = SparseNoise(shape=(6, 6, 1))


def run(tmp_path, capsys, *flags):
    images = [] if "--noise-images" in flags else ["--noise-images", IMAGES]
    flags = [*flags, *images, "--out", tmp_path / "out", *NAMES]
    code = 2
    try:
        settings = read_settings(BackdoorSettings, "backdoor", "", list(map(str, flags)))
        with unrendered():
            code = exit_code("backdoor", lambda: backdoor.backdoor_files(settings))
    except SystemExit:
        pass
    captured = capsys.readouterr()
    return code, captured.out, captured.err.splitlines()[-1] if captured.err else ""


def weights(rng):
    return np.random.default_rng(0).normal(size=(6, 6, 1, 3)) + 0.1 * rng.normal(size=(6, 6, 1, 3))


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """Saved measurements of 20 clean networks: one, and others whose sums differ a little."""
    rng, folder = np.random.default_rng(3), tmp_path_factory.mktemp("clean")
    w = weights(rng).reshape(36, 3)
    shown = {"seed": 0, "progress": False}
    first = measure(lambda x: x.reshape(-1, 36) @ w, NOISE, IMAGES, **shown)
    paths = []
    for i in range(20):
        sums = {key: dict(named) for key, named in first.sums.items()}
        products = sums["classes"]["ox"]
        sums["classes"]["ox"] = products + 60 * rng.normal(size=products.shape)
        paths.append(folder / f"clean{i}.npz")
        told = {**first.provenance, "network_sha256": f"{i}"}
        Measurement(sums, told, first.noise).save(paths[-1])
    return paths


def test_a_planted_patch_is_told_named_and_placed_and_a_clean_network_is_not(
    clean, tmp_path, capsys, rng
):
    planted = weights(rng)
    planted[1:3, 2:4, 0, 1] += 6
    observer(planted).save(tmp_path / "suspect.keras")
    files = [tmp_path / "suspect.keras", clean[0], "--references", *clean[1:]]
    code, out, error = run(tmp_path, capsys, *files)
    assert code == 0, error
    assert "suspect: unlike the clean networks (p = 0.05), as a backdoor into 'dog'" in out
    assert "and no other class; rows 2-3, columns 3-4" in out
    assert "clean0: not told from clean networks" in out and "(owl)" in out or "(cat)" in out
    assert "of 2 clean networks 0.1 would have" in out and "too few" not in out
    table = json.loads((tmp_path / "out/backdoor_suspect_clean0_logit.json").read_text())
    head, first, second = table["backdoors"]["rows"]
    assert first[:2] == ["suspect", "0.05"] and first[4] == "dog" and second[4].startswith("(")
    assert "--references" in table["backdoors"]["command"]
    kept = Measurement.load(tmp_path / "out/backdoor_suspect.npz")
    assert kept.count == IMAGES and kept.provenance["seed"] == 0 and len(head) == len(first)
    again, out, _ = run(tmp_path, capsys, *files)  # continues, to the same bits
    assert again == 0 and "suspect: unlike the clean networks" in out
    saved = [tmp_path / "out/backdoor_suspect.npz", clean[5], "--references", *clean[:5]]
    code, out, error = run(tmp_path, capsys, *saved)
    assert code == 0, error
    assert "with 5 references no network can be told from clean ones at 5 %" in out
    assert "p cannot be below 0.17; 19 references reach .05" in out and "would have" not in out
    assert "more unusual than all 5 clean networks, who are too few to tell (p = 0.167)" in out


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ([], "FILE: name a network"),
        (["{0}"], "--references names two clean networks or more, and 19 or more for p = .05"),
        (["{0}", "--references", "{1}"], "--references names two clean networks"),
        (["{0}", "--references", "{1}", "{0}"], "clean0.npz is named twice"),
        (["none.keras", "--references", "{0}", "{1}"], "there is no file none.keras"),
        (["{0}", "--references", "{1}", "{2}", "--response", "choice"], "has no choice images"),
    ],
)
def test_what_cannot_be_told_is_refused(flags, sentence, clean, tmp_path, capsys):
    code, _, error = run(tmp_path, capsys, *(text.format(*clean) for text in flags))
    assert code == 2 and sentence in error


def test_a_network_that_was_shown_something_else_is_refused_after_the_first(
    clean, tmp_path, capsys, rng
):
    path = tmp_path / "suspect.keras"
    observer(weights(rng)).save(path)
    files = [path, "--references", *clean[:3]]
    for flags, sentence in (
        (["--seed", 4], "shown the same noise and others not"),
        (["--noise-images", 500], "who was shown fewer would stand out"),
        (["--noise-kind", "uniform"], "would not be shown"),
        (["--noise-kind", "gaussian", "--base", tmp_path / "face.png"], "face.png"),
    ):
        code, _, error = run(tmp_path, capsys, *files, *flags)
        assert code == 2 and sentence in error, error
