"""White-noise analysis of two small convolutional networks, from training to figures.

python main.py                                    # the constants below
python main.py --dataset fashion_mnist            # the other data set
python main.py --noise-images 20000 --epochs 1    # a quick look
python main.py --model mine.onnx                  # a network of your own, or .keras, .h5
python main.py --model mine.keras --noise-kind pink --base face.png    # clouds about a face
"""

import sys

from command_line import check_writable, connected, exit_code, read_main_settings
from reverse_correlation.backend import import_tensorflow_quietly
from settings import Settings, command_of

# ---------------------------------------------------------------------------------------------
# The experiment. The first constants are the defaults of the flags of the same name.
DATASET = "mnist"  # or "fashion_mnist"
NETWORKS = ("lenet", "alexnet")
NOISE_IMAGES = 1_000_000  # the most that a network is shown of each noise
UNTIL = 0.95  # expected correlation of every logit and choice image at which to stop; 0: show all
NOISE_KIND = "gaussian"  # or uniform (as published), binary, coarse, pink, sinusoid, gabor, sparse
BASE = ""  # what noise is about: a number, "mean", an image file; "": grey, and the mean image too
CONTRAST = None  # of the noise, as a share of the input range; None: that of uniform noise
SEED = 0  # of training and noise
PRECISION = "float32"  # or "bfloat16": faster where the CPU has it, and a slightly other network
SCHEDULER = ""  # of a Dask cluster that shares the pass of noise: "tcp://host:8786", "local:2"
INPUT_RANGE = (0.0, 1.0)  # of the pixels that a network of your own expects,
INPUT_MEAN, INPUT_STD = (), ()  # and what each channel is brought to mean 0 and deviation 1 by
CLASSES = ()  # of a network of your own, those that are measured, by number; all by default
LAYERS = ()  # the convolutions of Part 4, by name; by default the first and the last
CLASS_NAMES = ()  # of a network of your own
EPOCHS = None  # of training; by default each recipe's own (training.py)

SIGNAL, NOISE = 0.7, 0.3  # Part 3: weights of a test image and of uniform noise
NOISY_IMAGES = 1_000  # Part 3: how many such mixtures
CONTRASTS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.8)  # tried on the validation split
CONTRAST_IMAGES = 10_000  # shown at each of them
EXACT_IMAGES = 5_000  # at most, whose gradients give the images that the black box is held against
EXACT_PATCHES = 20_000  # the same for the receptive fields of the last convolution
LIVE_RATE = 1e-3  # a filter that fires more rarely is not counted among the live ones
# ---------------------------------------------------------------------------------------------

