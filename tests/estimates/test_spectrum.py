"""Spectra of class images whose power is known: of gratings, and of nothing."""

import numpy as np
import pytest
from helpers import measurements

from reverse_correlation import (
    CoarseNoise,
    PinkNoise,
    SinusoidNoise,
    SparseNoise,
    UserError,
    WhiteNoise,
    measure,
)
from reverse_correlation.estimates.spectrum import band_passed, frequencies, octaves


def spectra(answer, noise, count, response="logit", **kwargs):
    shown = measure(answer, noise, count, progress=False, **kwargs)
    return shown.classes[response].spectrum()


def fluctuation(images, noise):
    """The flat numbers behind stimuli: (n, numbers)."""
    f = np.asarray(images, np.float64) - noise.mean
    white = f[:, :: noise.cells, :: noise.cells] if noise.cells else noise.whitened(f)
    white = white[..., : noise.colours].reshape(len(f), -1)
    return white / noise.deviation if noise.cells else white


def products(noise, classes=150):
    """An observer whose responses, products of three numbers, covary with no single one."""
    size = fluctuation(np.zeros((1, *noise.shape)), noise).size
    triples = np.argsort(np.random.default_rng(1).random((classes, size)))[:, :3]
    return lambda images: fluctuation(images, noise)[:, triples].prod(axis=2)


def grating(shape, rows, columns):
    """A cosine of so many cycles down and across an image: (h, w, 1), of unit norm."""
    height, width = (np.arange(size) / size for size in shape[:2])
    wave = np.cos(2 * np.pi * (rows * height[:, None] + columns * width))
    return (wave / np.linalg.norm(wave))[..., None]


def looks_for(template):
    """An observer of two classes, whose logits are minus and plus the template's drive."""

    def answer(images):
        drive = np.tensordot(np.asarray(images, np.float64) - 0.5, template, 3)
        return np.stack([-drive, drive], axis=1)

    return answer


@pytest.mark.parametrize(
    ("shape", "cycles", "ring"), [((16, 16, 1), (3, 4), 5), ((8, 16, 1), (2, 0), 4)]
)
@pytest.mark.parametrize("kind", [WhiteNoise, PinkNoise])
def test_the_power_of_a_grating_lies_at_its_frequency_alone(kind, shape, cycles, ring):
    noise = kind(shape=shape, orthogonal=False)
    template = grating(shape, *cycles)
    found = spectra(looks_for(template), noise, 20_000)
    gain = noise.gain[cycles] if kind is PinkNoise else noise.deviation
    place = list(found.frequency).index(ring)
    total, error = (v[:, place] * found.count[place] for v in (found.power, found.error))
    assert np.all(np.abs(total - gain**2) < 5 * error) and np.all(error < 0.1 * gain**2)
    rest = np.delete(found.z, place, axis=1)
    assert rest.min() > -4 and rest.max() < 6  # few coefficients have a long tail to the right
    assert found.median.tolist() == [ring, ring]


@pytest.mark.parametrize(
    "noise",
    [
        WhiteNoise(shape=(16, 16), orthogonal=False),
        WhiteNoise(shape=(16, 16)),
        PinkNoise((36, 30)),  # of which a block has room for the lowest frequencies
        CoarseNoise((16, 16), cells=2),
        WhiteNoise(shape=(8, 12, 3), achromatic=True),
        PinkNoise((12, 12, 3), orthogonal=False),
    ],
    ids=lambda noise: f"{noise!r}"[:40],
)
def test_the_spectrum_of_nothing_is_zero_within_its_errors(noise):
    shown = measure(products(noise), noise, 2_048, progress=False)
    for response in ("logit", "choice"):
        z = shown.classes[response].spectrum().z
        assert abs(z.mean()) < 0.25  # one block knows its floor from 63 degrees of freedom
        assert abs(z.std() - 1) < 5 / np.sqrt(z.size)  # of a mean kurtosis of 5


