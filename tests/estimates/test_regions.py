"""Regions whose place and mass are known, and how often chance makes one."""

import dataclasses

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from benchmarks.calibration import middle, null_measurements, one_block, significant
from reverse_correlation import (
    Estimate,
    Measurement,
    PinkNoise,
    UserError,
    WhiteNoise,
    measure_choices,
)
from reverse_correlation.estimates.null_maps import NullMaps
from reverse_correlation.estimates.regions import (
    FORMING,
    cluster_masses,
    find_regions,
    largest_masses,
)
from reverse_correlation.people.choices import trial_numbers
from reverse_correlation.stimuli.base_images import read_mask

IMAGES = 300
BAND = stats.binom.interval(0.9999, IMAGES, 0.05)  # 4 standard errors


def within(count):
    return BAND[0] <= count <= BAND[1]


def place(shape, row, column, deviation):
    """A Gaussian blob: (h, w)."""
    rows, columns = np.indices(shape)
    return np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 2 / deviation**2)


def session(template, noise, trials, rng):
    """A Measurement of someone who looks for a template, with as much internal noise as drive."""
    flat = np.asarray(noise.fluctuation(trial_numbers(noise, 0, trials))).reshape(trials, -1)
    drive = flat @ template.ravel()
    return measure_choices(np.sign(drive + drive.std() * rng.normal(size=trials)), noise)


def test_a_cluster_is_of_one_map_and_one_sign_and_its_pixels_share_a_side():
    maps = np.zeros((2, 3, 4))
    maps[0, 0, :2], maps[0, 1, 2], maps[0, 2, 0] = (3, 4), 5, -3.5
    maps[0, 1, 0] = -6  # beside 3, which is of the other sign
    maps[1, 0, 0] = 2.5  # behind 3, in another map
    labels, masses = cluster_masses(maps, 2)
    members = {tuple(map(tuple, np.argwhere(labels == i))): m for i, m in enumerate(masses) if i}
    assert members == {
        ((0, 0, 0), (0, 0, 1)): 1 + 2,
        ((0, 1, 2),): 3,  # touches (0, 0, 1) at a corner alone
        ((0, 1, 0), (0, 2, 0)): 4 + 1.5,
        ((1, 0, 0),): 0.5,
    }
    assert masses[0] == 0 and largest_masses(maps, 2).tolist() == [5.5, 0.5]
    assert largest_masses(0 * maps, 2).tolist() == [0, 0]


@pytest.mark.parametrize("noise", [WhiteNoise, PinkNoise])
def test_five_percent_of_images_by_chance_have_a_region(noise):
    noise = noise(shape=(12, 12, 1), orthogonal=False)
    for mask in (None, middle(noise.shape)):
        some, means = significant(null_measurements("", noise, IMAGES), mask)
        assert within(some) and (mask is None or within(means))


def test_so_do_choices_by_chance_in_sessions_of_500_trials():
    noise = PinkNoise((6, 6, 1), orthogonal=False)
    some, _ = significant(null_measurements("choices", noise, 60))
    assert some <= stats.binom.ppf(0.9999, 60, 0.05)


def test_so_do_images_of_one_block_whose_error_is_itself_uncertain():
    """Of 961 orthogonal coordinates, of whose error a block knows as much as 63 numbers do."""
    noise = WhiteNoise(shape=(31, 31, 1))
    assert within(significant([one_block(noise, IMAGES, seed=1)])[0])


def test_masses_are_those_of_nulls_whose_orthogonal_coordinates_have_smaller_errors(rng):
    """As of an observer who is mostly linear, in pink noise with more pixels than a block."""
    noise, ratio = PinkNoise((33, 33, 1)), 0.1
    errors = np.tile([[ratio], [1.0]], IMAGES)
    columns = np.arange(*noise.coordinates) < noise.orthogonal_coordinates
    xi = rng.normal(size=(IMAGES, *noise.coordinates)) * np.where(columns, ratio, 1)
    estimate = one_block(noise, 4, seed=0).classes["logit"]
    estimate = dataclasses.replace(
        estimate, covariance=noise.images(xi), response_std=np.ones(IMAGES), errors_apart=errors,
        block=0,
    )  # fmt: skip
    null = NullMaps(noise, 0)
    z, (largest, *others) = null.z(estimate), null.of_nothing(estimate, at_2_58)
    assert abs(z.std() - 1) < 0.02 and len(others) == IMAGES - 1
    assert stats.ks_2samp(at_2_58(z), largest).pvalue > 1e-4


def at_2_58(z):
    return largest_masses(z, FORMING)


