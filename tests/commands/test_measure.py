"""`python -m reverse_correlation measure FILE`."""

import contextlib
import dataclasses
import html
import importlib
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import h5py
import keras
import numpy as np
import onnx_files
import pytest
from helpers import same_bits, unrendered
from keras import layers
from PIL import Image
from scipy import stats
from small_observers import observer
from zoo import binary, build, recurrent, rescaled, residual, separable, subclassed

from reverse_correlation import Measurement, UserError, load_any_network, measure
from reverse_correlation.__main__ import run as run_command
from reverse_correlation.commands.flags import read_settings
from reverse_correlation.commands.settings import MeasureSettings

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "python -m reverse_correlation measure: "


def run(tmp_path, capsys, *words, rendered=False):
    flags = ["--noise-images", "2000", "--out", str(tmp_path / "out")]
    with contextlib.nullcontext() if rendered else unrendered():
        code = run_command(["measure", *map(str, words), *flags])
    captured = capsys.readouterr()
    return code, captured.out, captured.err.splitlines()[-1] if captured.err else ""


def save_labelled(path, shape=(28, 28), classes=10):
    """Forty images, four of a class, as Keras's mnist.npz has them: pixels from 0 to 255."""
    labels = np.tile(np.arange(classes), 40 // classes)
    images = np.random.default_rng(0).integers(0, 256, (len(labels), *shape), np.uint8)
    np.savez(path, x_train=images, y_train=labels, x_test=images, y_test=labels)
    return images / np.float32(255)


def test_a_network_of_ones_own_gives_figures_with_its_name(tmp_path, capsys):
    build(residual).save(tmp_path / "mine.keras")
    code, out, _ = run(tmp_path, capsys, tmp_path / "mine.keras", rendered=True)
    figures = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.png")}
    assert code == 0 and "responses: logits" in out
    assert figures == {
        f"{stem}.png"
        for stem in (
            "bias_mine", "base_mine", "sta_conv1_mine", "sta_convLast_mine", "conv1_mine_noise",
            "convLast_mine_noise", "spectrum_mine",
        )
    }  # fmt: skip
    code, out, _ = run(tmp_path, capsys, tmp_path / "mine.keras", "--layers", "second")
    assert code == 0 and (tmp_path / "out/sta_second_mine.png").exists()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "log-odds of independent labels"),
        (["--labels", "exclusive"], "centred, from the inputs of its sigmoids"),
    ],
)
def test_what_labels_are_can_be_said(flags, said, tmp_path, capsys):
    keras.utils.set_random_seed(0)
    stack = [keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(3, "sigmoid")]
    keras.Sequential(stack).save(tmp_path / "labels.keras")
    code, out, error = run(tmp_path, capsys, tmp_path / "labels.keras", *flags)
    assert code == 0, error
    assert f"responses: logits, {said}" in out
    kept = Measurement.load(tmp_path / "out/labels.npz")
    assert (kept.answered.sum() == kept.count) == bool(flags)


def test_labelled_images_give_templates_too(tmp_path, capsys):
    save_labelled(tmp_path / "mine.npz")
    stack = [keras.Input((28, 28)), layers.Rescaling(1 / 255), layers.Flatten()]
    keras.Sequential([*stack, layers.Dense(10, "softmax")]).save(tmp_path / "flat.keras")
    flags = [tmp_path / "flat.keras", "--images", tmp_path / "mine.npz"]
    flags += ["--input-range", 0, 255]
    code, out, _ = run(tmp_path, capsys, *flags)
    assert code == 0 and "from 0 to 255" in out and "by its logit images alone" in out
    assert "rescales its input itself" in out and "has no convolution" in out
    assert (tmp_path / "out/template_flat_mine.png").exists()
    measurement = Measurement.load(tmp_path / "out/flat_mine.npz")
    assert (measurement.noise.low, measurement.noise.high) == (0, 255)


