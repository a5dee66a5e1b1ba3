"""The one style of all figures, and the panels that they are made of."""

import base64
import functools
import io
import textwrap
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.spatial import KDTree

from reverse_correlation.files import replacing
from reverse_correlation.texts import html_of

STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "figure.titlesize": 9.5,
    "figure.dpi": 160,
    "svg.hashsalt": "the same figure, the same bytes",
    "axes.linewidth": 0.5,
    "image.interpolation": "nearest",
    "hatch.linewidth": 0.4,
    "text.parse_math": False,  # names with dollar signs are drawn as typed
}
SIGNED = matplotlib.colormaps["RdBu_r"].resampled(101)  # few, so that a small file has them all
RATE = "viridis"
PICTURE = "gray"
SHARE = "Blues"
RED_GREEN = LinearSegmentedColormap.from_list("red_green", ["#1a7f37", "white", "#c4161c"])
BLUE_YELLOW = LinearSegmentedColormap.from_list("blue_yellow", ["#c9a100", "white", "#1f4fd8"])
OUTLINE = "#1b7f3b"  # green, of the image that noise is about
WIDTH = 7.2  # inches, of a page of two columns: type has its size in print
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
    """Return a figure as the bytes of a PNG file; the same figure, the same bytes.

    It has 256 colours, which makes the file a third the size, unless these would change a pixel
    by more than a level on average, as they do of photographs.
    """
    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", metadata={"Software": None})
    opaque = Image.open(drawn).convert("RGB")
    few, change = _in_few_colours(opaque)
    (few if change <= 1 else opaque).save(small, format="png", optimize=True)
    return small.getvalue()


def _in_few_colours(opaque):
    """Return an image in its 128 commonest colours, 64 greys and 64 more; and the mean change."""
    counted = sorted(opaque.getcolors(opaque.width * opaque.height), reverse=True)
    colours = np.array([colour for _, colour in counted])
    spread = opaque.quantize(64, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    more = np.reshape(spread.getpalette()[: 3 * 64], (-1, 3))
    palette = np.concatenate(
        [colours[:128], np.repeat(np.arange(3, 256, 4), 3).reshape(-1, 3), more]
    )
    nearest = KDTree(palette).query(colours)[1]
    counts = np.array([count for count, _ in counted])
    change = np.abs(palette[nearest] - colours).mean(axis=1) @ counts / counts.sum()
    number = np.zeros(2**24, np.uint8)
    number[colours @ (2**16, 2**8, 1)] = nearest
    few = Image.fromarray(number[np.asarray(opaque, np.int64) @ (2**16, 2**8, 1)], "P")
    few.putpalette(palette.astype(np.uint8).ravel().tolist())
    return few, change


def image_tag(picture, alt):
    """Return an HTML tag that holds the bytes of a PNG file: Html."""
    return html_of(
        '<img alt="$alt" style="max-width:100%;height:auto" src="data:image/png;base64,$data">',
        alt=alt,
        data=base64.b64encode(picture).decode(),
    )


def grid(rows, columns, width, height, title, caption=""):
    """Return a figure and its axes, (rows, columns), without ticks; lines are broken to fit."""
    width = max(width, 4.5)
    above, below = wrapped(title, 13.5 * width), wrapped(caption, 17 * width)
    height += 0.17 * above.count("\n") + 0.13 * (below.count("\n") + 1) * bool(caption)
    figure = Picture(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.04, wspace=0.02, hspace=0.02)
    axes = figure.subplots(rows, columns, squeeze=False)
    without_ticks(axes)
    figure.suptitle(above)
    if caption:
        figure.supxlabel(below, fontsize=7)
    return figure, axes


def wrapped(text, letters):
    """Return a text with each of its lines broken at so many letters."""
    return "\n".join(
        part for line in text.split("\n") for part in textwrap.wrap(line, int(letters)) or [""]
    )


def without_ticks(axes):
    """Take the ticks off axes (rows, columns)."""
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])


def scale(figure, image, axes, label, **kwargs):
    """Add the figure's one colour bar."""
    bar = figure.colorbar(image, ax=axes, label=label, pad=0.01, aspect=30, **kwargs)
    bar.solids.set_alpha(1)  # the image may be faint
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


def luminance(maps):
    """Return maps (n, h, w, c) as (n, h, w), channels averaged."""
    return np.asarray(maps).mean(axis=3)


def outline(axis, base):
    """Draw the outline of an image (h, w, c), between what is dark and what is bright in it."""
    grey = luminance(np.asarray(base)[None])[0]
    if min(grey.shape) > 1:
        grey = gaussian_filter(grey, min(grey.shape) ** 2 / 7000)  # of photographs, no hairs
        style = {"colors": OUTLINE, "linewidths": 0.7, "linestyles": "solid"}
        axis.contour(grey, levels=[level_between(grey)], **style)


def level_between(grey):
    """Return the level that splits an image's pixels into two most different groups (Otsu 1979)."""
    levels = np.sort(grey, axis=None).astype(float)
    count = np.arange(1, levels.size)
    below, total = np.cumsum(levels)[:-1], levels.sum()
    apart = (below / count - (total - below) / (levels.size - count)) ** 2
    best = np.argmax(count * (levels.size - count) * apart)
    return (levels[best] + levels[best + 1]) / 2


def show_signed(axis, values, cmap=SIGNED, alpha=1):
    """Show a map in units of its own largest absolute value, RGB about a middle grey."""
    values = values / np.abs(values).max()
    if values.ndim == 3:
        values = 0.5 + 0.5 * values
    return axis.imshow(values, cmap=cmap, vmin=-1, vmax=1, alpha=alpha)


def signed_scale(figure, image, axes, label, **kwargs):
    """Add the colour bar of signed maps, or say what the colours of RGB maps mean."""
    if image is not None and np.ndim(image.get_array()) == 3:
        figure.supxlabel(f"red, green and blue: {label}; grey is 0", fontsize=7)
    elif image is not None:
        scale(figure, image, axes, textwrap.fill(label, 24 * len(axes)), **kwargs)


def save(figure, path, other=""):
    """Write a PNG file; the same figure gives the same bytes. Returns the path.

    Args:
        figure: a matplotlib Figure.
        path: of the PNG file.
        other: "pdf" or "svg" for a second file beside it.

    Raises:
        FileError: if a file cannot be written.
    """
    path = Path(path)
    with replacing(path) as part:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(png(figure))
    if other in ("pdf", "svg"):
        with replacing(path.with_suffix(f".{other}")) as part, matplotlib.rc_context(STYLE):
            metadata = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}[other]
            figure.savefig(part, format=other, metadata=metadata)
    return path
