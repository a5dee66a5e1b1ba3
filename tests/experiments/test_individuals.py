"""Individuals: agreement between networks whose templates are known, and training with noise."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest
from small_observers import STD, observer

from experiments import individuals
from experiments.individuals import (
    Agreement,
    Group,
    Individual,
    Settings,
    agreement_of,
    agreement_rows,
    agreements_of,
    contrasts_about,
    group_rows,
    individual,
    measured,
    stem_of,
    trained,
)
from experiments.individuals_figure import draw
from reverse_correlation import WhiteNoise
from training import Recipe, save_network, training_record, with_noise

SHAPE = (8, 8, 1)
NOISE = {
    "pure noise": WhiteNoise(shape=SHAPE),
    "mean image": WhiteNoise(shape=SHAPE, base=0.2, contrast=0.1),
}
OTHER = {**NOISE, "mean image": WhiteNoise(shape=SHAPE, base=0.2, contrast=0.3)}


def networks(group, noise, templates, folder):
    """Individuals that are linear observers of the templates (n, 8, 8, 1)."""
    made = []
    for i, w in enumerate(templates):
        network, seed = observer(np.stack([-w, w], axis=-1)), group.first_seed + i
        shown = {
            base: measured(
                network, each, 16_000, seed, None, folder / f"{group.title}{i}{base}.npz"
            )
            for base, each in noise.items()
        }
        made.append(Individual(group, 1.0, shown, {}))
    return made


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Agreements of three networks of one kind and two of another, and all their templates."""
    rng = np.random.default_rng(0)
    templates = rng.normal(size=SHAPE) + rng.normal(size=(5, *SHAPE))
    groups = Group("LeNet", "lenet", 3, 0), Group("AlexNet", "alexnet", 2, 10)
    folder = tmp_path_factory.mktemp("individuals")
    shown = [
        *networks(groups[0], NOISE, templates[:3], folder),
        *networks(groups[1], OTHER, templates[3:], folder),
    ]
    found = agreements_of(shown)
    return {(each.base, *each.groups): each for each in found}, templates.reshape(5, -1)


def test_networks_agree_as_their_templates_do(found):
    agreements, templates = found
    truth = np.corrcoef(templates)
    within = agreements["pure noise", "LeNet", "LeNet"]
    expected = truth[:3, :3][np.triu_indices(3, 1)]
    assert np.allclose(within.matrix[np.triu_indices(3, 1)], expected[:, None], atol=0.06)
    assert abs(within.mean - expected.mean()) < 0.04
    assert within.interval[0] < within.mean < within.interval[1]
    between = agreements["pure noise", "LeNet", "AlexNet"]
    assert np.allclose(between.matrix, truth[:3, 3:, None], atol=0.06)
    assert between.parts is None and between.matrix.shape == (3, 2, 2)


def test_only_networks_that_saw_the_same_ensemble_are_compared(found):
    bases = [key[1:] for key in found[0] if key[0] == "mean image"]
    assert bases == [("LeNet", "LeNet"), ("AlexNet", "AlexNet")]


def test_what_was_measured_is_kept_and_another_seed_is_measured_anew(tmp_path):
    network, noise = observer(np.ones((*SHAPE, 2)) * np.array([1, -1])), NOISE["pure noise"]
    first = measured(network, noise, 1_000, 3, None, tmp_path / "kept.npz")
    written = (tmp_path / "kept.npz").stat().st_mtime_ns
    again = measured(network, noise, 1_000, 3, None, tmp_path / "kept.npz")
    assert (tmp_path / "kept.npz").stat().st_mtime_ns == written
    assert np.array_equal(first.classes["logit"].z, again.classes["logit"].z)
    assert measured(network, noise, 1_000, 4, None, tmp_path / "kept.npz").provenance["seed"] == 4
    (tmp_path / "kept.npz").write_bytes(b"PK damaged")
    anew = measured(network, noise, 1_000, 3, None, tmp_path / "kept.npz")
    assert np.array_equal(first.classes["logit"].z, anew.classes["logit"].z)


