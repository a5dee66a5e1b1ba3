"""Do networks that differ only in their seed look for the same?

Design: LeNets and AlexNets trained as usual, and LeNets trained with white noise added to half of
the training images; every network has a seed of its own, for weights, order and the noise that it
is shown. All are shown pure noise about grey, and noise about the mean training image, at the
contrast that makes the best templates on the validation split: one for all LeNets and one for all
AlexNets, by the mean over those that were trained as usual. Of each network: how often noise gets
each answer, and how well its class images classify the test set by themselves. Of each pair: the
correlation of their choice images across halves, without their noise (see
`reverse_correlation.compare`). Intervals are over networks; those of agreement, whose pairs share
networks, by the jackknife.
"""

import dataclasses

import numpy as np

from analysis import accuracy, contrast_for_templates
from data import CLASS_NAMES
from experiments.backdoor_networks import untrained
from experiments.experiment import Experiment, Row, row_of_mean, share_right
from experiments.individuals_figure import draw
from reverse_correlation import Measurement, Network, WhiteNoise, compare, measure
from reverse_correlation.estimates.intervals import (
    crossed_interval,
    difference_interval,
    jackknife_pairs,
    pair_mean,
    student_interval,
)
from reverse_correlation.progress import progress_bar
from training import RECIPES, TITLES, load_network, train_and_save, training_record

COMPARED = "choice"  # the response whose images are held against each other: it has no empty class
RESPONSES = ("logit", "choice", "decision")  # whose images classify test images
BASES = ("pure noise", "mean image")
PUBLISHED_EIGHT = "published: .62 to .95"  # Borji and Lin 2020, MNIST, over five trainings


