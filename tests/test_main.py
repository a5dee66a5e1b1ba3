"""The whole experiment on 40 made-up images, twice, and the ways it can be asked wrongly."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import data
import main
from lenet import LeNet

MAIN = Path(main.__file__)


@pytest.fixture
def made_up(monkeypatch):
    """Forty images, four of a class: a bright bar whose place tells the class."""
    labels = np.tile(np.arange(10), 4)
    images = np.random.default_rng(0).random((40, 28, 28, 1), np.float32) / 4
    for image, label in zip(images, labels, strict=True):
        image[2 * label + 4] = 1
    monkeypatch.setattr(main, "EXACT_IMAGES", 100)
    monkeypatch.setattr(main, "EXACT_PATCHES", 1000)
    monkeypatch.setattr(data, "load_data", lambda name: ((images, labels), (images, labels)))
    return images, labels


def arguments(tmp_path, *more):
    flags = ["--epochs", "2", "--noise-images", "6000", "--out", str(tmp_path), *more]
    return main.parse_arguments(flags)


def expected_figures(ds):
    short = {"mnist": "mnist", "fashion_mnist": "fashion"}[ds]
    part3 = [f"classification_{ds}"]
    for network in ("alex", "lenet"):
        part3 += [f"{kind}_{network}_{ds}" for kind in ("cm", "bias", "template")]
    part4 = []
    for network in ("alex", "le"):
        for layer in ("conv1", "convLast"):
            part4 += [f"{layer}_{network}_{short}", f"{layer}_{network}_{short}_noise"]
            part4.append(f"sta_{layer}_{network}_{short}")
    return {f"part3_imgs/{n}.png" for n in part3} | {f"part4_imgs/{n}.png" for n in part4}


def test_the_whole_experiment_runs_twice_and_the_second_loads_what_the_first_saved(
    made_up, tmp_path, capsys
):
    written = main.main(arguments(tmp_path))
    first = capsys.readouterr().out
    assert "training, epochs: 2" in first and f"Figures in {tmp_path}: 19" in first
    assert {str(p.relative_to(tmp_path)) for p in written} == expected_figures("mnist")
    before = {path: path.read_bytes() for path in written}

    main.main(arguments(tmp_path))
    second = capsys.readouterr().out
    assert "training, epochs" not in second and second.count("loaded") == 2
    assert "epochs: 2, seconds: " in second
    assert before == {path: path.read_bytes() for path in written}  # seeded to the last byte


def test_fashion_and_one_network_give_their_own_file_names(made_up, tmp_path):
    written = main.main(arguments(tmp_path, "--dataset", "fashion_mnist", "--networks", "lenet"))
    names = {str(p.relative_to(tmp_path)) for p in written}
    assert names == {n for n in expected_figures("fashion_mnist") if "alex" not in n}


def test_a_network_with_too_few_epochs_is_trained_anew(made_up, tmp_path, capsys):
    images, labels = made_up
    args = arguments(tmp_path)
    (tmp_path / "models").mkdir()
    main.load_or_train("lenet", images, labels, args)
    args.epochs = 3
    main.load_or_train("lenet", images, labels, args)
    assert "had 2 of 3 epochs: training anew" in capsys.readouterr().out
    args.epochs = 1
    main.load_or_train("lenet", images, labels, args)
    assert "epochs: 3, seconds: " in capsys.readouterr().out


def test_a_truncated_or_foreign_network_is_refused_by_name(made_up, tmp_path):
    path = tmp_path / "models" / "mnist_lenet.keras"
    path.parent.mkdir()
    LeNet().save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        ValueError, match="mnist_lenet.keras is not a whole .keras archive.*--retrain"
    ):
        main.main(arguments(tmp_path, "--networks", "lenet"))
    LeNet((32, 32, 1)).save(path)
    with pytest.raises(ValueError, match=r"takes images of \(32, 32, 1\).*--retrain"):
        main.main(arguments(tmp_path, "--networks", "lenet"))
    LeNet(num_classes=3).save(path)
    with pytest.raises(ValueError, match="answers 3 classes"):
        main.main(arguments(tmp_path, "--networks", "lenet"))


def test_a_network_that_answers_nan_is_refused(made_up, tmp_path):
    network = LeNet()
    network.get_layer("logits").bias.assign(np.full(10, np.nan))
    path = tmp_path / "models" / "mnist_lenet.keras"
    path.parent.mkdir()
    network.save(path)
    with pytest.raises(ValueError, match="answers NaN"):
        main.main(arguments(tmp_path, "--networks", "lenet"))


def test_saving_is_atomic(tmp_path, monkeypatch):
    path = tmp_path / "net.keras"
    main.save_network(LeNet(), {"epochs": 1}, path)
    before = path.read_bytes()

    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(main.zipfile.ZipFile, "writestr", fail)
    with pytest.raises(OSError):
        main.save_network(LeNet(), {"epochs": 2}, path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_is_one_sentence_and_exit_code_2(tmp_path):
    (tmp_path / "file").touch()
    done = subprocess.run(
        [sys.executable, MAIN, "--out", tmp_path / "file" / "out"], capture_output=True, text=True
    )
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("main.py: cannot write in")


@pytest.mark.parametrize(
    "flags",
    [
        ["--dataset", "cifar"],
        ["--networks", "vgg"],
        ["--noise-images", "0"],
        ["--noise-images", "-5"],
        ["--noise-images", "many"],
        ["--epochs", "0"],
        ["--seed", "-1"],
        ["--noise-kind", "pink"],
    ],
)
def test_wrong_flags_are_one_sentence_and_exit_code_2(flags, capsys):
    with pytest.raises(SystemExit) as stop:
        main.parse_arguments(flags)
    assert stop.value.code == 2
    assert f"argument {flags[0]}: " in capsys.readouterr().err.splitlines()[-1]


def test_help_needs_no_tensorflow():
    code = "import sys, main\ntry: main.parse_arguments(['--help'])\nexcept SystemExit: pass\n"
    code += "print('tensorflow' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=MAIN.parent
    )
    assert "--noise-images" in done.stdout and done.stdout.endswith("False False\n")


def test_ctrl_c_says_how_to_continue_and_exits_with_130(monkeypatch, capsys):
    def stop(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "main", stop)
    assert main.run([]) == 130
    assert "the same command continues" in capsys.readouterr().err


def test_images_are_blended_by_at_most_the_stated_share():
    images = np.zeros((500, 4, 4, 1), np.float32)
    images[:, 1] = 1
    grey = main.blend(images, "grey", 0.5).numpy()
    assert grey.min() >= 0 and grey.max() <= 1
    contrast = np.ptp(grey, axis=(1, 2, 3))
    assert 0.5 <= contrast.min() < 0.55 and contrast.max() > 0.95
    assert len(np.unique(grey[:, 0, 0, 0])) > 400  # each image has a grey of its own
    noisy = main.blend(images, "noise", 0.5).numpy()
    assert np.all(noisy[:, 1] >= 0.5) and np.all(noisy[:, [0, 2, 3]] <= 0.5)
    clean = noisy[:, 0].std(axis=(1, 2)) == 0  # half have none, and the others one a pixel
    assert 0.4 < clean.mean() < 0.6 and np.array_equal(noisy[clean], images[clean])
    assert np.array_equal(main.blend(images, "noise", 0.0), images)
