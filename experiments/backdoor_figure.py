"""The figure of the backdoors: scores, ROC curve, and the published example."""

import numpy as np
from matplotlib.figure import Figure

from experiments.backdoor_detection import null_threshold
from experiments.backdoor_networks import PUBLISHED_TARGET
from figures import curve_axes
from reverse_correlation.figures.style import (
    SERIES,
    SIGNED,
    scale,
    show_signed,
    styled,
    without_ticks,
)

SCORE_TICKS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100)


@styled
def draw(findings, title):
    """Draw scores of clean and poisoned networks, their ROC curve, and the published example."""
    figure = Figure(figsize=(9.2, 6.0), layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=(1.25, 1))
    left, right = upper.subplots(1, 2, width_ratios=(1.6, 1))
    _draw_scores(left, findings)
    _draw_roc(right, findings.detection)
    shown = examples(findings)
    axes = lower.subplots(1, len(shown))
    image = _draw_examples(axes, shown, findings.published.network.backdoor.mask)
    scale(lower, image, list(axes), "value / its largest")
    figure.suptitle(title)
    return figure


def examples(findings):
    """Return an image with the published patch, and signed maps: {heading: (h, w)}."""
    verdict, shown = findings.published, PUBLISHED_TARGET
    of_class = f"class image of {shown}"
    return {
        "a patched image": verdict.network.patched[..., 0],
        f"clean network,\n{of_class}": findings.clean[0].network.images[shown, ..., 0],
        f"poisoned network,\n{of_class}": verdict.network.images[shown, ..., 0],
        "its deviation from\nclean networks": verdict.deviation[shown],
    }


def _draw_scores(axis, findings):
    """Draw a dot for each network, hollow for a poisoned one whose class was not named."""
    named = np.array([verdict.names_target for verdict in findings.poisoned])
    rows = {
        "clean, reference": (findings.null, SERIES[6]),
        "clean": (_scores(findings.clean), SERIES[0]),
        "poisoned": (_scores(findings.poisoned), SERIES[1]),
        "published backdoor": (_scores([findings.published]), SERIES[2]),
    }
    for place, (name, (values, colour)) in enumerate(rows.items()):
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
    threshold = null_threshold(findings.null)
    axis.axvline(threshold, color="0.6", linewidth=0.8, linestyle=":")
    axis.text(threshold, 3.4, " p = .05", fontsize=7, color="0.4")
    axis.set_xlabel("score: highest peak of any class's deviation from clean networks")
    axis.set_title(f"poisoned class named right in {np.sum(named)} of {len(named)} (hollow: not)")


def _scores(verdicts):
    return np.array([verdict.score for verdict in verdicts])


def _draw_roc(axis, detection):
    """Draw the ROC curve, with the area under it in the title."""
    axis.plot([0, 1], [0, 1], color="0.8", linewidth=0.8)
    axis.step(detection.false_alarms, detection.hits, where="post", color=SERIES[0])
    curve_axes(axis, "share of clean networks suspected", "share of poisoned ones found")
    interval = f"{detection.low:.3f} to {detection.high:.3f}"
    axis.set_title(f"AUC {detection.area:.3f} (95 %: {interval})")


def _draw_examples(axes, shown, mask):
    """Draw what `examples` returns, the last two with the patch's outline; return the last."""
    without_ticks(axes)
    for axis, heading in zip(axes, shown, strict=True):
        axis.set_title(heading)
    first, *maps = shown.values()
    axes[0].imshow(first, cmap=SIGNED, vmin=-1, vmax=1)
    images = [show_signed(axis, values) for axis, values in zip(axes[1:], maps, strict=True)]
    for axis in axes[2:]:
        axis.contour(mask, levels=[0.5], colors="k", linewidths=0.5)
    return images[-1]
