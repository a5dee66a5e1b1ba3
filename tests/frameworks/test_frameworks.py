"""The same numbers, images and filters, whatever Keras computes with."""

import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from reverse_correlation import Measurement, PinkNoise, SparseNoise, WhiteNoise, backend, measure
from reverse_correlation.frameworks import framework, philox
from reverse_correlation.stimuli.numbers import normal_rows
from reverse_correlation.stimuli.orthogonal import orthogonal_numbers

CHECKSUM = 63831284
HERE = keras.backend.backend()
OTHERS = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            not importlib.util.find_spec(name), reason=f"{name} is not installed"
        ),
    )
    for name in backend.PACKAGES
    if name != HERE
]


def numpy_of(tensor):
    return ops.convert_to_numpy(tensor)


def test_philox_gives_its_published_answers():
    # the known answers of the authors' own library, Random123: kat_vectors, philox4x32, 10 rounds
    known = {
        ((0,) * 4, (0,) * 2): (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8),
        ((philox.LOW,) * 4, (philox.LOW,) * 2): (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
        ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0)): (
            0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1,
        ),
    }  # fmt: skip
    for (counter, key), answer in known.items():
        assert philox.rounds(counter, key) == answer
        arrays = [np.full(3, number, np.int64) for number in counter]
        assert np.array_equal(philox.rounds(arrays, key), np.repeat([answer], 3, axis=0).T)


@pytest.mark.parametrize("seeds", [(0, 0), (7, -3), (2**61, 2**33 + 1)])
def test_every_framework_draws_the_integers_of_one_generator(seeds):
    expected = philox.on_the_host(*seeds, 0, 1003)
    words = numpy_of(framework.words(*seeds, (17, 59)))
    assert words.dtype == np.int32
    assert np.array_equal(words.ravel().astype(np.int64) & philox.LOW, expected)
    uniform = numpy_of(framework.uniform(*seeds, (17, 59)))
    assert uniform.dtype == np.float32
    assert np.array_equal(uniform.ravel(), (expected & philox.MANTISSA) * philox.STEP)
    later = numpy_of(framework.uniform(*seeds, (3, 4), start=10))
    assert np.array_equal(later.ravel(), uniform.ravel()[40:52])


def test_a_generator_on_another_device_gives_the_integers_of_the_host():
    torch = pytest.importorskip("torch")
    four = philox.integers(5, -2, torch.arange(2**14 - 10, 2**14 + 10))  # across two parts there
    expected = philox.on_the_host(5, -2, 0, 4 * (2**14 + 10))[4 * (2**14 - 10) :]
    assert np.array_equal(torch.stack(four, dim=-1).reshape(-1).numpy(), expected)


def test_rows_from_the_middle_are_those_of_the_whole():
    whole = numpy_of(normal_rows(3, 5, 0, 9, 21))
    assert np.array_equal(whole[4:7], numpy_of(normal_rows(3, 5, 4, 3, 21)))
    assert abs(whole.std() - 1) < 4 / np.sqrt(2 * whole.size)


def test_orthogonal_numbers_are_the_same_to_the_bit_everywhere():
    numbers = np.float64(numpy_of(orthogonal_numbers(1, 2, 900)))
    assert np.array_equal(numbers.T @ numbers, 1024 * np.eye(900))
    # a checksum of their multiples of 1/1,024, which do not depend on who adds up the signs
    multiples = np.int64(numbers * 1024)
    weights = np.arange(multiples.size).reshape(multiples.shape) % 1009
    assert int(np.sum(multiples * weights)) == CHECKSUM


def test_a_product_rounds_nothing_of_its_factors(rng):
    # odd integers of 13 bits, of which half precision and TF32 keep 11; all sums have fewer than 24
    a = np.float32(2 * rng.integers(-(2**12), 2**12, (2, 3, 4)) + 1)
    b = np.float32(rng.integers(-(2**8), 2**8, (4, 5)))
    product = framework.product(*map(ops.convert_to_tensor, (a, b)))
    assert np.array_equal(numpy_of(product), np.float64(a) @ b)


def test_the_sums_over_patches_are_those_of_their_definition(rng):
    stimuli = rng.normal(size=(5, 9, 8, 2)).astype(np.float32)
    activity = rng.normal(size=(5, 3, 2, 4)).astype(np.float32)
    summed = numpy_of(
        framework.filter_sums(
            *map(ops.convert_to_tensor, (stimuli, activity)), (5, 4, 2, 4), (2, 3)
        )
    )
    expected = np.zeros((5, 4, 2, 4))
    for row in range(3):
        for column in range(2):
            patch = stimuli[:, 2 * row : 2 * row + 5, 3 * column : 3 * column + 4]
            expected += np.einsum("nhwc,nf->hwcf", patch, activity[:, row, column])
    assert np.allclose(summed, expected, atol=1e-4)


