"""The figure of spectra, read from its artists."""

import numpy as np

from reverse_correlation import WhiteNoise, measure

NAMES = ("wave", "its opposite", "noise")


WAVE = np.cos(2 * np.pi * np.arange(8) / 4)[:, None, None] * np.ones((8, 8, 1))  # of 2 cycles


def seen(*responses):
    """A measurement of some responses to the fluctuation f (n, 8, 8, 1)."""
    return measure(
        lambda images: np.stack([each(images - 0.5) for each in responses], axis=1),
        WhiteNoise(shape=(8, 8)),
        8_192,
        progress=False,
    )


def drive(f):
    return np.tensordot(f, WAVE, 3)


def nothing(f):
    """A response to three pixels together, which covaries with none."""
    return f[:, 0, 0, 0] * f[:, 3, 2, 0] * f[:, 5, 6, 0]


def said(figure):
    return " ".join(figure.get_suptitle().split())


def test_a_spectrum_says_its_median_and_fades_what_is_not_above_chance():
    shown = seen(drive, lambda f: -drive(f), lambda f: 9 * nothing(f))
    figure, found = shown.plot_spectrum(NAMES, "logit"), shown.classes["logit"].spectrum()
    assert [axis.get_title() for axis in figure.axes] == list(NAMES)
    assert "logit images: median frequency of their power 2 cycles an" in said(figure)
    for k, (axis, faded) in enumerate(zip(figure.axes, (False, False, True), strict=True)):
        points = axis.containers[0].lines[0]
        assert np.allclose(points.get_ydata(), found.power[k] / found.floor[k])
        assert np.allclose(points.get_xdata(), found.frequency)
        assert points.get_alpha() == (0.3 if faded else 1)
        assert ["not above\nchance"] * faded == [text.get_text() for text in axis.texts]
    assert "8,192 Gaussian" in " ".join(figure.get_supxlabel().split())


def test_a_class_that_never_varies_is_an_empty_panel_and_no_median_is_claimed():
    figure = seen(nothing, lambda f: -nothing(f), lambda f: 0 * drive(f)).plot_spectrum()
    (text,) = figure.axes[2].texts
    assert text.get_text() == "varies\ntoo little"
    assert figure.axes[0].get_xlim()[1] > 4  # the empty panel leaves the others their scale
    assert "no choice image is above chance" in said(figure)
