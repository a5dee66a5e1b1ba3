"""Three views of class images about a base, read from their artists."""

import numpy as np
import pytest
from keras import ops
from small_observers import observer

from reverse_correlation import Estimate, GaborNoise, PinkNoise, WhiteNoise, measure
from reverse_correlation.figures.class_images import luminance_significant
from reverse_correlation.figures.style import level_between
from reverse_correlation.figures.views import PUSH, draw_about, draw_views, in_blocks, view_rows

SHAPE = (6, 5, 1)


def about(template, noise, count=4096):
    """A measurement of a linear network that looks for a template in class 1."""
    network = observer(np.stack([-template, template], axis=-1))
    return measure(network, noise, count, progress=False)


def test_a_base_plus_an_image_is_brighter_where_the_image_is_positive():
    template = np.zeros(SHAPE)
    template[1, 2], template[4, 0] = 2, -1  # of class 1
    seen = about(template, WhiteNoise(shape=SHAPE, low=-1, high=1, base=0.2, contrast=0.1))
    rows = view_rows(seen, np.array([0, 1]), seen.regions("logit"))
    assert list(rows) == ["base\n+ image", "base\n- image", "image"]
    for sign, label in ((1, "base\n+ image"), (-1, "base\n- image")):
        for towards, pixels in zip((-sign, sign), rows[label].maps, strict=True):
            # from -1 to 1 is from black to white, so that .2 is .6 of the way
            assert pixels[1, 2] == pytest.approx(np.clip(0.6 + PUSH * towards, 0, 1), abs=1e-4)
            assert pixels[4, 0] == pytest.approx(0.6 - PUSH / 2 * towards, abs=0.01)


def test_pictures_about_a_base_stay_within_the_range():
    seen = about(np.ones(SHAPE), WhiteNoise(shape=SHAPE, base=0.9, contrast=0.3))
    rows = view_rows(seen, np.array([0, 1]), seen.regions("choice"))
    plus = rows["base\n+ image"].maps
    assert plus.max() == 1 and plus.min() == pytest.approx(0.9 - PUSH)


def test_the_whitened_image_of_pink_noise_is_what_the_network_weighs_up_to_one_gain():
    """c_x = S w for a linear network, so that S to the power -1/2 leaves S to the power 1/2."""
    rng = np.random.default_rng(0)
    template = rng.normal(size=(8, 8, 1))
    noise = PinkNoise((8, 8, 1), base=0.5, orthogonal=True)
    seen = about(template, noise)
    white = noise.whitened(seen.classes["logit"].covariance)[1, ..., 0]
    expected = np.fft.ifft2(np.fft.fft2(template[..., 0]) * noise.gain).real
    assert np.corrcoef(white.ravel(), expected.ravel())[0, 1] > 1 - 1e-5
    rows = view_rows(seen, np.array([0, 1]), seen.regions("logit"))
    assert np.allclose(rows["whitened"].maps[1], white)


def test_blocks_of_a_large_map_have_the_mean_of_their_pixels():
    maps = np.random.default_rng(0).normal(size=(2, 100, 70))
    shown = in_blocks(maps)
    assert shown.shape == maps.shape
    assert np.allclose(shown[1, 4:6, 6:8], maps[1, 4:6, 6:8].mean())
    assert np.array_equal(in_blocks(maps[:, :40, :40]), maps[:, :40, :40])  # few enough


def test_images_in_colour_are_shown_as_luminance_and_two_opponents():
    """A template of red alone has the three coordinates of red, and each map its sign."""
    template = np.zeros((6, 5, 3))
    template[2, 3, 0] = 1
    seen = about(template, WhiteNoise(shape=(6, 5, 3), contrast=0.1, base=0.5))
    rows = view_rows(seen, np.array([1]), seen.regions("logit"))
    assert list(rows)[2:5] == ["luminance", "red - green", "blue - yellow"]
    red = seen.classes["logit"].covariance[1, 2, 3, 0]
    found = [rows[name].maps[0, 2, 3] for name in list(rows)[2:5]]
    assert found == pytest.approx([red / 3, red / np.sqrt(2), -red / np.sqrt(6)], rel=1e-3)
    for name in list(rows)[2:5]:
        assert rows[name].significant[0].sum() == 1 and rows[name].significant[0, 2, 3]


def test_the_luminance_of_independent_channels_has_the_sum_of_their_z_over_the_root_of_three():
    """At a threshold of 3, that sum must exceed 5.196: here it is 5.4, 5.13 and 0."""
    z = np.zeros((1, 1, 3, 3))
    z[0, 0, 0], z[0, 0, 1] = (2.1, 1.8, 1.5), (2.01, 1.71, 1.41)
    one = np.ones(1)
    estimate = Estimate(z, np.ones_like(z), one, one, one, 100, False, threshold=3.0)
    assert luminance_significant(estimate).tolist() == [[[True, False, False]]]