DEFAULTS = Settings(
    dataset=DATASET,
    networks=NETWORKS,
    model=None,
    input_range=INPUT_RANGE,
    input_mean=INPUT_MEAN,
    input_std=INPUT_STD,
    channels=None,
    classes=CLASSES,
    layers=LAYERS,
    class_names=CLASS_NAMES,
    epochs=EPOCHS,
    noise_images=NOISE_IMAGES,
    until=UNTIL,
    noise_kind=NOISE_KIND,
    base=BASE,
    contrast=CONTRAST,
    contrasts=CONTRASTS,
    contrast_images=CONTRAST_IMAGES,
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
import time

import data
import part3
import part4
from analysis import accuracy, contrast_for_templates
from report import write_report
from reverse_correlation import Network, measure
from reverse_correlation.estimates.correlation import correlations
from subjects import Shown, ensemble, own_subject, read_base, trained_subject
from summary import Result, print_summary
from training import TITLES, load_or_train, split


def main(settings):
    """Run Parts 1 to 4 and return the paths of the figures and pages."""
    results, part3_imgs, part4_imgs = (
        settings.out / name for name in ("results", "part3_imgs", "part4_imgs")
    )
    for folder in (settings.out / "models", results, part3_imgs, part4_imgs):
        check_writable(folder)

    # Part 1: the data
    train_set, test = data.load_data(settings.dataset) if settings.dataset else (None, None)

    # Part 2: the networks, and what they are shown
    noisy = []
    if settings.model:
        subjects = [own_network(settings, train_set, test)]
    else:
        networks = trained_networks(settings, train_set)
        subjects = [
            demonstration(settings, name, network, train_set, test)
            for name, network in networks.items()
        ]

        # Part 3: classification images of noisy images, by true class
        noisy = part3.noisy_images(
            networks,
            test,
            settings.dataset,
            part3_imgs,
            count=settings.noisy_images,
            signal=settings.signal,
            noise=settings.noise,
            seed=settings.seed,
        )

    written, closing = list(noisy), []
    with connected(settings.scheduler) as client:
        for subject in subjects:
            # Part 3: classification images of pure noise, by the network's answer
            measurements = measure_subject(subject, settings, results, client)
            findings, images = classification_images(subject, measurements, settings)

            # Part 4: spike-triggered analysis of the first and last convolution
            filters, inside = activations_and_filters(subject, measurements[0], settings)
            right = accuracy(subject.network, *subject.test) if subject.test else None
            closing.append(Result(subject, measurements, right, findings, filters))
            written += images + inside
            if settings.report:
                others = {f"cm_{each.part3}" for each in subjects if each is not subject}
                own = [path for path in noisy if path.stem not in others]
                path = results / f"{subject.result}.html"
                command = command_of(settings)
                write_report(closing[-1], own + images + inside, settings, command, path)
                written.append(path)

    print_summary(closing, written, settings.out)
    return written


# ----------------------------------------------------------------------- networks and noise


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


def demonstration(settings, name, model, train_set, test):
    """Say how a network of the demonstration is measured: a Subject.

    Without a base of its own it is shown two ensembles: pure noise about grey, as published, and
    noise about the mean training image, at the contrast that serves best on the validation split.
    """
    images, validation = split(*train_set)[0][0], split(*train_set)[1]
    shape, kind, contrast = images.shape[1:], settings.noise_kind, settings.contrast

    def noise(base, contrast):
        return ensemble(kind, shape, base=base, contrast=contrast, images=images)

    if settings.base or kind in ("sparse", "gabor"):
        base, title = read_base(settings.base, shape, (0.0, 1.0), images.mean(axis=0))
        shown = (Shown(title or "pure noise", "", noise(base, contrast)),)
    else:
        mean = images.mean(axis=0)
        best = contrast or contrast_about_mean(settings, name, model, mean, noise, validation)
        shown = (
            Shown("pure noise", "", noise(None, contrast)),
            Shown("mean image", "_mean", noise(mean, best)),
        )
    return trained_subject(
        name, model, test, shown, dataset=settings.dataset, layers=settings.layers
    )


def contrast_about_mean(settings, name, model, mean, noise, validation):
    """Choose the contrast of noise about the mean image on the validation split, and print it."""
    print(
        f"{TITLES[name]}: choosing the contrast of noise about the mean training image on the "
        f"validation split, {len(settings.contrasts)} x {settings.contrast_images:,} images"
    )
    best, shares = contrast_for_templates(
        Network(model),
        noise(mean, None),
        settings.contrasts,
        validation,
        images=settings.contrast_images,
        seed=settings.seed,
    )
    told = ", ".join(f"{c:g}: {share:.1%}" for c, share in shares.items())
    print(f"{TITLES[name]}: {best:g} of the input range (logit images alone get right at {told})")
    return best


def own_network(settings, train_set, test):
    """Load the network of --model, and say how it is measured: a Subject."""
    images = None if train_set is None else split(*train_set)[0][0]

    def shown(shape):
        mean = None if images is None else images.mean(axis=0)
        base, title = read_base(settings.base, shape, settings.input_range, mean)
        noise = ensemble(
            settings.noise_kind, shape, settings.input_range, base, settings.contrast, images
        )
        return Shown(title or "pure noise", "", noise)

    return own_subject(
        settings.model,
        test,
        shown,
        dataset=settings.dataset,
        input_range=settings.input_range,
        normalisation=(settings.input_mean, settings.input_std),
        channels=settings.channels,
        classes=settings.classes,
        layers=settings.layers,
        class_names=settings.class_names,
    )


# ----------------------------------------------------------------------- measuring


def measure_subject(subject, settings, folder, client=None):
    """Show a network each of its ensembles: a Measurement each.

    The first is shown once for everything that Parts 3 and 4 ask of it. The sums are kept in
    results/ while they grow; a later call continues from them.
    """
    measurements = []
    for shown in subject.shown:
        layers = () if shown.stem else tuple(subject.layers.values())
        identity = [subject.network.sha256, shown.noise.describe(), layers, subject.network.only]
        identity = json.dumps([*identity, settings.seed, settings.precision])
        digest = hashlib.sha256(identity.encode()).hexdigest()[:8]
        started = time.monotonic()
        print(f"{subject.title}: showing it {shown.noise.title} noise ({shown.title})")
        measurement = measure(
            subject.network,
            shown.noise,
            settings.noise_images,
            seed=settings.seed,
            layers=layers,
            checkpoint=folder / f"{subject.result}_{digest}.checkpoint.npz",
            precision=settings.precision,
            client=client,
            until=settings.until,
            only=subject.network.only,
        )
        seconds = time.monotonic() - started
        least = measurement.classes["logit"].expected_correlation.min()
        print(
            f"{subject.title}: {measurement.count:,} images in {seconds:.0f} s; least expected "
            f"correlation of a logit image {least:.3f}"
        )
        measurement.save(folder / f"{subject.result}{shown.stem}.npz")
        measurements.append(measurement)
    if settings.precision != "float32":
        print_agreement_with_float32(subject, settings)
    return measurements


def print_agreement_with_float32(subject, settings):
    """Print how far the images of the faster, slightly other network are those of the network."""
    count = min(settings.noise_images, 20_000)
    rough, full = (
        measure(
            subject.network,
            subject.shown[0].noise,
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


# ----------------------------------------------------------------------- Parts 3 and 4


def classification_images(subject, measurements, settings):
    """Part 3: what the network itself looks for; return ClassFindings and the figures' paths."""
    results, folder = settings.out / "results", settings.out / "part3_imgs"
    exact = [
        part3.exact_images(
            subject,
            shown,
            results / f"{subject.result}{shown.stem}.exact.npz",
            count=settings.exact_images,
            seed=settings.seed + 1,
        )
        for shown in subject.shown
    ]
    findings = part3.find_classes(subject, measurements, exact)
    stem = subject.part3
    written = [part3.draw_bias(subject, measurements, findings, folder / f"bias_{stem}.png")]
    if subject.test:
        path = folder / f"template_{stem}.png"
        written.append(part3.draw_templates(subject, measurements, path))
    if settings.model and (settings.base or settings.noise_kind not in ("gaussian", "uniform")):
        path = folder / f"base_{stem}.png"
        written.append(part3.draw_about_base(subject, measurements[0], path))
    return findings, written


def activations_and_filters(subject, measurement, settings):
    """Part 4: inside the network; return FilterFindings and the figures' paths."""
    folder = settings.out / "part4_imgs"
    written = part4.activations(subject, measurement, folder)
    findings, paths = part4.filters(
        subject,
        measurement,
        folder,
        settings.out / "results",
        exact_patches=settings.exact_patches,
        live_rate=settings.live_rate,
        seed=settings.seed + 1,
    )
    return findings, written + paths


def run(arguments=None):
    """Read a command line and run; return the exit code."""
    return exit_code("main.py", lambda: main(read_main_settings(arguments, DEFAULTS, __doc__)))


if __name__ == "__main__":
    sys.exit(exit_code("main.py", lambda: main(SETTINGS)))
