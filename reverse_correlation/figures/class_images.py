"""Figures of class images."""

import numpy as np

from reverse_correlation.errors import UserError
from reverse_correlation.figures.style import (
    SIGN,
    empty,
    grid,
    picture,
    show_signed,
    signed_scale,
    styled,
)
from reverse_correlation.texts import number

RESPONSES = ("choice", "decision", "probability", "logit")  # the rows of a figure
SHOWN_CLASSES = 20  # in one figure
EXACT = "exact: correlation with the image from the network's gradients (choice: of the logit);\n"
LEAST_WEIGHTS = 0.5  # expected correlation of weights of coloured noise that are worth a row


def plot_measurement(measurement, names, kind=None):
    """Draw the class images of a measurement with the names of its classes; see its `plot`."""
    has = [name for name in RESPONSES if name in measurement.classes]
    if kind not in (None, *has):
        raise UserError(f"this measurement has {', '.join(has)} images, not {kind!r}")
    shown = commonest(measurement)
    rows = {
        name: class_row(measurement, name, shown, _class_notes(measurement, name))
        for name in has
        if kind in (None, name)
    }
    who, counts = measurement.provenance["network"], noise_images(measurement)
    caption = _caption(who, [measurement], shown, counts)
    return draw_class_images(rows, [names[k] for k in shown], caption)


def noise_images(measurement):
    """Say how many images of which noise an observer was shown."""
    return f"{measurement.count:,} {measurement.noise.title} noise images"