def test_achromatic_noise_has_one_map():
    template = np.zeros((6, 5, 3))
    template[2, 3, 0] = 1
    noise = WhiteNoise(shape=(6, 5, 3), contrast=0.1, base=0.5, achromatic=True)
    seen = about(template, noise)
    rows = view_rows(seen, np.array([1]), seen.regions("logit"))
    assert "luminance" in rows and "red - green" not in rows


def test_the_outline_of_a_base_parts_what_is_dark_from_what_is_bright():
    """Not half way between the darkest and the brightest pixel, of which there may be one."""
    base = np.full((20, 20), 0.1)
    base[5:15, 5:15] = 0.4
    base[6, 6] = 1.0
    assert 0.1 < level_between(base) < 0.4


@pytest.mark.parametrize("channels", [1, 3])
def test_the_figure_shows_what_is_shown_and_each_view_of_each_class(channels):
    shape = (6, 5, channels)
    base = np.full(shape, 0.2)
    base[2:4, 1:3] = 0.8
    noise = WhiteNoise(shape=shape, base=base, contrast=0.1)
    seen = about(np.random.default_rng(1).normal(size=shape), noise)
    figure = draw_views(seen, ("no", "yes"), "a net")
    above, below = figure.subfigs
    drawn = [axis.images[0].get_array() for axis in above.axes]
    expected = ops.convert_to_numpy(noise.draw(0, 0, 1))[0]
    pictures = [base, np.clip(expected, 0, 1), np.clip(2 * base - expected, 0, 1)]
    for shown, truth in zip(drawn, pictures, strict=True):
        assert np.allclose(shown, truth[..., 0] if channels == 1 else truth, atol=1e-6)
    labels = [axis.get_ylabel() for axis in below.axes if axis.get_ylabel()]
    assert labels[:2] == ["base\n+ image", "base\n- image"]
    assert [axis.get_title() for axis in below.axes[:2]] == ["no", "yes"]
    assert figure.get_suptitle() == "a net: choice images"
    caption = figure.get_supxlabel().replace("\n", " ")
    assert caption.startswith("4,096 Gaussian noise images, contrast 0.1;")


def test_of_noise_without_a_contrast_the_caption_says_none(rng):
    shape = (6, 5, 1)
    noise = GaborNoise(np.full(shape, 0.5), rng.normal(size=(8, *shape)), np.full(8, 0.01))
    figure = about(rng.normal(size=shape), noise).plot_about_base()
    caption = figure.get_supxlabel().replace("\n", " ")
    assert caption.startswith("4,096 Gabor-PCA noise images; at its largest")


@pytest.mark.parametrize(("end", "said"), [("largest", "the usual one"), ("smallest", "smallest")])
def test_without_a_threshold_the_caption_says_which_contrast_was_taken(end, said, rng):
    base = np.zeros((6, 5, 1))
    base[2:4, 1:3] = 1
    noise = WhiteNoise(shape=(6, 5, 1), base=base, contrast=0.1)
    seen = measure(observer(rng.normal(size=(6, 5, 1, 2))), noise, 4096, progress=False)
    seen.provenance["at_threshold"] = {"survived": 0.9, "end": end}
    figure = draw_about(seen, ("no", "yes"), "a net", "this square")
    assert said in figure.get_supxlabel().replace("\n", " ")


def test_the_figure_about_an_image_says_how_strong_the_noise_was():
    base = np.zeros((6, 5, 1))
    base[2:4, 1:3] = 1
    weights = np.random.default_rng(1).normal(size=(6, 5, 1, 2))
    seen = measure(observer(weights), WhiteNoise(shape=(6, 5, 1), base=base), 4096, progress=False)
    figure = draw_about(seen, ("no", "yes"), "a net", "this square")
    found = seen.provenance["at_threshold"]
    caption = figure.get_supxlabel().replace("\n", " ")
    assert f"contrast {found['contrast']:.3g}" in caption
    assert f"survives in {found['survived']:.0%} of the noise" in caption
    assert "that was tried" not in caption and found["end"] == ""
    left, right = figure.subfigs
    assert [axis.get_title() for axis in left.axes] == ["base", "base + noise", "base - noise"]
    assert [axis.get_title() for axis in right.axes[:2]] == ["more no", "more yes"]
    image = seen.classes["logit"].covariance[1, ..., 0]
    assert np.allclose(right.axes[1].images[0].get_array(), image / np.abs(image).max())
