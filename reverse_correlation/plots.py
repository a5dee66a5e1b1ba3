"""Pictures of measurements in one style: class images, receptive fields, tables for notebooks.

Arrays, Estimates and Measurements in, matplotlib figures and HTML out; no computing here.
"""

import base64
import functools
import html
import io
import textwrap

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from reverse_correlation.errors import UserError

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
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#999999")
RESPONSES = ("choice", "decision", "probability", "logit")  # the rows of a figure
SHOWN_CLASSES = 20  # in one figure
SHOWN_MAPS = 96
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
    """Return an HTML tag that holds the bytes of a PNG file."""
    data = base64.b64encode(picture).decode()
    style = "max-width:100%;height:auto"
    return f'<img alt="{html.escape(alt)}" style="{style}" src="data:image/png;base64,{data}">'


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


# ----------------------------------------------------------------------- class images


def plot_measurement(measurement, kind=None, names=None):
    """Draw the class images of a measurement: a matplotlib Figure.

    Args:
        measurement: a Measurement.
        kind: "choice", "decision", "probability" or "logit"; by default a row for each it has.
        names: of the measured classes; by default their numbers.

    Raises:
        UserError: for a kind that it does not have.
    """
    has = [name for name in RESPONSES if name in measurement.classes]
    if kind not in (None, *has):
        raise UserError(f"this measurement has {', '.join(has)} images, not {kind!r}")
    names, shown = names or measurement.class_indices, commonest(measurement)
    kinds = [kind] if kind else has
    rows = {name: class_row(measurement, name, shown) for name in kinds}
    return draw_class_images(
        rows,
        [str(names[k]) for k in shown],
        f"What {measurement.provenance['network']} looks for{of_how_many(measurement, shown)}: "
        f"covariance of its answers with {measurement.count:,} {measurement.noise.title} noise "
        "images\nn: times answered; r: split-half reliability; needs: noise images for r = .9 with "
        "the truth; outlined: pixels significant at family-wise 5 %",
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


def class_row(measurement, response, shown, agreement=None):
    """Return a row of `draw_class_images`, of the classes that are shown.

    Args:
        measurement: a Measurement.
        response: the kind.
        shown: indices of measured classes.
        agreement: (K,), correlation with exact images, where there are some.
    """
    estimate = measurement.classes[response]
    notes = class_notes(measurement, response, agreement)
    parts = estimate.image, estimate.significant, notes, _reasons(measurement, response)
    return [[part[k] for k in shown] for part in parts]


def _reasons(measurement, response):
    """Return what an empty panel says, for each class."""
    if response != "decision":
        return ["varies\ntoo little"] * len(measurement.answered)
    return [f"answered\n{n:,} of\n{measurement.count:,}" for n in measurement.answered]


def class_notes(measurement, response, agreement=None):
    """Return what stands below each class image: (K,) strings."""
    estimate, needed = (
        measurement.classes[response],
        measurement.classes[response].images_needed(),
    )
    means, heads = estimate.mean_response, [""] * len(needed)
    if response == "decision":
        heads = [f"n = {n:,}" for n in measurement.answered]
    elif response != "choice":
        heads = [f"mean {m:.2g}" if response == "probability" else f"mean {m:.1f}" for m in means]
    notes = []
    for k, head in enumerate(heads):
        lines = [head]
        if np.isfinite(needed[k]):
            if np.isfinite(estimate.reliability[k]):
                lines.append(f"r = {estimate.reliability[k]:.3f}")
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


# ----------------------------------------------------------------------- filters, and any Estimate


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


# ----------------------------------------------------------------------- in a notebook


def html_table(head, rows):
    """Return an HTML table of texts."""
    lines = ["".join(f"<th>{html.escape(str(cell))}</th>" for cell in head)]
    lines += ["".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) for row in rows]
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def measurement_html(measurement):
    """Return a measurement as a notebook shows it: a table and the class images."""
    has, shown = [name for name in RESPONSES if name in measurement.classes], commonest(measurement)
    head = ["class", "answered", *(f"{name}: r" for name in has), f"{has[-1]}: needs for r = .9"]
    reliability = [measurement.classes[name].reliability for name in has]
    needed = measurement.classes[has[-1]].images_needed()
    rows = [
        [
            measurement.class_indices[k],
            f"{measurement.answered[k]:,}",
            *(f"{r[k]:.3f}" if np.isfinite(r[k]) else "-" for r in reliability),
            f"{needed[k]:,.0f}" if np.isfinite(needed[k]) else "-",
        ]
        for k in shown
    ]
    name = html.escape(str(measurement.provenance["network"]))
    told = f"{measurement.count:,} {measurement.noise.title} noise images"
    caption = f"<p><b>{name}</b> shown {html.escape(told)}{of_how_many(measurement, shown)}</p>"
    picture = image_tag(png(plot_measurement(measurement)), f"class images of {name}")
    return caption + html_table(head, rows) + picture


def estimate_html(estimate):
    """Return an Estimate as a notebook shows it: a table and its images."""
    largest = np.abs(np.nan_to_num(estimate.z)).max(axis=(1, 2, 3))
    significant = estimate.significant.sum(axis=(1, 2, 3))
    rows = [
        [
            k,
            f"{estimate.mean_response[k]:.3g}",
            f"{r:.3f}" if np.isfinite(r) else "-",
            f"{largest[k]:.1f}",
            f"{significant[k]:,} of {estimate.covariance[k].size:,}",
        ]
        for k, r in enumerate(estimate.reliability[:SHOWN_CLASSES])
    ]
    head = ["response", "mean", "reliability", "largest |z|", "significant (family-wise 5 %)"]
    more = len(estimate.covariance) - len(rows)
    note = f"<p>and {more:,} more</p>" if more > 0 else ""
    picture = image_tag(png(plot_estimate(estimate)), "images of an Estimate")
    return html_table(head, rows) + note + picture
