"""The closing table of `main.py`, on the terminal."""

import dataclasses

import numpy as np
from part4 import FilterFindings
from subjects import Subject

from reverse_correlation.figures.class_images import RESPONSES, commonest


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
    """Print accuracy, agreement, how often noise got which answer, and the files.

    Args:
        results: a Result for each network.
        written: paths of the figures and pages, in `folder`.
    """
    for result in results:
        right = result.test_accuracy
        told = "" if right is None else f": {right:.2%} of the test set right"
        print(f"\n{result.subject.place}{told}")
        for label, cells in summary_lines(result):
            print(f"{label:48}" + "".join(f"{'-' if c is None else c:>24}" for c in cells))
    print(f"\nIn {folder}: {len(written)}")
    for path in written:
        print(f"  {path.relative_to(folder)}")


def summary_lines(result):
    """Return the table of a network, a column an ensemble: [(label, texts or None)]."""
    subject, measurements = result.subject, result.measurements
    lines = [
        ("", [shown.title for shown in subject.shown]),
        ("noise images", [f"{m.count:,}" for m in measurements]),
        ("contrast", [_contrast(shown.noise) for shown in subject.shown]),
    ]
    for response in RESPONSES:
        shares = [found.template_accuracy.get(response) for found in result.classes]
        cells = [_number("{:.1%}", share) for share in shares]
        lines.append((f"test set right by its {response} images alone", cells))
    for response in ("choice", "logit", "probability"):
        agreements = [found.exact_agreement.get(response) for found in result.classes]
        label = f"{response} images, r with exact: least, median"
        lines.append((label, [_least_and_median(agreement) for agreement in agreements]))
    needed = [np.max(found.images_needed["logit"]) for found in result.classes]
    lines.append(("noise that all logit images need for r = .9", [f"{n:,.0f}" for n in needed]))
    for k in commonest(measurements[0]):
        answered = [f"{m.answered[k]:,} of {m.count:,}" for m in measurements]
        lines.append((f"noise answered {subject.class_names[k]}", answered))
    fields = _least_and_median(result.filters.exact_agreement)
    lines.append(("last convolution, r with exact: least, median", [fields]))
    cosines = result.filters.kernel_cosines
    least = None if cosines is None else f"{cosines.min(initial=1):.5f}"
    lines.append(("conv1, cosine with kernels: least", [least]))
    return [(label, cells) for label, cells in lines if any(cell is not None for cell in cells)]


def _number(template, value):
    return None if value is None else template.format(value)


def _contrast(noise):
    contrast = getattr(noise, "contrast", None)
    return None if contrast is None else f"{contrast:.3g}"


def _least_and_median(agreement):
    if agreement is None or not np.isfinite(agreement).any():
        return None
    return f"{np.nanmin(agreement):.3f}, {np.nanmedian(agreement):.3f}"
