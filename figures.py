"""The one style of all figures, and the panels that several parts and experiments share.

Arrays in, matplotlib figures out, PNG files saved; no computing and no network here.
"""

import textwrap
from pathlib import Path

import numpy as np
import seaborn
from matplotlib.figure import Figure

from reverse_correlation.figures.style import (
    RATE,
    SHARE,
    SIGNED,
    empty,
    grid,
    picture,
    png,
    scale,
    styled,
)
from reverse_correlation.files import replacing


def save(figure, path):
    """Write a PNG of 256 colours; the same figure gives the same bytes. Returns the path.

    Raises:
        FileError: if the file cannot be written.
    """
    path = Path(path)
    with replacing(path) as part:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(png(figure))
    return path


@styled
def panels(maps, names, notes, title, label, signed=False, cmap=None):
    """Ten (or any number of) maps of one kind on one scale.

    Args:
        maps: (K, h, w) or (K, h, w, c); a map of NaN is an empty panel.
        names, notes: what stands above and below each panel.
        label: of the colour bar.
        signed: symmetric about zero, blue below and red above.
    """
    maps = picture(maps)
    rows, columns = -(-len(maps) // 5), min(5, len(maps))
    figure, axes = grid(rows, columns, 7.2, 0.45 + 1.6 * rows, title)
    high = np.nanmax(np.abs(maps)) if signed else np.nanmax(maps)
    low = -high if signed else np.nanmin(maps)
    cmap = cmap or (SIGNED if signed else RATE)
    image = None
    for axis, values, name, note in zip(axes.flat, maps, names, notes, strict=False):
        axis.set_title(name, pad=3)
        axis.set_xlabel(note, fontsize=6.5, labelpad=2)
        if np.isnan(values).all():
            empty(axis, values.shape, "no image")
        else:
            image = axis.imshow(values, cmap=cmap, vmin=low, vmax=high)
    for axis in axes.flat[len(maps) :]:
        axis.set_axis_off()
    if image is not None:
        scale(figure, image, axes, textwrap.fill(label, 22 * rows))
    return figure


@styled
def confusion_matrix(shares, names, title, label):
    """One or more matrices side by side: rows the ground truth, columns the prediction.

    Args:
        shares: {subtitle: (K, K) in [0, 1]}; one matrix has no subtitle, "".
        names: of the classes.
        label: of the colour bar.
    """
    long = max(map(len, names)) > 2
    figure = Figure(figsize=(0.6 + 4.9 * len(shares), 5.2 if long else 4.7), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.1, rect=(0, 0.03, 1, 0.97) if long else (0, 0, 1, 1))
    axes = figure.subplots(1, len(shares), squeeze=False)[0]
    for axis, (subtitle, matrix) in zip(axes, shares.items(), strict=True):
        text = [[f"{v:.2f}".removeprefix("0") if v >= 0.005 else "" for v in r] for r in matrix]
        seaborn.heatmap(
            matrix,
            ax=axis,
            annot=text,
            fmt="",
            annot_kws={"fontsize": 6.5},
            cmap=SHARE,
            vmin=0,
            vmax=1,
            square=True,
            cbar=False,
            linewidths=0.4,
            linecolor="white",
            xticklabels=names,
            yticklabels=names,
        )
        axis.set_title(subtitle)
        axis.set_xlabel("prediction")
        axis.set_ylabel("ground truth" if axis is axes[0] else "")
        axis.tick_params(length=0, labelsize=7)
        axis.tick_params(axis="x", labelrotation=40 if long else 0)
        axis.tick_params(axis="y", labelrotation=0)
        if long:
            for tick in axis.get_xticklabels():
                tick.set_horizontalalignment("right")
                tick.set_rotation_mode("anchor")
    figure.suptitle(title)
    scale(figure, axes[0].collections[0], list(axes), label, shrink=0.8)
    return figure


# --------------------------------------------------------------------------- curves


def curve_axes(axis, x_label, y_label, title=""):
    """Label an axis of shares from 0 to 1."""
    axis.set_ylim(-0.02, 1.02)
    axis.set_xlabel(x_label)
    axis.set_ylabel(y_label)
    axis.set_title(title)
    axis.grid(color="0.9", linewidth=0.5)
    axis.set_axisbelow(True)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def curve(axis, x, middle, low, high, colour, label, style="-"):
    """Draw a curve with its interval as error bars."""
    middle, low, high = map(np.asarray, (middle, low, high))
    spread = np.maximum([middle - low, high - middle], 0)
    axis.errorbar(
        x, middle, spread, color=colour, label=label, linestyle=style, linewidth=1.2,
        marker="o", markersize=2.5, capsize=1.5, elinewidth=0.8,
    )  # fmt: skip
