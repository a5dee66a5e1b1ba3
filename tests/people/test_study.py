"""A study's page and its trials: what a screen clips, and what the page says of it."""

import base64
import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest

from reverse_correlation import PinkNoise, SinusoidNoise, WhiteNoise
from reverse_correlation.people.choices import screen_levels
from reverse_correlation.people.page import TEMPLATE, clipped_share, write_page
from reverse_correlation.people.study import Study


@pytest.mark.parametrize(
    ("base", "push", "share"),
    [
        (250, 10, 0.5),  # one of the pair would be brighter than white
        (250, -10, 0.5),
        (5, 10, 0.5),  # and here darker than black
        (5, -10, 0.5),
        (128, 126, 0),  # both can be shown,
        (128, 127, 1),  # which of the most that is ever pushed is not known: it may have been cut
        (128, -127, 1),
        (250, 5, 0),  # just white
        (5, -5, 0),  # just black
    ],
)
def test_a_pixel_is_clipped_that_would_pass_black_or_white(base, push, share):
    base, push = np.full((2, 2, 1), base, np.uint8), np.full((3, 2, 2, 1), push, np.int8)
    assert clipped_share(base, push) == share


def test_the_share_of_clipped_pixels_is_over_both_stimuli_of_all_trials():
    base = np.array([250, 100], np.uint8).reshape(1, 2, 1)
    push = np.array([[10, 10], [2, -20]], np.int8).reshape(2, 1, 2, 1)
    assert clipped_share(base, push) == 1 / 8


def page_of(folder, **told):
    told = {"seed": 3, "trials": 5, "question": "Which?", "condition": "main", **told}
    study = Study(WhiteNoise(shape=(4, 6, 1), base=0.3, contrast=0.1), **told)
    path = folder / "study.html"
    return study, write_page(study, path, pause=2), path.read_text(encoding="utf-8")


def test_a_page_holds_the_levels_of_every_trial(tmp_path):
    study, share, text = page_of(tmp_path)
    told = json.loads(re.search(r'<script id="study"[^>]*>(.*?)</script>', text, re.S)[1])
    assert (told["id"], told["seed"], told["trials"], told["pause"]) == (study.id, 3, 5, 2)
    base, push = (
        np.frombuffer(base64.b64decode(told[name]), np.uint8) for name in ("base", "push")
    )
    levels = screen_levels(study.noise, study.numbers)
    assert told["shape"] == [4, 6, 1] and np.all(base == round(0.3 * 255))
    assert np.array_equal(push.view(np.int8).reshape(5, 4, 6, 1), levels[1])
    assert share == clipped_share(*levels)


def test_what_is_asked_is_text_in_the_page_and_never_code(tmp_path):
    evil = '</script><script>alert("1")</script><b>$question</b>'
    study, _, text = page_of(tmp_path, question=evil, condition=evil)
    template = Path(TEMPLATE).read_text(encoding="utf-8")
    assert text.count("<script") == template.count("<script")
    assert text.count("</script") == template.count("</script") and "<b>$question" not in text
    told = json.loads(re.search(r'<script id="study"[^>]*>(.*?)</script>', text, re.S)[1])
    assert told["condition"] == evil


@pytest.mark.parametrize(
    "noise",
    [
        WhiteNoise(shape=(6, 4, 1), base=0.3, contrast=0.1, orthogonal=False),
        SinusoidNoise((16, 16, 1), orthogonal=False),
        PinkNoise((40, 40, 1), orthogonal=False),
    ],
    ids=lambda noise: type(noise).__name__,
)
def test_a_study_from_before_numbers_were_orthogonal_shows_the_same_trials(noise, tmp_path):
    """Its file says nothing of them, and the id in the files of its participants is the same."""
    study, path = Study(noise, 3, 20, "Which?", "main"), tmp_path / "study.npz"
    study.save(path)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    assert not arrays.pop("noise:orthogonal")
    np.savez(path, **arrays)
    kept = Study.load(path)
    assert kept.noise.orthogonal is False and kept.id == study.id
    assert np.array_equal(kept.numbers, study.numbers)
    same = Study(dataclasses.replace(noise, orthogonal=True), 3, 20, "Which?", "main")
    # people are shown independent numbers, whatever is asked for
    assert same.id == kept.id and np.array_equal(same.numbers, kept.numbers)


def test_the_id_of_a_study_of_version_0_2_is_what_it_was():
    noise = WhiteNoise(shape=(8, 8, 1), contrast=0.1, orthogonal=False)
    assert Study(noise, 3, 40, "q", "main").id == "71d6011f"