def test_training_noise_is_white_and_in_its_share_of_the_images(rng):
    images = rng.random((500, 6, 5, 1), np.float32)
    noisy = with_noise(images, 0.5, seed=1)
    added = (noisy - images).reshape(500, -1)
    changed = np.any(added != 0, axis=1)
    assert changed.sum() == 250 and np.array_equal(noisy[~changed], images[~changed])
    values = added[changed]
    assert abs(values.std() - STD) < 5 * STD / np.sqrt(2 * values.size)
    assert abs(values.mean()) < 5 * STD / np.sqrt(values.size)
    assert np.array_equal(noisy, with_noise(images, 0.5, seed=1))
    assert not np.array_equal(noisy, with_noise(images, 0.5, seed=2))


# --------------------------------------------------------------------------- what is kept


@pytest.fixture(scope="module")
def of_grey(tmp_path_factory):
    """What was given and found of a network, and the file that keeps it."""
    given = {
        "network": observer(np.ones((*SHAPE, 2)) * np.array([1, -1])),
        "noise": NOISE["pure noise"],
        "count": 1_000,
        "seed": 3,
        "client": None,
        "path": tmp_path_factory.mktemp("grey") / "kept.npz",
    }
    return given, measured(**given).provenance


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"network": observer(np.ones((*SHAPE, 2)) * np.array([-1, 1]))}, "network_sha256"),
        ({"noise": NOISE["mean image"]}, "noise"),
        ({"noise": WhiteNoise(shape=SHAPE, contrast=0.1)}, "noise"),
        ({"count": 2_000}, "count"),
        ({"seed": 4}, "seed"),
    ],
    ids=["network", "base", "contrast", "images", "seed"],
)
def test_what_was_measured_of_anything_else_is_measured_anew(tmp_path, of_grey, other, told):
    given, first = of_grey
    path = tmp_path / "kept.npz"
    path.write_bytes(given["path"].read_bytes())
    second = measured(**{**given, **other, "path": path}).provenance
    different = [key for key in first if first[key] != second[key]]
    assert [key for key in different if key != "answers"] == [told]  # these follow


USUAL = Group("LeNet", "lenet", 10, 0)
NOISY = dataclasses.replace(USUAL, title="LeNet+noise", noisy_share=0.5)
RECIPE = Recipe(epochs=6, batch=128, rate=3e-3)


@pytest.mark.parametrize(
    ("other", "again"),
    [
        ({}, False),
        ({"recipe": dataclasses.replace(RECIPE, epochs=7)}, True),
        ({"recipe": dataclasses.replace(RECIPE, batch=64)}, True),
        ({"recipe": dataclasses.replace(RECIPE, rate=2e-3)}, True),
        ({"train": (np.zeros((6, *SHAPE)), np.array([0, 1] * 3))}, True),
        ({"kept_seed": 8}, True),
        ({"kept_share": 0.25}, True),
        ({"damaged": True}, True),
    ],
    ids=["nothing", "epochs", "batch", "rate", "images", "seed", "noisy share", "damage"],
)
def test_a_network_trained_in_another_way_is_trained_anew(tmp_path, monkeypatch, other, again):
    made = []
    monkeypatch.setattr(
        individuals, "train_and_save", lambda *args, **kwargs: made.append((args, kwargs))
    )
    other = dict(other)
    images = np.zeros((4, *SHAPE))
    record = training_record(
        RECIPE, images, other.pop("kept_seed", 7), other.pop("kept_share", 0.5)
    )
    path = tmp_path / f"{stem_of(NOISY, 7, 'mnist')}.keras"
    save_network(observer(np.ones((*SHAPE, 2))), record, path)
    if other.pop("damaged", False):
        path.write_bytes(path.read_bytes()[:1000])
    given = {
        "train": (images, np.array([0, 1, 0, 1])),
        "validation": None,
        "recipe": RECIPE,
        "dataset": "mnist",
        "folder": tmp_path,
    }
    trained(NOISY, 7, **{**given, **other})
    assert len(made) == again
    if made:
        assert made[0][1]["seed"] == 7 and made[0][1]["noisy_share"] == 0.5


