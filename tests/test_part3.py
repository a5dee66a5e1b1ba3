"""What Part 3 says of class images: numbers by hand, and figures asked what they hold."""

from pathlib import Path

import keras
import numpy as np
import pytest
from small_observers import observer

import figures
from lenet import LeNet
from part3 import (
    agreement_with,
    draw_about_base,
    draw_bias,
    draw_confusions,
    draw_templates,
    exact_images,
    find_classes,
    noisy_images,
    weights_correlation,
)
from reverse_correlation import (
    Network,
    PinkNoise,
    SparseNoise,
    WhiteNoise,
    exact_class_images,
    measure,
)
from reverse_correlation.estimates.correlation import correlations
from reverse_correlation.estimates.exact import ExactImages
from reverse_correlation.observers.arrays import function
from reverse_correlation.passes.noise_pass import network_of
from subjects import Shown, Subject

SHAPE = (6, 5, 1)
NAMES = ("cat", "dog", "owl")
WEIGHTS = np.random.default_rng(3).normal(size=(*SHAPE, 3))
TEMPLATES = np.moveaxis(WEIGHTS - WEIGHTS.mean(axis=-1, keepdims=True), -1, 0)
GREY, BRIGHT = WhiteNoise(shape=SHAPE), WhiteNoise(shape=SHAPE, base=0.8, contrast=0.1)


