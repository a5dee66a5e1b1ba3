"""Whatever a result depends on is in its identity: nothing of another is ever taken for it."""

import itertools

import keras
import numpy as np
import onnx_files
import pytest
from helpers import show
from keras import layers
from sklearn.linear_model import LogisticRegression
from small_observers import convolution

from reverse_correlation import (
    CoarseNoise,
    GaborNoise,
    Network,
    PinkNoise,
    SinusoidNoise,
    SparseNoise,
    UserError,
    WhiteNoise,
    measure,
    observers,
)
from reverse_correlation.estimates.class_sums import ClassSums
from reverse_correlation.estimates.exact import ExactImages, kept_exact
from reverse_correlation.estimates.layer_sums import FilterSums
from reverse_correlation.estimates.sums import read_sums, write_sums
from reverse_correlation.observers.arrays import ArrayObserver
from reverse_correlation.passes.noise_pass import NoisePass
from reverse_correlation.people.study import Study

SHAPE = (8, 8, 1)
FACE = np.random.default_rng(0).random(SHAPE).astype(np.float32)


def changed(array, value=0.5):
    """Return a copy that differs in its last number."""
    other = array.copy()
    other.flat[-1] = value
    return other


# --------------------------------------------------------------------------- ensembles

COMPONENTS, REACH = np.random.default_rng(1).random((3, *SHAPE)), np.ones(3)
ENSEMBLES = {
    "white": WhiteNoise(shape=SHAPE),
    "another distribution": WhiteNoise("uniform", SHAPE),
    "independent numbers": WhiteNoise(shape=SHAPE, orthogonal=False),
    "another shape": WhiteNoise(shape=(8, 9, 1)),
    "another low": WhiteNoise(shape=SHAPE, low=-1, base=0.5, contrast=0.1),
    "another high": WhiteNoise(shape=SHAPE, high=2, base=0.5, contrast=0.1),
    "another number as base": WhiteNoise(shape=SHAPE, base=0.4),
    "another contrast": WhiteNoise(shape=SHAPE, contrast=0.1),
    "an image as base": WhiteNoise(shape=SHAPE, base=FACE),
    "a base of other pixels": WhiteNoise(shape=SHAPE, base=changed(FACE)),
    "a base upside down": WhiteNoise(shape=SHAPE, base=FACE[::-1]),
    "coarse": CoarseNoise(SHAPE, cells=2),
    "coarse, of other cells": CoarseNoise(SHAPE, cells=4),
    "pink": PinkNoise(SHAPE),
    "pink, of independent numbers": PinkNoise(SHAPE, orthogonal=False),
    "pink, of another exponent": PinkNoise(SHAPE, exponent=1.5),
    "sinusoids": SinusoidNoise(SHAPE, scales=(1, 2)),
    "sinusoids of other scales": SinusoidNoise(SHAPE, scales=(1,)),
    "sparse": SparseNoise(0.1, SHAPE),
    "sparse, at another rate": SparseNoise(0.2, SHAPE),
    "gabor": GaborNoise(FACE, COMPONENTS, REACH),
    "gabor about another base": GaborNoise(changed(FACE), COMPONENTS, REACH),
    "gabor of other components": GaborNoise(FACE, changed(COMPONENTS), REACH),
    "gabor of another reach": GaborNoise(FACE, COMPONENTS, changed(REACH)),
}


def test_a_base_of_other_pixels_or_any_other_setting_is_another_ensemble():
    for (one, first), (other, second) in itertools.combinations(ENSEMBLES.items(), 2):
        assert first.describe() != second.describe(), f"{one}, {other}"
    again = WhiteNoise(shape=SHAPE, base=FACE.astype(np.float64))
    assert again.describe() == ENSEMBLES["an image as base"].describe()


# --------------------------------------------------------------------------- networks


def sha256(*stack, weight=0.1):
    """Return the hash of a network of some layers whose weights are all the same."""
    network = keras.Sequential([keras.Input((6, 6, 1)), *stack, layers.Flatten(), layers.Dense(2)])
    network.set_weights([np.full(w.shape, weight) for w in network.get_weights()])
    return Network(network).sha256


def test_networks_of_the_same_weights_are_told_apart_by_their_settings():
    stacks = {
        "linear": [layers.Conv2D(2, 3)],
        "relu": [layers.Conv2D(2, 3, activation="relu")],
        "tanh": [layers.Conv2D(2, 3, activation="tanh")],
        "same": [layers.Conv2D(2, 3, padding="same"), layers.MaxPooling2D(2)],
        "dilated": [
            layers.Conv2D(2, 3, padding="same", dilation_rate=2),
            layers.MaxPooling2D(2),
        ],
        "mean": [layers.Conv2D(2, 3, padding="same"), layers.AveragePooling2D(2)],
        "leaky": [layers.Conv2D(2, 3), layers.LeakyReLU(0.1)],
        "leakier": [layers.Conv2D(2, 3), layers.LeakyReLU(0.2)],
        "rescaled": [layers.Rescaling(1 / 255), layers.Conv2D(2, 3)],
        "rescaled otherwise": [layers.Rescaling(1 / 127.5, -1), layers.Conv2D(2, 3)],
        "normalised": [layers.BatchNormalization(epsilon=1e-3), layers.Conv2D(2, 3)],
        "normalised otherwise": [layers.BatchNormalization(epsilon=1e-5), layers.Conv2D(2, 3)],
    }
    assert len({sha256(*stack) for stack in stacks.values()}) == len(stacks)


