"""The one style of all figures, and the panels that they are made of."""

import base64
import functools
import io
import textwrap
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from reverse_correlation.files import replacing
from reverse_correlation.texts import html_of

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
    "text.parse_math": False,  # names with dollar signs are drawn as typed
}
SIGNED = "RdBu_r"
RATE = "viridis"
PICTURE = "gray"
SHARE = "Blues"
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#999999")
SIGN = "covariance / its largest absolute value"


class Picture(Figure):
    """A figure that a notebook shows, whether or not pyplot is in use there."""

    def _repr_png_(self):
        return png(self)


def styled(draw):
    """Draw under the one style, without touching global settings."""

    @functools.wraps(draw)
    def wrapper(*args, **kwargs):
        with matplotlib.rc_context(STYLE):
            return draw(*args, **kwargs)

    return wrapper


@styled
def png(figure):
    """Return a figure as the bytes of a PNG file of 256 colours; the same figure, the same bytes.

    Colours are off by a few of 255, and the file is a third the size.
    """
    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", metadata={"Software": None})
    opaque = Image.open(drawn).convert("RGB")
    quantized = opaque.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    quantized.save(small, format="png", optimize=True)
    return small.getvalue()


def image_tag(picture, alt):
    """Return an HTML tag that holds the bytes of a PNG file: Html."""
    return html_of(
        '<img alt="$alt" style="max-width:100%;height:auto" src="data:image/png;base64,$data">',
        alt=alt,
        data=base64.b64encode(picture).decode(),
    )


def grid(rows, columns, width, height, title):
    """Return a figure and its axes, (rows, columns), without ticks."""
    width = max(width, 4.5)
    lines = [part for line in title.split("\n") for part in textwrap.wrap(line, int(14 * width))]
    height += 0.17 * (len(lines) - title.count("\n") - 1)
    title = "\n".join(lines)
    figure = Picture(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.04, wspace=0.02, hspace=0.02)
    axes = figure.subplots(rows, columns, squeeze=False)
    without_ticks(axes)
    figure.suptitle(title)
    return figure, axes


def without_ticks(axes):
    """Take the ticks off axes (rows, columns)."""
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])


def scale(figure, image, axes, label, **kwargs):
    """Add the figure's one colour bar."""
    bar = figure.colorbar(image, ax=axes, label=label, pad=0.01, aspect=30, **kwargs)
    bar.outline.set_linewidth(0.5)
    bar.ax.tick_params(width=0.5, labelsize=7)


def empty(axis, shape, text):
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


def picture(maps):
    """Return maps (n, h, w) or (n, h, w, c) as (n, h, w), channels averaged; RGB stays."""
    maps = np.asarray(maps)
    return maps.mean(axis=3) if maps.ndim == 4 and maps.shape[3] != 3 else maps


def show_signed(axis, values):
    """Show a map in units of its own largest absolute value, RGB about a middle grey."""
    values = values / np.abs(values).max()
    if values.ndim == 3:
        values = 0.5 + 0.5 * values
    return axis.imshow(values, cmap=SIGNED, vmin=-1, vmax=1)


def signed_scale(figure, image, axes, label, **kwargs):
    """Add the colour bar of signed maps, or say what the colours of RGB maps mean."""
    if image is not None and np.ndim(image.get_array()) == 3:
        figure.supxlabel(f"red, green and blue: {label}; grey is 0", fontsize=7)
    elif image is not None:
        scale(figure, image, axes, textwrap.fill(label, 24 * len(axes)), **kwargs)


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