def saved_dense(path, shape=(8, 8, 1)):
    keras.utils.set_random_seed(0)
    stack = [keras.Input(shape), layers.Flatten(), layers.Dense(3, "softmax")]
    keras.Sequential(stack).save(path)
    return path


@pytest.mark.parametrize("kind", ["gaussian", "pink"])
def test_independent_numbers_are_asked_for_by_a_flag(kind, tmp_path, capsys):
    path = saved_dense(tmp_path / "dense.keras")
    found = {}
    for flags in ([], ["--independent"]):
        code, _, error = run(tmp_path, capsys, path, "--noise-kind", kind, *flags)
        assert code == 0, error
        found[bool(flags)] = Measurement.load(tmp_path / "out/dense.npz")
    assert not found[True].noise.orthogonal and found[False].noise.orthogonal
    network = keras.models.load_model(path)
    for independent, kept in found.items():
        noise = dataclasses.replace(kept.noise, orthogonal=not independent)
        again = measure(network, noise, 2000, progress=False, prediction_images=4000)
        assert same_bits(kept, again)
    assert not same_bits(*found.values())


@pytest.mark.parametrize("kind", ["coarse", "pink", "sinusoid", "sparse", "binary"])
def test_every_kind_of_noise_is_reached_by_its_name(kind, tmp_path, capsys):
    path = saved_dense(tmp_path / "dense.keras")
    code, _, error = run(tmp_path, capsys, path, "--noise-kind", kind)
    assert code == 0, error
    measurement = Measurement.load(tmp_path / "out/dense.npz")
    assert (
        measurement.provenance["noise"]["ensemble"]
        .lower()
        .startswith({"binary": "white"}.get(kind, kind))
    )
    assert (tmp_path / "out/base_dense.png").exists()


def test_an_image_is_fitted_to_the_network_and_classes_have_names(tmp_path, capsys):
    path = saved_dense(tmp_path / "dense.keras")
    Image.fromarray(np.full((9, 5), 51, np.uint8)).save(tmp_path / "face.png")
    flags = ["--base", tmp_path / "face.png", "--contrast", 0.1, "--input-range", -1, 1]
    names = ["--class-names", "yes", "no", "maybe"]
    code, out, error = run(tmp_path, capsys, path, *flags, *names)
    assert code == 0, error
    assert "base: face.png, mean -0.6, from -0.6 to -0.6" in out
    assert "resized from 5 x 9 to 8 x 8" in out and "noise answered maybe" in out
    noise = Measurement.load(tmp_path / "out/dense.npz").noise
    assert np.allclose(noise.mean, -0.6, atol=1e-6) and noise.contrast == 0.1


def test_the_mean_training_image_is_a_base(tmp_path, capsys):
    images = save_labelled(tmp_path / "mine.npz", (9, 8), 4)
    path, stack = tmp_path / "dense.keras", [keras.Input((9, 8, 1)), layers.Flatten()]
    keras.Sequential([*stack, layers.Dense(4, "softmax")]).save(path)
    flags = ["--images", tmp_path / "mine.npz", "--base", "mean"]
    code, _, error = run(tmp_path, capsys, path, *flags)
    assert code == 0, error
    noise = Measurement.load(tmp_path / "out/dense_mine.npz").noise
    assert np.allclose(noise.mean[..., 0], images.mean(axis=0), atol=1e-6)


