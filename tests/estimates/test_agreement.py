"""Agreement between observers whose templates, and their correlation, are known."""

import numpy as np
import pandas as pd
import pingouin
import pytest
from helpers import measurements, show
from small_observers import observer

from reverse_correlation import (
    Measurement,
    PinkNoise,
    SinusoidNoise,
    UserError,
    WhiteNoise,
    compare,
    difference,
)
from reverse_correlation import measure as measured
from reverse_correlation.estimates.agreement import intraclass, null_error
from reverse_correlation.estimates.spectrum import band_passed

SHAPE = (8, 8, 1)
NOISE = WhiteNoise(shape=SHAPE)


def measure(answer, count=40_000, noise=NOISE, **kwargs):
    kwargs = {"block_images": 500, "progress": False, **kwargs}
    return measured(answer, noise, count, **kwargs)


def one_logit(template, common=0.0, axis=None):
    """An observer of one logit: linear, plus something odd that no pixel covaries with."""

    def answer(images):
        f = (images - 0.5).reshape(len(images), -1) / NOISE.std
        u = 0 if axis is None else f @ axis
        return (f @ template + common * (u**3 - 3 * u))[:, None]  # Hermite's third

    return answer


def test_unrelated_observers_with_a_common_nonlinearity_do_not_agree(rng):
    axis = np.eye(64)[0]
    shared, found, intraclass_found, pairs = [], [], [], 6
    for seed in range(pairs):  # the two of a pair are shown the same noise
        both = rng.normal(size=(2, 64)) / 8
        a, b = (measure(one_logit(w, 12.0, axis), 8_000, seed=seed) for w in both)
        images = [m.classes["logit"].covariance[0].ravel() for m in (a, b)]
        shared.append(np.corrcoef(*images)[0, 1])
        agreed = compare([a, b], "logit")
        found.append(agreed.correlation[0, 1, 0])
        intraclass_found.append(agreed.single.value[0])
    assert np.mean(shared) > 0.5  # what holding whole images against each other would have said
    for values in (found, intraclass_found):
        assert abs(np.mean(values)) < 3 * agreed.error / np.sqrt(pairs)


@pytest.mark.parametrize("noise", [NOISE, PinkNoise(shape=SHAPE)])
def test_without_noise_observers_agree_as_their_templates_do(noise, rng):
    a = rng.normal(size=SHAPE)
    b = 0.6 * a + 0.8 * rng.normal(size=SHAPE)
    nets = [observer(np.stack([-w, w], axis=-1)) for w in (a, b)]
    found = compare([measure(net, 40_000, noise) for net in nets], "logit")
    truth = np.corrcoef(*(twice(noise, w) for w in (a, b)))[0, 1]
    assert abs(found.disattenuated[0, 1, 0] - truth) < 0.03
    assert abs(found.correlation[0, 1, 0]) < abs(found.disattenuated[0, 1, 0])
    assert np.allclose(found.correlation, found.correlation.transpose(1, 0, 2))


def twice(noise, template):
    """Return A A' w, the covariance of a linear response with the stimulus: (pixels,)."""
    columns = noise.images(np.eye(64).reshape(-1, *noise.coordinates)).reshape(64, 64)
    return columns.T @ (columns @ template.ravel())


def test_an_observer_agrees_with_itself_under_other_noise(rng):
    net = observer(rng.normal(size=(*SHAPE, 3)))
    found = compare([measure(net, seed=seed) for seed in (1, 2, 3)], "choice", names="abc")
    assert found.names == ("a", "b", "c")
    assert np.all(np.abs(found.disattenuated - 1) < 0.03)
    assert found.single.value.min() > 0.9 and found.average.value.min() > found.single.value.max()
    assert np.all(
        (found.single.low < found.single.value) & (found.single.value < found.single.high)
    )
    assert found.info_value.shape == (3, 3) and found.info_value.min() > 10


def test_intraclass_correlations_are_those_of_pingouin(rng):
    images = rng.normal(size=(1, 50)) + rng.normal(size=(4, 50)) + rng.normal(size=(4, 1))
    table = pd.DataFrame(
        [(i, k, images[k, i]) for k in range(4) for i in range(50)], columns=["item", "rater", "x"]
    )
    theirs = pingouin.intraclass_corr(table, "item", "rater", "x").set_index("Type")
    interval = next(name for name in theirs.columns if name.startswith("CI95"))
    single, average = intraclass(images)
    for ours, name in ((single, "ICC3"), (average, "ICC3k")):
        name = name if name in theirs.index else name.replace("ICC3", "ICC(C,").replace("k", "k)")
        name = name if name in theirs.index else name.replace("ICC(C,", "ICC(C,1)")
        assert np.isclose(ours[0], theirs.loc[name, "ICC"])
        assert np.allclose(ours[1:], theirs.loc[name, interval], atol=0.006)


def test_the_error_of_a_correlation_is_that_of_unrelated_images():
    assert np.isclose(null_error(NOISE, 2000), 1 / np.sqrt(63), rtol=0.1)
    assert null_error(PinkNoise(shape=SHAPE)) > 1.5 / np.sqrt(63)  # fewer numbers than pixels


def of_another_seed(measurement, seed):
    told = {**measurement.provenance, "seed": seed}
    return Measurement(measurement.sums, told, measurement.noise)


