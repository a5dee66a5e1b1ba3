"""White-noise analysis of two small convolutional networks, from training to figures.

    python main.py                                        # the settings below
    python main.py --dataset fashion_mnist                # the other data set
    python main.py --noise-images 20000 --out quick       # a quick look, kept apart

A network of your own: python -m reverse_correlation measure FILE
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Fixed

from reverse_correlation.commands import flags, running
from reverse_correlation.commands.settings import InsideSettings
from reverse_correlation.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Settings(InsideSettings):
    """The experiment. Each field is a flag, but for those that are Fixed."""

    dataset: Literal["mnist", "fashion_mnist"] = "mnist"
    """what the networks are trained on"""
    networks: tuple[flags.Text, ...] = ("lenet", "alexnet")
    """of the demonstration, by their names in training.py"""
    noise_images: flags.Count = 1_000_000
    """the most that a network is shown of each noise"""
    epochs: flags.optional(flags.Count) = None
    """of training; by default each network's own"""
    seed: flags.Seed = 0
    """of training and noise"""
    about: flags.optional(flags.Index) = None
    """test image that noise is shown about too; by default the first 4, or shirt, answered right"""
    retrain: bool = False
    """train even if models/ has the network"""
    out: flags.Folder = Path(__file__).resolve().parent
    """where models/, results/ and the folders of figures are; by default beside main.py"""
    model: flags.Text = ""
    """of your own? python -m reverse_correlation measure FILE"""

    signal: Fixed[flags.Share] = 0.7  # Part 3: the weight of a test image
    noise: Fixed[flags.Share] = 0.3  # and that of uniform noise
    noisy_images: Fixed[flags.Count] = 1_000  # such mixtures
    contrasts: Fixed[tuple[flags.Contrast, ...]] = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.8)
    contrast_images: Fixed[flags.Count] = 10_000  # shown at each contrast, which validation chooses

    def check(self):
        """Check every field; and that there is something to measure."""
        super().check()
        if not self.networks or not self.contrasts:
            raise UserError("--networks and contrasts: name one at least")
        if self.model:
            raise UserError(
                "main.py measures the two networks that it trains; to measure yours, type "
                f"python -m reverse_correlation measure {self.model}"
            )


if __name__ == "__main__":  # read before the imports below, which take seconds
    SETTINGS = flags.read_settings(Settings, "main.py", __doc__)
    running.import_tensorflow("main.py")

import numpy as np

import figures
from analysis import (
    activation_maps,
    generate_classification_images,
    measured,
    noise_about_one_image,
    noise_ensembles,
    predict,
    refuse_unknown_image,
    show_noise,
)
from data import CLASS_NAMES
from noise import generate_white_noise_images
from reverse_correlation import Network
from reverse_correlation.estimates import findings
from reverse_correlation.report.page import write_report
from reverse_correlation.report.summary import print_summary, write_summary
from training import NETWORKS, load_or_train, load_splits, place


