"""The closing table, from findings that are known in advance."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from helpers import result_of
from small_observers import observer

from reverse_correlation import WhiteNoise, __version__
from reverse_correlation.estimates.findings import ClassFindings, LayerFindings
from reverse_correlation.report.summary import print_summary, summary_lines, write_summary


@pytest.fixture(scope="module")
def result():
    """A Result of three classes and two ensembles, whose findings are made up."""
    weights = np.random.default_rng(0).normal(size=(4, 4, 1, 3))
    noise = {"grey": WhiteNoise(shape=(4, 4, 1)), "dark": WhiteNoise(shape=(4, 4, 1), base=0.2)}
    found = result_of(observer(weights), noise, 2000, title="net", names="abc")
    agreement = {"logit": np.array([0.5, np.nan, 0.75]), "choice": np.full(3, np.nan)}
    findings = (
        ClassFindings(agreement, {"logit": np.array([10.0, 4000.4, 3])}, {}, {"choice": 0.5}),
        ClassFindings({}, {"logit": np.array([10.0, np.inf, 3])}, {}, {"choice": 0.25}),
    )
    shown = tuple(
        dataclasses.replace(one, findings=its)
        for one, its in zip(found.shown, findings, strict=True)
    )
    live = np.array([True, True, False])
    layers = (
        LayerFindings("conv1", live, np.ones((3, 2, 2, 1)), np.array([0.99, 0.98, 0.1])),
        LayerFindings("conv2", live, None, np.array([0.5, 0.7, 0.1])),
    )
    return dataclasses.replace(found, shown=shown, layers=layers, test_accuracy=0.5)


def test_the_table_holds_the_findings_of_each_ensemble_in_its_column(result):
    lines = dict(summary_lines(result))
    assert lines[""] == ["grey", "dark"] and lines["noise images"] == ["2,000", "2,000"]
    assert lines["contrast"] == ["0.289", "0.289"]
    assert lines["test set right by its choice images alone"] == ["50.0%", "25.0%"]
    assert lines["logit images, r with exact: least, median"] == ["0.500, 0.625", "-"]
    assert lines["noise images for r = .9 in every logit image"] == ["4,000", "-"]
    for k, name in enumerate("abc"):
        answered = [one.measurement.answered[k] for one in result.shown]
        assert lines[f"noise answered {name}"] == [f"{n:,} of 2,000" for n in answered]
    assert lines["last convolution, r with exact: least, median"] == ["0.500, 0.600"]
    assert lines["conv1, cosine with kernels: least, median"] == ["0.98000, 0.98500"]


def test_what_images_predict_is_in_the_table_where_it_was_tested(result):
    weights = np.random.default_rng(0).normal(size=(4, 4, 1, 3))
    noise = {"grey": WhiteNoise(shape=(4, 4, 1)), "dark": WhiteNoise(shape=(4, 4, 1), base=0.2)}
    tested = result_of(observer(weights), noise, 2000, prediction_images=400)
    lines = dict(summary_lines(tested))
    assert lines["fresh stimuli, for a test"] == ["400", "400"]
    share = tested.shown[0].measurement.predictions["logit"].share
    cells = lines["choices that logit images predict: least, median"]
    assert cells[0] == f"{share.min():.3f}, {np.median(share):.3f}"
    assert not [label for label, _ in summary_lines(result) if "predict" in label]


def test_a_line_without_a_number_is_left_out(result):
    labels = [label for label, _ in summary_lines(result)]
    assert not [label for label in labels if "choice images, r" in label or "decision" in label]
    labels = [label for label, _ in summary_lines(dataclasses.replace(result, layers=()))]
    assert not [label for label in labels if "conv" in label]


def test_what_was_written_stands_below_the_table(result, capsys):
    folder = Path("somewhere")
    print_summary([result], [folder / "a.png", folder / "b/c.html"], folder)
    out = capsys.readouterr().out
    assert out.startswith("\nnet: 50.00% of the test set right\n")
    assert out.endswith(
        "\n2 figures and pages in somewhere, beside the measurements (.npz) and this table (.json)"
        "\n  a.png\n  b/c.html\n"
    )
    print_summary([dataclasses.replace(result, test_accuracy=None)], [], folder)
    assert capsys.readouterr().out.startswith("\nnet\n")


def test_the_file_holds_the_table_that_is_printed_and_what_made_it(result, tmp_path):
    write_summary([result], tmp_path / "run.json", "python main.py")
    kept = json.loads((tmp_path / "run.json").read_text())["net"]
    assert kept["command"] == "python main.py" and kept["version"] == __version__
    head, right, *rows = kept["rows"]
    lines = [[label, *cells] for label, cells in summary_lines(result)]
    assert [head, *rows] == lines and right == ["test set right", "50.00%", "50.00%"]
