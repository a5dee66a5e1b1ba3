"""What is found of an observer: numbers by hand."""

import numpy as np
import pytest
from scipy import stats
from small_observers import convolution, observer

from reverse_correlation import Network, SparseNoise, WhiteNoise, exact_class_images, measure
from reverse_correlation.estimates.correlation import correlations
from reverse_correlation.estimates.exact import ExactImages
from reverse_correlation.estimates.findings import (
    class_findings,
    exact_images_of,
    layer_findings,
)
from reverse_correlation.observers.observer_of import observer_of

SHAPE = (6, 5, 1)
WEIGHTS = np.random.default_rng(3).normal(size=(*SHAPE, 3))
TEMPLATES = np.moveaxis(WEIGHTS - WEIGHTS.mean(axis=-1, keepdims=True), -1, 0)
GREY, BRIGHT = WhiteNoise(shape=SHAPE), WhiteNoise(shape=SHAPE, base=0.8, contrast=0.1)


@pytest.fixture(scope="module")
def measurement():
    """A linear network shown a thousand images of noise about grey."""
    return measure(observer(WEIGHTS), GREY, 1000, progress=False)


def test_images_are_held_only_against_exact_ones_that_are_reliable(measurement):
    signs = np.array([1, -1, 1])[:, None, None, None]
    exact = ExactImages(
        signs * measurement.classes["logit"].covariance, np.array([0.99, 0.995, 0.5]), 100
    )
    r = class_findings(measurement, {"logit": exact}).exact_agreement["logit"]
    assert r[:2] == pytest.approx([1, -1]) and np.isnan(r[2])


def test_findings_are_of_each_response_and_of_the_images_that_it_gave(measurement):
    tested = TEMPLATES[[0, 1, 2, 2]], np.array([0, 1, 2, 0])  # the last is misnamed by any
    exact = exact_class_images(observer(WEIGHTS), GREY, 256)
    with_exact = class_findings(measurement, exact, tested)
    without = class_findings(measurement, {}, tested)
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
    untested = class_findings(measurement)
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
        return exact_images_of(network, noise, path, count, seed)["logit"].images

    first = found(**given)
    written = path.stat().st_mtime_ns
    assert np.array_equal(found(**given), first) and path.stat().st_mtime_ns == written
    for name, value in other.items():
        assert not np.array_equal(found(**{**given, name: value}), first), name
        assert np.array_equal(found(**given), first)


@pytest.mark.parametrize(
    ("network", "noise"),
    [
        (
            observer_of(lambda images: images.sum(axis=(1, 2)) * [1, -1], GREY),
            GREY,
        ),
        (Network(observer(np.ones((*SHAPE, 21)))), GREY),
        (observer_of(observer(WEIGHTS), GREY, only=(2, 0)), GREY),
        (Network(observer(WEIGHTS)), SparseNoise(shape=SHAPE)),
    ],
    ids=["no gradients", "more than are shown", "chosen classes", "no identity"],
)
def test_there_are_no_exact_images_where_there_can_be_none(tmp_path, network, noise):
    assert exact_images_of(network, noise, tmp_path / "exact.npz", 256, 1) == {}
    assert not list(tmp_path.iterdir())


def test_a_filter_is_live_if_it_fires_in_enough_images_however_often_within_one(tmp_path):
    """A unit fires in an image if some position exceeds its threshold: images are counted."""
    kernels = np.zeros((1, 1, 1, 3))
    kernels[0, 0, 0] = 1
    bias = np.array([0.0, -1.2, -10.0])  # of pixels of mean .5 and deviation 1 / sqrt(12)
    network = convolution(kernels, size=4, bias=bias)
    seen = measure(network, WhiteNoise(shape=(4, 4, 1)).independent, 8000, layers=("conv",),
                   progress=False)  # fmt: skip
    estimate, pixels = seen.layers["conv"], 16
    above = stats.norm.sf((1.2 - 0.5) * np.sqrt(12))
    expected = 1 - (1 - above) ** pixels
    share = estimate.fired / seen.maps["conv"].count
    assert share[0] == 1 and share[2] == 0
    error = np.sqrt(expected * (1 - expected) / seen.maps["conv"].count)
    assert share[1] == pytest.approx(expected, abs=5 * error)
    for rate, live in ((0.5 * expected, [True, True, False]), (2 * expected, [True, False, False])):
        found = layer_findings(
            Network(network), seen, "conv", tmp_path / "e.npz", patches=8, live_rate=rate, seed=1
        )
        assert found.live.tolist() == live and found.live_rate == rate