def test_noise_about_an_image_is_shown_at_threshold_or_at_the_share_or_contrast_given(
    tmp_path, capsys
):
    """A linear observer of grey and of a picture that is only a little like its template."""
    template = np.random.default_rng(0).normal(size=(16, 16, 1))
    network = observer(np.stack([-template, template], axis=-1), [0.0, -template.sum()])
    network.save(tmp_path / "linear.keras")
    picture = np.uint8(128 + 8 * np.sign(template[..., 0]))
    Image.fromarray(picture).save(tmp_path / "face.png")
    found = {}
    for flags in ([], ["--survive", ".9"], ["--contrast", ".2"]):
        given = ["--base", tmp_path / "face.png", "--class-names", "no", "yes", *flags]
        code, out, error = run(tmp_path, capsys, tmp_path / "linear.keras", *given)
        assert code == 0, error
        kept = Measurement.load(tmp_path / "out/linear.npz")
        record, found[tuple(flags)] = kept.provenance.get("at_threshold"), kept.noise.contrast
        if record:
            assert f"contrast {kept.noise.contrast:.3g}".replace("0.", ".") in out
            assert f"its own answer, yes, survives in {record['survived']:.0%}" in out
            assert abs(record["survived"] - record["survive"]) <= 0.03 and not record["end"]
        assert bool(record) == (flags[:1] != ["--contrast"])
    drive = np.sum(template * (2 * (picture[..., None] / 255) - 1)) / 2 / np.linalg.norm(template)
    for survive, flags in ((0.75, ()), (0.9, ("--survive", ".9"))):
        assert stats.norm.cdf(drive / found[flags]) == pytest.approx(survive, abs=0.04)
    assert found["--contrast", ".2"] == 0.2


def test_noise_of_a_colour_network_may_be_achromatic(tmp_path, capsys):
    path = saved_dense(tmp_path / "dense.keras", (8, 8, 3))
    code, _, error = run(tmp_path, capsys, path, "--achromatic", "--noise-kind", "pink")
    assert code == 0, error
    assert Measurement.load(tmp_path / "out/dense.npz").noise.achromatic


def coloured(path):
    Image.fromarray(np.eye(12, dtype=np.uint8).reshape(4, 12, 3) * 255).save(path)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--base", "nothing.png"], "there is no file"),
        (["--base", "colour.png"], "in colour, but the observer takes 1 channel"),
        (["--base", "mean"], "give labelled images with --images FILE"),
        (["--noise-kind", "gabor"], "give labelled images with --images FILE"),
        (["--noise-kind", "sparse", "--base", "0.5"], "leave them out"),
        (["--survive", ".5"], "name one with --base, or leave --survive out"),
        (["--achromatic", "--noise-kind", "sparse"], "sparse noise cannot be achromatic"),
        (["--noise-kind", "coarse"], "cells of 4 pixels do not tile images of 10 x 10"),
        (["--class-names", "one"], "1 class names were given for 3 classes: name all classes"),
    ],
)
def test_noise_that_does_not_fit_is_refused_in_one_sentence(flags, sentence, tmp_path, capsys):
    path = saved_dense(tmp_path / "dense.keras", (10, 10, 1))
    coloured(tmp_path / "colour.png")
    flags = [str(tmp_path / flag) if flag.endswith(".png") else flag for flag in flags]
    code, _, error = run(tmp_path, capsys, path, *flags)
    assert code == 2 and error.startswith(PROGRAM) and sentence in error, error


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


def with_a_lambda(path):
    stack = [keras.Input((4, 4, 1)), layers.Flatten(), layers.Lambda(lambda x: 2 * x)]
    keras.Sequential([*stack, layers.Dense(2)]).save(path)


@pytest.mark.parametrize(
    ("save", "sentence"),
    [
        (lambda path: None, "there is no file"),
        (truncated, "not a whole .keras archive"),
        (a_pickle, "is a pickle, which can run any code and is never opened"),
        (unregistered, "custom object 'Odd', which no module of the current folder"),
        (with_a_lambda, "has a Lambda layer, whose code is not run"),
        (two_inputs, "has 2 inputs"),
        (two_outputs, "has 2 outputs"),
        (a_vector, r"takes arrays of \(784,\): expected images"),
        (a_map, r"answers an array of \(6, 6, 3\) per image"),
        (damaged(np.nan), "answers NaN"),
        (damaged(0.0), "answers all of 1,000 noise images alike"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_sentence(save, sentence, tmp_path, capsys):
    save(tmp_path / "odd.keras")
    code, _, error = run(tmp_path, capsys, tmp_path / "odd.keras")
    assert code == 2 and error.startswith(PROGRAM)
    assert re.search(sentence, error), error


def naming(**fields):
    """An .h5 file whose configuration names an object, as a crafted one might."""

    def save(path):
        keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(2)]).save(path)
        with h5py.File(path, "r+") as file:
            config = json.loads(file.attrs["model_config"])
            config["config"]["layers"][-1].update(fields)
            file.attrs["model_config"] = json.dumps(config)

    return save


def inside(name, module, config=None):
    """The configuration of a layer that names another object for its first weights."""
    named = {"class_name": name, "module": module, "config": config}
    return {"name": "last", "units": 2, "kernel_initializer": named}


def weights_alone(path):
    network = keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(2)])
    network.save_weights(path.with_suffix(".weights.h5"))
    path.with_suffix(".weights.h5").rename(path)


