"""Individuals: agreement between networks whose templates are known, and training with noise."""

import numpy as np
import pytest
from small_observers import STD, observer

from experiments.individuals import Group, Individual, agreements_of, measured
from reverse_correlation import WhiteNoise
from training import with_noise

SHAPE = (8, 8, 1)
NOISE = {
    "pure noise": WhiteNoise(shape=SHAPE),
    "mean image": WhiteNoise(shape=SHAPE, base=0.2, contrast=0.1),
}
OTHER = {**NOISE, "mean image": WhiteNoise(shape=SHAPE, base=0.2, contrast=0.3)}


def networks(group, noise, templates, folder):
    """Individuals that are linear observers of the templates (n, 8, 8, 1)."""
    made = []
    for i, w in enumerate(templates):
        network, seed = observer(np.stack([-w, w], axis=-1)), group.first_seed + i
        shown = {
            base: measured(
                network, each, 16_000, seed, None, folder / f"{group.title}{i}{base}.npz"
            )
            for base, each in noise.items()
        }
        made.append(Individual(group, 1.0, shown, {}))
    return made


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Agreements of three networks of one kind and two of another, and all their templates."""
    rng = np.random.default_rng(0)
    templates = rng.normal(size=SHAPE) + rng.normal(size=(5, *SHAPE))
    groups = Group("LeNet", "lenet", 3, 0), Group("AlexNet", "alexnet", 2, 10)
    folder = tmp_path_factory.mktemp("individuals")
    shown = [
        *networks(groups[0], NOISE, templates[:3], folder),
        *networks(groups[1], OTHER, templates[3:], folder),
    ]
    found = agreements_of(shown, {"lenet": 0.1, "alexnet": 0.3})
    return {(each.base, *each.groups): each for each in found}, templates.reshape(5, -1)


def test_networks_agree_as_their_templates_do(found):
    agreements, templates = found
    truth = np.corrcoef(templates)
    within = agreements["pure noise", "LeNet", "LeNet"]
    expected = truth[:3, :3][np.triu_indices(3, 1)]
    assert np.allclose(within.matrix[np.triu_indices(3, 1)], expected[:, None], atol=0.06)
    assert abs(within.mean - expected.mean()) < 0.04
    assert within.interval[0] < within.mean < within.interval[1]
    between = agreements["pure noise", "LeNet", "AlexNet"]
    assert np.allclose(between.matrix, truth[:3, 3:, None], atol=0.06)
    assert between.parts is None and between.matrix.shape == (3, 2, 2)


def test_only_networks_that_saw_the_same_ensemble_are_compared(found):
    bases = [key[1:] for key in found[0] if key[0] == "mean image"]
    assert bases == [("LeNet", "LeNet"), ("AlexNet", "AlexNet")]


def test_what_was_measured_is_kept_and_another_seed_is_measured_anew(tmp_path):
    network, noise = observer(np.ones((*SHAPE, 2)) * np.array([1, -1])), NOISE["pure noise"]
    first = measured(network, noise, 1_000, 3, None, tmp_path / "kept.npz")
    written = (tmp_path / "kept.npz").stat().st_mtime_ns
    again = measured(network, noise, 1_000, 3, None, tmp_path / "kept.npz")
    assert (tmp_path / "kept.npz").stat().st_mtime_ns == written
    assert np.array_equal(first.classes["logit"].z, again.classes["logit"].z)
    assert measured(network, noise, 1_000, 4, None, tmp_path / "kept.npz").provenance["seed"] == 4


def test_training_noise_is_white_and_in_its_share_of_the_images(rng):
    images = rng.random((500, 6, 5, 1), np.float32)
    noisy = with_noise(images, 0.5, seed=1)
    added = (noisy - images).reshape(500, -1)
    changed = np.any(added != 0, axis=1)
    assert changed.sum() == 250 and np.array_equal(noisy[~changed], images[~changed])
    values = added[changed]
    assert abs(values.std() - STD) < 5 * STD / np.sqrt(2 * values.size)
    assert abs(values.mean()) < 5 * STD / np.sqrt(values.size)
    assert np.array_equal(noisy, with_noise(images, 0.5, seed=1))
    assert not np.array_equal(noisy, with_noise(images, 0.5, seed=2))