def test_gradients_are_those_of_each_column():
    x = ops.convert_to_tensor(np.float32([[1, 2], [3, 4], [5, 6]]))
    answers, gradients = framework.column_gradients(
        lambda x: ops.stack([x[:, 0] * x[:, 1], x[:, 1] ** 2], axis=1), x
    )
    assert np.array_equal(numpy_of(answers), [[2, 4], [12, 16], [30, 36]])
    product, square = numpy_of(gradients)
    assert np.array_equal(product, [[2, 1], [4, 3], [6, 5]])
    assert np.array_equal(square, [[0, 4], [0, 8], [0, 12]])


def test_double_precision_is_kept_where_images_are_made(rng):
    for noise in (PinkNoise(shape=(40, 40, 1)), WhiteNoise(shape=(6, 6, 1))):
        images = noise.images(rng.normal(size=(2, *noise.coordinates)))
        assert images.dtype == np.float64
    flat = PinkNoise(shape=(8, 8, 1))
    coefficients = rng.normal(size=(3, 8, 8, 1))
    weights = flat.weights(coefficients)  # A inverted and transposed, of a symmetric A
    assert np.allclose(flat.images(weights), coefficients, rtol=0, atol=1e-12)


MEASURED = """
import sys
import numpy as np
from reverse_correlation import (
    PinkNoise, SparseNoise, WhiteNoise, backend, exact_class_images, exact_receptive_fields, measure
)
backend.import_quietly()
import keras
assert keras.backend.backend() == sys.argv[1]
network = keras.saving.load_model(sys.argv[2])
shown = {
    "white": WhiteNoise(shape=(12, 12, 1)),
    "sparse": SparseNoise(shape=(12, 12, 1)),
    "pink": PinkNoise(shape=(12, 12, 1), orthogonal=False),
}
for name, noise in shown.items():
    layers = () if name == "pink" else ("conv",)
    found = measure(network, noise, 4100, layers=layers, progress=False, prediction_images=0)
    found.save(f"{sys.argv[3]}/{name}.npz")
white = WhiteNoise(shape=(12, 12, 1))
exact = exact_class_images(network, white, 256)
fields = exact_receptive_fields(network, white, "conv", 2000).images
np.savez(f"{sys.argv[3]}/exact.npz", fields=fields, **{k: v.images for k, v in exact.items()})
"""


def measured(name, network, folder):
    """Measure a saved network in a process of its own, with a framework: {name: array}."""
    folder.mkdir()
    environment = {**os.environ, backend.BACKEND: name, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("TF_NUM_INTRAOP_THREADS", None)
    command = [sys.executable, "-c", MEASURED, name, network, folder]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert not done.returncode, done.stderr[-2000:]
    with np.load(folder / "exact.npz") as file:
        found = {f"exact {key}": file[key] for key in file.files}
    for noise in ("white", "sparse", "pink"):
        loaded = Measurement.load(folder / f"{noise}.npz")  # here, whatever measured it
        for group in ("classes", "layers", "maps"):
            named = getattr(loaded, group).items()
            found |= {f"{noise} {group} {key}": each.covariance for key, each in named}
    return found


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A small network in a file."""
    keras.utils.set_random_seed(1)
    layers = [keras.layers.Conv2D(4, 3, activation="relu", name="conv")]
    layers += [keras.layers.MaxPooling2D(2), keras.layers.Flatten()]
    layers += [keras.layers.Dense(3, activation="softmax")]
    path = tmp_path_factory.mktemp("network") / "network.keras"
    keras.Sequential([keras.Input((12, 12, 1)), *layers]).save(path)
    return path


@pytest.fixture(scope="module")
def ours(network, tmp_path_factory):
    """What is measured with the framework of this process."""
    return measured(HERE, network, tmp_path_factory.mktemp("ours") / HERE)


@pytest.mark.parametrize("other", OTHERS)
def test_the_same_network_gives_the_same_images_and_filters(other, network, ours, tmp_path):
    theirs = measured(other, network, tmp_path / other)
    assert theirs.keys() == ours.keys() and len(ours) > 12
    for name, image in ours.items():
        # sums over all positions, in float32, are the least exact; and a silent filter has no image
        allowed = 2e-4 if "layers" in name or "maps" in name else 1e-5
        assert np.array_equal(np.isnan(image), np.isnan(theirs[name])), name
        most = np.nanmax(np.abs(image))
        assert np.nanmax(np.abs(image - theirs[name])) <= allowed * most, name


def test_the_record_says_what_it_was_computed_with(tmp_path):
    network = keras.Sequential(
        [keras.Input((6, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    told = measure(network, SparseNoise(shape=(6, 6, 1)), 100, progress=False).provenance
    assert told["versions"][HERE] == framework.VERSION
    assert not set(told["versions"]) & (set(backend.PACKAGES) - {HERE})