def test_a_network_is_the_same_under_other_names_and_another_with_other_weights():
    named = [sha256(layers.Conv2D(2, 3, activation="relu", name=name)) for name in "ab"]
    assert named[0] == named[1]
    assert named[0] != sha256(layers.Conv2D(2, 3, activation="relu"), weight=0.2)


# --------------------------------------------------------------------------- observers

NOISE = WhiteNoise(shape=(4, 4, 3))
WEIGHTS = np.random.default_rng(2).normal(size=(48, 4)).astype(np.float32)


def test_an_onnx_file_of_other_numbers_or_another_normalisation_is_another_observer(tmp_path):
    one = observers.onnx(onnx_files.dense(tmp_path / "a.onnx", WEIGHTS, ["n", 4, 4, 3]))
    different = [
        one,
        observers.onnx(onnx_files.dense(tmp_path / "b.onnx", changed(WEIGHTS), ["n", 4, 4, 3])),
        one.normalised(0.5, 0.2),
        one.normalised(0.4, 0.2),
        one.normalised(0.5, 0.3),
        one.normalised((0.5, 0.5, 0.4), 0.2),
        one.normalised(0.5, (0.2, 0.2, 0.3)),
        one.normalised(0.2, 0.5),
        one.normalised(0.5, 0.2).normalised(0.5, 0.2),
    ]
    hashes = [each.looked(NOISE).sha256 for each in different]
    assert len(set(hashes)) == len(different)
    again = one.normalised([0.5], np.float64(0.2)).looked(NOISE)
    assert again.sha256 == one.normalised(0.5, 0.2).looked(NOISE).sha256


def test_an_onnx_file_that_is_fed_channels_first_is_another_observer(tmp_path):
    path = onnx_files.dense(tmp_path / "cube.onnx", WEIGHTS[:27], ["n", 3, 3, 3])
    assert observers.onnx(path, "first").sha256 != observers.onnx(path, "last").sha256


def test_an_estimator_fitted_to_other_labels_is_another_observer(rng):
    images, labels = rng.random((40, 48)), rng.integers(0, 2, (2, 40))
    one, other, again = (
        observers.sklearn(LogisticRegression().fit(images, labels[i])).sha256 for i in (0, 1, 0)
    )
    assert one == again != other


def test_functions_with_the_same_text_are_told_apart_by_what_they_answer():
    def times(weights):
        return observers.function(lambda images: images.reshape(len(images), -1) @ weights)

    one, other, again = (
        times(weights).looked(NOISE).sha256 for weights in (WEIGHTS, -WEIGHTS, WEIGHTS.copy())
    )
    assert one == again != other


def test_observers_of_the_same_parts_that_compute_something_else_share_no_checkpoint(tmp_path):
    """As wrappers of one module that differ in an attribute: the head that answers, or a scale."""

    def head(first, scale=1.0):
        weights = np.random.default_rng(0).normal(size=(64, 6)).astype(np.float32)

        def answer(images):
            return scale * (images.reshape(len(images), -1) @ weights[:, first : first + 3])

        return ArrayObserver(answer, "wrapper", sha256="of the weights alone")

    noise = WhiteNoise(shape=SHAPE)
    looked = [head(*given).looked(noise).sha256 for given in ((0,), (3,), (0,))]
    assert looked[0] == looked[2] != looked[1]
    path, settings = tmp_path / "sums.npz", {"progress": False}
    one = measure(head(0), noise, 4096, checkpoint=path, **settings)
    for other in (head(3), head(0, 2.0)):  # the second has the same decisions
        with pytest.raises(UserError, match="is of another run .*(network_sha256|answers)"):
            measure(other, noise, 4096, checkpoint=path, **settings)
    last_digits = head(0, 1 + 1e-6)  # as on another number of threads
    again = measure(last_digits, noise, 4096, checkpoint=path, **settings)
    assert np.array_equal(again.classes["logit"].covariance, one.classes["logit"].covariance)


def test_a_function_that_is_shown_other_normalised_images_is_another_observer():
    def answer(images):
        return images.reshape(len(images), -1) @ WEIGHTS

    made = [observers.function(answer).normalised(0, std).looked(NOISE) for std in (1, 2)]
    assert made[0].sha256 != made[1].sha256


# --------------------------------------------------------------------------- passes

PASS_NOISE = WhiteNoise(shape=(12, 12, 1))


@pytest.fixture(scope="module")
def network():
    """A convolution of two filters."""
    return convolution(np.random.default_rng(0).normal(size=(3, 3, 1, 2)))