def main(s):
    """Run Parts 1 to 4; return the paths of the figures and pages."""
    folders = ("models", "results", "part3_imgs", "part4_imgs")
    models, results, part3, part4 = (running.check_writable(s.out / name) for name in folders)

    # Part 1: the data
    train, validation, test = load_splits(s.dataset)
    refuse_unknown_image(s.about, len(test[1]))

    # Part 2: two networks, trained or loaded
    recipe = {"folder": models, "epochs": s.epochs, "seed": s.seed, "retrain": s.retrain}
    networks = {
        name: load_or_train(name, s.dataset, train, validation, **recipe)
        for name in dict.fromkeys(s.networks)
    }

    # Part 3: test images in noise, averaged by true class; the averages shown to the networks
    images, labels = (part[: s.noisy_images] for part in test)
    noisy = generate_white_noise_images(images, s.signal, s.noise, s.seed)
    averages = {n: generate_classification_images(noisy, labels, n) for n in np.unique(labels)}
    by_class = figures.plot_class_averages(
        averages, labels, s.signal, s.noise, s.dataset, part3, s.format
    )
    confusion = {}
    for name, network in networks.items():
        answers = predict(network, np.stack(list(averages.values())))
        confusion[name] = figures.plot_confusion_matrix(
            answers, list(averages), name, s.dataset, part3, s.format
        )
    written, found = [by_class, *confusion.values()], []

    with running.connected(s.scheduler) as client:
        how = {
            "count": s.noise_images, "seed": s.seed, "until": s.until, "survive": s.survive,
            "precision": s.precision, "client": client, "prediction_images": s.prediction_images,
        }  # fmt: skip
        for name, network in networks.items():
            # Part 3: pure noise, averaged by what the network answers
            observer = Network(network)
            ensembles = noise_ensembles(
                observer, train, validation, noise_kind=s.noise_kind, base=s.base,
                independent=s.independent, contrast=s.contrast, contrasts=s.contrasts,
                images=s.contrast_images, seed=s.seed,
            )  # fmt: skip
            pure = next(iter(ensembles.values()))
            layers = findings.layers_to_measure(pure, NETWORKS[name].convolutions, s.layers)
            shown = show_noise(
                observer, ensembles, layers, test, f"{s.dataset}_{name}", results, how,
                exact_images=s.exact_images,
            )  # fmt: skip
            which = (name, s.dataset, part3, s.format)
            own = [
                figures.plot_classification_images(shown, *which),
                figures.plot_templates(shown, len(test[1]), *which),
            ]

            # Part 3: noise about one test image, as strong as the network's answer survives
            if s.noise_kind not in ("sparse", "gabor"):
                about, what = noise_about_one_image(
                    observer, test, s.dataset, index=s.about, noise_kind=s.noise_kind,
                    independent=s.independent, contrast=s.contrast, survive=s.survive, seed=s.seed,
                )  # fmt: skip
                measurement = measured(observer, about, f"{s.dataset}_{name}_about", results, how)
                own.append(figures.plot_about_image(measurement, what, *which))
                own.append(figures.plot_views(measurement, name, s.dataset, results, s.format))

            # Part 4: activity and receptive fields, of the first and the last convolution
            measurement, of_layers = shown[0].measurement, []
            for label, layer in layers.items():
                which = (label, layer, name, s.dataset, part4, s.format)
                maps = activation_maps(network, layer, *test)
                own.append(figures.plot_activation_maps(maps, test[1], *which))
                own.append(figures.plot_noise_activity(measurement, *which))
                path = results / f"{s.dataset}_{name}_{layer}.exact.npz"
                of_layers.append(
                    findings.layer_findings(
                        observer, measurement, layer, path, patches=s.exact_patches,
                        live_rate=s.live_rate, seed=s.seed + 1,
                    )
                )  # fmt: skip
                own.append(figures.plot_receptive_fields(measurement, of_layers[-1], *which))

            # what was found, on a page and on the terminal
            found.append(
                findings.Result(
                    observer, NETWORKS[name].title, place(name, s.dataset), CLASS_NAMES[s.dataset],
                    shown, of_layers, observer.accuracy(*test),
                )
            )  # fmt: skip
            written += own
            if s.report:
                page = results / f"{s.dataset}_{name}.html"
                repeat = flags.how_to_repeat("python main.py", s)
                pictures = [by_class, confusion[name], *own]
                written.append(write_report(found[-1], pictures, page, *repeat))
    command, _ = flags.how_to_repeat("python main.py", s)
    write_summary(found, results / f"main_{s.dataset}.json", command)
    print_summary(found, written, s.out)
    return written


def run(arguments=None):
    """Read a command line and run; return the exit code."""
    settings = flags.read_settings(Settings, "main.py", __doc__, arguments)
    return running.exit_code("main.py", lambda: main(settings))


if __name__ == "__main__":
    sys.exit(running.exit_code("main.py", lambda: main(SETTINGS)))
