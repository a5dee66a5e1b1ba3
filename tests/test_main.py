"""The whole experiment on 40 made-up images, twice, and the ways it can be asked wrongly."""

import contextlib
import dataclasses
import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from helpers import unrendered

import analysis
import main
import training
from lenet import LeNet
from reverse_correlation import Measurement, UserError
from reverse_correlation.commands.flags import read_settings
from training import load_or_train, save_network

MAIN = Path(main.__file__)


def settings(tmp_path, *flags):
    """The settings of a small run into a folder."""
    flags = ["--epochs", "2", "--noise-images", "4000", "--out", str(tmp_path), *flags]
    read = read_settings(main.Settings, "main.py", "", flags)
    small = {"exact_images": 256, "exact_patches": 1000}
    return dataclasses.replace(read, contrasts=(0.1, 0.3), contrast_images=1000, **small)


def expected_figures(ds):
    short = {"mnist": "mnist", "fashion_mnist": "fashion"}[ds]
    part3 = [f"classification_{ds}"]
    for network in ("alex", "lenet"):
        part3 += [f"{kind}_{network}_{ds}" for kind in ("cm", "bias", "template", "about")]
    part4 = []
    for network in ("alex", "le"):
        for layer in ("conv1", "convLast"):
            part4 += [f"{layer}_{network}_{short}", f"{layer}_{network}_{short}_noise"]
            part4.append(f"sta_{layer}_{network}_{short}")
    return {f"part3_imgs/{n}.png" for n in part3} | {f"part4_imgs/{n}.png" for n in part4}


def test_the_whole_experiment_runs_twice_and_the_second_loads_what_the_first_saved(
    made_up, tmp_path, capsys
):
    flags = ["--networks", "lenet", "--about", "7"]
    written = main.main(settings(tmp_path, *flags, "--retrain"))
    first = capsys.readouterr().out
    assert "training, epochs: 2" in first and f"13 figures and pages in {tmp_path}" in first
    assert "noise about test image 7, " in first and "its own answer, " in first
    names = {str(p.relative_to(tmp_path)) for p in written}
    figures = {n for n in expected_figures("mnist") if "alex" not in n}
    assert names == figures | {"results/mnist_lenet.html", "results/base_lenet_mnist.png"}
    about = Measurement.load(tmp_path / "results/mnist_lenet_about.npz")
    assert np.array_equal(about.noise.mean, made_up[0][7])
    assert about.provenance["at_threshold"]["survive"] == 0.75
    numbers = json.loads((tmp_path / "results/main_mnist.json").read_text())["LeNet on MNIST"]
    assert numbers["rows"][0] == ["", "pure noise", "mean image"]
    assert "--epochs 2" in numbers["command"] and "--out" not in numbers["command"]
    before = {path: path.read_bytes() for path in written}

    main.main(settings(tmp_path, *flags))
    second = capsys.readouterr().out
    assert "training, epochs" not in second and second.count("loaded") == 1
    assert "epochs: 2, seconds: " in second
    assert before == {path: path.read_bytes() for path in written}  # seeded to the last byte


def test_a_network_with_too_few_epochs_is_trained_anew(made_up, tmp_path, capsys):
    for epochs in (2, 3, 1):
        load_or_train(
            "lenet", "mnist", made_up, made_up, folder=tmp_path, shipped=tmp_path, epochs=epochs
        )
    said = capsys.readouterr().out
    assert "had 2 epochs, seed 0; 3 epochs, seed 0 are wanted: training again" in said
    assert "loaded" in said.splitlines()[-1] and "epochs: 3, seconds: " in said.splitlines()[-1]