def test_a_result_depends_on_the_recipes_of_the_networks_that_it_is_about():
    recipes = json.loads(json.dumps(dataclasses.asdict(Settings())))["recipes"]
    assert recipes == [
        [["lenet", "mnist"], {"epochs": 6, "batch": 128, "rate": 3e-3}],
        [["lenet", "fashion_mnist"], {"epochs": 6, "batch": 64, "rate": 2e-3}],
        [["alexnet", "mnist"], {"epochs": 5, "batch": 64, "rate": 1.5e-3}],
        [["alexnet", "fashion_mnist"], {"epochs": 6, "batch": 64, "rate": 1.5e-3}],
    ]


def test_every_network_has_files_of_its_own():
    alexnets = dataclasses.replace(USUAL, name="alexnet")
    stems = {
        stem_of(group, seed, dataset)
        for group in (USUAL, NOISY, alexnets)
        for seed in (0, 1)
        for dataset in ("mnist", "fashion_mnist")
    }
    assert len(stems) == 12


# --------------------------------------------------------------------------- what is said


def test_networks_trained_with_noise_have_no_say_in_the_contrast(monkeypatch):
    shares = {"steady": (0.2, 0.5, 0.4), "steep": (0.1, 0.1, 0.9), "noisy": (9, 0, 0)}

    def choose(network, noise, contrasts, validation, *, images, seed):
        assert np.allclose(noise.base, 0.25)
        return None, dict(zip(contrasts, shares[network], strict=True))

    monkeypatch.setattr(individuals, "contrast_for_templates", choose)
    monkeypatch.setattr(individuals, "Network", lambda network: network)
    alexnets = Group("AlexNet", "alexnet", 1, 100)
    shown = [
        (USUAL, 0, "steady"),
        (USUAL, 1, "steep"),
        (NOISY, 200, "noisy"),
        (NOISY, 201, "noisy"),
        (alexnets, 100, "steady"),
    ]
    chosen = contrasts_about(
        np.full(SHAPE, 0.25), shown, None, contrasts=(0.05, 0.1, 0.3), images=100
    )
    assert chosen == {"lenet": 0.3, "alexnet": 0.1}  # by the mean, .65, not by the first


def test_an_individual_is_right_by_the_images_of_each_response(rng):
    right, wrong = rng.normal(size=SHAPE), rng.normal(size=SHAPE)
    images = {
        "logit": np.stack([-right, right]),
        "choice": np.stack([right, -right]),
        "decision": np.full((2, *SHAPE), np.nan),
    }
    classes = {name: SimpleNamespace(image=image) for name, image in images.items()}
    test = np.stack([right, -right, right]), np.array([1, 0, 0])
    found = individual(
        USUAL, observer(np.stack([-wrong, wrong], -1)), {"pure noise": SimpleNamespace(
            classes=classes)}, test,
    )  # fmt: skip
    assert found.right == {
        "pure noise": {"logit": pytest.approx(2 / 3), "choice": pytest.approx(1 / 3), "decision": 0}
    }
    signs = np.array([np.sum(image * wrong) > 0 for image in test[0]])
    assert found.accuracy == pytest.approx(np.mean(signs == test[1]))


def of_shares(group, grey, about, accuracy=0.9):
    """An Individual that answers 8 to a share of the noise, else 0, and its templates' shares."""
    measurements, right = {}, {}
    for base, (eights, share) in (("pure noise", grey), ("mean image", about)):
        answered = np.zeros(10, int)
        answered[[0, 8]] = round(1000 * (1 - eights)), round(1000 * eights)
        image = np.full((10, *SHAPE), 1.0)
        image[3, 0, 0] = -2 if base == "pure noise" else -4
        choice = SimpleNamespace(image=image, reliability=np.full(10, 0.75))
        measurements[base] = SimpleNamespace(
            answered=answered, count=1000, classes={"choice": choice}
        )
        right[base] = {"logit": share, "choice": share / 2, "decision": share / 4}
    return Individual(group, accuracy, measurements, right)


