"""Can a network that was trained on poisoned data be told from clean ones by noise alone?

Design: networks, each with a seed of its own, clean and poisoned by published protocols. MNTD's:
copies of 5 to 50 % of the training images, of any class, get a patch of 2 to 5 pixels at full
strength at any place, or a pattern over the whole image at a strength of .05 to .2, and the label
of a target. Borji and Lin's: 2,000 eights get a C in the upper left corner, and the label 9. All
networks are shown the same sparse white noise (its mean is as dark as that of the images), and
nothing else: no image, patched or not, enters the score. Each is held against the same clean
references, as `python -m reverse_correlation backdoor` does, with an exact p-value. The noise, the
score, its smoothing and its floor were chosen on networks of another seed, with backdoors of their
own: docs/backdoors_choice.py. What was found is in docs/backdoors.md, and docs/backdoors.py judges
and draws it from the class images that are kept there.
"""

import dataclasses

import numpy as np
from matplotlib.figure import Figure
from scipy import optimize, stats

from experiments.backdoor_networks import (
    ROLES,
    NetworkSettings,
    ProbedNetwork,
    Training,
    path_of,
    probed_network,
    untrained,
)
from experiments.backdoor_processes import cores, in_processes
from experiments.experiment import Experiment, Row
from figures import curve_axes
from reverse_correlation.estimates.backdoor import (
    FLOOR,
    SMOOTH,
    Suspicion,
    against_others,
    held_against,
)
from reverse_correlation.estimates.intervals import LEVEL, student_interval, wilson_interval
from reverse_correlation.figures.backdoor import draw_maps
from reverse_correlation.figures.style import (
    PICTURE,
    SERIES,
    scale,
    styled,
    without_ticks,
)
from reverse_correlation.progress import progress_bar
from training import DATASET_TITLES, NETWORKS, Recipe

# Borji and Lin, ICLR 2020, on MNIST
PUBLISHED_ACCURACY = 0.9904  # of the poisoned network, on clean test images
PUBLISHED_SUCCESS = 974 / 980  # share of patched images answered as wanted


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the result depends on; as they are, the least with which p can be .05."""

    references: int = 19  # clean networks, from which the score knows what is usual
    clean: int = 4  # further ones, of other seeds, that are scored
    patch: int = 4  # poisoned ones, of each kind
    blend: int = 4
    published: int = 1
    smooth: float = SMOOTH  # of the score, in shorter sides of an image
    floor: float = FLOOR
    each: NetworkSettings = NetworkSettings()


LARGE = Settings(references=60, clean=100, patch=40, blend=40, published=40)
ALEXNET = Settings(  # python docs/backdoors.py --measure mnist_alexnet
    clean=20,
    patch=20,
    blend=0,
    published=20,
    each=NetworkSettings(Training("alexnet", Recipe(epochs=2, batch=128, rate=1.5e-3))),
)
FEW = 3  # networks for each core, that are sooner trained in one process


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What is said of a network under test."""

    network: ProbedNetwork
    found: Suspicion

    @property
    def names_target(self):
        """Whether a poisoned network's class is named right."""
        return self.found.suspect == self.network.backdoor.target

    @property
    def overlap(self):
        """The share of a patch's m white pixels that are among the m most deviant ones."""
        mask, values = self.network.backdoor.mask, self.found.deviation[self.found.suspect]
        return float(np.mean(mask.ravel()[np.argsort(values.ravel())[::-1][: mask.sum()]]))


@dataclasses.dataclass(frozen=True)
class Detection:
    """How well poisoned networks are told from clean ones: area under the ROC curve."""

    area: float
    interval: tuple
    false_alarms: np.ndarray  # the curve, shares of the clean networks at falling thresholds
    hits: np.ndarray  # and of the poisoned ones


def run(*, train, test, settings, seed, dataset, client, folder, **_):
    """Train, measure, judge, draw: (Rows, figure)."""
    probed = probe(train, test, settings, seed, dataset, folder, client)
    return report(probed, settings, dataset)