def subject(*shown, network=None, test=None, names=NAMES):
    """A Subject with the parts that Part 3 asks for."""
    return Subject(network, "net", "a net", "", "", "", {}, names, shown, test)


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved, {name of the file: figure}; nothing is written."""
    saved = {}

    def save(figure, path):
        saved[path.name] = figure
        return path

    monkeypatch.setattr(figures, "save", save)
    return saved


@pytest.fixture(scope="module")
def measurement():
    """A linear network shown a thousand images of noise about grey."""
    return measure(observer(WEIGHTS), GREY, 1000, progress=False)


def caption(figure):
    """The title of a figure, wherever its lines were broken."""
    return figure.get_suptitle().replace("\n", " ")


def test_images_are_held_only_against_exact_ones_that_are_reliable(measurement):
    signs = np.array([1, -1, 1])[:, None, None, None]
    exact = ExactImages(
        signs * measurement.classes["logit"].covariance, np.array([0.99, 0.995, 0.5]), 100
    )
    r = agreement_with(exact, measurement.classes["logit"])
    assert r[:2] == pytest.approx([1, -1]) and np.isnan(r[2])


def test_findings_are_of_each_response_and_of_the_images_that_it_gave(measurement):
    tested = TEMPLATES[[0, 1, 2, 2]], np.array([0, 1, 2, 0])  # the last is misnamed by any
    exact = exact_class_images(observer(WEIGHTS), GREY, 256)
    with_exact, without = find_classes(
        subject(test=tested), [measurement, measurement], [exact, {}]
    )
    logit = measurement.classes["logit"]
    assert with_exact.exact_agreement.keys() == {"logit", "probability", "choice"}
    truth = correlations(TEMPLATES, measurement.classes["choice"].covariance)
    assert with_exact.exact_agreement["choice"] == pytest.approx(truth, abs=1e-4)  # of the logit
    assert without.exact_agreement == {}
    assert with_exact.template_accuracy["logit"] == 0.75
    assert with_exact.images_needed.keys() == measurement.classes.keys()
    # r**2 / (1 - r**2) grows with the images: r = .9 needs 81 / 19 of those that make it 1
    r = logit.expected_correlation
    assert with_exact.images_needed["logit"] == pytest.approx(1000 * (81 / 19) * (1 - r**2) / r**2)
    (untested,) = find_classes(subject(), [measurement], [{}])
    assert untested.template_accuracy == {}


def test_exact_images_are_kept_for_what_they_depend_on_and_nothing_else(tmp_path):
    path, weights = tmp_path / "exact.npz", WEIGHTS[..., :2]
    network = Network(observer(weights, activation="tanh"))
    given = {"network": network, "noise": GREY, "count": 256, "seed": 1}
    other = {
        "network": Network(observer(-weights, activation="tanh")),
        "noise": BRIGHT,
        "count": 512,
        "seed": 2,
    }

    def found(network, noise, count, seed):
        shown = Shown("noise", "", noise)
        return exact_images(subject(shown, network=network), shown, path, count=count, seed=seed)[
            "logit"
        ].images

    first = found(**given)
    written = path.stat().st_mtime_ns
    assert np.array_equal(found(**given), first) and path.stat().st_mtime_ns == written
    for name, value in other.items():
        assert not np.array_equal(found(**{**given, name: value}), first), name
        assert np.array_equal(found(**given), first)


@pytest.mark.parametrize(
    ("network", "noise"),
    [
        (function(lambda images: images.sum(axis=(1, 2)) * [1, -1]), GREY),
        (Network(observer(np.ones((*SHAPE, 21)))), GREY),
        (network_of(observer(WEIGHTS), GREY, only=(2, 0)), GREY),
        (Network(observer(WEIGHTS)), SparseNoise(shape=SHAPE)),
    ],
    ids=["no gradients", "more than are shown", "chosen classes", "no identity"],
)
def test_there_are_no_exact_images_where_there_can_be_none(tmp_path, network, noise):
    shown = Shown("noise", "", noise)
    asked = subject(shown, network=network)
    assert exact_images(asked, shown, tmp_path / "exact.npz", count=256, seed=1) == {}
    assert not list(tmp_path.iterdir())


# --------------------------------------------------------------------------- figures


def test_the_figure_of_biases_says_how_many_images_of_each_noise(drawn, measurement):
    bright = measure(observer(WEIGHTS), BRIGHT, 2000, progress=False)
    shown = Shown("pure noise", "", GREY), Shown("mean image", "_mean", BRIGHT)
    (alone,) = find_classes(subject(), [measurement], [{}])
    draw_bias(subject(shown[0]), [measurement], [alone], Path("one.png"))
    both = find_classes(subject(), [measurement, bright], [{}, {}])
    draw_bias(subject(*shown), [measurement, bright], both, Path("two.png"))
    one, two = caption(drawn["one.png"]), caption(drawn["two.png"])
    assert "of its answers with 1,000 Gaussian noise images n: times" in one
    assert (
        "with 1,000 Gaussian noise images (pure noise) and 2,000 Gaussian noise images (mean image)"
        in two
    )
    assert one.startswith("What a net looks for: ") and "exact" not in one + two
    rows = [axis.get_ylabel() for axis in drawn["two.png"].axes if axis.get_ylabel()]
    responses = ["choice", "decision", "probability", "logit"]
    assert rows[:8] == [f"{noise}\n{name}" for noise in ("pure noise", "mean image")
                        for name in responses]  # fmt: skip
    axes = drawn["two.png"].axes
    for row, measured in ((3, measurement), (7, bright)):
        for k, name in enumerate(NAMES):
            image = measured.classes["logit"].covariance[k, ..., 0]
            axis = axes[3 * row + k]
            assert np.allclose(axis.images[0].get_array(), image / np.abs(image).max())
            assert axes[k].get_title() == name


def test_the_figure_of_biases_tells_the_agreement_of_every_image_with_the_exact_one(
    drawn, measurement
):
    (found,) = find_classes(subject(), [measurement], [{}])
    found.exact_agreement["logit"] = np.array([0.125, np.nan, 0.75])
    shown = Shown("pure noise", "", GREY)
    draw_bias(subject(shown), [measurement], [found], Path("bias.png"))
    figure = drawn["bias.png"]
    notes = [axis.get_xlabel() for axis in figure.axes[9:12]]
    assert "exact 0.125" in notes[0] and "exact" not in notes[1] and "exact 0.750" in notes[2]
    assert not any("exact" in axis.get_xlabel() for axis in figure.axes[:9])
    assert "exact: correlation with the image from the network's gradients" in caption(figure)


def test_weights_of_coloured_noise_are_expected_to_be_as_near_to_the_truth_as_they_are(drawn):
    shape = (12, 12, 1)
    weights = np.random.default_rng(0).normal(size=(*shape, 2))
    truth = np.moveaxis(weights, -1, 0) - weights.mean(axis=-1)
    pink = measure(observer(weights), PinkNoise(shape), 1000, progress=False)
    expected = weights_correlation(pink)
    r = correlations(truth, pink.classes["logit"].weights)
    assert 0.5 < r.max() < 0.97 and expected == pytest.approx(r, abs=0.05)
    (found,) = find_classes(subject(), [pink], [{}])
    asked = subject(Shown("pink", "", pink.noise), names=("no", "yes"))
    draw_bias(asked, [pink], [found], Path("bias.png"))
    axes = drawn["bias.png"].axes
    row = next(i for i, axis in enumerate(axes) if axis.get_ylabel() == "logit,\nas weights")
    for k, axis in enumerate(axes[row : row + 2]):
        drawn_weights = axis.images[0].get_array()
        assert correlations([drawn_weights], [truth[k]])[0] == pytest.approx(r[k])
        assert axis.get_xlabel() == f"expected r {expected[k]:.2f}"


def test_weights_of_white_noise_are_its_images_and_get_no_row(measurement):
    assert weights_correlation(measurement).tolist() == [0, 0, 0]


def test_a_base_plus_an_image_is_brighter_where_the_image_is_positive(drawn):
    template = np.zeros(SHAPE)
    template[1, 2], template[4, 0] = 2, -1  # of class 1
    noise = WhiteNoise(shape=SHAPE, low=-1, high=1, base=0.2, contrast=0.1)
    seen = measure(
        observer(np.stack([-template, template], axis=-1)), noise, 20_000, progress=False
    )
    draw_about_base(subject(names=("no", "yes")), seen, Path("base.png"))
    axes = drawn["base.png"].axes
    rows = {axes[i].get_ylabel(): axes[i : i + 2] for i in range(0, 8, 2)}
    assert [axis.get_title() for axis in axes[:2]] == ["no", "yes"]
    for response in ("choice", "logit"):
        for sign, word in ((1, "+"), (-1, "-")):
            line = rows[f"{response}\nbase {word} image"]
            for towards, axis in zip((-sign, sign), line, strict=True):  # away from "no", to "yes"
                pixels = axis.images[0].get_array()
                # from -1 to 1 is from black to white; a deviation is .1 of that at the largest
                assert pixels[1, 2] == pytest.approx(0.6 + 0.1 * towards)
                assert pixels[4, 0] == pytest.approx(0.6 - 0.05 * towards, abs=0.02)
                assert axis.images[0].get_clim() == (0, 1)
    assert "(Gaussian noise, 20,000 images)" in caption(drawn["base.png"])


def test_pictures_about_a_base_stay_within_the_range(drawn):
    template = np.ones(SHAPE)
    noise = WhiteNoise(shape=SHAPE, base=0.9, contrast=0.3)
    seen = measure(observer(np.stack([-template, template], axis=-1)), noise, 2000, progress=False)
    draw_about_base(subject(names=("no", "yes")), seen, Path("base.png"))
    pictures = [axis.images[0].get_array() for axis in drawn["base.png"].axes]
    assert max(pixels.max() for pixels in pictures) == 1
    assert min(pixels.min() for pixels in pictures) == pytest.approx(0.6)


def test_the_figure_of_templates_has_a_matrix_for_each_noise_and_response(drawn, measurement):
    bright = measure(observer(WEIGHTS), BRIGHT, 1000, progress=False)
    bright.classes["decision"].covariance[:] = 0  # as if one class had got every answer
    shown = Shown("pure noise", "", GREY), Shown("mean image", "_mean", BRIGHT)
    tested = TEMPLATES[[0, 1, 2, 2]], np.array([0, 1, 2, 0])
    draw_templates(subject(*shown, test=tested), [measurement, bright], Path("template.png"))
    figure = drawn["template.png"]
    titles = [axis.get_title() for axis in figure.axes[:8]]
    assert titles[3] == titles[7] == "logit: 75.0% right" and titles[5] == "decision: none"
    assert figure.axes[0].get_ylabel() == "pure noise\nground truth"
    assert figure.axes[4].get_ylabel() == "mean image\nground truth"
    truth_down = [
        [0.5, 0, 0.5],
        [0, 1, 0],
        [0, 0, 1],
    ]  # one of two images of class 0 is taken for 2
    assert figure.axes[3].images[0].get_array().tolist() == truth_down
    assert "one answer" in figure.axes[5].texts[0].get_text() and not figure.axes[5].images
    assert caption(figure).startswith("4 test images classified by")


def test_a_row_of_confusions_may_be_shorter_than_another():
    matrix = np.eye(3), 1.0
    figure = draw_confusions(
        {"grey": {"choice": matrix, "logit": matrix}, "sparse": {"logit": (np.eye(3)[::-1], 0.25)}},
        NAMES,
        "title",
    )
    axes = figure.axes
    assert [axis.get_title() for axis in axes[:3]] == [
        "choice: 100.0% right",
        "logit: 100.0% right",
        "logit: 25.0% right",
    ]
    assert axes[2].images[0].get_array().tolist() == np.eye(3)[::-1].tolist()
    assert axes[2].axison and not axes[3].axison
    assert [text.get_text() for text in axes[2].get_xticklabels()] == list(NAMES)
    assert [text.get_text() for text in axes[2].get_yticklabels()] == list(NAMES)


def test_mean_noisy_images_are_of_the_images_that_the_caption_counts(drawn):
    images = np.linspace(0, 1, 12 * 28 * 28, dtype=np.float32).reshape(12, 28, 28, 1)
    labels = np.array([0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9])
    keras.utils.set_random_seed(0)
    noisy_images(
        {"lenet": LeNet()},
        (images, labels),
        "mnist",
        Path(),
        count=8,
        signal=1.0,
        noise=0.0,
        seed=0,
    )
    means = drawn["classification_mnist.png"]
    assert caption(means).startswith("Mean of 8 MNIST test images at 100% signal and 0% uniform")
    notes = [axis.get_xlabel() for axis in means.axes[:10]]
    assert notes == ["n = 1", "n = 2", *["n = 1"] * 5, *["n = 0"] * 3]
    assert np.allclose(means.axes[1].images[0].get_array(), images[1:3, ..., 0].mean(axis=0))
    assert not means.axes[9].images  # no image of a 9 is among the first eight
    answers = drawn["cm_lenet_mnist.png"]
    mesh = answers.axes[0].collections[0].get_array().reshape(10, 10)
    right = int(np.sum(mesh[:7].argmax(axis=1) == np.arange(7)))
    assert caption(answers).endswith(
        f"shown the mean noisy image of each class: {right} of 7 right"
    )
    assert np.allclose(mesh[:7].sum(axis=1), 1, atol=1e-5) and mesh.mask[7:].all()
