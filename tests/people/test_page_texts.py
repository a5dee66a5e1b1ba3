"""Texts that a page shows beforehand: the file they come from, and what is wrong with others."""

import base64
import json
import re

import numpy as np
import pytest

from reverse_correlation import UserError, WhiteNoise
from reverse_correlation.people.page import write_page
from reverse_correlation.people.page_texts import PageTexts, read_page_texts
from reverse_correlation.people.study import Study


def test_headings_part_the_texts_and_empty_lines_part_paragraphs(tmp_path):
    path = tmp_path / "texts.txt"
    text = "# Instructions\nOne\nline.\n \nTwo.\n\n## consent\nYes?\n# Practice 8\n"
    path.write_text(text, encoding="utf-8-sig")
    assert read_page_texts(path) == PageTexts(("One\nline.", "Two."), ("Yes?",), (), 8)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty, or begins without a heading"),
        ("Hello\n# Consent\nYes?", "is empty, or begins without a heading"),
        ("# Consent\n\n# Practice 3", "has nothing below # Consent"),
        ("# Consent\na\n# Consent\nb", "has two of # Consent"),
        ("# Thanks\nBye", "the heading 'Thanks' is not Instructions, Consent or Practice"),
        ("# Consent 3\nYes?", "the heading 'Consent 3' is not"),
        ("# Practice\nFirst", "with 1 to 100 trials, such as # Practice 8"),
        ("# Practice 0", "with 1 to 100 trials"),
        ("# Practice 101", "with 1 to 100 trials"),
        ("# Practice many", "with 1 to 100 trials"),
        (b"\xff\xfe\x00", "cannot be read as a text file"),
    ],
)
def test_another_file_is_refused_in_a_sentence(text, sentence, tmp_path):
    path = tmp_path / "texts.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=sentence):
        read_page_texts(path)


def page_with(texts, folder, trials=5):
    """Return the Study of a page with these texts, the page, and its data."""
    study = Study(WhiteNoise(shape=(4, 6, 1), contrast=0.1), 3, trials, "Which?", "main")
    path = folder / "study.html"
    write_page(study, path, 2, texts)
    page = path.read_text(encoding="utf-8")
    data = re.search(r'<script id="study"[^>]*>(.*?)</script>', page, re.S)[1]
    return study, page, json.loads(data)


def test_texts_are_shown_as_typed_and_never_as_code(tmp_path):
    evil = '</script><script>alert("1")</script>$question'
    _, plain, _ = page_with(PageTexts(), tmp_path)
    _, page, _ = page_with(PageTexts((evil,), (evil,), (evil,), 2), tmp_path)
    assert page.count("<script") == plain.count("<script") and page.count("$question") == 3
    assert 'type="checkbox"' in page and 'type="checkbox"' not in plain
    assert "trust your first impression" in plain and "trust your first impression" not in page


def test_practice_has_stimuli_of_its_own_and_takes_no_trial_away(tmp_path):
    _, _, without = page_with(PageTexts(), tmp_path)
    study, _, told = page_with(PageTexts(practice_trials=3), tmp_path)
    assert {name: told[name] for name in ("push", "trials", "id")} == {
        name: without[name] for name in ("push", "trials", "id")
    }
    assert (without["practice"], without["practicePush"], told["practice"]) == (0, "", 3)
    levels = [np.frombuffer(base64.b64decode(told[n]), np.int8) for n in ("practicePush", "push")]
    practice, push = (rows.reshape(-1, 24).astype(float) for rows in levels)
    assert len(practice) == 3 and abs(np.std(practice) / np.std(push) - 1) < 0.5
    # unrelated rows of 24 correlate by 1 / sqrt(24)
    assert np.abs(np.corrcoef(practice, push)[:3, 3:]).max() < 5 / np.sqrt(24) - 0.1
    assert np.allclose(study.practice_numbers(4)[:3], study.practice_numbers(3), atol=1e-6)
