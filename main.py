"""White-noise analysis of two small convolutional networks, from training to figures.

python main.py                                    # the constants below
python main.py --dataset fashion_mnist            # the other data set
python main.py --noise-images 20000 --epochs 1    # a quick look
python main.py --model mine.keras                 # a network of your own
"""

import sys

from command_line import Settings, check_writable, connected, exit_code, read_main_settings
from reverse_correlation.backend import import_tensorflow_quietly

# ---------------------------------------------------------------------------------------------
# The experiment. The first constants are the defaults of the flags of the same name.
DATASET = "mnist"  # or "fashion_mnist"
NETWORKS = ("lenet", "alexnet")
NOISE_IMAGES = 1_000_000  # per network; a pixel's standard error falls as 1 / sqrt of this
NOISE_KIND = "gaussian"  # or "uniform" (Borji and Lin's), "binary", "sparse"
SEED = 0  # of training and noise
PRECISION = "float32"  # or "bfloat16": faster where the CPU has it, and a slightly other network
SCHEDULER = ""  # of a Dask cluster that shares the pass of noise: "tcp://host:8786", "local:2"
INPUT_RANGE = (0.0, 1.0)  # of the pixels that a network of your own expects
LAYERS = ()  # the convolutions of Part 4, by name; by default the first and the last
EPOCHS = None  # of training; by default each recipe's own (training.py)

SIGNAL, NOISE = 0.7, 0.3  # Part 3: weights of a test image and of uniform noise
NOISY_IMAGES = 1_000  # Part 3: how many such mixtures
EXACT_IMAGES = 10_000  # whose gradients give the exact images that the black box is held against
EXACT_PATCHES = 40_000  # the same for the receptive fields of the last convolution
LIVE_RATE = 1e-3  # a filter that fires more rarely is not counted among the live ones
# ---------------------------------------------------------------------------------------------

DEFAULTS = Settings(
    dataset=DATASET,
    networks=NETWORKS,
    model=None,
    input_range=INPUT_RANGE,
    layers=LAYERS,
    epochs=EPOCHS,
    noise_images=NOISE_IMAGES,
    noise_kind=NOISE_KIND,
    seed=SEED,
    precision=PRECISION,
    scheduler=SCHEDULER,
    signal=SIGNAL,
    noise=NOISE,
    noisy_images=NOISY_IMAGES,
    exact_images=EXACT_IMAGES,
    exact_patches=EXACT_PATCHES,
    live_rate=LIVE_RATE,
)

if __name__ == "__main__":  # read before the imports below, which take seconds
    SETTINGS = read_main_settings(None, DEFAULTS, __doc__)
    import_tensorflow_quietly()

import hashlib
import json

import data
import part3
import part4
from analysis import accuracy
from reverse_correlation import measure
from reverse_correlation.estimates import correlations
from subjects import own_subject, trained_subject
from summary import Result, print_summary
from training import TITLES, load_or_train


def main(settings):
    """Run Parts 1 to 4 and return the paths of the figures."""
    folders = {name: settings.out / name for name in ("results", "part3_imgs", "part4_imgs")}
    for folder in (settings.out / "models", *folders.values()):
        check_writable(folder)

    # Part 1: the data
    train_set, test = data.load_data(settings.dataset) if settings.dataset else (None, None)

    # Part 2: the networks
    written = []
    if settings.model:
        subjects = [own_network(settings, test)]
    else:
        networks = trained_networks(settings, train_set)
        subjects = [demonstration(settings, name, networks[name], test) for name in networks]

        # Part 3: classification images of noisy images, by true class
        written += part3.noisy_images(
            networks,
            test,
            settings.dataset,
            folders["part3_imgs"],
            count=settings.noisy_images,
            signal=settings.signal,
            noise=settings.noise,
            seed=settings.seed,
        )

    # Part 3: classification images of pure noise, by the network's answer
    with connected(settings.scheduler) as client:
        measurements = [
            measure_subject(subject, settings, folders["results"], client) for subject in subjects
        ]
    results = []
    for subject, measurement in zip(subjects, measurements, strict=True):
        classes, paths = part3.pure_noise(
            subject,
            measurement,
            folders["part3_imgs"],
            exact_images=settings.exact_images,
            seed=settings.seed + 1,
        )
        written += paths

        # Part 4: spike-triggered analysis of the first and last convolution
        written += part4.activations(subject, measurement, folders["part4_imgs"])
        filters, paths = part4.filters(
            subject,
            measurement,
            folders["part4_imgs"],
            exact_patches=settings.exact_patches,
            live_rate=settings.live_rate,
            seed=settings.seed + 1,
        )
        written += paths
        right = accuracy(subject.network, *subject.test) if subject.test else None
        results.append(Result(subject, measurement, right, classes, filters))

    what = TITLES[settings.dataset] if settings.dataset else subjects[0].title
    heading = f"{what}, {settings.noise_images:,} {subjects[0].noise_title} noise images"
    print_summary(heading, results, written, settings.out)
    return written


def trained_networks(settings, train_set):
    """Load or train the networks of the demonstration: {name: Keras model}."""
    return {
        name: load_or_train(
            name,
            settings.dataset,
            train_set,
            folder=settings.out / "models",
            epochs=settings.epochs,
            seed=settings.seed,
            retrain=settings.retrain,
        )
        for name in settings.networks
    }


def demonstration(settings, name, network, test):
    """Say how a network of the demonstration is measured: a Subject."""
    return trained_subject(
        name,
        network,
        test,
        dataset=settings.dataset,
        noise_kind=settings.noise_kind,
        layers=settings.layers,
    )


def own_network(settings, test):
    """Load the network of --model, and say how it is measured: a Subject."""
    return own_subject(
        settings.model,
        test,
        dataset=settings.dataset,
        noise_kind=settings.noise_kind,
        input_range=settings.input_range,
        layers=settings.layers,
    )


def measure_subject(subject, settings, folder, client=None):
    """Show a network pure noise, once for everything that Parts 3 and 4 ask of it.

    The sums are kept in results/ while they grow; a later call continues from them.
    """
    layers = tuple(subject.layers.values())
    identity = [subject.network.sha256, subject.noise.describe(), layers]
    identity = json.dumps([*identity, settings.seed, settings.precision])
    digest = hashlib.sha256(identity.encode()).hexdigest()[:8]
    measurement = measure(
        subject.network,
        subject.noise,
        settings.noise_images,
        seed=settings.seed,
        layers=layers,
        checkpoint=folder / f"{subject.result}_{digest}.checkpoint.npz",
        precision=settings.precision,
        client=client,
    )
    measurement.save(folder / f"{subject.result}.npz")
    if settings.precision != "float32":
        print_agreement_with_float32(subject, settings)
    return measurement


def print_agreement_with_float32(subject, settings):
    """Print how far the images of the faster, slightly other network are those of the network."""
    count = min(settings.noise_images, 20_000)
    rough, full = (
        measure(
            subject.network,
            subject.noise,
            count,
            seed=settings.seed,
            progress=False,
            precision=precision,
        )
        for precision in (settings.precision, "float32")
    )
    r = correlations(rough.classes["logit"].covariance, full.classes["logit"].covariance)
    print(
        f"{subject.title}: logit images in {settings.precision} agree with float32's from the same "
        f"{count:,} images at r = {r.min():.4f} or better"
    )


def run(arguments=None):
    """Read a command line and run; return the exit code."""
    return exit_code("main.py", lambda: main(read_main_settings(arguments, DEFAULTS, __doc__)))


if __name__ == "__main__":
    sys.exit(exit_code("main.py", lambda: main(SETTINGS)))
