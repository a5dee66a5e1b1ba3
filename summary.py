"""The closing table of `main.py`, on the terminal."""

import dataclasses

import numpy as np

from part3 import RESPONSES, commonest
from part4 import FilterFindings
from subjects import Subject


@dataclasses.dataclass(frozen=True)
class Result:
    """All that is said of one network.

    Attributes:
        subject: what was measured.
        measurements: a Measurement of each ensemble that it was shown.
        test_accuracy: share of the test images that the network names right; None without any.
        classes: ClassFindings of each ensemble.
        filters: what Part 4 says.
    """

    subject: Subject
    measurements: list
    test_accuracy: float | None
    classes: list
    filters: FilterFindings


def print_summary(results, written, folder):
    """Print accuracy, agreement, how often noise got which answer, and the figures.

    Args:
        results: a Result for each network.
        written: paths of the figures, in `folder`.
    """
    for result in results:
        subject = result.subject
        accuracy = (
            ""
            if result.test_accuracy is None
            else f": {result.test_accuracy:.2%} of the test set right"
        )
        print(f"\n{subject.place}{accuracy}")
        _line("", [shown.title for shown in subject.shown])
        _line("noise images", [f"{m.count:,}" for m in result.measurements])
        _line("contrast", [_contrast(shown.noise) for shown in subject.shown])
        for response in RESPONSES:
            shares = [found.template_accuracy.get(response) for found in result.classes]
            cells = [_number("{:.1%}", share) for share in shares]
            _line(f"test set right by its {response} images alone", cells)
        for response in ("choice", "logit", "probability"):
            agreements = [found.exact_agreement.get(response) for found in result.classes]
            label = f"{response} images, r with exact: least, median"
            _line(label, [_least_and_median(agreement) for agreement in agreements])
        needed = [np.max(found.images_needed["logit"]) for found in result.classes]
        _line("noise that all logit images need for r = .9", [f"{n:,.0f}" for n in needed])
        for k in commonest(result.measurements[0]):
            answered = [f"{m.answered[k]:,} of {m.count:,}" for m in result.measurements]
            _line(f"noise answered {subject.class_names[k]}", answered)
        _line(
            "last convolution, r with exact: least, median",
            [_least_and_median(result.filters.exact_agreement)],
        )
        cosines = result.filters.kernel_cosines
        _line(
            "conv1, cosine with kernels: least",
            [None if cosines is None else f"{cosines.min(initial=1):.5f}"],
        )
    print(f"\nFigures in {folder}: {len(written)}")
    for path in written:
        print(f"  {path.relative_to(folder)}")


def _line(label, cells):
    """Print a line of the table, unless it has nothing to say."""
    if any(cell is not None for cell in cells):
        print(f"{label:48}" + "".join(f"{'-' if c is None else c:>24}" for c in cells))


def _number(template, value):
    return None if value is None else template.format(value)


def _contrast(noise):
    contrast = getattr(noise, "contrast", None)
    return None if contrast is None else f"{contrast:.3g}"


def _least_and_median(agreement):
    if agreement is None or not np.isfinite(agreement).any():
        return None
    return f"{np.nanmin(agreement):.3f}, {np.nanmedian(agreement):.3f}"
