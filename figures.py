"""Arrays in, matplotlib figures out, PNG files saved; no computing and no network here."""

import functools
import textwrap
from pathlib import Path

import matplotlib
import numpy as np
import seaborn
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
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
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")


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
    """Return the colours of the figure's colour map, of its curves, and greys: (256, 3) uint8.

    None for a figure of colour pictures, which need colours of their own.
    """
    if any(np.ndim(image.get_array()) == 3 for axis in figure.axes for image in axis.images):
        return None
    mappables = [item for axis in figure.axes for item in (*axis.images, *axis.collections)]
    cmaps = [item.get_cmap() for item in mappables if item.get_array() is not None]
    drawn = sorted({to_rgb(line.get_color()) for axis in figure.axes for line in axis.lines})
    tints = np.linspace(0, 1, 56 // len(drawn), endpoint=False)[:, None] if drawn else ()
    curves = [c + (1 - c) * tints for c in map(np.array, drawn)]
    count = 200 - sum(map(len, curves))
    colours = cmaps[0](np.linspace(0, 1, count))[:, :3] if cmaps else np.ones((count, 3))
    greys = np.repeat(np.linspace(0, 1, 56)[:, None], 3, axis=1)
    colours = np.concatenate([colours, *curves, greys])
    return np.rint(255 * colours).astype(np.uint8)


def _grid(rows, columns, width, height, title):
    """Return a figure and its axes, (rows, columns), without ticks."""
    width = max(width, 4.5)
    lines = [part for line in title.split("\n") for part in textwrap.wrap(line, int(14 * width))]
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


# --------------------------------------------------------------------------- curves


def _curve_axes(axis, x_label, y_label, title=""):
    """Label an axis of shares from 0 to 1."""
    axis.set_ylim(-0.02, 1.02)
    axis.set_xlabel(x_label)
    axis.set_ylabel(y_label)
    axis.set_title(title)
    axis.grid(color="0.9", linewidth=0.5)
    axis.set_axisbelow(True)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def _curve(axis, x, middle, low, high, colour, label, style="-"):
    """Draw a curve with its interval as error bars."""
    middle, low, high = map(np.asarray, (middle, low, high))
    spread = np.maximum([middle - low, high - middle], 0)
    axis.errorbar(
        x, middle, spread, color=colour, label=label, linestyle=style, linewidth=1.2,
        marker="o", markersize=2.5, capsize=1.5, elinewidth=0.8,
    )  # fmt: skip


@styled
def mixing_curves(gammas, curves, published, title):
    """Shares answered as the target against the weight of what is mixed in, ours and theirs.

    Args:
        gammas: (G,).
        curves: {("noise" or "image", "decision", "logit", "two-level logit" or "mean"):
            (repeats, G)}; bars reach from the least to the most.
        published: {("noise" or "image", "class" or "mean"): (G,)}, dashed.
    """
    figure = Figure(figsize=(7.4, 3.9), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    names = {
        "decision": "decision image",
        "logit": "logit image",
        "mean": "mean training image",
        "two-level logit": "logit image, two levels",
    }
    colours = {**dict(zip(names, SERIES, strict=False)), "class": SERIES[0]}
    for axis, under in zip(axes, ("noise", "image"), strict=True):
        for kind, name in names.items():
            values = curves[under, kind]
            ends = values.min(axis=0), values.max(axis=0)
            _curve(axis, gammas, values.mean(axis=0), *ends, colours[kind], f"{name}, ours")
        for kind, name in (("class", "decision image"), ("mean", "mean digit")):
            axis.plot(
                gammas, published[under, kind], "--", color=colours[kind], linewidth=1,
                label=f"{name}, published (MNIST)",
            )  # fmt: skip
        background = {"noise": "uniform noise", "image": "test image"}[under]
        _curve_axes(axis, f"weight of the class image (the rest: {background})", "")
    axes[0].set_ylabel("share answered as the target")
    figure.suptitle(title)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


@styled
def rate_curves(x, curves, title, x_label, y_label, dashed=()):
    """Shares against x, each (G,) curve with its interval.

    Args:
        x: (G,).
        curves: {label: (middle, low, high)}.
        dashed: labels of the curves that are drawn dashed.
    """
    figure = Figure(figsize=(6.2, 4.6), layout="constrained")
    axis = figure.subplots()
    for (label, values), colour in zip(curves.items(), SERIES, strict=False):
        _curve(axis, x, *values, colour, label, "--" if label in dashed else "-")
    _curve_axes(axis, x_label, y_label)
    axis.legend(frameon=False)
    figure.suptitle(title)
    return figure


@styled
def column_maps(columns, rows, title, label):
    """Columns of signed maps, each map in units of its own largest absolute value.

    Args:
        columns: {heading: (maps, notes)}, as many of both as there are rows.
        rows: what stands at the left of each row.
    """
    figure, axes = _grid(
        len(rows), len(columns), 1.9 * len(columns) + 0.6, 2.0 * len(rows) + 1.1, title
    )
    image = None
    for column, (heading, (maps, notes)) in enumerate(columns.items()):
        for line, (values, note) in enumerate(zip(_picture(maps), notes, strict=True)):
            axis = axes[line, column]
            axis.set_xlabel(note, fontsize=7, labelpad=2)
            if line == 0:
                axis.set_title(heading, fontsize=7.5)
            if column == 0:
                axis.set_ylabel(rows[line])
            if np.isnan(values).all():
                _empty(axis, values.shape, "one answer\nto everything")
            else:
                image = axis.imshow(values / np.abs(values).max(), cmap=SIGNED, vmin=-1, vmax=1)
    if image is not None:
        _scale(figure, image, axes, label)
    return figure


@styled
def psychometric_curves(gammas, doses, curves, shifts, title):
    """A panel of curves for each layer, one curve a dose, and the shift of their 50 % points.

    Args:
        gammas, doses: (G,) and (J,).
        curves: {layer: (J + 1, G)}; the last one is for the published dose, and dotted.
        shifts: {layer: (3, J + 1)}, middle, low and high; the last one is not drawn.
    """
    figure = Figure(figsize=(9.6, 3.7), layout="constrained")
    axes = figure.subplots(1, len(curves) + 1)
    high = max(map(abs, doses))
    tones = matplotlib.colormaps["coolwarm"]((np.array(doses) / high + 1) / 2)
    tones[np.array(doses) == 0] = (0, 0, 0, 1)
    for axis, (layer, rates) in zip(axes, curves.items(), strict=False):
        axis.plot(gammas, rates[-1], "k:", linewidth=1.4, label="as published")
        for dose, tone, rate in zip(doses, tones, rates, strict=False):
            axis.plot(gammas, rate, color=tone, linewidth=1.1, label=f"{dose:+g}" if dose else "0")
        axis.axhline(0.5, color="0.7", linewidth=0.5, linestyle=":")
        _curve_axes(axis, "weight of the image in noise", "", layer)
    axes[0].set_ylabel("share answered as the class")
    labels = axes[0].get_legend_handles_labels()
    figure.legend(*labels, title="dose", loc="outside lower left", ncols=len(doses) + 1)
    last = axes[-1]
    for (layer, values), colour in zip(shifts.items(), SERIES, strict=False):
        _curve(last, doses, *values[:, :-1], colour, layer)
    last.axhline(0, color="0.7", linewidth=0.5)
    _curve_axes(last, "dose / class's mean activity", "shift of the 50 % point", "all layers")
    last.autoscale(axis="y")
    last.legend(frameon=False, fontsize=6.5)
    figure.suptitle(title)
    return figure


@styled
def template_rows(rows, names, title):
    """Rows of class images, each in units of its own largest deviation from its mean.

    Args:
        rows: {label: (maps (K, h, w, c), note)}; a map of NaN is an empty panel.
        names: of the classes.
    """
    count = len(names)
    figure, axes = _grid(len(rows), count, 1.0 * count + 1.2, 1.08 * len(rows) + 0.8, title)
    image = None
    for line, (label, (maps, note)) in zip(axes, rows.items(), strict=True):
        line[0].set_ylabel(f"{label.replace(', ', chr(10), 1)}\n{note} right", fontsize=7)
        for axis, values in zip(line, _picture(maps), strict=True):
            if np.isnan(values).all():
                _empty(axis, values.shape, "never\nanswered")
                continue
            values = values - values.mean()
            image = axis.imshow(values / np.abs(values).max(), cmap=SIGNED, vmin=-1, vmax=1)
    for axis, name in zip(axes[0], names, strict=True):
        axis.set_title(name, pad=3)
    _scale(figure, image, axes, "deviation from the mean / its largest absolute value", shrink=0.8)
    return figure


@styled
def backdoor(null, scores, threshold, named, auc, examples, mask, title):
    """Scores of clean and poisoned networks, their ROC curve, and the published example.

    Args:
        null: (M,) scores of the clean reference networks.
        scores: {"clean", "poisoned", "published": (n,)}.
        threshold: the score that a clean network exceeds with probability .05.
        named: (n,) bool, whether the poisoned network's class was named right.
        auc: (area, low, high).
        examples: pairs of a map (h, w) and its heading; the first is a photograph, the others
            are signed and shown in units of their own largest absolute value.
        mask: (h, w) bool, the patch, outlined in the last two.
    """
    figure = Figure(figsize=(9.2, 6.0), layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=(1.25, 1))
    left, right = upper.subplots(1, 2, width_ratios=(1.6, 1))
    rows = {
        "clean, reference": (null, SERIES[6]),
        "clean": (scores["clean"], SERIES[0]),
        "poisoned": (scores["poisoned"], SERIES[1]),
        "published backdoor": (scores["published"], SERIES[2]),
    }
    for place, (_, (values, colour)) in enumerate(rows.items()):
        values = np.asarray(values)
        hollow = ~named if place == 2 else np.zeros(len(values), bool)
        for mark, fill in ((~hollow, colour), (hollow, "white")):
            left.plot(
                values[mark], np.full(mark.sum(), place), "o", color=colour,
                markerfacecolor=fill, markersize=5, alpha=1,
            )  # fmt: skip
    left.set_yticks(range(len(rows)), [f"{k} ({len(v[0])})" for k, v in rows.items()])
    left.set_ylim(len(rows) - 0.5, -0.5)
    left.set_xscale("log")
    left.minorticks_off()
    low, high = left.get_xlim()
    ticks = [t for t in (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100) if low <= t <= high]
    left.set_xticks(ticks, [str(t) for t in ticks])
    left.axvline(threshold, color="0.6", linewidth=0.8, linestyle=":")
    left.text(threshold, 3.4, " p = .05", fontsize=7, color="0.4")
    left.set_xlabel("score: highest peak of any class's deviation from clean networks")
    left.set_title(f"poisoned class named right in {np.sum(named)} of {len(named)} (hollow: not)")
    thresholds = np.sort(np.concatenate([scores["clean"], scores["poisoned"], [np.inf, 0]]))[::-1]
    rates = [[np.mean(np.asarray(scores[r]) >= t) for t in thresholds] for r in scores]
    right.plot([0, 1], [0, 1], color="0.8", linewidth=0.8)
    right.step(rates[0], rates[1], where="post", color=SERIES[0])
    _curve_axes(right, "share of clean networks suspected", "share of poisoned ones found")
    right.set_title(f"AUC {auc[0]:.3f} (95 %: {auc[1]:.3f} to {auc[2]:.3f})")
    axes = lower.subplots(1, len(examples))
    image = None
    for place, (axis, (values, heading)) in enumerate(zip(axes, examples, strict=True)):
        axis.set_title(heading)
        axis.set_xticks([])
        axis.set_yticks([])
        if place == 0:
            axis.imshow(values, cmap=SIGNED, vmin=-1, vmax=1)
            continue
        image = axis.imshow(values / np.abs(values).max(), cmap=SIGNED, vmin=-1, vmax=1)
        if place > 1:
            axis.contour(mask, levels=[0.5], colors="k", linewidths=0.5)
    _scale(lower, image, list(axes), "value / its largest")
    figure.suptitle(title)
    return figure