@dataclasses.dataclass(frozen=True)
class Group:
    """Networks that differ only in their seed.

    Attributes:
        title: of one of them; "LeNet+noise" was trained with noise.
        name: "lenet" or "alexnet".
        count: how many.
        first_seed: of their training and of the noise that they are shown; the others count up.
        noisy_share: of training images that white noise is added to.
    """

    title: str
    name: str
    count: int
    first_seed: int
    noisy_share: float = 0.0


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the result depends on.

    Attributes:
        groups: of networks.
        noise_images: shown to each network, of each of the two ensembles.
        contrasts: of noise about the mean training image; the validation split chooses.
        contrast_images: stimuli shown at each of them.
        recipes: of the trainings.
    """

    groups: tuple = (
        Group("LeNet", "lenet", 10, 0),
        Group("AlexNet", "alexnet", 5, 100),
        Group("LeNet+noise", "lenet", 10, 200, 0.5),
    )
    noise_images: int = 100_000
    contrasts: tuple = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.8)
    contrast_images: int = 10_000
    recipes: tuple = tuple(RECIPES.items())


@dataclasses.dataclass(frozen=True)
class Individual:
    """What is found of one network.

    Attributes:
        group: its Group.
        accuracy: on test images.
        measurements: {base: Measurement}.
        right: {base: {response: share of test images that its images classify right}}.
    """

    group: Group
    accuracy: float
    measurements: dict
    right: dict

    def answered(self, base):
        """Return the share of noise that got each answer: (K,)."""
        return self.measurements[base].answered / self.measurements[base].count


@dataclasses.dataclass(frozen=True)
class Agreement:
    """How far the networks of one or two groups agree about one base.

    Attributes:
        groups: titles of the two; the same twice within a group.
        base: of the noise.
        matrix: (n, m, K), correlation of each pair's choice images without noise.
        mean: over pairs and classes.
        interval: of the mean, over networks.
        parts: jackknife values of each class, (n, K); None between two groups.
    """

    groups: tuple
    base: str
    matrix: np.ndarray
    mean: float
    interval: tuple
    parts: np.ndarray | None = None


def run(*, train, test, validation, settings, seed, dataset, client, folder, **_):
    """Train, measure, compare, draw: (Rows, figure)."""
    networks = [
        (group, own, trained(group, own, train, validation, settings, dataset, folder))
        for group in settings.groups
        for own in range(seed + group.first_seed, seed + group.first_seed + group.count)
    ]
    mean = train[0].mean(axis=0)
    contrasts = contrasts_about(mean, networks, validation, settings)
    individuals = []
    with progress_bar(2 * settings.noise_images * len(networks), "noise through networks") as bar:
        for group, own, network in networks:
            shown = {
                "pure noise": WhiteNoise(shape=mean.shape),
                "mean image": WhiteNoise(
                    shape=mean.shape, base=mean, contrast=contrasts[group.name]
                ),
            }
            measurements = {}
            for base, noise in shown.items():
                path = folder / f"{stem_of(group, own, dataset)}_{base.split()[0]}.npz"
                measurements[base] = measured(
                    network, noise, settings.noise_images, own, client, path
                )
                bar.update(settings.noise_images)
            individuals.append(individual(group, network, measurements, test))
    agreements = agreements_of(individuals, contrasts)
    rows = rows_of(individuals, agreements, contrasts, dataset)
    figure = draw(
        individuals,
        agreements,
        CLASS_NAMES[dataset],
        f"{TITLES[dataset]}: networks that differ in their seed, each shown noise of its own, "
        f"{settings.noise_images:,} images about grey and as many about the mean training image",
    )
    return rows, figure


def contrasts_about(mean, networks, validation, settings):
    """Choose the contrast about the mean image for LeNets and for AlexNets: {name: contrast}.

    Args:
        mean: (h, w, c), the mean training image.
        networks: (Group, seed, Keras model) of each; those trained with noise have no say.
        validation: (images, labels).
        settings: Settings.
    """
    shares = {}
    for group, own, network in networks:
        if not group.noisy_share:
            _, found = contrast_for_templates(
                Network(network),
                WhiteNoise(shape=mean.shape, base=mean),
                settings.contrasts,
                validation,
                images=settings.contrast_images,
                seed=own,
            )
            shares.setdefault(group.name, []).append(list(found.values()))
    return {
        name: settings.contrasts[int(np.mean(rows, axis=0).argmax())]
        for name, rows in shares.items()
    }


# --------------------------------------------------------------------------- networks


def stem_of(group, seed, dataset):
    """Return how the files of a network are called."""
    return f"individual_{dataset}_{group.name}{'_noisy' * bool(group.noisy_share)}_seed{seed}"


def trained(group, seed, train, validation, settings, dataset, folder):
    """Return a network of a group: as it was kept, or trained now and kept."""
    path = folder / f"{stem_of(group, seed, dataset)}.keras"
    recipe = dict(settings.recipes)[group.name, dataset]
    wanted = training_record(recipe, train[0], seed, group.noisy_share)
    if path.exists():
        network, training = load_network(path, train[0].shape[1:], int(train[1].max()) + 1)
        if wanted.items() <= training.items():
            return network
    return train_and_save(
        group.name,
        dataset,
        train,
        validation,
        path,
        recipe=recipe,
        seed=seed,
        noisy_share=group.noisy_share,
    )


def measured(network, noise, count, seed, client, path):
    """Return the Measurement of a network: as it was kept, or measured now and kept."""
    network = Network(network, noise)
    if path.exists():
        kept = Measurement.load(path)
        told = {key: kept.provenance[key] for key in ("network_sha256", "noise", "seed", "count")}
        if told == {
            "network_sha256": network.sha256,
            "noise": noise.describe(),
            "seed": seed,
            "count": count,
        }:
            return kept
    measurement = measure(network, noise, count, seed=seed, client=client, progress=False)
    measurement.save(path)
    return measurement


def individual(group, network, measurements, test):
    """Ask how well a network, and its class images, classify the test set: an Individual."""
    right = {
        base: {
            response: share_right(measurement.classes[response].image, *test)
            for response in RESPONSES
        }
        for base, measurement in measurements.items()
    }
    return Individual(group, accuracy(network, *test), measurements, right)


# --------------------------------------------------------------------------- agreement


def agreements_of(individuals, contrasts):
    """Hold networks against each other that were shown the same ensemble: a list of Agreements.

    Args:
        individuals: Individuals, group by group.
        contrasts: {name: contrast about the mean image}; of another contrast is another ensemble.
    """
    found = []
    for base in BASES:
        same_noise = [tuple(contrasts)]
        if base == "mean image":
            values = dict.fromkeys(contrasts.values())
            same_noise = [[n for n in contrasts if contrasts[n] == value] for value in values]
        for together in same_noise:
            chosen = [each for each in individuals if each.group.name in together]
            if len(chosen) < 2:
                continue
            matrix = compare([each.measurements[base] for each in chosen], COMPARED).disattenuated
            titles = np.array([each.group.title for each in chosen])
            groups = list(dict.fromkeys(titles))
            for i, one in enumerate(groups):
                for other in groups[i:]:
                    part = matrix[titles == one][:, titles == other]
                    found.append(agreement_of(one, other, base, part))
    return found


def agreement_of(one, other, base, matrix):
    """Return the Agreement of a group with itself or with another.

    Args:
        one, other: titles of the groups.
        base: of the noise.
        matrix: (n, m, K), correlation of each pair.
    """
    over_classes = np.nanmean(matrix, axis=2)
    if one == other:
        interval = student_interval(jackknife_pairs(over_classes), limits=(-1, 1))
        mean, parts = float(pair_mean(over_classes)), jackknife_pairs(matrix)
    else:
        interval, mean, parts = crossed_interval(over_classes), float(over_classes.mean()), None
    return Agreement((one, other), base, matrix, mean, interval, parts)


# --------------------------------------------------------------------------- rows


def rows_of(individuals, agreements, contrasts, dataset):
    """Return the Rows: of each group, then of the agreement within and between groups."""
    rows = []
    for title in dict.fromkeys(each.group.title for each in individuals):
        group = [each for each in individuals if each.group.title == title]
        rows += group_rows(title, group, contrasts, dataset)
    return rows + agreement_rows(agreements, CLASS_NAMES[dataset])


def group_rows(title, group, contrasts, dataset):
    """Return the Rows on the networks of a group: accuracy, answers to noise, templates."""
    over = f"{len(group)} networks"
    rows = [row_of_mean(f"{title}: test set right", None, [each.accuracy for each in group], over)]
    for base in BASES:
        answered = np.array([each.answered(base) for each in group])
        commonest = int(answered.mean(axis=0).argmax())
        for k, name in enumerate(CLASS_NAMES[dataset]):
            what = f"{title}, {base}: answered {name}"
            rows.append(row_of_mean(what, None, answered[:, k], over, detail=k != commonest))
            if k == commonest:
                shares = answered[:, k]
                if (dataset, name, title, base) == ("mnist", "8", "LeNet", "pure noise"):
                    rows[-1] = dataclasses.replace(rows[-1], what=f"{what} ({PUBLISHED_EIGHT})")
                rows += [
                    Row(f"{title}, {base}: the same, least of them", None, float(shares.min())),
                    Row(f"{title}, {base}: the same, most of them", None, float(shares.max())),
                ]
        for response in RESPONSES:
            shares = [each.right[base][response] for each in group]
            told = base
            if base == "mean image":
                told += f" (contrast {contrasts[group[0].group.name]:g})"
            rows.append(
                row_of_mean(f"{title}, {told}: right by {response} images", None, shares, over)
            )
    gain = [each.right[BASES[1]]["logit"] - each.right[BASES[0]]["logit"] for each in group]
    interval = student_interval(gain, limits=(-1, 1))
    what = f"{title}, mean image minus pure noise: right by logit images"
    return [*rows, Row(what, None, float(np.mean(gain)), interval, over)]


def agreement_rows(agreements, names):
    """Return the Rows on agreement: mean over classes, class by class, and between groups."""
    rows = []
    for each in agreements:
        one, other = each.groups
        sizes = each.matrix.shape[:2]
        over = f"{sizes[0]} networks" if one == other else f"{sizes[0]} and {sizes[1]} networks"
        who = one if one == other else f"{one} with {other}"
        what = f"agreement, {each.base}: {who}"
        rows.append(Row(what, None, each.mean, each.interval, over))
        if each.parts is not None:
            for name, parts in zip(names, each.parts.T, strict=True):
                interval = student_interval(parts, limits=(-1, 1))
                what_class = f"{what}, {name}"
                rows.append(Row(what_class, None, float(parts.mean()), interval, over, True))
    within = {(e.base, e.groups[0]): e for e in agreements if e.parts is not None}
    for base in BASES:
        noisy, usual = within[base, "LeNet+noise"], within[base, "LeNet"]
        interval = difference_interval(*(np.nanmean(e.parts, axis=1) for e in (noisy, usual)))
        over = f"{len(noisy.parts)} and {len(usual.parts)} networks"
        what = f"agreement, {base}: LeNet+noise minus LeNet"
        rows.append(Row(what, None, noisy.mean - usual.mean, interval, over))
    return rows


EXPERIMENT = Experiment(Settings(), run, asked=lambda network, train: untrained(train))
