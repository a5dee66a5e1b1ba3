"""How much of a class image must be mixed in: known answers."""

import numpy as np
import pytest
from scipy import stats
from small_observers import observer, yes_no

from experiments import mixing
from experiments.mixing import Curve, Settings, draw, mixing_curves, mixing_rates, unit_range
from reverse_correlation import WhiteNoise

SHAPE = (8, 8, 1)
UNIFORM = WhiteNoise("uniform", SHAPE)


def test_mixing_rates_follow_the_curve_of_a_linear_unit(rng):
    weights = rng.normal(size=SHAPE)
    signal = unit_range((weights + rng.normal(size=SHAPE))[None])[0]
    norm, total = np.linalg.norm(weights), weights.sum()
    bias = -0.5 * (weights * signal).sum() - 0.25 * total + 0.1
    gammas = (0.2, 0.4, 0.6)
    backgrounds = UNIFORM.draw(0, 0, 20_000)
    templates = np.stack([np.full(SHAPE, np.nan), signal])
    rates = mixing_rates(yes_no(weights, bias), backgrounds, templates, gammas)
    drive = [g * (weights * signal).sum() + (1 - g) * total / 2 + bias for g in gammas]
    expected = stats.norm.cdf(np.array(drive) / ((1 - np.array(gammas)) * norm / np.sqrt(12)))
    assert np.all(np.abs(rates[1] - expected) < 5 * np.sqrt(expected * (1 - expected) / 20_000))
    assert np.ptp(expected) > 0.1 and np.all(rates[0] == 0)  # a template of NaN does not exist


def test_templates_are_scaled_to_the_range_of_images():
    scaled = unit_range(np.array([[[[-2.0], [2.0]]], [[[5.0], [6.0]]]]))
    assert scaled.ravel().tolist() == [0, 1, 0, 1]


def test_the_figure_shows_the_mean_of_the_repeats_and_what_was_published():
    shares = np.array([[0.0, 0.4], [0.2, 0.6]])
    templates = ("decision", "logit", "two-level logit", "mean")
    curves = [Curve(under, kind, shares) for under in ("noise", "image") for kind in templates]
    assert curves[0].published[0.7] == 0.429 and curves[3].published[0.7] == 1
    figure = draw((0.5, 1.0), curves, "title")
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert lines["decision image, published (MNIST)"].get_ydata()[7] == 0.429
    middles = [bars[0].get_ydata().tolist() for bars in figure.axes[0].containers]
    assert np.allclose(middles, [[0.1, 0.5]] * 4)


# the shares that Borji and Lin print: by weight, of class images and of mean images
PRINTED = {  # in noise, in an image; in noise, in an image
    0.0: (0.1, 0.1, 0.1, 0.1),
    0.1: (0.113, 0.1, 0.127, 0.101),
    0.2: (0.127, 0.1, 0.179, 0.103),
    0.3: (0.149, 0.1, 0.313, 0.109),
    0.4: (0.174, 0.101, 0.618, 0.149),
    0.5: (0.207, 0.102, 0.842, 0.28),
    0.6: (0.271, 0.105, 0.986, 0.534),
    0.7: (0.429, 0.123, 1, 0.83),
    0.8: (0.666, 0.214, 1, 0.994),
    0.9: (0.743, 0.587, 1, 1),
    1.0: (0.9, 0.9, 1, 1),
}


@pytest.mark.parametrize(
    ("column", "background", "templates"),
    [
        (0, "noise", ("decision", "logit", "two-level logit")),
        (1, "image", ("decision", "logit", "two-level logit")),
        (2, "noise", ("mean",)),
        (3, "image", ("mean",)),
    ],
)
def test_what_was_published_is_as_it_was_printed(column, background, templates):
    printed = {weight: shares[column] for weight, shares in PRINTED.items()}
    for template in templates:
        assert Curve(background, template, np.zeros((1, 11))).published == printed


@pytest.fixture
def mixed(monkeypatch):
    """What is mixed: a list of (backgrounds, templates), which are not shown to the network."""
    kept = []

    def keep(network, backgrounds, templates, gammas):
        kept.append((np.asarray(backgrounds), templates))
        return np.tile(np.linspace(0.1, 0.2, len(templates))[:, None], len(gammas))

    monkeypatch.setattr(mixing, "mixing_rates", keep)
    return kept