@pytest.mark.parametrize(
    ("save", "sentence"),
    [
        (with_a_lambda, "has '(Lambda|__lambda__)' in it"),
        (unregistered, "has 'Odd' in it"),
        (naming(class_name="TorchModuleWrapper"), "has 'TorchModuleWrapper' in it"),
        (naming(class_name="Dense", module="os"), "has 'Dense' in it"),
        (naming(class_name="Dense", module="keras_evil"), "has 'Dense' in it"),
        (naming(class_name="Dense", module="my.keras.layers"), "has 'Dense' in it"),
        (naming(config=inside("Zeros", "keras_evil")), "has 'Zeros' in it"),
        (naming(config=inside("function", "builtins", "eval")), "has 'function' in it"),
        (naming(class_name="function", module="keras.utils", config="get_file"), "'function' in"),
        (weights_alone, "holds weights but no network"),
        (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100)), "not a whole HDF5 file"),
    ],
)
def test_an_h5_file_of_more_than_kerass_own_layers_is_refused_unread(
    save, sentence, tmp_path, capsys, monkeypatch
):
    save(tmp_path / "old.h5")
    monkeypatch.setattr(keras.saving, "load_model", None)  # calling it would fail otherwise
    code, _, error = run(tmp_path, capsys, tmp_path / "old.h5")
    assert code == 2 and error.startswith(PROGRAM) and re.search(sentence, error), error


@pytest.mark.parametrize(
    "name",
    (
        "Lambda TorchModuleWrapper TFSMLayer JaxLayer FlaxLayer TextVectorization StringLookup "
        "IntegerLookup"
    ).split(),
)
def test_no_layer_that_runs_code_or_reads_files_is_read_from_an_h5_file(name, tmp_path):
    naming(class_name=name, module="keras.layers")(tmp_path / "old.h5")
    with pytest.raises(UserError, match=f"has '{name}' in it.*nothing of it was run"):
        load_any_network(tmp_path / "old.h5")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_the_code_of_a_lambda_layer_is_never_run(suffix, tmp_path):
    trace, path = str(tmp_path / "trace"), tmp_path / f"net{suffix}"

    def leaves_a_trace(x):
        open(trace, "w").close()
        return 2 * x

    stack = [keras.Input((4, 4, 1)), layers.Lambda(lambda x: leaves_a_trace(x)), layers.Flatten()]
    keras.Sequential([*stack, layers.Dense(2)]).save(path)
    os.unlink(trace)  # of building it
    with pytest.raises(UserError, match="Lambda|__lambda__"):
        load_any_network(path)
    assert not os.path.exists(trace)


@pytest.mark.parametrize("suffix", [".h5", ".hdf5"])
@pytest.mark.parametrize("kind", [separable, rescaled, binary, recurrent])
def test_an_h5_file_of_kerass_own_layers_is_the_network_that_was_saved(kind, suffix, tmp_path):
    network = build(kind)
    network.save(tmp_path / f"net{suffix}")
    again = load_any_network(tmp_path / f"net{suffix}")
    stimuli = np.random.default_rng(0).random((3, *network.inputs[0].shape[1:]), np.float32)
    assert np.array_equal(again(stimuli), network(stimuli))