def test_a_truncated_or_foreign_network_is_refused_by_name(made_up, tmp_path):
    path = tmp_path / "models" / "mnist_lenet.keras"
    path.parent.mkdir()
    LeNet().save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        ValueError, match="mnist_lenet.keras is not a whole .keras archive.*--retrain"
    ):
        main.main(settings(tmp_path, "--networks", "lenet"))
    LeNet((32, 32, 1)).save(path)
    with pytest.raises(ValueError, match=r"takes images of \(32, 32, 1\).*--retrain"):
        main.main(settings(tmp_path, "--networks", "lenet"))
    LeNet(num_classes=3).save(path)
    with pytest.raises(ValueError, match="answers 3 classes"):
        main.main(settings(tmp_path, "--networks", "lenet"))


def test_a_network_that_answers_nan_is_refused(made_up, tmp_path):
    network = LeNet()
    network.get_layer("logits").bias.assign(np.full(10, np.nan))
    path = tmp_path / "models" / "mnist_lenet.keras"
    path.parent.mkdir()
    network.save(path)
    with pytest.raises(ValueError, match="answers NaN"):
        main.main(settings(tmp_path, "--networks", "lenet"))


def test_a_test_image_that_does_not_exist_is_refused(made_up, tmp_path):
    with pytest.raises(UserError, match="--about 40: there are 40 test images, from 0 to 39"):
        main.main(settings(tmp_path, "--networks", "lenet", "--about", "40"))


def test_saving_is_atomic(tmp_path, monkeypatch):
    path = tmp_path / "net.keras"
    save_network(LeNet(), {"epochs": 1}, path)
    before = path.read_bytes()

    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(training.zipfile.ZipFile, "writestr", fail)
    with pytest.raises(OSError):
        save_network(LeNet(), {"epochs": 2}, path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_is_one_sentence_and_exit_code_2(
    tmp_path, monkeypatch, capsys
):
    (tmp_path / "file").touch()
    monkeypatch.setattr(sys, "argv", [str(MAIN), "--out", str(tmp_path / "file" / "out")])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(MAIN), run_name="__main__")  # as a script
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("main.py: cannot write in") and said.count("\n") == 1


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--dataset", "cifar"], "invalid choice 'cifar'"),
        (["--noise-images", "0"], "0 is not a whole number from 1 up"),
        (["--noise-images", "-5"], "-5 is not a whole number from 1 up"),
        (["--noise-images", "many"], "'many' is not a whole number from 1 up"),
        (["--epochs", "0"], "0 is not a whole number from 1 up"),
        (["--seed", "-1"], "-1 is not a whole number from 0"),
        (["--input-range", "0", "255"], "Unrecognized options: --input-range"),
        (["--noise-kind", "purple"], "invalid choice 'purple'"),
        (["--signal", "2"], "Unrecognized options: --signal"),
        (["--survive", "1"], "1.0 is not a share between 0 and 1"),
        (["--contrast", ".1", "--survive", ".5"], "both set the contrast: give one of them"),
        (["--about", "-1"], "-1 is not a whole number from 0"),
        (["--format", "gif"], "invalid choice 'gif'"),
        (["--model", "x.keras"], "type python -m reverse_correlation measure x.keras"),
    ],
)
def test_wrong_flags_are_one_sentence_and_exit_code_2(flags, sentence, capsys):
    with pytest.raises(SystemExit) as stop:
        main.run(flags)
    assert stop.value.code == 2
    said = " ".join(re.sub("[│─╭╮╰╯]", "", capsys.readouterr().err).split())
    assert sentence in said, said


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("networks", ("lenet"), r"--networks: 'lenet' is not a tuple"),
        ("noise_kind", "perlin", "--noise-kind: 'perlin' is not one of gaussian, uniform"),
        ("dataset", "cifar", "--dataset: 'cifar' is not one of mnist, fashion_mnist"),
        ("noise_images", 0, "--noise-images: 0 is not a whole number from 1 up"),
        ("noise_images", 1e6, "--noise-images: 1000000.0 is not a whole number"),
        ("contrasts", (0.1, -0.2), "contrasts: -0.2 is not a positive share"),
        ("signal", 7, "signal: 7 is not a share from 0 to 1"),
        ("report", "no", "--report: 'no' is not of the type bool"),
        ("model", "mine.onnx", "type python -m reverse_correlation measure mine.onnx"),
    ],
)
def test_a_constant_that_cannot_be_is_refused_as_a_flag_is(field, value, sentence):
    with pytest.raises(UserError, match=sentence):
        main.Settings(**{field: value})
    # the same where the default at the top of main.py is edited
    edited = dataclasses.make_dataclass(
        "Edited", [(field, main.Settings.__annotations__.get(field, object), value)],
        bases=(main.Settings,), frozen=True, kw_only=True,
    )  # fmt: skip
    if field in main.Settings.__annotations__:
        with pytest.raises(UserError, match=sentence):
            edited()