def test_a_session_of_500_trials_shows_its_place_where_no_pixel_does(rng):
    noise = WhiteNoise(shape=(40, 40, 1), contrast=0.1, orthogonal=False)
    found = session(place((40, 40), 14, 27, 3), noise, 500, rng)
    assert found.classes["choice"].significant.sum() <= 2
    regions = found.regions()
    (first, *others), significant_pixels = regions.regions[0], regions.significant[0]
    assert first.p < 0.01 and first.sign == 1 and all(other.p > 0.05 for other in others)
    assert np.hypot(first.row - 14, first.column - 27) < 3
    assert significant_pixels.sum() == first.pixels and significant_pixels[14, 27]
    assert first.peak == regions.z[0][significant_pixels].max()
    assert first.mass == pytest.approx((regions.z[0][significant_pixels] - FORMING).sum())


def test_a_mask_asks_of_what_is_inside_alone(rng):
    noise = WhiteNoise(shape=(32, 32, 1), contrast=0.1, orthogonal=False)
    found = session(place((32, 32), 8, 8, 3), noise, 500, rng)
    here, there = np.zeros((2, 32, 32), bool)
    here[3:14, 3:14], there[3:14, 14:30] = True, True
    for mask, sees in ((here, True), (there, False)):
        regions = found.regions(mask=mask)
        inside = regions.inside[0]
        assert regions.significant.any() == sees and not regions.z[0][~mask].any()
        assert (inside.p < 0.01) == (inside.info_value > 1.96) == sees
        # the mean of so many independent z
        assert inside.null_std == pytest.approx(1 / np.sqrt(mask.sum()), rel=0.1)
        assert inside.mean_z == pytest.approx(found.classes["choice"].z[0][mask].mean(), abs=0.02)


def test_of_colours_it_is_the_luminance_that_counts(rng):
    noise = WhiteNoise(shape=(16, 16, 3), contrast=0.1, orthogonal=False)
    blob = place((16, 16), 5, 10, 2)[..., None]
    for colours, sees in (((1, 1, 1), True), ((1, -1, 0), False)):
        regions = session(blob * colours, noise, 1000, rng).regions()
        assert bool(regions.significant[0, 5, 10]) == sees


def test_who_always_answers_the_same_has_no_region():
    noise = WhiteNoise(shape=(8, 8, 1), orthogonal=False)
    regions = measure_choices(np.zeros(40), noise).regions(mask=middle((8, 8)))
    assert regions.regions == ((),) and not regions.significant.any()
    assert np.isnan(regions.inside[0].mean_z) and "none" in repr(regions)


def test_several_measurements_of_one_noise_have_the_regions_that_each_has_alone(rng):
    noise = WhiteNoise(shape=(12, 12, 1), contrast=0.1, orthogonal=False)
    several = [session(place((12, 12), 3, i, 1), noise, 200, rng) for i in (3, 8)]
    together = find_regions(several, smooth=0.5)
    assert [r.regions for r in together] == [m.regions(smooth=0.5).regions for m in several]


def test_a_kept_measurement_has_the_same_regions(tmp_path, rng):
    noise = PinkNoise((12, 12, 1), orthogonal=False)
    found = session(place((12, 12), 3, 8, 1), noise, 200, rng)
    found.save(tmp_path / "kept.npz")
    assert Measurement.load(tmp_path / "kept.npz").regions().regions == found.regions().regions


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"mask": np.ones((4, 8))}, "the mask is 4 x 8 pixels, but the images are 8 x 8"),
        ({"mask": np.zeros((8, 8))}, "the mask holds no pixel"),
        ({"mask": np.ones((8, 8))}, "the mask holds every pixel"),
        ({"smooth": -1}, "from 0 up, not -1"),
        ({"smooth": np.nan}, "from 0 up, not nan"),
        ({"response": "logit"}, "has choice images, not 'logit'"),
    ],
)
def test_regions_that_cannot_be_looked_for_are_refused(given, said):
    noise = WhiteNoise(shape=(8, 8, 1), orthogonal=False)
    with pytest.raises(UserError, match=said):
        measure_choices(np.ones(40), noise).regions(**given)


def test_a_mask_is_read_as_it_is_seen_white_inside(tmp_path):
    pixels = np.zeros((6, 5), np.uint8)
    pixels[1:3, 2:] = 255
    pixels[0, 0] = 128  # a smooth edge
    Image.fromarray(pixels).save(tmp_path / "mask.png")
    assert np.array_equal(read_mask(tmp_path / "mask.png", (6, 5, 1)), pixels >= 128)
    Image.fromarray(np.arange(30, dtype=np.uint8).reshape(6, 5) * 8).save(tmp_path / "photo.png")
    with pytest.raises(UserError, match="is not black and white"):
        read_mask(tmp_path / "photo.png", (6, 5, 1))
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(UserError, match="the mask .* cannot be read as an image .* give a PNG"):
        read_mask(tmp_path / "text.png", (6, 5, 1))


def test_estimates_without_an_error_have_no_regions_and_that_is_said():
    maps = NullMaps(WhiteNoise(shape=(6, 6, 1)), 1.0)
    with pytest.raises(UserError, match="have no coefficient_error, without which regions are not"):
        maps.errors_of(Estimate(*8 * [None]))
