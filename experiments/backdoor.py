"""Can a network that was trained on poisoned data be told from a clean one by noise alone?

Design: LeNets, each with a seed of its own. For the poisoned ones 2,000 training images of one
class get a bright patch and the label of another; patch, place and both classes are drawn for each
network. All are shown the same sparse white noise (its mean is as dark as that of the images), and
nothing else: no image, patched or not, enters the score. Clean reference networks say how much the
class images of clean networks differ (`backdoor_deviation`); compared with one another they give
the score's null distribution, and with it a p-value for every network under test. The noise, the
score, its smoothing and its floor were chosen on networks of other seeds, with patches and classes
of their own (12 + 12 on MNIST, 9 + 9 on Fashion-MNIST, none of them among these). One more network
has the published backdoor.
"""

import dataclasses

import numpy as np

from experiments.backdoor_detection import (
    FLOOR,
    SMOOTHING,
    Detection,
    backdoor_deviation,
    backdoor_score,
    clean_null,
    detection_of,
    null_p_value,
    overlap_with,
)
from experiments.backdoor_figure import draw
from experiments.backdoor_networks import (
    ROLES,
    NetworkSettings,
    ProbedNetwork,
    backdoor_network,
    untrained,
)
from experiments.experiment import Experiment, Row, row_of_mean
from reverse_correlation.estimates.intervals import wilson_interval
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
    counts = (settings.references, settings.networks, settings.networks, 1)
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


EXPERIMENT = Experiment(Settings(), run, asked=lambda network, train: untrained(train))
