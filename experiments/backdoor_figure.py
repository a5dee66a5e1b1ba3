"""The figure of the backdoors: scores, ROC curve, and the published example."""

import dataclasses

import numpy as np
from matplotlib.figure import Figure

from figures import curve_axes
from reverse_correlation.figures.style import SERIES, SIGNED, scale, show_signed, styled

SCORE_TICKS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100)


@dataclasses.dataclass(frozen=True)
class Example:
    """A map, (h, w), and what stands above it."""

    values: np.ndarray
    heading: str


@styled
def draw(null, scores, threshold, named, detection, examples, mask, title):
    """Draw scores of clean and poisoned networks, their ROC curve, and the published example.

    Args:
        null: (M,) scores of the clean reference networks.
        scores: {"clean", "poisoned", "published": (n,)}.
        threshold: the score that a clean network exceeds with probability .05.
        named: (n,) bool, whether the poisoned network's class was named right.
        detection: a Detection.
        examples: Examples; the first is an image, the others are signed maps.
        mask: (h, w) bool, the patch, outlined in the last two.
    """
    figure = Figure(figsize=(9.2, 6.0), layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=(1.25, 1))
    left, right = upper.subplots(1, 2, width_ratios=(1.6, 1))
    _draw_scores(left, null, scores, threshold, named)
    _draw_roc(right, detection)
    axes = lower.subplots(1, len(examples))
    image = _draw_examples(axes, examples, mask)
    scale(lower, image, list(axes), "value / its largest")
    figure.suptitle(title)
    return figure


def _draw_scores(axis, null, scores, threshold, named):
    """Draw a dot for each network, hollow for a poisoned one whose class was not named."""
    rows = {
        "clean, reference": (null, SERIES[6]),
        "clean": (scores["clean"], SERIES[0]),
        "poisoned": (scores["poisoned"], SERIES[1]),
        "published backdoor": (scores["published"], SERIES[2]),
    }
    for place, (name, (values, colour)) in enumerate(rows.items()):
        values = np.asarray(values)
        hollow = ~named if name == "poisoned" else np.zeros(len(values), bool)
        for mark, fill in ((~hollow, colour), (hollow, "white")):
            axis.plot(
                values[mark], np.full(mark.sum(), place), "o", color=colour,
                markerfacecolor=fill, markersize=5, alpha=1,
            )  # fmt: skip
    axis.set_yticks(range(len(rows)), [f"{k} ({len(v[0])})" for k, v in rows.items()])
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xscale("log")
    axis.minorticks_off()
    low, high = axis.get_xlim()
    ticks = [tick for tick in SCORE_TICKS if low <= tick <= high]
    axis.set_xticks(ticks, [str(tick) for tick in ticks])
    axis.axvline(threshold, color="0.6", linewidth=0.8, linestyle=":")
    axis.text(threshold, 3.4, " p = .05", fontsize=7, color="0.4")
    axis.set_xlabel("score: highest peak of any class's deviation from clean networks")
    axis.set_title(f"poisoned class named right in {np.sum(named)} of {len(named)} (hollow: not)")


def _draw_roc(axis, detection):
    """Draw the ROC curve, with the area under it in the title."""
    axis.plot([0, 1], [0, 1], color="0.8", linewidth=0.8)
    axis.step(detection.false_alarms, detection.hits, where="post", color=SERIES[0])
    curve_axes(axis, "share of clean networks suspected", "share of poisoned ones found")
    interval = f"{detection.low:.3f} to {detection.high:.3f}"
    axis.set_title(f"AUC {detection.area:.3f} (95 %: {interval})")


def _draw_examples(axes, examples, mask):
    """Draw an image and signed maps, the last two with the patch's outline; return the last."""
    image = None
    for place, (axis, example) in enumerate(zip(axes, examples, strict=True)):
        axis.set_title(example.heading)
        axis.set_xticks([])
        axis.set_yticks([])
        if place == 0:
            axis.imshow(example.values, cmap=SIGNED, vmin=-1, vmax=1)
            continue
        image = show_signed(axis, example.values)
        if place > 1:
            axis.contour(mask, levels=[0.5], colors="k", linewidths=0.5)
    return image
