"""The names that a user finds by `dir`, and what `help` begins with."""

import ast
import importlib.util

import pytest

import reverse_correlation
from reverse_correlation import measure, observers

HAS_DASK = importlib.util.find_spec("distributed") is not None


def test_the_package_lists_its_public_names_and_nothing_else():
    names = dir(reverse_correlation)
    assert names == sorted(names) and not [name for name in names if name.startswith("_")]
    assert {"measure", "Measurement", "WhiteNoise", "observers", "cluster", "FileError"} <= {*names}
    assert {*names} - {*reverse_correlation.__all__} == {"cluster"}  # which needs Dask
    assert not {"backend", "errors", "texts", "importlib"} & {*names}


@pytest.mark.parametrize("module", [reverse_correlation, observers])
def test_every_public_name_is_there_and_says_what_it_is(module):
    for name in dir(module):
        if name != "cluster" or HAS_DASK:
            assert getattr(module, name).__doc__ or name == "ACCUMULATORS", name


def test_observers_lists_whatever_makes_an_observer():
    assert dir(observers) == ["Observer", "function", "onnx", "sklearn", "torch"]


def test_the_help_of_measure_begins_with_an_example_that_is_python():
    example = measure.__doc__.split("\n\n")[1]
    calls = [node for node in ast.walk(ast.parse(dedented(example))) if isinstance(node, ast.Call)]
    given = {keyword.arg for call in calls for keyword in call.keywords}
    assert {"only", "classes"} <= given


def dedented(text):
    return "\n".join(line.removeprefix(8 * " ") for line in text.splitlines())