def test_frequencies_of_independent_numbers_keep_the_noise_of_what_others_explain(rng):
    """Only the lowest frequencies have orthogonal numbers, and most of the response."""
    noise = PinkNoise((36, 30))
    coarse = band_passed(rng.normal(size=(40, *noise.shape)), 1, 6)
    coarse = np.moveaxis(coarse, 0, -1) / coarse.std() / 30
    others = products(noise, 40)

    def answer(images):
        drive = np.tensordot(fluctuation(images, noise).reshape(-1, *noise.shape), coarse, 3)
        return others(images) + 3 * drive

    found = spectra(answer, noise, 4_096)
    low, high = found.z[:, 7:14], found.z[:, found.frequency > 16]
    assert found.z[:, 3:5].min() > 3 and np.all(found.floor[:, -1] > 3 * found.floor[:, 5])
    for z in (low, high):
        assert abs(z.mean()) < 0.4 and abs(z.std() - 1) < 0.4


@pytest.mark.parametrize(("orthogonal", "times", "count"), [(False, 120, 512), (True, 60, 2_048)])
def test_errors_are_those_between_measurements(orthogonal, times, count):
    """Of a linear response with much power in one ring, and something odd that is not linear."""
    noise = WhiteNoise(shape=(8, 8), orthogonal=orthogonal)
    template, other = grating((8, 8, 1), 1, 0), products(noise, 1)

    def answer(images):
        return looks_for(template)(images) + 0.1 * other(images) * [[-1, 1]]

    made = measurements(answer, times, count, noise=noise)
    found = [each.classes["logit"].spectrum() for each in made]
    power, error = np.array([(each.power[0], each.error[0]) for each in found]).swapaxes(0, 1)
    truth = np.zeros(power.shape[1])
    truth[1] = noise.deviation**2 / found[0].count[1]
    off = (power - truth) / error
    assert np.all(np.abs(off.mean(axis=0)) < 5 / np.sqrt(times))
    assert np.all(np.abs(off[:, 1:].std(axis=0) - 1) < 5 / np.sqrt(2 * times))


def test_powers_add_up_to_the_variance_that_is_linear(rng):
    noise = PinkNoise((40, 28), contrast=0.2)
    templates = rng.normal(size=(*noise.shape, 3))
    shown = measure(
        lambda x: np.tanh(np.tensordot(x - 0.5, templates, 3) / 4), noise, 8_192, progress=False
    )
    for response in ("choice", "logit"):
        estimate = shown.classes[response]
        found, split = estimate.spectrum(), estimate.variance
        explained = found.power @ found.count / estimate.response_std**2
        assert np.all(np.abs(explained - split.linear) < 5 * split.linear_error)
        assert found.count.sum() == np.prod(noise.shape)


def test_a_class_that_never_varies_has_no_spectrum_and_others_have_theirs():
    def answer(images):
        drive = np.sum(images - 0.5, axis=(1, 2, 3))
        return np.stack([drive, -drive, np.zeros(len(images))], axis=1)

    found = spectra(answer, WhiteNoise(shape=(6, 6)), 2_000)
    for values in (found.power, found.floor, found.error, found.null_error, found.z, found.chance):
        assert np.isnan(values[..., 2, :]).all() and np.isfinite(values[..., :2, :]).all()
    assert found.median[:2].tolist() == [0, 0] and np.isnan(found.median[2])


def test_sparse_noise_has_a_spectrum_too():
    found = spectra(looks_for(grating((8, 8, 1), 2, 0)), SparseNoise(0.3, (8, 8)), 20_000)
    total = found.power[:, 2] * found.count[2]
    assert np.all(np.abs(total - 0.21) < 5 * found.error[:, 2] * found.count[2])
    assert np.delete(found.z, 2, axis=1).max() < 6


def test_noise_that_cannot_be_whitened_has_no_spectrum():
    noise = SinusoidNoise((32, 32))
    shown = measure(looks_for(grating((32, 32, 1), 1, 0)), noise, 200, progress=False)
    with pytest.raises(UserError, match="whose noise can be made white: measure with white"):
        shown.classes["choice"].spectrum()
    with pytest.raises(UserError, match="whose noise can be made white"):
        shown.plot_spectrum()


def test_octaves_go_on_to_the_corners_of_the_plane_of_frequencies():
    assert octaves(28, 28) == pytest.approx([1, 2, 4, 8, np.hypot(14, 14)], abs=1e-5)
    assert octaves(6, 16) == pytest.approx([1, 2, 4, np.hypot(8, 8)], abs=1e-5)
    assert len(octaves(1, 1)) == 0 and len(octaves(2, 2)) == 0
    assert frequencies(6, 16)[1, 2] == pytest.approx(np.hypot(16 / 6, 2))