def test_an_onnx_file_of_chosen_classes_and_normalised_channels(tmp_path, capsys, rng):
    weights = rng.normal(size=(75, 7)).astype(np.float32)
    onnx_files.dense(tmp_path / "net.onnx", weights, ["n", 3, 5, 5])
    flags = [tmp_path / "net.onnx", "--classes", 5, 2, "--noise-kind", "pink"]
    norms = ["--input-mean", 0.4, 0.5, 0.6, "--input-std", 0.2, "--class-names", *"abcdefg"]
    code, out, error = run(tmp_path, capsys, *flags, *norms)
    assert code == 0, error
    assert "s for 1,000" in out and "noise answered f" in out and "noise answered a" not in out
    measurement = Measurement.load(tmp_path / "out/net.npz")
    logit = measurement.classes["logit"]
    known = (weights - weights.mean(axis=1, keepdims=True)).T.reshape(7, 3, 5, 5) / 0.2
    known = np.moveaxis(known, 1, 3)[[5, 2]]
    for image, truth in zip(logit.weights, known, strict=True):
        assert np.corrcoef(image.ravel(), truth.ravel())[0, 1] > 0.9
    assert (tmp_path / "out/net.html").exists() and (tmp_path / "out/net.json").exists()


def test_a_network_of_any_size_and_other_colours_is_shown_the_base_image(tmp_path, capsys, rng):
    onnx_files.dense(tmp_path / "net.onnx", rng.normal(size=(105, 2)), ["n", "h", "w", 3])
    Image.fromarray(rng.integers(0, 255, (7, 5, 3), np.uint8)).save(tmp_path / "face.png")
    flags = ["--base", tmp_path / "face.png", "--contrast", 0.1, "--colours", "bgr"]
    code, out, error = run(tmp_path, capsys, tmp_path / "net.onnx", *flags)
    assert code == 0, error
    assert "net: expects blue, green and red, in that order; see --colours" in out
    assert Measurement.load(tmp_path / "out/net.npz").noise.shape == (7, 5, 3)


@pytest.mark.parametrize(
    ("shape", "flags", "sentence"),
    [
        (["n", 3, 3, 3], [], "use --channels first"),
        (["n", 3, "h", "w"], [], "takes images of any size: give one with --size H W"),
        (["n", 3, "h", "w"], ["--size", 9], "cannot answer images of (3, 9, 9)"),
        (["n", 3, 5, 5], ["--size", 9], "takes images of 5 x 5 pixels, not of 9 x 9: leave"),
        (["n", 3, 5, 5], ["--input-mean", 1, 2, "--input-std", 1], "--input-mean has 2 numbers"),
        (["n", 3, 5, 5], ["--output", "age"], "has no output 'age': it answers logits"),
        (["n", 3, 5, 5], ["--classes", 9], "classes 9 cannot be chosen: 'net' has 7"),
        (["n", 3, 5, 5], ["--layers", "conv"], "cannot be tapped"),
        (["n", 3, 5, 5], ["--precision", "bfloat16"], "cannot be copied in bfloat16: use float32"),
    ],
)
def test_what_an_onnx_file_lacks_is_said_in_one_sentence(shape, flags, sentence, tmp_path, capsys):
    numbers = 75 if 5 in shape else 27
    onnx_files.dense(tmp_path / "net.onnx", np.ones((numbers, 7)), shape)
    code, _, error = run(tmp_path, capsys, tmp_path / "net.onnx", *flags)
    assert code == 2 and error.startswith(PROGRAM) and sentence in error, error


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--epochs", "2"], "Unrecognized options: --epochs"),
        (["--noise-imags", "2"], "--noise-images N"),  # the nearest one
        (["--classes", "-3"], "-3 is not a whole number from 0 up"),
        (["--input-mean", "0.5"], "--input-mean and --input-std belong together"),
        (["--input-mean", "0.5", "--input-std", "0"], "0.0 is not a number other than 0"),
        (["--input-range", "0", "white"], "'white' is not a number"),
        (["--size", "4", "5", "6"], "--size is one number, or height and width"),
        (["--input-range", "1", "0"], "--input-range goes from a lower to a higher number"),
        (["--noise-kind", "purple"], "invalid choice 'purple'"),
        (["--contrast", "0"], "0.0 is not a positive share of the input range"),
        (["--until", "1"], "1.0 is not a correlation from 0 up and below 1"),
        (["--noise-images", "0"], "0 is not a whole number from 1 up"),
    ],
)
def test_flags_that_cannot_be_are_refused_in_one_sentence(flags, sentence, capsys):
    with pytest.raises(SystemExit) as stop:
        run_command(["measure", "x.keras", *flags])
    said = " ".join(re.sub("[│─╭╮╰╯]", "", capsys.readouterr().err).split())
    assert stop.value.code == 2 and sentence in said, said