def reliable_from(measurements):
    """Say from how many images on there is a reliability; nothing where all of them have one."""
    starts = [each.images_for_reliability for each in measurements]
    later = [n for n, each in zip(starts, measurements, strict=True) if each.count <= n // 2]
    return f"from {max(later):,} images on" if later else ""


def _caption(who, measurements, shown, counts, exact=""):
    """Return the caption of the classes that are shown, of an observer called `who`."""
    start = reliable_from(measurements)
    return (
        f"What {who} looks for{of_how_many(measurements[0], shown)}: "
        f"covariance of its answers with {counts}\n"
        f"n: times answered; r: split-half reliability{start and ', ' + start}; {exact}"
        "needs: noise images for r = .9 with the truth; "
        "outlined: pixels significant at family-wise 5 %"
    )


def commonest(measurement):
    """Return the classes that a figure shows: those answered most often, in their order."""
    return np.sort(np.argsort(-measurement.answered, kind="stable")[:SHOWN_CLASSES])


def of_how_many(measurement, shown):
    """Say in a caption of which classes those that are shown are; nothing where they are all."""
    count = len(measurement.answered)
    if measurement.provenance.get("only"):
        return f" ({len(shown)} chosen classes)"
    return f" ({len(shown)} commonest of {count:,} answers)" if len(shown) < count else ""


def class_row(measurement, response, shown, notes):
    """Return a row of `draw_class_images` with the classes `shown`; notes (K,) are of all."""
    estimate = measurement.classes[response]
    parts = estimate.image, estimate.significant, notes, empty_reasons(measurement, response)
    return [[part[k] for k in shown] for part in parts]


def reliabilities(estimate):
    """Return the note on the reliability of each image of an Estimate, "" where it is not known."""
    return [f"r = {r:.3f}" if np.isfinite(r) else "" for r in estimate.reliability]


def empty_reasons(measurement, response):
    """Return what an empty panel says, for each class."""
    if response != "decision":
        return ["varies\ntoo little"] * len(measurement.answered)
    return [f"answered\n{n:,} of\n{measurement.count:,}" for n in measurement.answered]


def _class_notes(measurement, response, agreement=None):
    """Return what stands below each class image, (K,) strings; agreement is with exact images."""
    estimate = measurement.classes[response]
    means, needed, notes = estimate.mean_response, estimate.images_needed(), []
    heads = {
        "choice": [""] * len(needed),
        "decision": [f"n = {n:,}" for n in measurement.answered],
        "probability": [f"mean {mean:.2g}" for mean in means],
        "logit": [f"mean {mean:.1f}" for mean in means],
    }[response]
    for k, (head, r) in enumerate(zip(heads, reliabilities(estimate), strict=True)):
        lines = [head]
        if np.isfinite(needed[k]):
            lines.append(r)
            if agreement is not None and np.isfinite(agreement[k]):
                lines.append(f"exact {agreement[k]:.3f}")
            lines.append(f"needs {needed[k]:,.0f}")
        notes.append("\n".join(filter(None, lines)))
    return notes


@styled
def draw_class_images(rows, names, title):
    """What a network looks for: one row of class images for each kind of response.

    Args:
        rows: {label: (maps (K, h, w, c), significant (K, h, w, c) bool, notes (K,), reasons (K,))};
            a map of NaN is an empty panel that says its reason. Each map is shown in
            units of its own largest absolute value, so that one scale serves all.
        names: of the classes.
    """
    count = len(names)
    side = min(1.8, max(1.02, 6 / count))
    width, height = side * count + 0.7, (side + 0.43) * len(rows) + 0.6
    figure, axes = grid(len(rows), count, width, height, title)
    fill_class_images(figure, axes, rows, names)
    return figure


def fill_class_images(figure, axes, rows, names):
    """Draw class images into the axes (rows, classes) of a figure; see `draw_class_images`."""
    image = None
    for line, (label, (maps, significant, notes, reasons)) in zip(axes, rows.items(), strict=True):
        line[0].set_ylabel(label)
        maps = picture(maps)
        for axis, values, mask, note, reason in zip(
            line, maps, significant, notes, reasons, strict=True
        ):
            axis.set_xlabel(note, fontsize=5.8, labelpad=2, linespacing=1.15)
            if np.isnan(values).all():
                empty(axis, values.shape, reason)
                continue
            image = show_class_image(axis, values, mask)
    for axis, name in zip(axes[0], names, strict=True):
        axis.set_title(name, pad=3)
    signed_scale(figure, image, axes, SIGN)


def show_class_image(axis, values, significant):
    """Show a map as `show_signed` does, significant pixels (h, w, c) outlined."""
    image, mask = show_signed(axis, values), np.asarray(significant).any(axis=2)
    if mask.any() and not mask.all():
        axis.contour(mask, levels=[0.5], colors="k", linewidths=0.35)
    return image


def draw_bias(shown, names, place):
    """Draw the class images of each ensemble and kind of response: a matplotlib Figure.

    Args:
        shown: a Shown of each ensemble.
        names: of the measured classes.
        place: what the observer is called.
    """
    first, several, rows = shown[0].measurement, len(shown) > 1, {}
    drawn, counts, exact = commonest(first), [], ""
    for each in shown:
        measurement, agreement = each.measurement, each.findings.exact_agreement
        counts.append(noise_images(measurement) + several * f" ({each.title})")
        for response in (name for name in RESPONSES if name in measurement.classes):
            label = f"{each.title}\n{response}" if several else response
            notes = _class_notes(measurement, response, agreement.get(response))
            rows[label] = class_row(measurement, response, drawn, notes)
        exact = EXACT if agreement else exact
        expected = measurement.weights_correlation()
        if np.nanmax(expected, initial=0) >= LEAST_WEIGHTS:
            weights = measurement.classes["logit"].weights
            notes = ["expected r " + number(r, "{:.2f}") for r in expected]
            parts = weights, np.zeros_like(weights, bool), notes, [""] * len(names)
            rows["logit,\nas weights"] = [[part[k] for k in drawn] for part in parts]
    measured = [each.measurement for each in shown]
    caption = _caption(place, measured, drawn, " and ".join(counts), exact)
    return draw_class_images(rows, [names[k] for k in drawn], caption)
