"""Networks of one's own on the command line."""

import re
import subprocess

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image
from zoo import build, residual, subclassed

import main
from command_line import read_main_settings
from reverse_correlation import Measurement


def run(tmp_path, capsys, *flags):
    code = main.run(["--noise-images", "2000", "--out", str(tmp_path / "out"), *map(str, flags)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err.splitlines()[-1] if captured.err else ""


def test_a_network_of_ones_own_gives_figures_with_its_name(tmp_path, capsys):
    build(residual).save(tmp_path / "mine.keras")
    code, out, _ = run(tmp_path, capsys, "--model", tmp_path / "mine.keras")
    figures = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.png")}
    assert code == 0 and "responses: logits" in out
    assert figures == {"part3_imgs/bias_mine.png"} | {
        f"part4_imgs/{stem}.png"
        for stem in (
            "sta_conv1_mine", "sta_convLast_mine", "conv1_mine_noise", "convLast_mine_noise"
        )
    }  # fmt: skip
    code, out, _ = run(tmp_path, capsys, "--model", tmp_path / "mine.keras", "--layers", "second")
    assert code == 0 and (tmp_path / "out/part4_imgs/sta_second_mine.png").exists()


def test_a_data_set_of_the_right_shape_gives_templates_too(tmp_path, capsys, monkeypatch):
    labels = np.tile(np.arange(10), 4)
    images = np.random.default_rng(0).random((40, 28, 28, 1), np.float32)
    monkeypatch.setattr("data.load_data", lambda name: ((images, labels), (images, labels)))
    stack = [keras.Input((28, 28)), layers.Rescaling(1 / 255), layers.Flatten()]
    keras.Sequential([*stack, layers.Dense(10, "softmax")]).save(tmp_path / "flat.keras")
    flags = ["--model", tmp_path / "flat.keras", "--dataset", "mnist", "--input-range", 0, 255]
    code, out, _ = run(tmp_path, capsys, *flags)
    assert code == 0 and "from 0 to 255" in out and "by its logit images alone" in out
    assert "rescales its input itself" in out and "no Part 4" in out
    assert (tmp_path / "out/part3_imgs/template_flat_mnist.png").exists()
    measurement = Measurement.load(tmp_path / "out/results/model_flat_mnist.npz")
    assert (measurement.noise.low, measurement.noise.high) == (0, 255)


def saved_dense(path, shape=(16, 16, 1)):
    keras.utils.set_random_seed(0)
    stack = [keras.Input(shape), layers.Flatten(), layers.Dense(3, "softmax")]
    keras.Sequential(stack).save(path)
    return path


@pytest.mark.parametrize("kind", ["coarse", "pink", "sinusoid", "sparse", "binary"])
def test_every_kind_of_noise_is_reached_by_its_name(kind, tmp_path, capsys):
    path = saved_dense(tmp_path / "dense.keras")
    code, _, error = run(tmp_path, capsys, "--model", path, "--noise-kind", kind)
    assert code == 0, error
    measurement = Measurement.load(tmp_path / "out/results/model_dense.npz")
    assert (
        measurement.provenance["noise"]["ensemble"]
        .lower()
        .startswith({"binary": "white"}.get(kind, kind))
    )
    assert (tmp_path / "out/part3_imgs/base_dense.png").exists()


def test_an_image_is_fitted_to_the_network_and_classes_have_names(tmp_path, capsys):
    path = saved_dense(tmp_path / "dense.keras")
    Image.fromarray(np.full((9, 5), 51, np.uint8)).save(tmp_path / "face.png")
    flags = ["--base", tmp_path / "face.png", "--contrast", 0.1, "--input-range", -1, 1]
    names = ["--class-names", "yes", "no", "maybe"]
    code, out, error = run(tmp_path, capsys, "--model", path, *flags, *names)
    assert code == 0, error
    assert "brought from 5 x 9 to 16 x 16" in out and "noise answered maybe" in out
    noise = Measurement.load(tmp_path / "out/results/model_dense.npz").noise
    assert np.allclose(noise.mean, -0.6, atol=1e-6) and noise.contrast == 0.1


def test_the_mean_training_image_is_a_base(tmp_path, capsys, made_up):
    path = saved_dense(tmp_path / "dense.keras", (28, 28, 1))
    keras.Sequential(
        [keras.Input((28, 28, 1)), layers.Flatten(), layers.Dense(10, "softmax")]
    ).save(path)
    flags = ["--dataset", "mnist", "--base", "mean"]
    code, _, error = run(tmp_path, capsys, "--model", path, *flags)
    assert code == 0, error
    noise = Measurement.load(tmp_path / "out/results/model_dense_mnist.npz").noise
    assert np.allclose(noise.mean, made_up[0][:36].mean(axis=0), atol=1e-6)  # without validation


def coloured(path):
    Image.fromarray(np.eye(12, dtype=np.uint8).reshape(4, 12, 3) * 255).save(path)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--base", "nothing.png"], "cannot be read as an image"),
        (["--base", "colour.png"], "in colour, but the network takes 1 channel"),
        (["--base", "mean"], "name a --dataset"),
        (["--noise-kind", "gabor"], "name a --dataset"),
        (["--noise-kind", "sparse", "--base", "0.5"], "leave them out"),
        (["--noise-kind", "coarse"], "cells of 4 pixels do not tile images of 10 x 10"),
        (["--class-names", "one"], "1 class names for the 3 classes"),
    ],
)
def test_noise_that_does_not_fit_is_refused_in_one_sentence(flags, sentence, tmp_path, capsys):
    path = saved_dense(tmp_path / "dense.keras", (10, 10, 1))
    coloured(tmp_path / "colour.png")
    flags = [str(tmp_path / flag) if flag.endswith(".png") else flag for flag in flags]
    code, _, error = run(tmp_path, capsys, "--model", path, *flags)
    assert code == 2 and error.startswith("main.py: ") and sentence in error, error