@pytest.mark.parametrize("text", ["2,000", "2e3", "2000"])
def test_numbers_may_have_separators_or_be_powers_of_ten(text):
    given = ["x.keras", "--noise-images", text]
    assert read_settings(MeasureSettings, PROGRAM, "", given).noise_images == 2000


def test_regions_are_listed_inside_a_mask_that_is_read_before_anything_is_measured(
    tmp_path, capsys, rng
):
    template = np.zeros((12, 12, 1, 2))
    template[2:5, 6:9, 0, 1] = 1
    observer(template + rng.normal(size=template.shape) / 100).save(tmp_path / "net.keras")
    mask = np.zeros((12, 12), np.uint8)
    refused = {"(holds no pixel)": mask, "(12 x 11 pixels.*12 x 12)": mask[:, :11] + 255}
    mask = np.where(np.add.outer(np.arange(12), np.arange(12)) < 14, 255, mask)
    for sentence, pixels in {**refused, "": mask}.items():
        Image.fromarray(np.uint8(pixels)).save(tmp_path / "mask.png")
        flags = ["--mask", tmp_path / "mask.png", "--smooth", 0.5, "--no-report"]
        code, out, error = run(tmp_path, capsys, tmp_path / "net.keras", *flags)
        assert code == (2 if sentence else 0) and re.search(sentence, error), error
        assert (tmp_path / "out/net.npz").exists() == (code == 0)
    assert "regions of choice images inside 99 pixels, smoothed by 0.5 pixels" in out
    tables = json.loads((tmp_path / "out/net.json").read_text())
    _, regions, inside = (table["rows"] for table in tables.values())
    # class 1 wants what class 0 does not
    assert [row[:4] for row in regions[1:]] == [["0", "-", "3", "7"], ["1", "+", "3", "7"]]
    assert inside[0][1] == "mean z inside" and float(inside[2][1]) > 0.5


def test_the_command_on_the_page_repeats_the_run(tmp_path, capsys):
    path = saved_dense(tmp_path / "a dense.keras")
    flags = ["--contrast", "0.123456789", "--classes", "2", "0", "--seed", "7", "--until", "0"]
    assert run(tmp_path, capsys, path, *flags)[0] == 0
    page = html.unescape((tmp_path / "out/a dense.html").read_text())
    command = re.search("python -m reverse_correlation (measure [^<]*)<", page)[1]
    assert "--until 0.0" in command
    assert "not flags: exact images 5,000; exact patches 20,000; live rate 0.01." in page
    first = Measurement.load(tmp_path / "out/a dense.npz")
    assert first.noise.contrast == 0.123456789
    assert run_command([*shlex.split(command), "--out", str(tmp_path / "again")]) == 0
    assert same_bits(first, Measurement.load(tmp_path / "again/a dense.npz"))


