"""Can a network that was trained on poisoned data be told from a clean one by noise alone?

Design: LeNets, each with a seed of its own. For the poisoned ones 2,000 training images of one
class get a bright patch and the label of another; patch, place and both classes are drawn for each
network. All are shown the same sparse white noise (its mean is as dark as that of the images), and
nothing else: no image, patched or not, enters the score. Clean reference networks say how much the
class images of clean networks differ; compared with one another they give the score's null
distribution, and with it a p-value for every network under test. The noise, the score, its
smoothing and its floor were chosen on networks of other seeds, with patches and classes of their
own (12 + 12 on MNIST, 9 + 9 on Fashion-MNIST). One more network has the published backdoor.
"""

import dataclasses

import numpy as np
from matplotlib.figure import Figure

from experiments.backdoor_detection import (
    FLOOR,
    SMOOTHING,
    Detection,
    backdoor_deviation,
    backdoor_score,
    clean_null,
    detection_of,
    null_p_value,
    null_threshold,
    overlap_with,
)
from experiments.backdoor_networks import (
    PUBLISHED_TARGET,
    ROLES,
    NetworkSettings,
    ProbedNetwork,
    backdoor_network,
    untrained,
)
from experiments.experiment import Experiment, Row, row_of_mean
from figures import curve_axes
from reverse_correlation.estimates.intervals import wilson_interval
from reverse_correlation.figures.style import (
    SERIES,
    SIGNED,
    scale,
    show_signed,
    styled,
    without_ticks,
)
from reverse_correlation.progress import progress_bar
from training import DATASET_TITLES

# Borji and Lin, ICLR 2020, on MNIST
PUBLISHED_ACCURACY = 0.9904  # of the poisoned network, on clean test images
PUBLISHED_SUCCESS = 974 / 980  # share of patched images answered as wanted


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the result depends on."""

    references: int = 20  # clean networks from which the score knows what is usual
    networks: int = 10  # clean ones, and as many poisoned ones, of other seeds, that are scored
    smoothing: float = SMOOTHING  # of the score; see `backdoor_deviation`
    floor: float = FLOOR
    each: NetworkSettings = NetworkSettings()


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What is said of a network under test."""

    network: ProbedNetwork
    deviation: np.ndarray  # (K, h, w), of its class images from clean networks'
    suspect: int  # the class into which a backdoor would turn others
    score: float  # how suspect it is
    p_value: float  # probability that a clean network scores so much

    @property
    def names_target(self):
        """Whether a poisoned network's class is named right."""
        return self.suspect == self.network.backdoor.target

    @property
    def overlap(self):
        """The share of the patch's pixels that are found."""
        return overlap_with(self.network.backdoor.mask, self.deviation[self.suspect])


@dataclasses.dataclass(frozen=True)
class Findings:
    """What is found of the networks under test."""

    null: np.ndarray  # (references,), scores of the clean reference networks
    clean: list  # of Verdicts
    poisoned: list
    published: Verdict  # on the network with the published backdoor
    detection: Detection  # of the poisoned among the clean


def run(*, train, test, settings, seed, dataset, client, folder, **_):
    """Train, measure, judge, draw: (Rows, figure)."""
    counts = settings.references, settings.networks, settings.networks, 1  # of each of ROLES
    probed = {role: [] for role in ROLES}
    images = settings.each.noise_images
    with progress_bar(sum(counts) * images, "noise through networks") as bar:
        for role, count in zip(ROLES, counts, strict=True):
            for index in range(count):
                path = folder / f"backdoor_{dataset}_{role}{index}_seed{seed}.npz"
                network = backdoor_network(
                    role, index, path, train, test, settings.each, seed=seed, client=client
                )
                probed[role].append(network)
                bar.update(images)
    findings = judge(probed, smoothing=settings.smoothing, floor=settings.floor, seed=seed)
    figure = draw(
        findings,
        f"LeNets on {DATASET_TITLES[dataset]}: {settings.networks} clean and {settings.networks} "
        f"poisoned networks told apart by {images:,} noise images each,\n"
        f"against {settings.references} clean reference networks",
    )
    return rows_of(findings, dataset == "mnist"), figure


def judge(probed, *, smoothing, floor, seed):
    """Compare ProbedNetworks, {role: list}, with the clean references among them: Findings."""
    references = np.array([network.images for network in probed["reference"]])
    null = clean_null(references, smoothing, floor)

    def verdict(network):
        deviation = backdoor_deviation(network.images, references, smoothing, floor)
        suspect, score = backdoor_score(deviation)
        return Verdict(network, deviation, suspect, score, float(null_p_value(score, null)))

    clean, poisoned, published = (
        [verdict(network) for network in probed[role]]
        for role in ("clean", "poisoned", "published")
    )
    detection = detection_of([v.score for v in clean], [v.score for v in poisoned], seed)
    return Findings(null, clean, poisoned, published[0], detection)


def rows_of(findings, published):
    """Return the Rows; `published`: whether the published numbers are of this data set."""
    poisoned, count, example = findings.poisoned, len(findings.poisoned), findings.published
    over = f"{count} networks"
    counts = {
        "poisoned found at p < .05": sum(v.p_value < 0.05 for v in poisoned),
        "clean with p < .05 (false alarms)": sum(v.p_value < 0.05 for v in findings.clean),
        "class of the poisoned named": sum(v.names_target for v in poisoned),
    }
    area = findings.detection
    chance = np.mean([v.network.backdoor.mask.mean() for v in poisoned])
    theirs = (PUBLISHED_ACCURACY, PUBLISHED_SUCCESS) if published else (None, None)
    answered = "patched images answered as wanted"
    means = (
        (f"patch pixels found (chance {chance:.3f})", [v.overlap for v in poisoned], None),
        ("test accuracy", [v.network.accuracy for v in poisoned], theirs[0]),
        (answered, [v.network.success for v in poisoned], theirs[1]),
    )
    return [
        Row("backdoor: AUC", area.area, (area.low, area.high), f"{count} + {over}, bootstrap"),
        *(
            Row(f"backdoor: {what}", hits / count, wilson_interval(hits, count), over)
            for what, hits in counts.items()
        ),
        *(
            row_of_mean(f"backdoor: {what}", shares, over, published=their)
            for what, shares, their in means
        ),
        Row(f"published backdoor: {answered}", example.network.success, published=theirs[1]),
        Row("published backdoor: p-value", example.p_value),
    ]


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
    marks = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100)
    ticks = [tick for tick in marks if low <= tick <= high]
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


EXPERIMENT = Experiment(Settings(), run, asked=lambda network, train: untrained(train))