def test_an_unknown_network_is_one_sentence(made_up, tmp_path, capsys):
    assert main.run(["--networks", "vgg", "--out", str(tmp_path)]) == 2
    assert "there is no network 'vgg': choose from lenet, alexnet" in capsys.readouterr().err


def test_a_third_network_is_its_class_and_one_entry(made_up, tmp_path, monkeypatch):
    class Flat(keras.Model):
        """A convolution and a dense layer."""

        def __init__(self, input_shape=(28, 28, 1), num_classes=10, **kwargs):
            images = keras.Input(input_shape)
            x = keras.layers.Conv2D(4, 5, activation="relu", name="conv")(images)
            x = keras.layers.Dense(num_classes, "softmax")(keras.layers.Flatten()(x))
            super().__init__(images, x, **kwargs)

    entry = training.TrainedNetwork(
        build=Flat, title="Flat", recipes={"mnist": training.Recipe(epochs=1, batch=16, rate=1e-3)},
        part3="flat", part4="fl", convolutions=("conv",),
    )  # fmt: skip
    monkeypatch.setitem(training.NETWORKS, "flat", entry)
    monkeypatch.setattr(training, "save_network", lambda *_: None)  # it has no config of its own
    with unrendered():
        written = main.main(settings(tmp_path, "--networks", "flat", "--no-report"))
    assert {path.stem for path in written} == {
        "classification_mnist", "cm_flat_mnist", "bias_flat_mnist", "template_flat_mnist",
        "about_flat_mnist", "base_flat_mnist",
        "conv1_fl_mnist", "conv1_fl_mnist_noise", "sta_conv1_fl_mnist",
    }  # fmt: skip


def test_the_experiment_is_tensorflows_and_says_so():
    environment = {**os.environ, "KERAS_BACKEND": "torch"}
    command = [sys.executable, main.__file__]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.startswith("main.py: Keras computes with torch here, and the experiment wi")


def test_help_needs_no_tensorflow():
    code = "import runpy, sys\nsys.argv = ['main.py', '--help']\n"
    code += "try: runpy.run_path('main.py', run_name='__main__')\nexcept SystemExit: pass\n"
    code += "print('tensorflow' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=MAIN.parent
    )
    assert "--noise-images" in done.stdout and done.stdout.endswith("False False\n")


def test_ctrl_c_says_how_to_continue_and_exits_with_130(monkeypatch, capsys):
    def stop(settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "main", stop)
    assert main.run([]) == 130
    assert "the same command continues" in capsys.readouterr().err


def test_the_dask_client_is_handed_to_the_pass(made_up, monkeypatch, tmp_path):
    def refuse(*args, client, **kwargs):
        raise UserError(f"measured by {client}")

    monkeypatch.setattr(analysis, "measure", refuse)
    monkeypatch.setattr(main.running, "connected", lambda _: contextlib.nullcontext("many"))
    with pytest.raises(UserError, match="measured by many"):
        main.main(settings(tmp_path, "--networks", "lenet"))


def test_a_bug_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr(main, "main", lambda settings: np.zeros(3).reshape(2, 2))
    with pytest.raises(ValueError, match="cannot reshape"):
        main.run([])
