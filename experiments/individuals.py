"""Do networks that differ only in their seed look for the same?

Design: LeNets and AlexNets trained as usual, and LeNets trained with white noise added to half of
the training images; every network has a seed of its own, for weights, order and the noise that it
is shown. All are shown pure noise about grey, and noise about the mean training image, at the
contrast that makes the best templates on the validation split: one for all LeNets and one for all
AlexNets, by the mean over those that were trained as usual. Found for each network: how often noise
gets each answer, and how well its class images classify the test set by themselves; for each pair:
the correlation of their choice images across halves, without their noise (see
`reverse_correlation.compare`). Intervals are over networks; those of agreement, whose pairs share
networks, are by the jackknife.
"""

import dataclasses
from itertools import combinations_with_replacement

import numpy as np

from analysis import contrast_for_templates
from data import CLASS_NAMES
from experiments.backdoor_networks import untrained
from experiments.experiment import Experiment, Row, row_of_mean, share_right
from experiments.individuals_figure import BASES, RESPONSES, draw
from reverse_correlation import Measurement, Network, WhiteNoise, compare, measure
from reverse_correlation.estimates.intervals import (
    crossed_interval,
    difference_interval,
    jackknife_pairs,
    pair_mean,
    student_interval,
)
from reverse_correlation.files import kept
from reverse_correlation.progress import progress_bar
from training import DATASET_TITLES, NETWORKS, load_network, train_and_save, training_record

COMPARED = "choice"  # the response whose images are compared: it has no empty classes


@dataclasses.dataclass(frozen=True)
class Group:
    """Networks that differ only in their seed."""

    title: str  # of one of them; "LeNet+noise" was trained with noise
    name: str  # "lenet" or "alexnet"
    count: int  # how many
    first_seed: int  # of the first one's training and noise; the seeds of the others follow
    noisy_share: float = 0.0  # share of the training images to which white noise is added


