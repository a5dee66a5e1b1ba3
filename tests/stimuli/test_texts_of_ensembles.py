"""What an ensemble says of itself in a terminal: its fields, and of arrays their shapes."""

import dataclasses

import numpy as np
import pytest

from reverse_correlation import (
    CoarseNoise,
    Ensemble,
    GaborNoise,
    PinkNoise,
    SinusoidNoise,
    SparseNoise,
    WhiteNoise,
)

BASE = np.full((8, 8, 1), 0.25)


@pytest.mark.parametrize(
    "noise",
    [
        WhiteNoise(shape=BASE.shape, base=BASE),
        CoarseNoise(BASE.shape, base=BASE),
        PinkNoise(BASE.shape, base=BASE),
        SinusoidNoise(BASE.shape, base=BASE, scales=(1, 2)),
        GaborNoise(BASE, np.ones((4, *BASE.shape)), np.full(4, 0.01)),
    ],
)
def test_of_an_image_the_shape_is_said_and_no_pixel(noise):
    said = repr(noise)
    assert said.startswith(f"{type(noise).__name__}(") and "<array (8, 8, 1)>" in said
    assert ".25" not in said and len(said) < 250 and "\n" not in said


def test_of_a_number_the_number_is_said():
    said = repr(SparseNoise(shape=(8, 8, 1)))
    assert said.startswith("SparseNoise(") and "shape=(8, 8, 1)" in said and "rate=" in said
    assert "base=0.5, contrast=0.1," in repr(WhiteNoise(shape=(8, 8, 1), contrast=0.1))


def test_so_does_an_ensemble_of_your_own():
    @dataclasses.dataclass(frozen=True, eq=False)
    class Stripes(Ensemble):
        shape: tuple = (8, 8, 1)
        low: float = 0.0
        high: float = 1.0
        base: object = None
        contrast: float | None = 0.1

    said = "Stripes(shape=(8, 8, 1), low=0.0, high=1.0, base=<array (8, 8, 1)>, contrast=0.1)"
    assert repr(Stripes(base=BASE)) == said
