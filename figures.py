"""Arrays in, matplotlib figures out, PNG files saved; no computing and no network here."""

import functools
import textwrap
from pathlib import Path

import matplotlib
import numpy as np
import seaborn
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from scipy.spatial import cKDTree

STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "figure.titlesize": 9.5,
    "figure.dpi": 140,
    "axes.linewidth": 0.5,
    "image.interpolation": "nearest",
    "hatch.linewidth": 0.4,
}
SIGNED = "RdBu_r"
RATE = "viridis"
PICTURE = "gray"
SHARE = "Blues"


def styled(draw):
    """Draw under the one style, without touching global settings."""

    @functools.wraps(draw)
    def wrapper(*args, **kwargs):
        with matplotlib.rc_context(STYLE):
            return draw(*args, **kwargs)

    return wrapper


@styled
def save(figure, path):
    """Write a PNG of 256 colours; the same figure gives the same bytes. Returns the path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    palette = _palette(figure)
    if palette is None:
        picture = Image.fromarray(pixels).quantize(256, dither=Image.Dither.NONE)
    else:
        colours, where = np.unique(pixels.reshape(-1, 3), axis=0, return_inverse=True)
        nearest = cKDTree(palette).query(colours)[1].astype(np.uint8)
        picture = Image.fromarray(nearest[where].reshape(pixels.shape[:2]), "P")
        picture.putpalette(palette.tobytes())
    part = path.with_name(path.name + ".part")
    picture.save(part, "PNG", optimize=True)
    part.replace(path)
    return path


def _palette(figure):
    """Return 200 colours of the figure's one colour map and 56 greys: (256, 3) uint8.

    None for a figure of colour pictures, which need colours of their own.
    """
    if any(np.ndim(image.get_array()) == 3 for axis in figure.axes for image in axis.images):
        return None
    mappables = [item for axis in figure.axes for item in (*axis.images, *axis.collections)]
    cmap = next(item.get_cmap() for item in mappables if item.get_array() is not None)
    colours = cmap(np.linspace(0, 1, 200))[:, :3]
    greys = np.repeat(np.linspace(0, 1, 56)[:, None], 3, axis=1)
    return np.rint(255 * np.concatenate([colours, greys])).astype(np.uint8)


def _grid(rows, columns, width, height, title):
    """Return a figure and its axes, (rows, columns), without ticks."""
    width = max(width, 4.5)
    lines = [part for line in title.split("\n") for part in textwrap.wrap(line, int(12.5 * width))]
    height += 0.17 * (len(lines) - title.count("\n") - 1)
    title = "\n".join(lines)
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.04, wspace=0.02, hspace=0.02)
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
    figure.suptitle(title)
    return figure, axes


def _scale(figure, image, axes, label, **kwargs):
    """Add the figure's one colour bar."""
    bar = figure.colorbar(image, ax=axes, label=label, pad=0.01, aspect=30, **kwargs)
    bar.outline.set_linewidth(0.5)
    bar.ax.tick_params(width=0.5, labelsize=7)


def _empty(axis, shape, text):
    """Mark a panel that has nothing to show, and say why."""
    axis.set_xlim(-0.5, shape[1] - 0.5)
    axis.set_ylim(shape[0] - 0.5, -0.5)
    axis.set_aspect("equal")
    axis.set_facecolor("0.93")
    axis.text(
        0.5,
        0.5,
        text,
        transform=axis.transAxes,
        ha="center",
        va="center",
        fontsize=6.5,
        color="0.35",
    )


def _picture(maps):
    """Return maps (n, h, w) or (n, h, w, c) as (n, h, w), channels averaged; RGB stays."""
    maps = np.asarray(maps)
    return maps.mean(axis=3) if maps.ndim == 4 and maps.shape[3] != 3 else maps


def _show_signed(axis, values):
    """Show a map in units of its own largest absolute value, RGB about a middle grey."""
    values = values / np.abs(values).max()
    if values.ndim == 3:
        values = 0.5 + 0.5 * values
    return axis.imshow(values, cmap=SIGNED, vmin=-1, vmax=1)


def _signed_scale(figure, image, axes, label, **kwargs):
    """Add the colour bar of signed maps, or say what the colours of RGB maps mean."""
    if image is not None and np.ndim(image.get_array()) == 3:
        figure.supxlabel(f"red, green and blue: {label}; grey is 0", fontsize=7)
    elif image is not None:
        _scale(figure, image, axes, label, **kwargs)


