"""How much of an observer's behaviour its images predict: answers that are known beforehand."""

from types import SimpleNamespace

import numpy as np
import pytest

from reverse_correlation import (
    Measurement,
    PinkNoise,
    SparseNoise,
    UserError,
    WhiteNoise,
    measure,
    predict,
)
from reverse_correlation.estimates.prediction import prediction_sums, predictions_of
from reverse_correlation.observers.observer_of import observer_of
from reverse_correlation.passes.prediction import OWN_SEED, cross_predict, fresh_pairs

NOISE = WhiteNoise(shape=(4, 4, 1))
TWO = np.random.default_rng(0).normal(size=16)
FIELDS = "explained", "explained_error"
ERROR = 0.5 / np.sqrt(2000)  # of a share of as many choices at chance, which is the largest


def drives(images):
    """The drive of TWO, in units of its standard deviation."""
    return (images.reshape(len(images), 16) - 0.5) @ TWO / (np.linalg.norm(TWO) * NOISE.deviation)


def two(response):
    """An observer of two classes, whose second one has this logit less that of the first."""
    return lambda images: np.stack([0 * images[:, 0, 0, 0], response(images)], axis=1)


def internal(images):
    """Normal numbers that seem independent of the images, though they are a function of them."""
    bits = np.ascontiguousarray(images, np.float32).view(np.uint32).reshape(len(images), -1)
    seeds = (bits * np.uint32(2654435761) ^ (bits >> 7)).sum(axis=1, dtype=np.uint32)
    return np.array([np.random.default_rng(seed).normal() for seed in seeds])


def predictions(response, count=20_000, noise=NOISE):
    return measure(two(response), noise, count, progress=False, prediction_images=4000).predictions


def test_a_linear_observer_is_predicted_to_the_last_choice():
    found = predictions(drives)["logit"]
    assert found.share.tolist() == [1, 1] and found.pairs.tolist() == [2000, 2000]
    assert np.all(found.low > 0.997) and np.all(found.ceiling > 0.999)
    assert np.all(np.abs(found.explained - 1) < 1e-4)


@pytest.mark.parametrize("rho", [0.4, 0.8])
def test_internal_noise_leaves_a_half_and_an_arcsine(rho):
    known = 0.5 + np.arcsin(rho) / np.pi
    rest = np.sqrt(2 * (1 - rho**2))  # of each stimulus: in the odd part it is the mean of two
    found = predictions(lambda x: rho * drives(x) + rest * internal(x), 16_000)
    for one in found.values():
        assert np.all(np.abs(one.share - known) < 5 * ERROR)
        assert np.all((one.low < one.share) & (one.share < one.high))
        assert np.all(np.abs(one.ceiling - known) < 0.02)
        assert np.all((one.ceiling_low < known) & (known < one.ceiling_high))
    explained, error = found["logit"].explained, found["logit"].explained_error
    known = rho**2 / (rho**2 + rest**2)
    assert np.all(np.abs(explained - known) < 5 * error + 0.01)  # a fitted curve costs a little


def test_pink_noise_whose_lowest_frequencies_have_numbers_of_their_own_is_drawn_for_a_test():
    """Its independent version has other coordinates: a number for each pixel alone."""
    noise = PinkNoise((36, 36, 1))
    assert noise.coordinates != noise.independent.coordinates
    grating = np.repeat(np.cos(4 * np.pi * np.arange(36) / 36)[:, None], 36, 1).astype(np.float32)
    response = two(lambda images: np.tensordot(images[..., 0] - 0.5, grating, 2))
    found = measure(response, noise, 4096, progress=False, prediction_images=1000)
    # its few orthogonal numbers are known exactly; chance in the 1,296 others adds to the drive
    rho = 1 / np.sqrt(1 + 36 * 36 / 2048)
    share = found.predictions["logit"].share
    assert share == pytest.approx(0.5 + np.arcsin(rho) / np.pi, abs=4 * 0.5 / np.sqrt(500))


def test_an_energy_model_is_not_predicted():
    found = predictions(lambda x: drives(x) ** 2 + 1e-3 * internal(x))
    for one in found.values():
        assert np.all(np.abs(one.share - 0.5) < 5 * ERROR)
        assert np.all(one.explained < 5 * one.explained_error)
        assert np.all(one.ceiling_low < 0.55)


def test_a_bent_response_of_one_drive_is_explained_by_a_monotone_curve():
    found = predictions(lambda x: np.exp(2 * drives(x)))["choice"]
    assert np.all(found.share > 0.98) and np.all(found.explained > 0.9)
    assert np.all(found.ceiling > 0.97)  # of the choices, which do not know of the bend


def test_the_interval_of_what_is_explained_covers_its_mean_over_fresh_pairs(rng):
    unknown, found = {"logit": SimpleNamespace(variance=None)}, []
    for _ in range(200):
        drive = rng.normal(size=(200, 1))
        logits = np.log1p(np.exp([3 * drive, -3 * drive])) + rng.normal(size=(2, 200, 1))
        found.append(predictions_of(prediction_sums(drive[None], logits), unknown)["logit"])
    explained, error = (np.array([getattr(one, name)[0] for one in found]) for name in FIELDS)
    assert np.mean(np.abs(explained - explained.mean()) < 1.96 * error) > 0.95 - 5 * 0.0154
    assert 0.8 < error.mean() / explained.std() < 1.2
    assert np.isnan(found[0].ceiling).all()


