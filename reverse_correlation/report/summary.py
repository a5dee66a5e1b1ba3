"""The closing table of a run, on the terminal."""

import numpy as np

from reverse_correlation.figures.class_images import RESPONSES, commonest
from reverse_correlation.texts import number


def print_summary(results, written, folder):
    """Print accuracy, agreement, how often noise got which answer, and the files.

    Args:
        results: a Result of each observer.
        written: paths of the figures and pages, in `folder`.
        folder: of the results.
    """
    for result in results:
        right = result.test_accuracy
        print(
            f"\n{result.place}" + ("" if right is None else f": {right:.2%} of the test set right")
        )
        for label, cells in summary_lines(result):
            print(f"{label:48}" + "".join(f"{cell:>24}" for cell in cells))
    print(f"\nIn {folder}: {len(written)}")
    for path in written:
        print(f"  {path.relative_to(folder)}")


def summary_lines(result):
    """Return the table of an observer, a column an ensemble: [(label, texts)].

    A line that has no number in it is left out.
    """
    shown = result.shown
    lines = [
        ("", [each.title for each in shown]),
        ("noise images", [f"{each.measurement.count:,}" for each in shown]),
        ("contrast", [_contrast(each.measurement.noise) for each in shown]),
    ]
    for response in RESPONSES:
        shares = [each.findings.template_accuracy.get(response) for each in shown]
        cells = [number(share, "{:.1%}") for share in shares]
        lines.append((f"test set right by its {response} images alone", cells))
    for response in ("choice", "logit", "probability"):
        agreements = [each.findings.exact_agreement.get(response) for each in shown]
        label = f"{response} images, r with exact: least, median"
        lines.append((label, [_least_and_median(agreement) for agreement in agreements]))
    needed = [each.findings.images_needed.get("logit") for each in shown]
    cells = [number(None if n is None else np.max(n), "{:,.0f}") for n in needed]
    lines.append(("noise images for r = .9 in every logit image", cells))
    for k in commonest(shown[0].measurement):
        counts = [(each.measurement.answered[k], each.measurement.count) for each in shown]
        cells = [f"{answered:,} of {count:,}" for answered, count in counts]
        lines.append((f"noise answered {result.class_names[k]}", cells))
    fields = _least_and_median(result.field_agreement)
    lines.append(("last convolution, r with exact: least, median", [fields]))
    cosines = result.kernel_cosines
    least = None if cosines is None else cosines.min(initial=1)
    lines.append(("conv1, cosine with kernels: least", [number(least, "{:.5f}")]))
    return [(label, cells) for label, cells in lines if any(cell != "-" for cell in cells)]


def _contrast(noise):
    return number(getattr(noise, "contrast", None), "{:.3g}")


def _least_and_median(agreement):
    if agreement is None or not np.isfinite(agreement).any():
        return "-"
    return f"{np.nanmin(agreement):.3f}, {np.nanmedian(agreement):.3f}"
