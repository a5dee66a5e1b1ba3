"""The closing table of a run, on the terminal and as JSON."""

import numpy as np

from reverse_correlation.estimates.prediction import PREDICTED, TEST
from reverse_correlation.figures.class_images import RESPONSES, commonest
from reverse_correlation.report.tables import write_tables
from reverse_correlation.texts import number


def print_summary(results, written, folder):
    """Print the table of each Result, and the paths of what was written, relative to a folder."""
    for result in results:
        right = result.test_accuracy
        print(
            f"\n{result.place}" + ("" if right is None else f": {right:.2%} of the test set right")
        )
        for label, cells in summary_lines(result):
            print(f"{label:48}" + "".join(f"{cell:>24}" for cell in cells))
        for found in regions_of(result):
            print("\n" + found.text(*listed_classes(result)))
    print(
        f"\n{len(written)} figures and pages in {folder}, beside the measurements (.npz) and "
        "this table (.json)"
    )
    for path in written:
        print(f"  {path.relative_to(folder)}")


def write_summary(results, path, command):
    """Write the table of each Result, which `print_summary` prints, to a JSON file.

    `command` is what repeats the run.
    """
    tables = {}
    for result in results:
        head, *rows = [[label, *cells] for label, cells in summary_lines(result)]
        right = number(result.test_accuracy, "{:.2%}")
        tables[result.place] = [head, ["test set right", *[right] * len(result.shown)], *rows]
        for found in regions_of(result):
            both = found.tables(*listed_classes(result))
            for title, rows in zip((found.title, "inside the mask"), both, strict=False):
                tables[f"{result.place}: {title}"] = rows
    write_tables(tables, path, command)


def summary_lines(result):
    """Return the table of an observer, a column an ensemble: [(label, texts)].

    A line that has no number in it is left out.
    """
    shown, measurements = result.shown, [each.measurement for each in result.shown]
    lines = [
        ("", [each.title for each in shown]),
        ("noise images", [f"{m.count:,}" for m in measurements]),
        ("contrast", [number(getattr(m.noise, "contrast", None), "{:.3g}") for m in measurements]),
    ]
    for response in RESPONSES:
        shares = [each.findings.template_accuracy.get(response) for each in shown]
        cells = [number(share, "{:.1%}") for share in shares]
        lines.append((f"test set right by its {response} images alone", cells))
    for response in ("choice", "logit", "probability"):
        agreements = [each.findings.exact_agreement.get(response) for each in shown]
        label = f"{response} images, r with exact: least, median"
        lines.append((label, [_least_and_median(agreement) for agreement in agreements]))
    for response in ("choice", "logit"):
        shares = [
            m.summary(response).column("linear") if response in m.classes else None
            for m in measurements
        ]
        cells = list(map(_least_and_median, shares))
        lines.append((f"linear share of the {response}: least, median", cells))
    lines += prediction_lines(measurements)
    needed = [each.findings.images_needed.get("logit") for each in shown]
    cells = [number(None if n is None else np.max(n), "{:,.0f}") for n in needed]
    lines.append(("noise images for r = .9 in every logit image", cells))
    for k in commonest(measurements[0]):
        cells = [f"{m.answered[k]:,} of {m.count:,}" for m in measurements]
        lines.append((f"noise answered {result.class_names[k]}", cells))
    fields = _least_and_median(result.field_agreement)
    lines.append(("last convolution, r with exact: least, median", [fields]))
    cosines = _least_and_median(result.kernel_cosines, 5)
    lines.append(("conv1, cosine with kernels: least, median", [cosines]))
    return [(label, cells) for label, cells in lines if any(cell != "-" for cell in cells)]


def regions_of(result):
    """Return the Regions that were looked for, of each ensemble."""
    return [each.findings.regions for each in result.shown if each.findings.regions]


def listed_classes(result):
    """Return the classes that a table lists, by their places, and the names of all."""
    return commonest(result.shown[0].measurement), result.class_names


def prediction_lines(measurements):
    """Return the lines of `summary_lines` on what class images predict of fresh pairs."""
    records = [m.provenance.get(TEST) for m in measurements]
    if not any(records):
        return []
    shown = [f"{record['stimuli']:,}" if record else "-" for record in records]
    lines = [("fresh stimuli, for a test", shown)]
    for response in PREDICTED:
        found = [m.predictions.get(response) for m in measurements]
        for field, label, digits in (
            ("share", f"choices that {response} images predict: least, median", 3),
            ("ceiling", "their ceiling by the linear share: least, median", 3),
            ("explained", f"R2 of the logit by {response} images: least, median", 2),
        ):
            cells = [_least_and_median(each and getattr(each, field), digits) for each in found]
            lines.append((label, cells))
    return lines


def _least_and_median(agreement, digits=3):
    if agreement is None or not np.isfinite(agreement).any():
        return "-"
    return f"{np.nanmin(agreement):.{digits}f}, {np.nanmedian(agreement):.{digits}f}"