def two_inputs(path):
    a, b = keras.Input((4, 4, 1)), keras.Input((4, 4, 1))
    keras.Model([a, b], layers.Dense(2)(layers.Flatten()(a + b))).save(path)


def two_outputs(path):
    a = keras.Input((4, 4, 1))
    x = layers.Flatten()(a)
    keras.Model(a, [layers.Dense(2)(x), layers.Dense(3)(x)]).save(path)


def a_vector(path):
    keras.Sequential([keras.Input((784,)), layers.Dense(3)]).save(path)


def a_map(path):
    keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(3, 3)]).save(path)


def damaged(value):
    def save(path):
        network = keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(3)])
        kernel, bias = network.layers[-1].get_weights()
        network.layers[-1].set_weights([kernel * 0 + value, bias])
        network.save(path)

    return save


def truncated(path):
    a_map(path)
    path.write_bytes(path.read_bytes()[:-500])


def a_pickle(path):
    path.write_bytes(b"\x80\x04cos\nsystem\n(S'touch opened'\ntR.")


def unregistered(path):
    class Odd(layers.Layer):
        def call(self, x):
            return 2 * x

    keras.Sequential([keras.Input((4, 4, 1)), Odd(), layers.Flatten(), layers.Dense(2)]).save(path)


@pytest.mark.parametrize(
    ("save", "sentence"),
    [
        (lambda path: None, "there is no file"),
        (truncated, "not a whole .keras archive"),
        (a_pickle, "not a whole .keras archive"),
        (unregistered, "custom object 'Odd', which is not registered"),
        (two_inputs, "has 2 inputs"),
        (two_outputs, "has 2 outputs"),
        (a_vector, "not images"),
        (a_map, r"answers arrays of \(6, 6, 3\)"),
        (damaged(np.nan), "answers NaN"),
        (damaged(0.0), "answers all of 1,000 noise images alike"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_sentence(save, sentence, tmp_path, capsys):
    save(tmp_path / "odd.keras")
    code, _, error = run(tmp_path, capsys, "--model", tmp_path / "odd.keras")
    assert code == 2 and error.startswith("main.py: ")
    assert re.search(sentence, error), error


def test_an_h5_file_is_never_opened(tmp_path, capsys, monkeypatch):
    path = tmp_path / "old.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    monkeypatch.setattr(keras.saving, "load_model", None)  # calling it would fail
    code, _, error = run(tmp_path, capsys, "--model", path)
    assert code == 2 and "h5 files and pickles are never opened" in error


@pytest.mark.parametrize(
    "flags",
    [
        ["--model", "x.keras", "--epochs", "2"],
        ["--model", "x.keras", "--networks", "lenet"],
        ["--model", "x.keras", "--retrain"],
        ["--input-range", "0", "255"],
        ["--model", "x.keras", "--input-range", "0", "white"],
        ["--model", "x.keras", "--input-range", "1", "0"],
        ["--class-names", "a", "b"],
        ["--noise-kind", "purple"],
        ["--contrast", "0"],
        ["--until", "1"],
    ],
)
def test_flags_that_contradict_each_other_are_refused(flags, capsys):
    with pytest.raises(SystemExit) as stop:
        read_main_settings(flags, main.DEFAULTS, "")
    assert stop.value.code == 2
    assert "error: argument --" in capsys.readouterr().err.splitlines()[-1]


def test_a_registered_subclass_is_measured_from_its_file(tmp_path, processes):
    """In a process of its own, which knows the class from the module that it was saved from."""
    build(subclassed).save(tmp_path / "subclassed.keras")
    code = (
        "import sys, zoo, main; flags = ['--noise-images', '2000'];"
        "sys.exit(main.run([*flags, '--model', sys.argv[1], '--out', sys.argv[2]]))"
    )
    process = processes.python(
        code, tmp_path / "subclassed.keras", tmp_path / "out", stderr=subprocess.PIPE, text=True
    )
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert (tmp_path / "out/part4_imgs/sta_conv1_subclassed.png").exists()
