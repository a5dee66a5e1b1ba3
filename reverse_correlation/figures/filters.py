"""Figures of filters, and of any Estimate."""

import numpy as np

from reverse_correlation.figures.class_images import reliabilities
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

SHOWN_MAPS = 96


def plot_estimate(estimate, names=None, title=""):
    """Draw the images of an Estimate; see `Estimate.plot`."""
    names = names or range(len(estimate.covariance))
    notes = [f"{name}\n{r}".strip() for name, r in zip(names, reliabilities(estimate), strict=True)]
    title = title or "Covariance of responses with stimuli"
    title += f", {estimate.count:,} of them\nr: split-half reliability"
    if len(notes) > SHOWN_MAPS:
        title += f"; the first {SHOWN_MAPS} of {len(notes):,} are shown"
    maps = np.nan_to_num(estimate.image)
    return draw_filters({"": maps}, notes, title, label=SIGN, blank="varies\ntoo little")


@styled
def draw_filters(
    rows,
    notes,
    title,
    columns=8,
    label="weight / its largest absolute value",
    blank="silent",
):
    """Up to SHOWN_MAPS filters in groups of rows: say the kernel above, its estimate below.

    Args:
        rows: {label: (n, h, w, c)}; each picture in units of its own largest absolute value. One
            of NaN or zeros is an empty panel.
        notes: (n,) what stands below each filter's last picture.
        label: of the scale.
        blank: what an empty panel says.
    """
    maps = {label: picture(values) for label, values in rows.items()}
    number = min(len(notes), SHOWN_MAPS)
    columns = min(columns, number)
    groups, side = -(-number // columns), max(0.85, 6.3 / columns)
    height = 0.6 + groups * len(rows) * (side + 0.05) + 0.3 * groups
    figure, axes = grid(groups * len(rows), columns, side * columns + 0.9, height, title)
    image = None
    for i in range(groups * columns):
        group, column = divmod(i, columns)
        for j, (row, values) in enumerate(maps.items()):
            axis = axes[group * len(rows) + j, column]
            if i >= number:
                axis.set_axis_off()
                continue
            if column == 0:
                axis.set_ylabel(row, fontsize=7)
            if np.abs(values[i]).max() > 0:
                image = show_signed(axis, values[i])
            else:
                empty(axis, values[i].shape, blank)
            if j == len(rows) - 1:
                axis.set_xlabel(notes[i], fontsize=6, labelpad=2)
    signed_scale(figure, image, axes, label, shrink=0.9)
    return figure


def draw_receptive_fields(measurement, found, place):
    """Draw the spike-triggered averages of a layer's filters: a matplotlib Figure.

    Those of a first convolution stand below its learned kernels.

    Args:
        measurement, found: a Measurement, and LayerFindings of it.
        place: what the observer is called.
    """
    estimate, live, agreement = measurement.layers[found.layer], found.live, found.agreement
    averages = estimate.average if estimate.nonnegative else estimate.covariance
    rows, columns = {"": np.nan_to_num(averages)}, 8 if len(live) <= 32 else 12
    title = (
        f"{found.layer} of {place}: "
        f"{'spike-triggered averages' if estimate.nonnegative else 'covariances'} "
        f"from {measurement.maps[found.layer].count:,} {measurement.noise.title} noise images\n"
    )
    if found.learned is not None:
        rows, columns = {"kernel": found.learned, "STA": rows[""]}, 8
        notes = [number(c, "{:.5f}") for c in agreement]
        least = agreement[live].min(initial=1)
        title += (
            "below the learned kernels, with their cosine: "
            f"at least {number(least, '{:.5f}')} for {np.sum(live)} live filters"
        )
    else:
        notes = ["r = " + number(r, "{:.3f}") for r in estimate.reliability]
        title += f"r: split-half reliability; {np.sum(live)} of {len(live)} filters are live"
        if agreement is not None:
            exact = ["exact " + number(c, "{:.3f}") for c in agreement]
            notes = ["\n".join(lines) for lines in zip(notes, exact, strict=True)]
            counted = agreement[live & np.isfinite(agreement)]
            middle = np.median(counted) if len(counted) else None
            title += f"; exact: correlation with gradients, median {number(middle, '{:.3f}')}"
    if estimate.nonnegative:
        for k in np.flatnonzero(~live):  # a filter that hardly fires says how often it did
            spikes = round(estimate.events[k])
            notes[k] = f"spikes: {spikes:,}" if spikes else ""
    if len(notes) > SHOWN_MAPS:
        title += f"; the first {SHOWN_MAPS} are shown"
    return draw_filters(rows, notes, title, columns)