@styled
def panels(maps, names, notes, title, label, signed=False, cmap=None):
    """Ten (or any number of) maps of one kind on one scale.

    Args:
        maps: (K, h, w) or (K, h, w, c); a map of NaN is an empty panel.
        names, notes: what stands above and below each panel.
        label: of the colour bar.
        signed: symmetric about zero, blue below and red above.
    """
    maps = _picture(maps)
    rows, columns = -(-len(maps) // 5), min(5, len(maps))
    figure, axes = _grid(rows, columns, 7.2, 0.45 + 1.6 * rows, title)
    high = np.nanmax(np.abs(maps)) if signed else np.nanmax(maps)
    low = -high if signed else np.nanmin(maps)
    cmap = cmap or (SIGNED if signed else RATE)
    image = None
    for axis, values, name, note in zip(axes.flat, maps, names, notes, strict=False):
        axis.set_title(name, pad=3)
        axis.set_xlabel(note, fontsize=6.5, labelpad=2)
        if np.isnan(values).all():
            _empty(axis, values.shape, "no image")
        else:
            image = axis.imshow(values, cmap=cmap, vmin=low, vmax=high)
    for axis in axes.flat[len(maps) :]:
        axis.set_axis_off()
    if image is not None:
        _scale(figure, image, axes, textwrap.fill(label, 22 * rows))
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
    _scale(figure, axes[0].collections[0], list(axes), label, shrink=0.8)
    return figure


@styled
def classification_images(rows, names, title):
    """What a network looks for: one row of class images for each kind of response.

    Args:
        rows: {label: (maps (K, h, w, c), significant (K, h, w, c) bool, notes (K,), empty (K,))};
            a map of NaN is an empty panel that says what `empty` holds. Each map is shown in
            units of its own largest absolute value, so that one scale serves all.
        names: of the classes.
    """
    count = len(names)
    figure, axes = _grid(len(rows), count, 1.02 * count + 0.7, 1.45 * len(rows) + 0.6, title)
    image = None
    for line, (label, (maps, significant, notes, empty)) in zip(axes, rows.items(), strict=True):
        line[0].set_ylabel(label)
        maps = _picture(maps)
        significant = np.asarray(significant).any(axis=3)
        for axis, values, mask, note, reason in zip(
            line, maps, significant, notes, empty, strict=True
        ):
            axis.set_xlabel(note, fontsize=5.8, labelpad=2, linespacing=1.15)
            if np.isnan(values).all():
                _empty(axis, values.shape, reason)
                continue
            image = _show_signed(axis, values)
            if mask.any() and not mask.all():
                axis.contour(mask, levels=[0.5], colors="k", linewidths=0.35)
    for axis, name in zip(axes[0], names, strict=True):
        axis.set_title(name, pad=3)
    _signed_scale(figure, image, axes, "covariance / its largest absolute value")
    return figure


@styled
def filters(rows, notes, title, columns=8):
    """Filters as pictures, in groups of rows: say the kernel above, its estimate below.

    Args:
        rows: {label: (n, h, w, c)}; each picture in units of its own largest absolute value. One
            of NaN or zeros is an empty panel.
        notes: (n,) what stands below each filter's last picture.
    """
    maps = {label: _picture(values) for label, values in rows.items()}
    number = len(notes)
    columns = min(columns, number)
    groups = -(-number // columns)
    side = max(0.85, 6.3 / columns)
    height = 0.6 + groups * len(rows) * (side + 0.05) + 0.3 * groups
    figure, axes = _grid(groups * len(rows), columns, side * columns + 0.9, height, title)
    image = None
    for i in range(groups * columns):
        group, column = divmod(i, columns)
        for j, (label, values) in enumerate(maps.items()):
            axis = axes[group * len(rows) + j, column]
            if i >= number:
                axis.set_axis_off()
                continue
            if column == 0:
                axis.set_ylabel(label, fontsize=7)
            if np.abs(values[i]).max() > 0:
                image = _show_signed(axis, values[i])
            else:
                _empty(axis, values[i].shape, "silent")
            if j == len(rows) - 1:
                axis.set_xlabel(notes[i], fontsize=6, labelpad=2)
    _signed_scale(figure, image, axes, "weight / its largest absolute value", shrink=0.9)
    return figure