def test_nothing_is_explained_where_there_is_nothing(rng):
    """A curve scored on the pairs that it was fitted to would explain some of it."""
    unknown, found = {"logit": SimpleNamespace(variance=None)}, []
    for _ in range(50):
        drive, logits = rng.normal(size=(1, 100, 1)), rng.normal(size=(2, 100, 1))
        found.append(predictions_of(prediction_sums(drive, logits), unknown)["logit"].explained[0])
    assert -0.2 < np.mean(found) < -3 * np.std(found) / np.sqrt(50)


def test_an_image_of_nothing_does_not_predict_fresh_pairs():
    """It would predict nearly all choices of the pairs that it was made of."""
    noise = WhiteNoise(shape=(16, 16, 1), orthogonal=False)
    measurement = measure(two(internal), noise, 800, progress=False, prediction_images=200)
    share = measurement.predictions["choice"].share
    assert np.all(np.abs(share - 0.5) < 4 * 0.5 / np.sqrt(100))


def test_unrelated_observers_do_not_predict_each_other_and_alike_ones_do():
    rng = np.random.default_rng(1)
    other = rng.normal(size=16)
    networks = {"one": TWO, "same": TWO, "other": other - TWO * (other @ TWO) / (TWO @ TWO)}
    looked = {k: two(lambda x, w=w: (x.reshape(-1, 16) - 0.5) @ w) for k, w in networks.items()}
    measured = [
        measure(o, NOISE, 4096, seed=i, progress=False) for i, o in enumerate(looked.values())
    ]
    observers = {k: observer_of(o, NOISE) for k, o in looked.items()} | {"other": None}
    found = cross_predict(observers, measured, "logit", 4000, OWN_SEED)
    assert np.allclose(found.share[:2, :2], 1) and np.isnan(found.share[:, 2]).all()
    assert np.all(np.abs(found.share[2, :2] - 0.5) < 5 * ERROR) and found.pairs == 2000
    assert np.all(found.low[:2, :2] > 0.99) and np.all(found.high[2, :2] > found.share[2, :2])


def test_fresh_pairs_are_mirror_images_that_no_pass_of_the_command_line_draws():
    drawn = list(fresh_pairs(WhiteNoise(shape=(4, 4, 1), base=0.3), 1002, 5))
    xi, stimuli = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
    assert len(stimuli) == 1002 and [len(part) for part, _ in drawn] == [250, 250, 1]
    first, second = drawn[0][1].reshape(2, 250, 4, 4, 1)
    assert np.allclose(first + second, 0.6) and np.abs(np.corrcoef(xi.T) - np.eye(16)).max() < 0.2
    large = next(fresh_pairs(WhiteNoise(shape=(224, 224, 3)), 4000, 5))[1]
    assert large.nbytes < 50e6


def test_what_is_not_known_is_nan_and_a_dash():
    def flat(images):  # the third class never varies within a pair
        return np.stack([drives(images), -drives(images), 0 * drives(images)], axis=1)

    measurement = measure(flat, NOISE, 4096, progress=False, prediction_images=4000)
    found = measurement.predictions["choice"]
    assert np.isnan([found.share[2], found.low[2], found.explained[2]]).all()
    assert found.pairs.tolist() == [512, 512, 0]  # no more than a fourth of the pass
    *_, predicts, _, explained = measurement.summary().rows[2].texts
    assert (predicts, explained) == ("-", "-")
    assert measurement.summary().rows[0].texts[-3].startswith("9")
    assert np.isnan(measurement.summary("probability").column("predicted")).all()


def test_observers_and_noise_without_choices_are_left_alone():
    labels = measure(
        lambda x: (drives(x) > 0).astype(int), NOISE, 2048, classes=2, progress=False,
        prediction_images=100,
    )  # fmt: skip
    sparse = measure(
        two(drives), SparseNoise(shape=(4, 4, 1)), 4000, progress=False, prediction_images=100
    )
    assert labels.predictions == sparse.predictions == {}
    with pytest.raises(UserError, match="no choices to predict"):
        predict(two(drives), labels)
    with pytest.raises(UserError, match="measure pairs of stimuli"):
        predict(two(drives), sparse)
    measurement = measure(two(drives), NOISE, 2048, progress=False)
    assert measurement.predictions == {} and "prediction" not in measurement.provenance
    with pytest.raises(UserError, match="6 stimuli are too few"):
        predict(two(drives), measurement, 6)
    with pytest.raises(UserError, match="has 3 classes, and these images 2"):
        predict(lambda x: x[:, :3, 0, 0], measurement)


def test_only_the_measured_classes_are_tested_and_a_file_keeps_what_was_found(tmp_path):
    weights = np.random.default_rng(2).normal(size=(16, 5))

    def network(images):
        return images.reshape(len(images), 16) @ weights

    how = {"progress": False, "prediction_images": 500}
    found = measure(network, NOISE, 4096, only=(3, 1), **how)
    every = measure(network, NOISE, 4096, **how)
    found.save(tmp_path / "m.npz")
    again = Measurement.load(tmp_path / "m.npz")
    assert again.provenance["prediction"] == {"stimuli": 500, "seed": OWN_SEED}
    for name, one in found.predictions.items():
        for field, value in vars(one).items():
            assert value.shape == (2,)
            assert np.array_equal(value, getattr(again.predictions[name], field))
            assert np.array_equal(value, getattr(every.predictions[name], field)[[3, 1]])
    assert found.halves()[0].predictions == {}
    found.halves()[0].save(tmp_path / "half.npz")
    assert Measurement.load(tmp_path / "half.npz").predictions == {}