GROUPS = (
    Group("LeNet", "lenet", 10, 0),
    Group("AlexNet", "alexnet", 5, 100),
    Group("LeNet+noise", "lenet", 10, 200, 0.5),
)


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the result depends on."""

    groups: tuple = GROUPS
    noise_images: int = 100_000  # shown to each network, of each of the two ensembles
    contrasts: tuple = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.8)  # about the mean image
    contrast_images: int = 10_000  # stimuli shown at each of them
    recipes: tuple = tuple(  # of ((name, data set), Recipe)
        ((name, dataset), recipe)
        for name in dict.fromkeys(group.name for group in GROUPS)
        for dataset, recipe in NETWORKS[name].recipes.items()
    )


@dataclasses.dataclass(frozen=True)
class Individual:
    """What is found of one network."""

    group: Group
    accuracy: float  # on test images
    measurements: dict  # {base: Measurement}
    right: dict  # {base: {response: share of test images that its images classify right}}

    def answered(self, base):
        """Return the share of noise that got each answer: (K,)."""
        return self.measurements[base].answered / self.measurements[base].count


@dataclasses.dataclass(frozen=True)
class Agreement:
    """How far the networks of one or two groups agree about one base."""

    groups: tuple  # titles of the two; within a group, its own twice
    base: str  # of the noise
    matrix: np.ndarray  # (n, m, K), correlation of each pair's choice images without noise
    mean: float  # over pairs and classes
    interval: tuple  # of the mean, over networks
    parts: np.ndarray | None = None  # (n, K), jackknife values of each class; None between groups


def run(*, train, test, validation, settings, seed, dataset, client, folder, **_):
    """Train, measure, compare, draw: (Rows, figure)."""
    networks, recipes = [], dict(settings.recipes)
    for group in settings.groups:
        recipe, first = recipes[group.name, dataset], seed + group.first_seed
        for own in range(first, first + group.count):
            network = trained(group, own, recipe, train, validation, dataset, folder)
            networks.append((group, own, network))
    mean = train[0].mean(axis=0)
    contrasts = contrasts_about(
        mean, networks, validation, contrasts=settings.contrasts, images=settings.contrast_images
    )
    individuals = []
    with progress_bar(2 * settings.noise_images * len(networks), "noise through networks") as bar:
        for group, own, network in networks:
            grey = WhiteNoise(shape=mean.shape, orthogonal=False)
            about_mean = dataclasses.replace(grey, base=mean, contrast=contrasts[group.name])
            measurements = {}
            for base, noise in zip(BASES, (grey, about_mean), strict=True):
                path = folder / f"{stem_of(group, own, dataset)}_{base.split()[0]}.npz"
                measurements[base] = measured(
                    network, noise, settings.noise_images, own, client, path
                )
                bar.update(settings.noise_images)
            individuals.append(individual(group, network, measurements, test))
    agreements, rows = agreements_of(individuals), []
    for group in settings.groups:
        members = [network for network in individuals if network.group == group]
        rows += group_rows(group.title, members, contrasts, dataset)
    rows += agreement_rows(agreements, CLASS_NAMES[dataset])
    figure = draw(
        individuals,
        agreements,
        CLASS_NAMES[dataset],
        f"{DATASET_TITLES[dataset]}: networks that differ in their seed, each shown noise of its "
        f"own, {settings.noise_images:,} images about grey and as many about the mean training "
        "image",
    )
    return rows, figure


def contrasts_about(mean, networks, validation, *, contrasts, images):
    """Choose the contrast about the mean image for LeNets and for AlexNets: {name: contrast}.

    Networks are (Group, seed, Keras model) each; those trained with noise have no say.
    """
    shares, noise = {}, WhiteNoise(shape=mean.shape, base=mean, orthogonal=False)
    for group, own, network in networks:
        if not group.noisy_share:
            _, found = contrast_for_templates(
                Network(network), noise, contrasts, validation, images=images, seed=own
            )
            shares.setdefault(group.name, []).append(list(found.values()))
    return {name: contrasts[int(np.mean(rows, axis=0).argmax())] for name, rows in shares.items()}


# --------------------------------------------------------------------------- networks


def stem_of(group, seed, dataset):
    """Return what the names of a network's files start with."""
    return f"individual_{dataset}_{group.name}{'_noisy' * bool(group.noisy_share)}_seed{seed}"


def trained(group, seed, recipe, train, validation, dataset, folder):
    """Return a network of a group: as it was kept, or trained now and kept."""
    path = folder / f"{stem_of(group, seed, dataset)}.keras"
    wanted = training_record(recipe, train[0], seed, group.noisy_share)

    def read(path):
        network, training = load_network(path, *train)
        return {name: training.get(name) for name in wanted}, network

    def train_now():
        return train_and_save(
            group.name, dataset, train, validation, path,
            recipe=recipe, seed=seed, noisy_share=group.noisy_share,
        )  # fmt: skip

    return kept(path, wanted, read, train_now, write=lambda *_: None)  # training has written it


def measured(network, noise, count, seed, client, path):
    """Return the Measurement of a network: as it was kept, or measured now and kept."""
    network = Network(network, noise)
    identity = {"network_sha256": network.sha256, "noise": noise.describe()}
    identity |= {"seed": seed, "count": count}

    def read(path):
        measurement = Measurement.load(path)
        return {name: measurement.provenance[name] for name in identity}, measurement

    return kept(
        path,
        identity,
        read,
        lambda: measure(network, noise, count, seed=seed, client=client, progress=False),
        lambda path, identity, measurement: measurement.save(path),
    )


def individual(group, network, measurements, test):
    """See how well a network and its class images classify the test set: an Individual."""
    right = {}
    for base, measurement in measurements.items():
        images = {response: measurement.classes[response].image for response in RESPONSES}
        right[base] = {name: share_right(maps, *test) for name, maps in images.items()}
    return Individual(group, Network(network).accuracy(*test), measurements, right)


# --------------------------------------------------------------------------- agreement


