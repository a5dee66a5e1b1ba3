"""Class images of structured noise as classifiers: known answers."""

import dataclasses

import numpy as np
import pytest
from small_observers import observer, yes_no

from experiments import structured
from experiments.structured import (
    Settings,
    TemplateSet,
    best_ridge,
    draw,
    ensembles,
    root_mean_square_images,
    share_right,
    template_sets,
)
from reverse_correlation import GaborNoise, Network, WhiteNoise

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


def hidden_component():
    """Gabor noise whose strong component hides a weak one that a network looks for.

    Returns the noise, the network, and two images that only the whitened class images name right.
    """
    strong, weak = np.zeros((2, *SHAPE))
    strong[0, 0], weak[0, 1] = 1, 1
    noise = GaborNoise(0 * strong, np.stack([strong, weak]), np.array([10.0, 1.0]))
    weights, image = weak + 0.1 * strong, weak - 0.3 * strong
    network = Network(observer(np.stack([weights, -weights], axis=-1)))
    return noise, network, np.stack([image, -image])


def test_the_ridge_is_chosen_on_the_validation_split_and_tried_on_the_test_set():
    noise, network, images = hidden_component()
    shown = {"white, uniform": UNIFORM, "Gabor-PCA": noise}
    settings = Settings(repeats=2, noise_images=4000, ridges=(1e9, 0.0))
    right, wrong = np.array([0, 1]), np.array([1, 0])
    validation, test = (images, right), (images, wrong)
    sets = {
        (each.noise, each.response): each
        for each in template_sets(network, shown, test, validation, settings, 0, None)
    }
    for response in ("choice", "logit"):
        whitened, coloured = (sets[f"Gabor-PCA{kind}", response] for kind in (" whitened", ""))
        assert whitened.ridge == 0.0 and whitened.shares == (0, 0)  # by the names of the test set
        assert coloured.ridge is None and coloured.shares == (1, 1)
    assert sets["white, uniform", "root mean square"].images.shape == (2, *SHAPE)


def test_repeats_are_of_other_noise_and_the_images_of_the_first(rng):
    noise = hidden_component()[0]
    network = Network(observer(rng.normal(size=(*SHAPE, 6))))
    shown = {"white, uniform": UNIFORM, "Gabor-PCA": noise}
    settings = Settings(repeats=2, noise_images=1000, ridges=(0.1,))
    test = rng.normal(size=(2000, *SHAPE)), rng.integers(6, size=2000)
    both, second = (
        {
            (each.noise, each.response): each
            for each in template_sets(
                network, shown, test, test, dataclasses.replace(settings, repeats=n), seed, None
            )
        }
        for n, seed in ((2, 7), (1, 8))
    )
    for response in ("logit", "choice", "root mean square"):
        each, other = both["white, uniform", response], second["white, uniform", response]
        assert each.shares[0] != each.shares[1] == other.shares[0]
        assert each.shares[0] == share_right(each.images, *test)


def test_noise_about_the_mean_image_has_the_contrast_that_the_validation_split_chose(rng):
    shape = (12, 12, 1)
    weights = rng.normal(size=shape)
    weights /= np.linalg.norm(weights)
    images = rng.random((30, *shape), np.float32)
    # x - x**3 of noise about the mean image: faint noise shows the template, strong its reverse
    bias = np.array([1, -1]) * (weights * images.mean(axis=0)).sum()
    network = Network(observer(np.stack([-weights, weights], -1), bias, lambda x: x - x**3))
    validation = np.stack([-weights, weights]), np.array([0, 1])
    settings = Settings(contrasts=(2.0, 0.05), contrast_images=2000, fit_images=20, components=10)
    shown = ensembles(network, images, validation, settings, 0)
    about = {name: noise for name, noise in shown.items() if "about the mean" in name}
    assert about.keys() == {
        f"{kind} about the mean image, contrast 0.05"
        for kind in ("white", "coarse", "pink", "sinusoid")
    }
    for noise in about.values():
        assert noise.contrast == 0.05 and np.allclose(noise.base, images.mean(axis=0))
    grey = [shown[name] for name in ("white, uniform", "white", "coarse", "pink", "sinusoid")]
    assert {noise.base for noise in grey} == {0.5} and grey[0].kind == "uniform"
    assert shown["Gabor-PCA"].coordinates == (10,)


@pytest.mark.parametrize(("dataset", "published"), [("mnist", 0.3555), ("fashion_mnist", 0.4121)])
def test_what_was_published_is_of_uniform_white_noise(monkeypatch, dataset, published):
    images = np.random.default_rng(0).normal(size=(10, *SHAPE))
    sets = [
        TemplateSet("white, uniform", "root mean square", images, (0.2, 0.4)),
        TemplateSet("white", "logit", images, (0.5, 0.5)),
        TemplateSet("Gabor-PCA whitened", "logit", images, (0.1, 0.3), ridge=0.03),
        TemplateSet("white", "decision", images, (0.5, 0.5)),
    ]
    monkeypatch.setattr(structured, "ensembles", lambda *_: {})
    monkeypatch.setattr(structured, "template_sets", lambda *_: sets)
    rows, figure = structured.run(
        network=observer(np.ones((*SHAPE, 10))),
        train=(images, None),
        test=(images, np.arange(10)),
        validation=None,
        settings=Settings(repeats=2, noise_images=3000),
        seed=0,
        dataset=dataset,
        client=None,
    )
    assert [(row.what, row.published, row.ours) for row in rows] == [
        ("class images (white, uniform, root mean square)", published, pytest.approx(0.3)),
        ("class images (white, logit)", None, 0.5),
        ("class images (Gabor-PCA whitened, logit), ridge 0.03", None, pytest.approx(0.2)),
        ("class images (white, decision)", None, 0.5),
    ]
    assert len([axis for axis in figure.axes if "right" in axis.get_ylabel()]) == 3
    title = figure.get_suptitle().replace("\n", " ")
    assert "from 3,000 noise images each" in title and "share of 10 test images" in title


def test_in_the_figure_each_row_has_its_own_images_and_share():
    maps = np.random.default_rng(0).normal(size=(3, *SHAPE))
    never = maps.copy()
    never[1] = np.nan
    sets = [
        TemplateSet("pink about the mean image, contrast 0.1", "logit", never, (0.2, 0.3)),
        TemplateSet("white", "root mean square", -maps, (0.5, 0.7)),
    ]
    axes = draw(sets, ("cat", "dog", "owl"), "title").axes
    assert axes[0].get_ylabel() == "pink\nabout the mean image\ncontrast 0.1\nlogit\n25.0% right"
    assert axes[3].get_ylabel() == "white\nroot mean square\n60.0% right"
    assert [axis.get_title() for axis in axes[:3]] == ["cat", "dog", "owl"]
    assert not axes[1].images and axes[1].texts[0].get_text() == "never\nanswered"
    for axis, values in ((axes[0], maps[0]), (axes[2], maps[2]), (axes[4], -maps[1])):
        shown = axis.images[0].get_array()
        assert np.corrcoef(shown.ravel(), values.ravel())[0, 1] == pytest.approx(1)
        assert np.abs(shown).max() == 1
