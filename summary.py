"""The closing table of `main.py`, on the terminal."""

import dataclasses

import numpy as np

from part3 import ClassFindings, commonest
from part4 import FilterFindings
from reverse_correlation import Measurement
from subjects import Subject


@dataclasses.dataclass(frozen=True)
class Result:
    """All that is said of one network.

    Attributes:
        subject, measurement: what was measured.
        test_accuracy: share of the test images that the network names right; None without any.
        classes, filters: what Parts 3 and 4 say.
    """

    subject: Subject
    measurement: Measurement
    test_accuracy: float | None
    classes: ClassFindings
    filters: FilterFindings


def print_summary(heading, results, written, folder):
    """Print accuracy, agreement, how often noise got which answer, and the figures.

    Args:
        heading: what was measured.
        results: a Result for each network.
        written: paths of the figures, in `folder`.
    """
    print(f"\n{heading}")
    _line("", [result.subject.title for result in results])
    _line("test accuracy", [_number("{:.2%}", r.test_accuracy) for r in results])
    for response in ("decision", "logit"):
        shares = [r.classes.template_accuracy.get(response) for r in results]
        _line(f"test accuracy of its {response} images", [_number("{:.1%}", s) for s in shares])
    for response in ("logit", "probability"):
        agreements = [r.classes.exact_agreement.get(response) for r in results]
        cells = [_least_and_median(agreement) for agreement in agreements]
        _line(f"{response} images, r with exact: least, median", cells)
    agreements = [r.filters.exact_agreement for r in results]
    cells = [_least_and_median(agreement) for agreement in agreements]
    _line("last convolution, r with exact: least, median", cells)
    cosines = [r.filters.kernel_cosines for r in results]
    cells = [None if c is None else f"{c.min(initial=1):.5f}" for c in cosines]
    _line("conv1, cosine with kernels: least", cells)
    needed = [np.max(r.classes.images_needed["logit"]) for r in results]
    _line("noise that all logit images need for r = .9", [f"{n:,.0f}" for n in needed])
    first = results[0]
    for k in commonest(first.measurement):
        answered = [f"{r.measurement.answered[k]:,} of {r.measurement.count:,}" for r in results]
        _line(f"noise answered {first.subject.class_names[k]}", answered)
    print(f"\nFigures in {folder}: {len(written)}")
    for path in written:
        print(f"  {path.relative_to(folder)}")


def _line(label, cells):
    """Print a line of the table, unless it has nothing to say."""
    if any(cell is not None for cell in cells):
        print(f"{label:46}" + "".join(f"{'-' if c is None else c:>24}" for c in cells))


def _number(template, value):
    return None if value is None else template.format(value)


def _least_and_median(agreement):
    if agreement is None or not len(agreement):
        return None
    return f"{agreement.min():.3f}, {np.median(agreement):.3f}"
