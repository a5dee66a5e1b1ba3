"""What commands print of names that others chose: no character that a terminal obeys."""

import keras
import numpy as np
import onnx_files
import pytest

from reverse_correlation.__main__ import run
from reverse_correlation.commands.running import exit_code
from reverse_correlation.errors import UserError

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\rsaid\u202e"
SHOWN = r"\x1b]0;owned\x07\x1b[2J\x9b31m\rsaid\u202e"


@pytest.fixture
def printed(capfd):
    """A function that runs a command, and returns all that reached the terminal."""

    def run_and_read(*words):
        code = run([str(word) for word in words])
        captured = capfd.readouterr()
        return code, captured.out + captured.err

    return run_and_read


def is_plain(text):
    return all(c.isprintable() or c in "\n\t" for c in text)


def test_names_of_files_and_classes_are_printed_without_control_characters(printed, tmp_path, rng):
    path = tmp_path / f"net{EVIL}.onnx"
    onnx_files.dense(path, rng.normal(size=(16, 3)).astype(np.float32), ["n", 4, 4, 1])
    names = [f"a{EVIL}", "b", "c"]
    flags = ["--noise-images", 2048, "--out", tmp_path / "out", "--class-names", *names]
    code, text = printed("measure", path, *flags)
    assert code == 0 and is_plain(text), repr(text)
    assert f"net{SHOWN}: 2,048 images" in text and f"a{SHOWN}" in text


def test_names_in_a_refusal_are_printed_without_control_characters(printed, tmp_path):
    code, text = printed("measure", tmp_path / f"none{EVIL}.keras", "--out", tmp_path)
    assert code == 2 and is_plain(text) and f"none{SHOWN}.keras" in text
    flat = [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    keras.Sequential(flat).save(tmp_path / f"flat{EVIL}.keras")
    flags = ["--layers", f"layer{EVIL}", "--out", tmp_path]
    code, text = printed("measure", tmp_path / f"flat{EVIL}.keras", *flags)
    assert code == 2 and is_plain(text) and f"layer{SHOWN}" in text


def test_a_script_s_error_is_printed_without_control_characters(capsys):
    def run_main():
        raise UserError(f"there is no file {EVIL}")

    assert exit_code("main.py", run_main) == 2
    assert capsys.readouterr().err == f"main.py: there is no file {SHOWN}\n"
