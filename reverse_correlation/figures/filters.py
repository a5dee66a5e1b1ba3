"""Figures of filters, and of any Estimate."""

import numpy as np

from reverse_correlation.figures.style import (
    SIGN,
    empty,
    grid,
    picture,
    show_signed,
    signed_scale,
    styled,
)

SHOWN_MAPS = 96


def plot_estimate(estimate, names=None, title=""):
    """Draw the images of an Estimate: a matplotlib Figure.

    Args:
        estimate: an Estimate.
        names: (R,) of its responses; by default their numbers.
        title: of the figure.
    """
    notes = [str(name) for name in (names or range(len(estimate.covariance)))]
    for k, r in enumerate(estimate.reliability):
        notes[k] += f"\nr = {r:.3f}" if np.isfinite(r) else ""
    title = title or "Covariance of responses with stimuli"
    title += f", {estimate.count:,} of them\nr: split-half reliability"
    if len(notes) > SHOWN_MAPS:
        title += f"; the first {SHOWN_MAPS} of {len(notes):,} are shown"
    maps = np.nan_to_num(estimate.image[:SHOWN_MAPS])
    return draw_filters(
        {"": maps}, notes[:SHOWN_MAPS], title, label=SIGN, blank="varies\ntoo little"
    )


@styled
def draw_filters(
    rows,
    notes,
    title,
    columns=8,
    label="weight / its largest absolute value",
    blank="silent",
):
    """Filters as pictures, in groups of rows: say the kernel above, its estimate below.

    Args:
        rows: {label: (n, h, w, c)}; each picture in units of its own largest absolute value. One
            of NaN or zeros is an empty panel.
        notes: (n,) what stands below each filter's last picture.
        label: of the scale.
        blank: what an empty panel says.
    """
    maps = {label: picture(values) for label, values in rows.items()}
    number, columns = len(notes), min(columns, len(notes))
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