@pytest.mark.parametrize(("response", "orthogonal"), [("logit", False), ("choice", True)])
def test_no_more_than_five_percent_of_pairs_that_do_not_differ_seem_to(response, orthogonal, rng):
    net = observer(rng.normal(size=(*SHAPE, 2)))
    made = list(measurements(net, 80, 3_200, shards=2, orthogonal=orthogonal))
    false, z = np.zeros(2), ([], [])
    for a, b in zip(made[::2], made[1::2], strict=True):
        for i, other in enumerate((b, of_another_seed(b, 1))):
            found = difference(a, other, response)
            false[i] += found.significant[0].any()
            z[i].append(found.z[0])
    assert false.max() <= 7  # of 40; more than that has a probability of .001
    for values in z:  # standard normal, but that a pixel's own share of the response adds 1 in 64
        assert abs(np.std(values) - 1) < 0.07 and abs(np.mean(values)) < 0.08


def test_where_two_observers_differ_is_found(rng):
    a = rng.normal(size=SHAPE)
    b = a.copy()
    b[3, 4] += 4
    nets = [observer(np.stack([-w, w], axis=-1)) for w in (a, b)]
    found = difference(*(measure(net, seed=i) for i, net in enumerate(nets)), "logit")
    assert found.significant[1, 3, 4, 0] and found.z[1, 3, 4, 0] < 0
    assert np.abs(found.z[1]).argmax() == 3 * 8 + 4


def test_a_steeper_observer_is_not_another_one(rng):
    """Four times the logits, and the same template: nothing differs, and raters agree."""
    a = rng.normal(size=SHAPE)
    nets = [observer(np.stack([-w, w], axis=-1)) for w in (a, 4 * a)]
    made = [measure(net, seed=i) for i, net in enumerate(nets)]
    assert not difference(*made, "logit").significant.any()
    assert compare(made, "logit").single.value.min() > 0.95


def test_observers_that_cannot_be_compared_are_refused_in_a_sentence(rng):
    weights = rng.normal(size=(*SHAPE, 3))
    a = measure(observer(weights), 16_000)
    labels = measure(lambda x: (x.mean(axis=(1, 2, 3)) > 0.5) * 1, 16_000, classes=3)
    few = show(observer(weights), 1_000)
    for other, sentence in (
        (measure(observer(weights[..., :2]), 16_000), "compare observers of one task"),
        (measure(observer(weights), 16_000, PinkNoise(shape=SHAPE)), r"other noise.*ensemble"),
        (labels, "has no choice images: it has decision"),
        (few, "too few images for two halves"),
    ):
        with pytest.raises(UserError, match=sentence):
            compare([a, other])
    with pytest.raises(UserError, match="between two observers or more"):
        compare([a])


def test_of_three_observers_with_the_same_noise_there_is_no_intraclass_correlation(rng):
    net = observer(rng.normal(size=(*SHAPE, 2)))
    found = compare([measure(net, 16_000)] * 3)
    assert found.single is None and found.average is None
    assert found.disattenuated.shape == (3, 3, 2)


def test_two_observers_that_share_low_frequencies_agree_there_alone(rng):
    """Below 4 cycles an image of 16 pixels one template, above it two; and one with none above."""
    noise = WhiteNoise(shape=(16, 16, 1))
    low = band_passed(rng.normal(size=(1, *noise.shape)), 1, 4)[0]
    high = band_passed(rng.normal(size=(2, *noise.shape)), 4, 99)
    templates = [low / low.std() + 0.7 * (own / own.std()) for own in high] + [low / low.std()]

    def looks_for(template):  # and, as a second class, for nothing that has an image
        def answer(images):
            f = (images - 0.5).reshape(len(images), -1)
            nothing = 3 * f[:, 0] * f[:, 17] * f[:, 40] / noise.std**2
            return np.stack([f @ template.ravel() + 20 * nothing, 20 * nothing], axis=1)

        return answer

    made = [measure(looks_for(w), 40_000, noise, seed=i) for i, w in enumerate(templates)]
    bands = compare(made, "logit").bands
    assert bands.names == ["1 to 2", "2 to 4", "4 to 11"]
    assert bands.count.tolist() == [8, 36, 211]
    assert bands.error == pytest.approx(1 / np.sqrt([8, 36, 211]))
    r, error = bands.disattenuated[:, 0, 1, 0], bands.disattenuated_error[:, 0, 1, 0]
    assert np.all(np.abs(r[:2] - 1) < 0.1) and abs(r[2]) < 4 * error[2] < 0.5
    assert np.all(error >= bands.error)
    assert np.all(np.abs(bands.disattenuated[:2, 0, 2, 0] - 1) < 0.1)
    assert np.isnan(bands.disattenuated[2, 0, 2, 0]) and np.isnan(bands.disattenuated[2, 2, 2, 0])
    assert np.isnan(bands.disattenuated_error[2, 0, 2, 0])
    assert np.isfinite(bands.correlation[2, 0, 2, 0])


@pytest.mark.parametrize("noise", [WhiteNoise(shape=(16, 16)), PinkNoise((16, 16))])
def test_unrelated_observers_agree_in_no_band_by_more_than_its_error(noise, rng):
    def looks_for(templates):
        return lambda images: (images - 0.5).reshape(len(images), -1) @ templates

    classes = 30
    made = [
        measure(looks_for(rng.normal(size=(256, classes))), 4_096, noise, seed=i) for i in (0, 1)
    ]
    bands = compare(made, "logit").bands
    z = bands.correlation[:, 0, 1] / bands.error[:, None]
    if noise.is_white:  # all of the band's coefficients have the same power, as unrelated noise has
        assert abs(z.std() - 1) < 5 / np.sqrt(2 * z.size)
    assert abs(z.mean()) < 5 / np.sqrt(z.size) and np.abs(z).max() < 4


def test_noise_that_cannot_be_whitened_has_no_bands(rng):
    made = measure(one_logit(rng.normal(size=1024)), 4_000, SinusoidNoise((32, 32)))
    assert compare([made, made], "logit").bands is None