def test_rows_of_a_group_are_of_its_commonest_answer_and_of_what_the_mean_image_gains():
    group = [
        of_shares(USUAL, (0.9, 0.2), (0.4, 0.5)),
        of_shares(USUAL, (0.7, 0.4), (0.2, 0.9), accuracy=0.7),
    ]
    found = {row.what: row for row in group_rows("LeNet", group, {"lenet": 0.15}, "mnist")}
    ours = {what.removeprefix("LeNet, "): row.ours for what, row in found.items() if not row.detail}
    assert ours == pytest.approx(
        {
            "LeNet: test set right": 0.8,
            "pure noise: answered 8 (published: .62 to .95)": 0.8,
            "pure noise: the same, least of them": 0.7,
            "pure noise: the same, most of them": 0.9,
            "pure noise: right by logit images": 0.3,
            "pure noise: right by choice images": 0.15,
            "pure noise: right by decision images": 0.075,
            "mean image: answered 0": 0.7,
            "mean image: the same, least of them": 0.6,
            "mean image: the same, most of them": 0.8,
            "mean image (contrast 0.15): right by logit images": 0.7,
            "mean image (contrast 0.15): right by choice images": 0.35,
            "mean image (contrast 0.15): right by decision images": 0.175,
            "mean image minus pure noise: right by logit images": 0.4,
        }
    )
    # .3 and .5: a deviation of .1 sqrt(2), and t = 12.7062 of one degree of freedom
    gain = found["LeNet, mean image minus pure noise: right by logit images"]
    assert gain.interval == pytest.approx((max(0.4 - 12.7062 * 0.1, -1), 1))
    assert gain.over == "2 networks"


@pytest.mark.parametrize(
    ("title", "dataset"),
    [("LeNet", "fashion_mnist"), ("AlexNet", "mnist"), ("LeNet+noise", "mnist")],
)
def test_what_was_published_is_told_of_usual_lenets_on_mnist_alone(title, dataset):
    group = [of_shares(USUAL, (0.9, 0.2), (0.9, 0.5))]
    rows = group_rows(title, group, {"lenet": 0.15}, dataset)
    assert not any("published" in row.what for row in rows)


def of_pairs(title, base, values):
    """The Agreement within a group of three, each pair at one of three values for both classes."""
    matrix = np.ones((3, 3, 2))
    for (i, j), value in zip(((0, 1), (0, 2), (1, 2)), values, strict=True):
        matrix[i, j] = matrix[j, i] = value
    return agreement_of(title, title, base, matrix)


def test_rows_of_agreement_say_who_and_what_training_with_noise_adds():
    agreements = [
        of_pairs("LeNet", "pure noise", (0.3, 0.4, 0.5)),
        of_pairs("LeNet+noise", "pure noise", (0.55, 0.6, 0.65)),
        agreement_of("LeNet", "LeNet+noise", "pure noise", np.full((3, 2, 2), 0.25)),
        of_pairs("LeNet", "mean image", (0.6, 0.7, 0.8)),
        of_pairs("LeNet+noise", "mean image", (0.5, 0.6, 0.7)),
    ]
    rows = {row.what: row for row in agreement_rows(agreements, ("cat", "dog"))}
    shown = {what: (row.ours, row.over) for what, row in rows.items() if not row.detail}
    assert shown == {
        "agreement, pure noise: LeNet": (pytest.approx(0.4), "3 networks"),
        "agreement, pure noise: LeNet+noise": (pytest.approx(0.6), "3 networks"),
        "agreement, pure noise: LeNet with LeNet+noise": (0.25, "3 and 2 networks"),
        "agreement, mean image: LeNet": (pytest.approx(0.7), "3 networks"),
        "agreement, mean image: LeNet+noise": (pytest.approx(0.6), "3 networks"),
        "agreement, pure noise: LeNet+noise minus LeNet": (
            pytest.approx(0.2),
            "3 and 3 networks",
        ),
        "agreement, mean image: LeNet+noise minus LeNet": (
            pytest.approx(-0.1),
            "3 and 3 networks",
        ),
    }
    assert rows["agreement, pure noise: LeNet, dog"].ours == pytest.approx(0.4)
    low, high = rows["agreement, mean image: LeNet+noise minus LeNet"].interval
    assert low < -0.1 < high and (low + high) / 2 == pytest.approx(-0.1)