@pytest.mark.parametrize(
    ("settings", "differing"),
    [
        ({"seed": 1}, {"seed"}),
        ({"noise": WhiteNoise(shape=(12, 12, 1), base=0.4)}, {"noise"}),
        ({"precision": "bfloat16"}, {"precision"}),
        ({"block_images": 50}, {"block_images", "shard_blocks"}),
        (
            {"noise": PASS_NOISE.independent},
            {"noise", "block_images", "shard_blocks", "accumulators"},
        ),
        ({"layers": ()}, {"layers", "accumulators"}),
        ({"only": (1,)}, {"only", "accumulators"}),
        ({"accumulators": (ClassSums,)}, {"accumulators"}),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_whatever_a_pass_is_asked_for_is_in_its_identity(settings, differing, network):
    usual = {"noise": PASS_NOISE, "layers": ("conv",), "block_images": 100}
    usual["accumulators"] = (ClassSums, FilterSums)
    one, other = (NoisePass(network, **asked).identity for asked in (usual, {**usual, **settings}))
    different = {key for key in {**one, **other} if one.get(key) != other.get(key)}
    assert different - {"answers"} == differing  # answers to other noise are others, too


def test_shards_are_eight_blocks_of_independent_or_2048_images_of_orthogonal_numbers(
    network,
):
    for asked, ours in ((100, 64), (50, 32), (1000, 512), (10**6, 1024), (3, 2), (1, 2)):
        orthogonal, independent = (
            NoisePass(network, noise, block_images=asked).identity
            for noise in (PASS_NOISE, PASS_NOISE.independent)
        )
        assert (orthogonal["block_images"], orthogonal["shard_blocks"]) == (ours, 2048 // ours)
        assert (independent["block_images"], independent["shard_blocks"]) == (asked, 8)


@pytest.fixture(scope="module")
def checkpoint(network, tmp_path_factory):
    """A checkpoint of one shard."""
    path = tmp_path_factory.mktemp("pass") / "sums.npz"
    show(network, 8000, checkpoint=path)
    return path


def test_a_checkpoint_in_float32_is_not_continued_in_bfloat16(network, checkpoint):
    before = checkpoint.read_bytes()
    with pytest.raises(UserError, match="another run .it differs in precision.: delete it"):
        show(network, 8000, checkpoint=checkpoint, precision="bfloat16")
    assert checkpoint.read_bytes() == before


@pytest.mark.parametrize(
    "key",
    (
        "network network_sha256 logits noise seed precision block_images shard_blocks layers "
        "paired accumulators versions machine only"
    ).split(),
)
def test_a_checkpoint_that_differs_in_anything_is_refused_by_its_name(
    key, network, checkpoint, tmp_path
):
    levels, told, fields = read_sums(checkpoint)
    write_sums(tmp_path / "sums.npz", levels, {**told, key: "another"}, fields)
    with pytest.raises(UserError, match=f"another run .it differs in {key}.: delete it"):
        show(network, 8000, checkpoint=tmp_path / "sums.npz")


# --------------------------------------------------------------------------- what is kept


def test_exact_images_of_another_identity_are_computed_again_and_replace_the_old(tmp_path):
    path, calls = tmp_path / "exact.npz", []

    def compute(number):
        def images():
            calls.append(number)
            return {"logit": ExactImages(np.full((2, *SHAPE), number), np.ones(2) / number, 7)}

        return images

    for identity, number, expected in (
        ({"seed": 0}, 1.0, 1.0),
        ({"seed": 0}, 2.0, 1.0),  # kept
        ({"seed": 1}, 3.0, 3.0),  # of another seed
        ({"seed": 0}, 4.0, 4.0),  # what was kept of it has been replaced
    ):
        found = kept_exact(path, identity, compute(number))["logit"]
        assert np.all(found.images == expected) and found.count == 7
        assert np.all(found.reliability == 1 / expected)
    assert calls == [1, 3, 4]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"no archive",
        lambda content: content[:-200],
    ],
    ids=["empty", "of another kind", "cut off"],
)
def test_a_damaged_file_of_exact_images_is_computed_again(damage, tmp_path):
    path = tmp_path / "exact.npz"
    first, second = (
        {"logit": ExactImages(np.full((2, *SHAPE), number), np.ones(2), 7)} for number in (1.0, 2.0)
    )
    kept_exact(path, {"seed": 0}, lambda: first)
    path.write_bytes(damage(path.read_bytes()))
    for _ in range(2):  # computed, and kept whole
        found = kept_exact(path, {"seed": 0}, lambda: second)
        assert np.all(found["logit"].images == 2)


# --------------------------------------------------------------------------- studies


def test_a_study_that_differs_in_its_seed_alone_or_in_anything_has_another_id(tmp_path):
    told = {"noise": ENSEMBLES["an image as base"], "seed": 0, "trials": 40}
    told |= {"question": "Which is brighter?", "condition": "main"}
    others = {
        "noise": ENSEMBLES["a base of other pixels"],
        "seed": 1,
        "trials": 41,
        "question": "Which is darker?",
        "condition": "other",
    }
    study = Study(**told)
    ids = [study.id, *(Study(**{**told, name: value}).id for name, value in others.items())]
    assert len(set(ids)) == 6 and all(len(each) == 8 for each in ids)
    study.save(tmp_path / "study.npz")
    assert Study.load(tmp_path / "study.npz").id == study.id