def test_backgrounds_are_noise_that_no_measurement_saw_and_test_images_drawn_anew(mixed, rng):
    images = rng.random((40, *SHAPE), np.float32)
    settings = Settings(repeats=2, noise_images=1000, gammas=(0.5,), backgrounds=8)
    network = observer(rng.normal(size=(*SHAPE, 3)))
    mixing_curves(network, images[:3], images, settings, 5, None)
    under_noise = [mixed[i][0] for i in (0, 8)]  # of each repeat
    under_images = [mixed[i][0] for i in (4, 12)]
    for noise in under_noise:
        assert noise.shape == (8, *SHAPE) and 0 <= noise.min() and noise.max() <= 1
        for seed in (5, 6):
            seen = UNIFORM.draw(seed, 0, 8).numpy()
            mirrored = 1 - seen
            assert np.abs(noise[:, None] - [*seen, *mirrored]).max(axis=(2, 3, 4)).min() > 0.1
    assert not np.allclose(*under_noise) and not np.array_equal(*under_images)
    for shown in under_images:
        assert {image.tobytes() for image in shown} <= {image.tobytes() for image in images}
        assert len({image.tobytes() for image in shown}) == 8  # each of them once


def test_what_is_mixed_in_is_each_class_image_in_the_range_of_images(mixed, rng):
    weights = rng.normal(size=(*SHAPE, 3))
    means = rng.random((3, *SHAPE), np.float32)
    settings = Settings(repeats=1, noise_images=4000, gammas=(0.5,), backgrounds=2)
    bias = -weights.sum(axis=(0, 1, 2)) / 2
    curves = mixing_curves(observer(weights, bias), means, means, settings, 0, None)
    assert [(each.background, each.template) for each in curves] == [
        (background, template)
        for background in ("noise", "image")
        for template in ("decision", "logit", "two-level logit", "mean")
    ]
    decision, logit, two_level, mean = (templates for _, templates in mixed[:4])
    truth = np.moveaxis(weights, -1, 0) - weights.mean(axis=-1)
    for templates in (decision, logit, two_level, mean):
        assert np.min(templates, axis=(1, 2, 3)).tolist() == [0, 0, 0]
        assert np.max(templates, axis=(1, 2, 3)).tolist() == [1, 1, 1]
    for templates in (decision, logit):
        assert np.all([np.corrcoef(t.ravel(), w.ravel())[0, 1] > 0.85
                       for t, w in zip(templates, truth, strict=True)])  # fmt: skip
    assert set(np.unique(two_level)) == {0, 1}
    assert np.mean(two_level == (truth > 0)) > 0.9
    assert np.allclose(mean, unit_range(means))
    assert [each.shares.tolist() for each in curves] == [[[pytest.approx(0.15)]]] * 8


def test_rows_have_what_was_published_for_their_weight_on_mnist_alone(mixed, rng):
    images, labels = rng.random((6, *SHAPE), np.float32), np.array([0, 1, 2] * 2)
    settings = Settings(repeats=2, noise_images=1000, gammas=(0.3, 0.8), backgrounds=2)
    network = observer(rng.normal(size=(*SHAPE, 3)))
    for dataset in ("mnist", "fashion_mnist"):
        rows, figure = mixing.run(
            network=network,
            train=(images, labels),
            test=(images, labels),
            settings=settings,
            seed=0,
            dataset=dataset,
            client=None,
        )
        found = {row.what.split(" image:")[0]: row for row in rows}
        on_mnist = dataset == "mnist"
        expected = 0.149 if on_mnist else None
        assert found["noise + 0.3 of the decision"].published == expected
        expected = 0.994 if on_mnist else None
        assert found["test image + 0.8 of the mean"].published == expected
        assert {row.detail for row in rows if " 0.3 " in row.what} == {False}
        assert {row.detail for row in rows if " 0.8 " in row.what} == {True}
        assert "mean over 3 targets, 2 backgrounds and 2 seeds" in figure.get_suptitle()


def test_in_the_figure_every_curve_is_of_its_own_background_and_class_image():
    templates = ("decision", "logit", "two-level logit", "mean")
    curves = [
        Curve(under, template, np.full((1, 2), (10 * i + j) / 100))
        for i, under in enumerate(("noise", "image"))
        for j, template in enumerate(templates)
    ]
    axes = draw((0.5, 1.0), curves, "title").axes
    names = ("decision image", "logit image", "logit image, two levels", "mean training image")
    for i, (axis, under) in enumerate(zip(axes, ("uniform noise", "test image"), strict=True)):
        assert axis.get_xlabel() == f"weight of the class image (the rest: {under})"
        heights = {bars.get_label(): bars[0].get_ydata()[0] for bars in axis.containers}
        assert heights == {f"{name}, ours": (10 * i + j) / 100 for j, name in enumerate(names)}
    published = {line.get_label(): line.get_ydata() for line in axes[1].lines}
    assert list(published["mean digit, published (MNIST)"])[5] == 0.28
    assert list(published["decision image, published (MNIST)"])[9] == 0.587
