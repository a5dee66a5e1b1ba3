"""Figures are asked what data they hold, not compared as pixels."""

import keras
import matplotlib
import numpy as np
import pytest
from PIL import Image

import figures
from analysis import generate_classification_images, predict
from lenet import LeNet
from noise import generate_white_noise_images
from reverse_correlation.figures.panels import panels
from reverse_correlation.figures.style import save

NAMES = [f"class {k}" for k in range(10)]
MAPS = np.random.default_rng(0).normal(size=(10, 6, 7))


def images_of(figure):
    return [image for axis in figure.axes for image in axis.images]


def test_signed_maps_share_one_scale_symmetric_about_zero():
    maps = MAPS.copy()
    maps[4] = np.nan
    figure = panels(maps, NAMES, ["n = 3"] * 10, "title", "label", signed=True)
    shown = images_of(figure)
    assert len(shown) == 9
    high = np.nanmax(np.abs(maps))
    assert {image.get_clim() for image in shown} == {(-high, high)}
    assert np.array_equal(shown[0].get_array(), maps[0])
    assert "no image" in [text.get_text() for text in figure.axes[4].texts]


def test_a_confusion_matrix_has_truth_in_rows():
    shares = np.eye(10)
    shares[3] = 0
    shares[3, 7] = 1
    axis = figures.confusion_matrix(shares, NAMES, "title").axes[0]
    mesh = axis.collections[0].get_array().reshape(10, 10)
    assert mesh[3, 7] == 1 and axis.get_ylabel() == "ground truth"
    assert axis.get_xlabel() == "prediction" and axis.yaxis_inverted()


def test_the_same_figure_gives_the_same_bytes(tmp_path):
    before = dict(matplotlib.rcParams)
    paths = [
        save(panels(MAPS, NAMES, NAMES, "title", "label"), tmp_path / f"{i}" / "a.png")
        for i in (0, 1)
    ]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert Image.open(paths[0]).convert("RGB").getpixel((0, 0)) == (255, 255, 255)
    assert dict(matplotlib.rcParams) == before  # no global setting was touched


@pytest.mark.parametrize("other", ["pdf", "svg"])
def test_a_figure_for_a_paper_lies_beside_the_png_and_has_the_same_bytes_again(other, tmp_path):
    found = []
    for i in (0, 1):
        path = save(
            panels(MAPS, NAMES, NAMES, "title", "label"), tmp_path / f"{i}" / "a.png", other
        )
        found.append(path.with_suffix(f".{other}").read_bytes())
        assert path.exists()
    assert found[0] == found[1] and found[0].startswith({"pdf": b"%PDF", "svg": b"<?xml"}[other])


@pytest.mark.parametrize("count", [2, 7])
def test_any_number_of_classes_fits(count, tmp_path):
    figure = panels(MAPS[:count], NAMES[:count], NAMES[:count], "title", "label")
    assert len(images_of(figure)) == count
    save(figure, tmp_path / "a.png")


def caption(figure):
    """The title of a figure, wherever its lines were broken."""
    return figure.get_suptitle().replace("\n", " ")


def test_mean_noisy_images_are_of_the_images_that_the_caption_counts(monkeypatch, tmp_path):
    images = np.linspace(0, 1, 12 * 28 * 28, dtype=np.float32).reshape(12, 28, 28, 1)
    labels = np.array([0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9])
    keras.utils.set_random_seed(0)
    drawn = {}
    monkeypatch.setattr(figures, "save", lambda figure, path, _: drawn.update({path.name: figure}))
    noisy = generate_white_noise_images(images[:8], 1.0, 0.0, 0)
    averages = {n: generate_classification_images(noisy, labels[:8], n) for n in range(7)}
    figures.plot_class_averages(averages, labels[:8], 1.0, 0.0, "mnist", tmp_path)
    answers = predict(LeNet(), np.stack(list(averages.values())))
    figures.plot_confusion_matrix(answers, list(averages), "lenet", "mnist", tmp_path)
    means = drawn["classification_mnist.png"]
    assert caption(means).startswith("Mean of 8 MNIST test images at 100% signal and 0% uniform")
    notes = [axis.get_xlabel() for axis in means.axes[:10]]
    assert notes == ["n = 1", "n = 2", *["n = 1"] * 5, *["n = 0"] * 3]
    assert np.allclose(means.axes[1].images[0].get_array(), images[1:3, ..., 0].mean(axis=0))
    assert not means.axes[9].images  # no image of a 9 is among the first eight
    answers = drawn["cm_lenet_mnist.png"]
    mesh = answers.axes[0].collections[0].get_array().reshape(10, 10)
    right = int(np.sum(mesh[:7].argmax(axis=1) == np.arange(7)))
    assert caption(answers).endswith(
        f"shown the mean noisy image of each class: {right} of 7 right"
    )
    assert np.allclose(mesh[:7].sum(axis=1), 1, atol=1e-5) and mesh.mask[7:].all()