def test_labelled_images_of_chosen_classes_are_classified(tmp_path, capsys):
    save_labelled(tmp_path / "mine.npz", (16, 16), 4)
    stack = [keras.Input((16, 16, 1)), layers.Flatten(), layers.Dense(4)]
    keras.Sequential(stack).save(tmp_path / "net.keras")
    flags = ["--images", tmp_path / "mine.npz", "--classes", "3", "1", "--class-names", *"abcd"]
    code, out, error = run(tmp_path, capsys, tmp_path / "net.keras", *flags)
    assert code == 0, error
    assert "noise answered d" in out and "noise answered a" not in out
    assert "test set right by its logit images alone" in out


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({}, "has no y_test"),
        ({"y_test": np.zeros(3, int)}, "expected one label for each of the 40 images"),
        ({"y_test": np.zeros(40)}, "a whole number from 0 up"),
        ({"x_test": np.full((40, 28, 28), 2.5), "y_test": np.zeros(40, int)}, "between 2.5 and"),
        ({"x_test": np.zeros((40, 3)), "y_test": np.zeros(40, int)}, "expected images"),
        ({"y_test": np.arange(40)}, "has images of (28, 28, 1) and 40 classes: give images like"),
    ],
)
def test_labelled_images_that_do_not_fit_are_refused(arrays, sentence, tmp_path, capsys):
    images, labels = np.zeros((40, 28, 28), np.uint8), np.zeros(40, np.uint8)
    given = {"x_train": images, "y_train": labels, "x_test": images, **arrays}
    np.savez(tmp_path / "mine.npz", **given)
    path = saved_dense(tmp_path / "dense.keras", (28, 28, 1))
    code, _, error = run(tmp_path, capsys, path, "--images", tmp_path / "mine.npz")
    assert code == 2 and error.startswith(PROGRAM) and sentence in error, error


@pytest.mark.parametrize("words", [[], ["mesure", "x.keras"], ["people"], ["people", "ask"]])
def test_a_command_that_does_not_exist_is_one_sentence(words, capsys):
    assert run_command(words) == 2
    captured = capsys.readouterr()
    assert "people make" in captured.out + captured.err


@pytest.mark.parametrize("words", [["measure"], ["compare"], ["people", "make"]])
def test_help_needs_no_tensorflow(words, processes):
    code = (
        "import sys; from reverse_correlation.__main__ import run\n"
        "try: run([*sys.argv[1:], '--help'])\n"
        "except SystemExit as stop: print(stop.code, 'tensorflow' in sys.modules)"
    )
    process = processes.python(code, *words, stdout=subprocess.PIPE, text=True)
    out, _ = process.communicate(timeout=60)
    assert "--noise-kind" in out and out.endswith("0 False\n")


def test_a_registered_subclass_is_measured_from_its_file(tmp_path, capsys):
    build(subclassed).save(tmp_path / "subclassed.keras")
    code, _, error = run(tmp_path, capsys, tmp_path / "subclassed.keras")
    assert code == 0, error
    assert (tmp_path / "out/sta_conv1_subclassed.png").exists()


def test_a_class_of_the_current_folder_is_found_and_no_other_module_is_imported(
    tmp_path, processes, monkeypatch, capsys
):
    (tmp_path / "mine.py").write_text(
        "import keras\n@keras.saving.register_keras_serializable()\n"
        "class Twice(keras.layers.Layer):\n    def call(self, x):\n        return 2 * x\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    twice = importlib.import_module("mine").Twice()
    stack = [keras.Input((4, 4, 1)), twice, layers.Flatten(), layers.Dense(2)]
    keras.Sequential(stack).save(tmp_path / "net.keras")
    del sys.modules["mine"], keras.saving.get_custom_objects()["Custom>Twice"]
    measure = ["-m", "reverse_correlation", "measure", "net.keras", "--noise-images", "2000"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), "."])}
    process = processes.start(sys.executable, *measure, cwd=tmp_path, env=environment)
    assert process.wait(timeout=120) == 0
    assert (tmp_path / "results/net.html").exists()

    (tmp_path / "mine.py").write_text("open('ran', 'w')\n")  # a module that registers nothing
    monkeypatch.chdir(tmp_path)
    code, _, error = run(tmp_path, capsys, "net.keras")
    assert code == 2 and "custom object 'Twice'" in error
    assert not (tmp_path / "ran").exists()