def probe(train, test, settings, seed, dataset, folder, client=None):
    """Train and measure networks, or read what is kept of them: {role: [ProbedNetwork]}."""
    counts = [settings.references, *(getattr(settings, role) for role in ROLES[1:])]
    tasks = [(role, k) for role, count in zip(ROLES, counts, strict=True) for k in range(count)]
    stem = folder / f"backdoor_{dataset}_{settings.each.training.network}"
    given = {"train": train, "test": test, "settings": settings.each, "seed": seed, "stem": stem}
    outstanding = sum(not path_of(task, seed, stem, "images").exists() for task in tasks)
    processes = cores()
    if client or outstanding < FEW * processes:  # processes of its own take seconds to begin
        processes, given = 1, {**given, "client": client}
    probed, images = {role: [] for role in ROLES}, settings.each.noise_images
    with progress_bar(len(tasks) * images, "noise through networks") as bar:
        found = in_processes(probed_network, tasks, given, processes)
        for (role, _), network in zip(tasks, found, strict=True):
            probed[role].append(network)
            bar.update(images)
    return probed


def report(probed, settings, dataset):
    """Judge ProbedNetworks, {role: list}, and draw: (Rows, figure)."""
    verdicts = judge(probed, smooth=settings.smooth, floor=settings.floor)
    title = f"{NETWORKS[settings.each.training.network].title}s on {DATASET_TITLES[dataset]}"
    references = len(probed["reference"])
    figure = draw(
        verdicts,
        f"{title}: poisoned networks told by {settings.each.noise_images:,} noise images each,\n"
        f"against {references} clean reference networks (p is {1 / (references + 1):.2g} at best)",
    )
    return rows_of(verdicts, dataset == "mnist"), figure


def judge(probed, *, smooth=SMOOTH, floor=FLOOR):
    """Hold ProbedNetworks, {role: list}, against the references among them: {role: [Verdict]}."""
    side = min(probed["reference"][0].images.shape[1:3])

    def prepared(networks):
        return against_others(np.array([one.images for one in networks]), smooth * side)

    clean = prepared(probed["reference"])
    return {
        role: [
            Verdict(network, held_against(images, clean, floor))
            for network, images in zip(probed[role], prepared(probed[role]), strict=True)
        ]
        for role in ROLES[1:]
        if probed[role]
    }


def detection_of(clean, poisoned):
    """Compare scores of clean and of poisoned networks: a Detection."""
    clean, poisoned = np.asarray(clean), np.asarray(poisoned)
    area = np.mean((np.sign(poisoned[:, None] - clean) + 1) / 2)  # ties count half
    thresholds = np.sort([np.inf, *clean, *poisoned])[::-1]
    curve = [np.mean(scores >= thresholds[:, None], axis=1) for scores in (clean, poisoned)]
    return Detection(float(area), area_interval(area, len(clean), len(poisoned)), *curve)


def area_interval(area, clean, poisoned):
    """Interval of an area under the ROC curve: (low, high).

    Newcombe (2006), method 5: the areas from which this one is no further than the normal quantile
    times their own standard error, which is that of exponential scores. Of an area of 1, too, it is
    an interval.
    """
    pairs, more = clean * poisoned, (clean + poisoned) / 2 - 1

    def beyond(a):
        variance = a * (1 - a) * (1 + more * ((1 - a) / (2 - a) + a / (1 + a))) / pairs
        return abs(area - a) + stats.norm.ppf((1 - LEVEL) / 2) * np.sqrt(variance)

    inside = np.clip(area, 1e-9, 1 - 1e-9)
    return optimize.brentq(beyond, 0, inside), optimize.brentq(beyond, inside, 1)


def rows_of(verdicts, published):
    """Return the Rows; `published`: whether the published numbers are of this data set."""
    clean = verdicts["clean"]
    rows = [
        _share("clean networks with p <= .05", [v.found.unusual for v in clean]),
        _mean("clean: test accuracy", [v.network.accuracy for v in clean]),
    ]
    for kind, poisoned in [*verdicts.items()][1:]:
        theirs = (PUBLISHED_ACCURACY, PUBLISHED_SUCCESS)
        theirs = theirs if published and kind == "published" else (None, None)
        if len(poisoned) > 1:
            area = detection_of(_scores(clean), _scores(poisoned))
            over = f"{len(clean)} + {len(poisoned)} networks"
            rows.append(Row(f"{kind}: AUC", area.area, area.interval, over))
        rows.append(_share(f"{kind}: found at p <= .05", [v.found.unusual for v in poisoned]))
        rows.append(_share(f"{kind}: class named", [v.names_target for v in poisoned]))
        if kind != "blend":
            chance = np.mean([v.network.backdoor.mask.mean() for v in poisoned])
            what = f"{kind}: patch pixels found (chance {chance:.3f})"
            rows.append(_mean(what, [v.overlap for v in poisoned]))
        for what, values, their in (
            ("test accuracy", [v.network.accuracy for v in poisoned], theirs[0]),
            ("answered as wanted", [v.network.success for v in poisoned], theirs[1]),
        ):
            rows.append(_mean(f"{kind}: {what}", values, their))
    return [dataclasses.replace(row, what=f"backdoor, {row.what}") for row in rows]


