"""Class images of structured noise as classifiers: known answers."""

import numpy as np
from small_observers import yes_no

from experiments.structured import best_ridge, root_mean_square_images, share_right
from reverse_correlation import GaborNoise, WhiteNoise

SHAPE = (8, 8, 1)
UNIFORM = WhiteNoise("uniform", SHAPE)


def test_root_mean_square_images_are_what_numpy_says(rng):
    template = rng.normal(size=SHAPE)
    network = yes_no(template, -template.sum() / 2 - 1)
    images = root_mean_square_images(network, UNIFORM, 1500, seed=4)
    stimuli = np.concatenate([UNIFORM.draw(4, 0, 1000), UNIFORM.draw(4, 1, 500)])
    answers = network.predict(stimuli, verbose=0).argmax(axis=1)
    for k in (0, 1):
        expected = np.sqrt((stimuli[answers == k] ** 2).mean(axis=0))
        assert np.allclose(images[k], expected, atol=1e-5)
    never = root_mean_square_images(yes_no(template, -1e6), UNIFORM, 100)
    assert np.isnan(never[1]).all() and np.isfinite(never[0]).all()


def test_templates_that_do_not_exist_classify_nothing_right(rng):
    images = rng.random((2, *SHAPE))
    assert share_right(images, images, np.array([0, 1])) == 1
    assert share_right(np.full((2, *SHAPE), np.nan), images, np.array([0, 1])) == 0


def test_the_ridge_is_the_one_whose_images_classify_best():
    strong, weak = np.zeros((2, *SHAPE))
    strong[0, 0], weak[0, 1] = 1, 1
    noise = GaborNoise(0 * strong, np.stack([strong, weak]), np.array([10.0, 1.0]))
    weights, image = weak + 0.1 * strong, weak - 0.3 * strong
    covariance = weights * noise.std**2  # in which the strong component hides the weak one
    images, labels = np.stack([image, -image]), np.array([0, 1])
    assert share_right(np.stack([covariance, -covariance]), images, labels) == 0
    ridge = best_ridge(noise, np.stack([covariance, -covariance]), images, labels, (1e9, 0.0, 1e8))
    assert ridge == 0.0
