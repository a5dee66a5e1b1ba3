"""Blocks of orthogonal numbers: identities that hold exactly."""

import hashlib

import numpy as np
import pytest
from keras import ops

from reverse_correlation import CoarseNoise, PinkNoise, SinusoidNoise, SparseNoise, WhiteNoise
from reverse_correlation.stimuli.orthogonal import ROWS, hadamard, orthogonal_numbers
from reverse_correlation.stimuli.white import White

# of the numbers of block 7 under seed 3, as float32: the same on every machine
BLOCK_SHA256 = "8dec4a1146c7fa5b0f040904ea9b1dbbbcfe21d39b135e239b5614d098856974"


def block(seed=0, index=0, columns=784):
    return ops.convert_to_numpy(orthogonal_numbers(seed, index, columns)).astype(np.float64)


@pytest.mark.parametrize("columns", [1, 784, 1024])
def test_columns_are_orthogonal_to_the_last_bit(columns):
    numbers = block(0, 5, columns)
    assert np.array_equal(numbers.T @ numbers, ROWS * np.eye(columns))


def test_a_block_is_the_same_to_the_bit_on_every_machine():
    numbers = ops.convert_to_numpy(orthogonal_numbers(3, 7, 784))
    assert numbers.dtype == np.float32
    assert hashlib.sha256(numbers.tobytes()).hexdigest() == BLOCK_SHA256


def test_numbers_are_multiples_of_a_1024th_and_nearly_normal():
    numbers = np.concatenate([block(0, index) for index in range(4)])
    assert np.all(numbers * ROWS % 1 == 0) and np.abs(numbers).max() <= 32
    assert abs(numbers.mean()) < 4 / np.sqrt(numbers.size)
    assert abs(np.mean(numbers**4) - 2.99) < 0.02  # of normal numbers 3


def test_blocks_and_seeds_have_numbers_of_their_own():
    first = block()
    for other in (block(0, 1), block(1, 0), block(1, 1)):
        r = np.sum(first * other) / first.size
        assert abs(r) < 5 / np.sqrt(first.size)


def test_hadamard_s_matrix_is_sylvester_s():
    assert hadamard(2).tolist() == [[1, 1], [1, -1]]
    assert hadamard(4)[3].tolist() == [1, -1, -1, 1]


@pytest.mark.parametrize(
    ("noise", "columns"),
    [
        (WhiteNoise(), 784),
        (WhiteNoise("binary", (10, 10)), 0),
        (WhiteNoise(shape=(32, 32)), 961),  # the other columns tell what is not linear
        (WhiteNoise(shape=(64, 64)), 0),  # none has more power than another
        (CoarseNoise((64, 64), cells=4), 256),
        (PinkNoise((28, 28)), 784),
        (PinkNoise((64, 64)), 961),
        (PinkNoise((64, 64, 3)), 867),
        (SinusoidNoise((64, 64)), 961),
        (WhiteNoise("uniform"), 0),
        (SparseNoise(), 0),
        (WhiteNoise(orthogonal=False), 0),
    ],
)
def test_how_many_coordinates_are_orthogonal_depends_on_the_ensemble_alone(noise, columns):
    assert noise.orthogonal_coordinates == columns
    assert noise.describe().get("orthogonal_coordinates", 0) == columns
    numbers = np.float64(noise.xi(2, 3, ROWS)).reshape(ROWS, -1)[:, :columns]
    assert np.array_equal(numbers.T @ numbers, ROWS * np.eye(columns))


@pytest.mark.parametrize("noise", [WhiteNoise(), PinkNoise((64, 64)), SinusoidNoise((64, 64))])
def test_a_row_does_not_depend_on_how_many_are_drawn(noise):
    whole = ops.convert_to_numpy(noise.xi(1, 2, ROWS))
    assert np.array_equal(ops.convert_to_numpy(noise.xi(1, 2, 10)), whole[:10])
    assert np.array_equal(ops.convert_to_numpy(noise.xi(1, 2, 16, first=512)), whole[512:528])


def test_independent_numbers_are_what_they_were():
    """The first numbers of the default ensemble in version 0.2."""
    noise = WhiteNoise(shape=(2, 2), orthogonal=False)
    assert np.allclose(
        ops.convert_to_numpy(noise.xi(0, 0, 1)).ravel(),
        [0.5987576246261597, -1.3173496723175049, 0.3398623466491699, 0.8443984389305115],
        atol=1e-6,
    )
    assert WhiteNoise(shape=(2, 2)).independent.describe() == noise.describe()
    assert isinstance(noise.independent, White)


def test_the_orthogonal_share_of_pink_noise_with_a_number_a_pixel_is_that_of_its_matrix():
    """Of 1,024 numbers, a block has room for fewer."""
    noise = PinkNoise((32, 32, 1))
    columns = noise.orthogonal_coordinates
    assert columns < 1024 and not noise.by_frequency
    flat = noise.images(np.eye(1024).reshape(-1, 32, 32, 1)).reshape(1024, -1)
    share = np.sum(flat[:columns] ** 2, axis=0).reshape(noise.shape) / noise.deviation**2
    assert share.min() < 0.9 and np.allclose(noise.orthogonal_power, share)


def test_pink_noise_has_the_same_pixels_whichever_numbers_it_is_made_of():
    noise = PinkNoise((40, 33, 3))
    matrix = noise.images(np.eye(*noise.coordinates, dtype=np.float32))
    flat = matrix.reshape(len(matrix), -1)
    gram = flat @ flat.T  # of functions of different frequencies, 0
    assert np.allclose(np.sum(flat**2, axis=0), noise.deviation**2)
    assert np.abs(gram[:867, :867] - np.diag(np.diag(gram[:867, :867]))).max() < 1e-6
    assert np.abs(gram[:867, 867:]).max() < 1e-6
    share = np.sum(flat[:867] ** 2, axis=0).reshape(noise.shape) / noise.deviation**2
    assert np.allclose(noise.orthogonal_power, share)
    # the covariance of pixels is that of the independent ensemble, whose numbers lie elsewhere
    alone = noise.independent.images(np.eye(40 * 33 * 3).reshape(-1, 40, 33, 3)[:1])[0]
    spectrum = np.abs(np.fft.fft2(alone[..., 0]))
    assert np.allclose(spectrum, noise.gain, atol=1e-6)
    pixel = flat[:, 0] @ flat[:, ::3]  # the first pixel with every pixel of its channel
    expected = np.fft.ifft2(noise.gain**2).real.ravel()
    assert np.allclose(pixel, expected, atol=1e-6)
