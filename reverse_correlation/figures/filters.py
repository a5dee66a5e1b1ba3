"""Figures of filters, and of any Estimate."""

import numpy as np

from reverse_correlation.errors import UserError
from reverse_correlation.figures.class_images import reliabilities
from reverse_correlation.figures.style import (
    SIGN,
    WIDTH,
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
    names = range(len(estimate.covariance)) if names is None or not len(names) else names
    if len(names) != len(estimate.covariance):
        raise UserError(
            f"{len(names):,} names were given for {len(estimate.covariance):,} responses: name each"
        )
    notes = [f"{name}\n{r}".strip() for name, r in zip(names, reliabilities(estimate), strict=True)]
    caption = f"From {estimate.count:,} stimuli; r: split-half reliability."
    if len(notes) > SHOWN_MAPS:
        caption += f" The first {SHOWN_MAPS} of {len(notes):,} are shown."
    maps, title = np.nan_to_num(estimate.image), title or "Covariance of responses with stimuli"
    return draw_filters({"": maps}, notes, title, caption, label=SIGN, blank="varies\ntoo little")


@styled
def draw_filters(
    rows,
    notes,
    title,
    caption="",
    columns=8,
    label="weight / its largest absolute value",
    blank="silent",
):
    """Up to SHOWN_MAPS filters in groups of rows: say the kernel above, its estimate below.

    Args:
        rows: {label: (n, h, w, c)}; each picture in units of its own largest absolute value. One
            of NaN or zeros is an empty panel.
        notes: (n,) what stands below each filter's last picture.
        title, caption: above and below.
        label: of the scale.
        blank: what an empty panel says.
    """
    maps = {label: picture(values) for label, values in rows.items()}
    number = min(len(notes), SHOWN_MAPS)
    columns = min(columns, number)
    groups, side = -(-number // columns), min(1.5, (WIDTH - 1.3) / columns)
    below = 0.12 * max(len(note.split("\n")) for note in notes) + 0.1
    height = 0.4 + groups * (len(rows) * (side + 0.04) + below)
    width = side * columns + 1.3
    figure, axes = grid(groups * len(rows), columns, width, height, title, caption)
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
                axis.set_xlabel(notes[i], fontsize=7, labelpad=2, linespacing=1.1)
    signed_scale(figure, image, axes, label, shrink=min(1, 2.6 / height))
    return figure


def draw_receptive_fields(measurement, found, place):
    """Draw the spike-triggered averages of a layer's live filters: a matplotlib Figure.

    Those of a first convolution stand below its learned kernels. If no filter is live, all are
    drawn, with the number of their spikes.

    Args:
        measurement, found: a Measurement, and LayerFindings of it.
        place: what the observer is called.
    """
    estimate, shown = measurement.layers[found.layer], np.flatnonzero(found.live)
    if not len(shown):
        shown = np.arange(len(found.live))
    averages = np.nan_to_num(estimate.average if estimate.nonnegative else estimate.covariance)
    rows = {"": averages[shown]}
    if found.learned is not None:
        rows = {"kernel": found.learned[shown], "STA": averages[shown]}
    notes = filter_notes(estimate, found)
    name = "spike-triggered averages" if estimate.nonnegative else "covariances"
    title = f"{found.layer} of {place}: {name}"
    caption = filters_caption(measurement, found, len(shown))
    return draw_filters(rows, [notes[k] for k in shown], title, caption)


def filter_notes(estimate, found):
    """Return what stands below each filter: (filters,) strings."""
    if found.learned is not None:
        notes = [number(cosine, "{:.4f}") for cosine in found.agreement]
    else:
        notes = reliabilities(estimate)
        if found.agreement is not None:
            exact = ["exact " + number(r, "{:.2f}") for r in found.agreement]
            notes = ["\n".join(filter(None, both)) for both in zip(notes, exact, strict=True)]
    if estimate.nonnegative:
        for k in np.flatnonzero(~found.live):
            notes[k] = f"spikes: {round(estimate.events[k]):,}"
    return notes


def filters_caption(measurement, found, shown):
    """Return the caption of a layer's filters, of which so many are shown."""
    estimate, images = measurement.layers[found.layer], measurement.maps[found.layer].count
    counts = f"{images:,} {measurement.noise.title} noise images"
    if images < measurement.count:
        counts = f"{images:,} of {counts.replace(f'{images:,}', f'{measurement.count:,}')}"
        counts += f" (every {round(measurement.count / images)}th block)"
    live, criterion, counted = found.live, "", np.array([])
    if estimate.nonnegative:
        criterion = f", which fire in {max(found.live_rate * images, 1):,.0f} images or more"
    parts = [f"From {counts}", f"{np.sum(live)} of {len(live)} filters are live{criterion}"]
    if found.agreement is not None:
        counted = found.agreement[live & np.isfinite(found.agreement)]
    if found.learned is not None:
        least = counted.min() if len(counted) else None
        parts.append(f"below: cosine with the kernel, at least {number(least, '{:.4f}')}")
    else:
        parts.append("r: split-half reliability")
        if found.agreement is not None:
            middle = np.median(counted) if len(counted) else None
            parts.append(f"exact: correlation with gradients, median {number(middle, '{:.3f}')}")
    if shown > SHOWN_MAPS:
        parts.append(f"the first {SHOWN_MAPS} are shown")
    return "; ".join(parts) + "."