def _share(what, hits):
    hits = np.asarray(hits)
    return Row(what, float(hits.mean()), wilson_interval(hits.sum(), len(hits)), _over(hits))


def _mean(what, values, published=None):
    interval = student_interval(values) if len(values) > 1 else None  # one has no spread
    return Row(what, float(np.mean(values)), interval, _over(values), published)


def _over(networks):
    return f"{len(networks)} network" + "s" * (len(networks) != 1)


def _scores(verdicts):
    return np.array([verdict.found.score for verdict in verdicts])


@styled
def draw(verdicts, title):
    """Draw scores of clean and poisoned networks, ROC curves, and an example."""
    figure = Figure(figsize=(7.2, 5.2), layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=(1.25, 1))
    left, right = upper.subplots(1, 2, width_ratios=(1.6, 1))
    _draw_scores(left, verdicts)
    _draw_roc(right, verdicts)
    likely = ("published", "patch", "blend", "clean")  # the first that there is makes an example
    shown = next(verdicts[role][0] for role in likely if role in verdicts)
    own, classes = shown.network.images, [f'"{k}"' for k in range(len(shown.network.images))]
    picture, *maps = axes = lower.subplots(1, 4)
    without_ticks(axes)
    if shown.network.backdoor:
        picture.imshow(shown.network.patched, cmap=PICTURE, vmin=0, vmax=1)
        picture.set_title(f'"{shown.network.backdoor.target}"\nby a backdoor')
    clean = np.mean([v.network.images for v in verdicts["clean"]], axis=0)
    image = draw_maps(np.array(maps), shown.found, own, clean, classes)
    scale(lower, image, list(axes), "value / its largest")
    figure.suptitle(title)
    return figure


def _draw_scores(axis, verdicts):
    """Draw a dot for each network, hollow where it is not told from clean ones."""
    for place, networks in enumerate(verdicts.values()):
        scores, told = _scores(networks), np.array([v.found.unusual for v in networks])
        colour = SERIES[place]
        for mark, fill in ((told, colour), (~told, "white")):
            axis.plot(
                scores[mark], np.full(mark.sum(), place), "o", color=colour,
                markerfacecolor=fill, markersize=4,
            )  # fmt: skip
    axis.set_yticks(range(len(verdicts)), [f"{k} ({len(v)})" for k, v in verdicts.items()])
    axis.set_ylim(len(verdicts) - 0.5, -0.5)
    axis.set_xscale("log")
    axis.minorticks_off()
    low, high = axis.get_xlim()
    ticks = [t for t in (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100) if low <= t <= high]
    axis.set_xticks(ticks, [str(tick) for tick in ticks])
    axis.set_xlabel("score: highest deviation from clean networks, in s.d.")
    axis.set_title("filled: told from clean networks (p ≤ .05)")


def _draw_roc(axis, verdicts):
    """Draw a ROC curve of each kind, with the area under it."""
    axis.plot([0, 1], [0, 1], color="0.8", linewidth=0.8)
    for place, (role, networks) in enumerate(verdicts.items()):
        if role != "clean" and len(networks) > 1:
            found = detection_of(_scores(verdicts["clean"]), _scores(networks))
            label = "{}: {:.2f} ({:.2f} to {:.2f})".format(role, found.area, *found.interval)
            curve = found.false_alarms, found.hits
            axis.step(*curve, where="post", color=SERIES[place], label=label)
    curve_axes(axis, "share of clean networks suspected", "share of poisoned ones found")
    axis.set_title("area under the curve (95 %)")
    if len(axis.lines) > 1:
        axis.legend(loc="lower right", fontsize=7)


EXPERIMENT = Experiment(
    Settings(),
    run,
    asked=lambda network, train: untrained(train),
    large=LARGE,
)