# --------------------------------------------------------------------------- the figure


def test_the_figure_has_each_network_group_and_pair_in_its_place():
    noisy = dataclasses.replace(NOISY, count=2)
    shown = [
        of_shares(dataclasses.replace(USUAL, count=3), (0.8, share), (0.2, share / 2))
        for share in (0.3, 0.5, 0.7)
    ]
    shown += [of_shares(noisy, (0.1, 0.9), (0.1, 0.8))] * 2
    between = np.arange(6).reshape(3, 2, 1) / 10
    pair = np.ones((2, 2, 1))
    pair[0, 1] = pair[1, 0] = 0.9
    agreements = []
    for base in ("pure noise", "mean image"):
        agreements += [
            of_pairs("LeNet", base, (0.3, 0.4, 0.5)),
            agreement_of("LeNet+noise", "LeNet+noise", base, pair),
        ]
    agreements.append(Agreement(("LeNet", "LeNet+noise"), "pure noise", between, 0, (0, 0)))
    figure = draw(shown, agreements, [f"class {k}" for k in range(10)], "title")
    above, below = figure.subfigs
    assert "choice image of class 3 of each network" in above.get_suptitle()
    for row, (base, least) in enumerate((("pure noise", -2), ("mean image", -4))):
        line = above.axes[5 * row : 5 * row + 5]
        assert line[0].get_ylabel() == base
        assert line[0].images[0].get_array().min() == -1
        assert line[0].images[0].get_array().max() == pytest.approx(-1 / least)
        assert {axis.get_xlabel() for axis in line} == {"0.75"}
        colours = [axis.spines["left"].get_edgecolor() for axis in line]
        assert len(set(colours[:3])) == len(set(colours[3:])) == 1 and colours[0] != colours[3]

        answers, right, classes, pairs = below.axes[4 * row : 4 * row + 4]
        assert answers.get_title() == f"{base}: answers"
        dots = [line for line in right.lines if line.get_marker() == "o"]
        halved = 1 if base == "pure noise" else 2
        assert dots[0].get_ydata().tolist() == pytest.approx(
            [0.3 / halved, 0.5 / halved, 0.7 / halved]
        )
        assert [text.get_text() for text in right.get_xticklabels()] == [
            "logit",
            "choice",
            "decision",
        ]
        eights = [line for line in answers.lines if line.get_marker() == "o"][8]
        assert eights.get_ydata()[0] == (0.8 if base == "pure noise" else 0.2)
        assert round(eights.get_xdata()[0]) == 8
        means = [line for line in classes.lines if line.get_marker() == "o"]
        assert means[0].get_ydata()[0] == pytest.approx(0.4)
        matrix = np.ma.filled(pairs.images[0].get_array(), np.nan)
        assert matrix[0, 1:3].tolist() == [0.3, 0.4] and matrix[3, 4] == matrix[4, 3] == 0.9
        assert np.isnan(np.diag(matrix)).all()
        if base == "pure noise":
            assert np.allclose(matrix[:3, 3:], between[..., 0])
            assert np.allclose(matrix[3:, :3], between[..., 0].T)
            assert pairs.get_title() == "pure noise: agreement of pairs"
        else:
            assert np.isnan(matrix[:3, 3:]).all()
            assert "grey: shown another contrast" in pairs.get_title()
    texts = [text.get_text() for text in below.legends[0].get_texts()]
    assert texts == [
        "LeNet (3 networks)",
        "LeNet+noise (2 networks, trained with white noise in 50% of the images)",
    ]