def agreements_of(individuals):
    """Compare Individuals, group by group, that saw noise of the same contrast: Agreements."""
    found = []
    for base in BASES:
        same_noise = {}
        for network in individuals:
            contrast = network.measurements[base].noise.contrast
            same_noise.setdefault(contrast, []).append(network)
        for chosen in same_noise.values():
            if len(chosen) < 2:
                continue
            matrix = compare([n.measurements[base] for n in chosen], COMPARED).disattenuated
            titles = np.array([n.group.title for n in chosen])
            for one, other in combinations_with_replacement(dict.fromkeys(titles), 2):
                part = matrix[titles == one][:, titles == other]
                found.append(agreement_of(one, other, base, part))
    return found


def agreement_of(one, other, base, matrix):
    """Return the Agreement of two groups, by their titles, or of one with itself."""
    over_classes = np.nanmean(matrix, axis=2)
    if one == other:
        interval = student_interval(jackknife_pairs(over_classes), limits=(-1, 1))
        mean, parts = float(pair_mean(over_classes)), jackknife_pairs(matrix)
    else:
        interval, mean, parts = crossed_interval(over_classes), float(over_classes.mean()), None
    return Agreement((one, other), base, matrix, mean, interval, parts)


# --------------------------------------------------------------------------- rows


def group_rows(title, group, contrasts, dataset):
    """Return the Rows on the networks of a group: accuracy, answers to noise, templates."""
    over = f"{len(group)} networks"
    rows = [row_of_mean(f"{title}: test set right", [n.accuracy for n in group], over)]
    for base in BASES:
        answered = np.array([n.answered(base) for n in group])
        commonest = int(answered.mean(axis=0).argmax())
        for k, name in enumerate(CLASS_NAMES[dataset]):
            what, shares = f"{title}, {base}: answered {name}", answered[:, k]
            if (what, dataset, k) == ("LeNet, pure noise: answered 8", "mnist", commonest):
                what += " (published: .62 to .95)"  # Borji and Lin 2020, over five trainings
            rows.append(row_of_mean(what, shares, over, detail=k != commonest))
            if k == commonest:
                for end, share in (("least", shares.min()), ("most", shares.max())):
                    rows.append(Row(f"{title}, {base}: the same, {end} of them", float(share)))
        note = f" (contrast {contrasts[group[0].group.name]:g})" if base == "mean image" else ""
        for response in RESPONSES:
            what = f"{title}, {base}{note}: right by {response} images"
            rows.append(row_of_mean(what, [n.right[base][response] for n in group], over))
    gain = [n.right["mean image"]["logit"] - n.right["pure noise"]["logit"] for n in group]
    interval = student_interval(gain, limits=(-1, 1))
    what = f"{title}, mean image minus pure noise: right by logit images"
    return [*rows, row_of_mean(what, gain, over, interval=interval)]


def agreement_rows(agreements, names):
    """Return the Rows on agreement: mean over classes, class by class, and between groups."""
    rows = []
    for agreement in agreements:
        one, other = agreement.groups
        sizes = agreement.matrix.shape[:2]
        over = f"{sizes[0]} networks" if one == other else f"{sizes[0]} and {sizes[1]} networks"
        who = one if one == other else f"{one} with {other}"
        what = f"agreement, {agreement.base}: {who}"
        rows.append(Row(what, agreement.mean, agreement.interval, over))
        if agreement.parts is not None:
            for name, parts in zip(names, agreement.parts.T, strict=True):
                interval = student_interval(parts, limits=(-1, 1))
                what_class = f"{what}, {name}"
                rows.append(row_of_mean(what_class, parts, over, interval=interval, detail=True))
    within = {(e.base, e.groups[0]): e for e in agreements if e.parts is not None}
    for base in BASES:
        noisy, usual = within[base, "LeNet+noise"], within[base, "LeNet"]
        interval = difference_interval(*(np.nanmean(e.parts, axis=1) for e in (noisy, usual)))
        over = f"{len(noisy.parts)} and {len(usual.parts)} networks"
        what = f"agreement, {base}: LeNet+noise minus LeNet"
        rows.append(Row(what, noisy.mean - usual.mean, interval, over))
    return rows


EXPERIMENT = Experiment(Settings(), run, asked=lambda network, train: untrained(train))
