"""White-noise analysis of two small convolutional networks, from training to figures.

python main.py                                    # the constants below
python main.py --dataset fashion_mnist            # the other data set
python main.py --noise-images 20000 --epochs 1    # a quick look
python main.py --model mine.keras                 # a network of your own
"""

import argparse
import contextlib
import dataclasses
import hashlib
import json
import os
import sys
import time
import zipfile
from pathlib import Path

# ---------------------------------------------------------------------------------------------
# The experiment. Each constant is the default of the flag of the same name.
DATASET = "mnist"  # or "fashion_mnist"
NETWORKS = ("lenet", "alexnet")
NOISE_IMAGES = 1_000_000  # per network; a pixel's standard error falls as 1 / sqrt of this
NOISE_KIND = "gaussian"  # or "uniform" (Borji and Lin's), "binary"
SEED = 0  # of training and noise
PRECISION = "float32"  # or "bfloat16": faster where the CPU has it, and a slightly other network
SCHEDULER = ""  # of a Dask cluster that shares the pass of noise: "tcp://host:8786", "local:2"

SIGNAL, NOISE = 0.7, 0.3  # Part 3: weights of a test image and of uniform noise
NOISY_IMAGES = 1_000  # Part 3: how many such mixtures
VALIDATION_IMAGES = 5_000  # the last of the 60,000 training images; no choice is made on test ones
EXACT_IMAGES = 10_000  # whose gradients give the exact images that the black box is held against
EXACT_PATCHES = 40_000  # the same for the receptive fields of the last convolution
LIVE_RATE = 1e-3  # a filter that fires more rarely is not counted among the live ones
INPUT_RANGE = (0.0, 1.0)  # of the pixels that a network of your own expects
SHOWN_CLASSES, SHOWN_FILTERS = 20, 96  # in one figure

# Training, chosen on the validation split. Adam starts at `rate` on a cosine schedule; images are
# blended with a random uniform "grey", or half of them with white "noise", by up to a share (see
# README).
RECIPES = {
    ("lenet", "mnist"): {
        "epochs": 12, "batch": 128, "rate": 3e-3, "blend": ("noise", 0.8)
    },
    ("lenet", "fashion_mnist"): {
        "epochs": 14, "batch": 64, "rate": 2e-3, "blend": ("noise", 0.7)
    },
    ("alexnet", "mnist"): {
        "epochs": 8, "batch": 64, "rate": 1.5e-3, "blend": ("grey", 0.5)
    },
    ("alexnet", "fashion_mnist"): {
        "epochs": 10, "batch": 64, "rate": 1.5e-3, "blend": ("grey", 0.0)
    },
}  # fmt: skip
OUT = Path(__file__).resolve().parent
# ---------------------------------------------------------------------------------------------

TITLES = {
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "lenet": "LeNet",
    "alexnet": "AlexNet",
    "gaussian": "Gaussian",
    "uniform": "uniform",
    "binary": "binary",
}
PART3_NAMES = {"lenet": "lenet", "alexnet": "alex"}  # the figures' file names
PART4_NAMES = {"lenet": "le", "alexnet": "alex", "mnist": "mnist", "fashion_mnist": "fashion"}
CONVOLUTIONS = {"lenet": ("conv1", "conv2"), "alexnet": ("conv1", "conv3")}  # first and last


@dataclasses.dataclass(frozen=True)
class Subject:
    """A network that is measured, and how its figures are called and captioned.

    Attributes:
        network: the Keras model.
        title, place: "LeNet" and "LeNet on MNIST"; a file's name for both if it came from one.
        part3, part4, result: stems of file names, such as "lenet_mnist".
        layers: {label: layer} of the convolutions of Part 4, such as {"conv1": "conv1"}.
        classes: their names.
        noise: the ensemble that it is shown.
        test: (images in the network's input range, labels), or None without a data set.
    """

    network: object
    title: str
    place: str
    part3: str
    part4: str
    result: str
    layers: dict
    classes: tuple
    noise: object
    test: tuple | None


def main(args):
    """Run Parts 1 to 4 and return the paths of the figures."""
    import_tensorflow_quietly()
    for folder in ("models", "results", "part3_imgs", "part4_imgs"):
        check_writable(args.out / folder)
    with connected(args.scheduler) as client:
        return experiment(args, client)


def experiment(args, client):
    """Parts 1 to 4, in sequence."""
    from data import load_data

    # Part 1: the data
    train_set, test = load_data(args.dataset) if args.dataset else (None, None)

    # Part 2: the networks
    if args.model:
        subjects, written = [your_network(test, args)], []
    else:
        networks = {name: load_or_train(name, *train_set, args) for name in args.networks}
        subjects = [trained_network(name, networks[name], test, args) for name in networks]
        written = part3_noisy_images(networks, *test, args)

    # Part 3: classification images, of noisy images by true class and of pure noise by answer
    findings, measurements = [], [measure_network(subject, args, client) for subject in subjects]
    for subject, measurement in zip(subjects, measurements, strict=True):
        found, paths = part3_noise(subject, measurement, args)
        findings.append({"test accuracy": test_accuracy(subject), **found})
        written += paths

    # Part 4: spike-triggered analysis of the first and last convolution
    for subject, measurement, found in zip(subjects, measurements, findings, strict=True):
        written += part4_activations(subject, measurement, args)
        more, paths = part4_filters(subject, measurement, args)
        found |= more
        written += paths

    print_summary(subjects, measurements, findings, written, args)
    return written


# --------------------------------------------------------------------------- Part 2: networks


def trained_network(name, network, test, args):
    """Say how a network of the demonstration is measured."""
    from data import CLASS_NAMES
    from noise import WhiteNoise

    ds, layers = args.dataset, args.layers or CONVOLUTIONS[name]
    return Subject(
        network,
        TITLES[name],
        f"{TITLES[name]} on {TITLES[ds]}",
        f"{PART3_NAMES[name]}_{ds}",
        f"{PART4_NAMES[name]}_{PART4_NAMES[ds]}",
        f"{ds}_{name}",
        labelled(layers, args),
        CLASS_NAMES[ds],
        WhiteNoise(args.noise_kind, tuple(network.inputs[0].shape[1:])),
        test,
    )


def your_network(test, args):
    """Load the network of --model, say what it is taken for, and how it is measured.

    Raises:
        ValueError: if it is no classifier of images, or not of the data set's.
    """
    import keras

    import alexnet  # noqa: F401  (registers its class)
    import lenet  # noqa: F401
    from data import CLASS_NAMES
    from networks import (
        as_graph,
        convolutions,
        image_shape,
        load_any_network,
        logits_of,
        rescalings,
    )
    from noise import WhiteNoise

    network, name = load_any_network(args.model), args.model.stem
    shape, (low, high) = image_shape(network), args.input_range
    noise = WhiteNoise(args.noise_kind, shape, low, high)
    graph = as_graph(network)
    graph = keras.Model(graph.inputs[0], graph.outputs[0], name=name)
    logits, meaning = logits_of(graph, noise)
    classes = tuple(map(str, range(logits.shape[-1])))
    if test is not None:
        found, names = test[0].shape[1:], CLASS_NAMES[args.dataset]
        if (found, len(names)) != (shape, len(classes)):
            raise ValueError(
                f"{args.model} takes images of {shape} and answers {len(classes)} classes, but "
                f"{args.dataset} has {found} and {len(names)}: leave --dataset out"
            )
        classes, test = names, (low + (high - low) * test[0], test[1])
    found = convolutions(graph)
    layers = args.layers or tuple(dict.fromkeys(found[:1] + found[-1:]))
    for text in rescalings(graph):
        print(f"{name} rescales its input itself ({text}): see that --input-range fits")
    print(
        f"{name}: images of {shape} from {low:g} to {high:g}, classes: {len(classes)}, responses: "
        f"{meaning}"
    )
    if not layers:
        print(f"{name} has no convolution whose receptive field can be derived: no Part 4")
    stem, place = name, name
    if args.dataset:
        stem, place = f"{name}_{args.dataset}", f"{name} on {TITLES[args.dataset]}"
    chosen = labelled(layers, args)
    return Subject(graph, name, place, stem, stem, f"model_{stem}", chosen, classes, noise, test)


def labelled(layers, args):
    """Name layers for the figures: those chosen by default are the first and the last."""
    if args.layers:
        return {layer: layer for layer in layers}
    return dict(zip(("conv1", "convLast"), layers, strict=False))


def load_or_train(name, x_train, y_train, args):
    """Load the network from models/, or train it and save it there.

    A saved network that was trained for fewer epochs than are asked for now is trained anew.
    """
    path = args.out / "models" / f"{args.dataset}_{name}.keras"
    epochs = args.epochs or RECIPES[name, args.dataset]["epochs"]
    if path.exists() and not args.retrain:
        network, training = load_network(path, x_train.shape[1:], len(set(y_train.tolist())))
        if training.get("epochs", epochs) >= epochs:
            print(f"{TITLES[name]}: loaded {path}, {describe_training(training)}")
            return network
        print(f"{TITLES[name]}: {path} had {training['epochs']} of {epochs} epochs: training anew")
    started = time.monotonic()
    network, validation = train(name, x_train, y_train, epochs, args)
    training = {
        "epochs": epochs,
        "seed": args.seed,
        "seconds": round(time.monotonic() - started),
        "validation_accuracy": validation,
    }
    save_network(network, training, path)
    print(f"{TITLES[name]}: saved {path}, {describe_training(training)}")
    return network


def describe_training(training):
    """Say in half a sentence how a network was trained."""
    if not training:
        return "with no record of its training"
    return (
        f"epochs: {training['epochs']}, seconds: {training['seconds']}, seed: {training['seed']}, "
        f"{training['validation_accuracy']:.2%} on the validation split"
    )


def train(name, x_train, y_train, epochs, args):
    """Train a network; return it without its optimizer, and its validation accuracy."""
    import keras
    import tensorflow as tf

    from alexnet import AlexNet
    from lenet import LeNet

    recipe = RECIPES[name, args.dataset]
    keras.utils.set_random_seed(args.seed)
    build = {"lenet": LeNet, "alexnet": AlexNet}[name]
    shape, classes = x_train.shape[1:], len(set(y_train.tolist()))
    network = build(shape, classes, name=f"{name}_{args.dataset}")
    split = max(1, len(x_train) - min(VALIDATION_IMAGES, len(x_train) // 10))
    batches = tf.data.Dataset.from_tensor_slices((x_train[:split], y_train[:split]))
    batches = batches.shuffle(split, seed=args.seed).batch(recipe["batch"])
    batches = batches.map(lambda x, y: (blend(x, *recipe["blend"]), y))
    steps = epochs * -(-split // recipe["batch"])
    network.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(recipe["rate"], steps)),
        loss="sparse_categorical_crossentropy",  # of probabilities: the networks end in a softmax
        metrics=["accuracy"],
        jit_compile=bool(tf.config.list_physical_devices("GPU")),  # XLA triples the time on a CPU
        steps_per_execution=8,  # fewer returns to Python
    )
    print(f"{TITLES[name]} on {TITLES[args.dataset]}: training, epochs: {epochs}")
    history = network.fit(
        batches.prefetch(4),
        epochs=epochs,
        validation_data=(x_train[split:], y_train[split:]),
        validation_batch_size=1000,
        shuffle=False,  # the data set shuffles itself
        verbose=1 if sys.stdout.isatty() else 2,
    )
    bare = build(shape, classes, name=network.name)
    bare.set_weights(network.get_weights())
    return bare, float(history.history["val_accuracy"][-1])


def blend(images, other, most):
    """Blend images (n, h, w, c) with a uniform grey or white noise, by random shares.

    Training images alone have black backgrounds; a network that never saw another answers noise,
    whose mean is 1/2, with most of its filters silent.

    Args:
        other: "grey", one random value an image, or "noise", one a pixel.
        most: of the share. Greys have shares uniform from 0; half of the images stay without
            noise, and the others have shares uniform from 0.
    """
    import tensorflow as tf

    if not most:
        return images
    count = tf.shape(images)[0]
    if other == "grey":
        share, values = tf.random.uniform((count, 1, 1, 1), 0, most), (count, 1, 1, 1)
    else:
        share, values = tf.random.uniform((count, 1, 1, 1), -most, most), tf.shape(images)
    share = tf.maximum(share, 0)
    return images * (1 - share) + share * tf.random.uniform(values)


def save_network(network, training, path):
    """Write a `.keras` file with a record of the training, beside its name, then rename it."""
    part = path.with_name(f"{path.stem}.{os.getpid()}.part.keras")
    try:
        network.save(part)
        with zipfile.ZipFile(part, "a") as archive:
            archive.writestr("training.json", json.dumps(training))
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def load_network(path, shape, classes):
    """Read a network and the record of its training.

    Raises:
        ValueError: if the file is damaged, or the network is for other images or classes.
    """
    import alexnet  # noqa: F401  (registers its class)
    import lenet  # noqa: F401
    from networks import load_any_network

    try:
        network = load_any_network(path)
        with zipfile.ZipFile(path) as archive:
            known = "training.json" in archive.namelist()
            training = json.loads(archive.read("training.json")) if known else {}
    except (ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{error}; delete it or use --retrain") from error
    found = tuple(network.inputs[0].shape[1:]), network.outputs[0].shape[-1]
    if found != (tuple(shape), classes):
        raise ValueError(
            f"{path} takes images of {found[0]} and answers {found[1]} classes, but the data has "
            f"{tuple(shape)} and {classes}: delete it or use --retrain"
        )
    return network, training


def test_accuracy(subject):
    """Return the share of test images that the network names right; None without a data set."""
    from analysis import accuracy

    return accuracy(subject.network, *subject.test) if subject.test else None


# --------------------------------------------------------------------------- Part 3


def part3_noisy_images(networks, x_test, y_test, args):
    """Average noisy test images by true class, and feed the averages back to the networks."""
    import numpy as np

    import figures
    from analysis import generate_classification_images, predict
    from data import CLASS_NAMES
    from noise import generate_white_noise_images

    ds, names = args.dataset, CLASS_NAMES[args.dataset]
    labels = y_test[:NOISY_IMAGES]
    noisy = generate_white_noise_images(x_test[:NOISY_IMAGES], SIGNAL, NOISE, args.seed)
    present = [n for n in range(len(names)) if n in labels]
    images = np.full((len(names), *noisy.shape[1:]), np.nan, np.float32)
    for n in present:
        images[n] = generate_classification_images(noisy, labels, n)
    folder = args.out / "part3_imgs"
    mixture = f"{SIGNAL:.0%} signal and {NOISE:.0%} uniform noise"
    figure = figures.panels(
        images,
        names,
        [f"n = {np.sum(labels == n)}" for n in range(len(names))],
        f"Mean of {len(labels):,} {TITLES[ds]} test images at {mixture}, by true class",
        "mean pixel value",
        cmap=figures.PICTURE,
    )
    written = [figures.save(figure, folder / f"classification_{ds}.png")]
    for name, network in networks.items():
        probabilities = np.full((len(names), len(names)), np.nan)
        probabilities[present] = predict(network, images[present])
        right = int(np.sum(probabilities[present].argmax(axis=1) == present))
        figure = figures.confusion_matrix(
            {"": probabilities},
            names,
            f"{TITLES[name]} shown the mean noisy image of each class: "
            f"{right} of {len(present)} right",
            "probability of the answer",
        )
        written.append(figures.save(figure, folder / f"cm_{PART3_NAMES[name]}_{ds}.png"))
    return written


def measure_network(subject, args, client=None):
    """Show a network pure noise, once for everything that Parts 3 and 4 ask of it.

    The sums are kept in results/ while they grow; a later call continues from them.
    """
    from reverse_correlation import measure, network_sha256

    layers = tuple(subject.layers.values())
    settings = [network_sha256(subject.network), subject.noise.describe(), layers]
    settings = hashlib.sha256(json.dumps([*settings, args.seed, args.precision]).encode())
    checkpoint = f"{subject.result}_{settings.hexdigest()[:8]}.checkpoint.npz"
    measurement = measure(
        subject.network,
        subject.noise,
        args.noise_images,
        seed=args.seed,
        layers=layers,
        checkpoint=args.out / "results" / checkpoint,
        precision=args.precision,
        client=client,
    )
    measurement.save(args.out / "results" / f"{subject.result}.npz")
    if args.precision != "float32":
        print_agreement_with_float32(subject, args)
    return measurement


def print_agreement_with_float32(subject, args):
    """Print how far the images of the faster, slightly other network are those of the network."""
    from analysis import correlations
    from reverse_correlation import measure

    count = min(args.noise_images, 20_000)
    rough, full = (
        measure(subject.network, subject.noise, count, seed=args.seed, progress=False, precision=p)
        for p in (args.precision, "float32")
    )
    r = correlations(rough.classes["logit"].covariance, full.classes["logit"].covariance)
    print(
        f"{subject.title}: logit images in {args.precision} agree with float32's from the same "
        f"{count:,} images at r = {r.min():.4f} or better"
    )


def part3_noise(subject, measurement, args):
    """Draw what the network itself looks for, and classify the test set by that alone."""
    import numpy as np

    import figures
    from analysis import correlations, exact_class_images

    count, names = measurement.count, subject.classes
    notes = {
        "decision": [f"n = {n:,}" for n in measurement.answered],
        "probability": [f"mean {p:.2g}" for p in measurement.classes["probability"].mean_response],
        "logit": [f"mean {m:.1f}" for m in measurement.classes["logit"].mean_response],
    }
    empty = [f"answered\n{n:,} of\n{count:,}" for n in measurement.answered]
    exact = {}
    if args.noise_kind != "binary" and len(names) <= SHOWN_CLASSES:
        images = min(EXACT_IMAGES, max(1000, args.noise_images // 100))
        exact = exact_class_images(subject.network, subject.noise, images)
    found, rows = {}, {}
    for kind, estimate in measurement.classes.items():
        maps = np.where(np.isnan(estimate.z), np.nan, estimate.covariance)
        quality = [f"\nr = {r:.3f}" if np.isfinite(r) else "\n" for r in estimate.reliability]
        if kind in exact:
            agreement = correlations(exact[kind], estimate.covariance)
            quality = [f"{q}\nexact {r:.3f}" for q, r in zip(quality, agreement, strict=True)]
            found[f"{kind} images against exact"] = agreement
        found[f"{kind} images, noise needed"] = needed = estimate.images_needed(count)
        below = [
            f"{a}{b}\nneeds {n:,.0f}" if np.isfinite(n) else a
            for a, b, n in zip(notes[kind], quality, needed, strict=True)
        ]
        why = empty if kind == "decision" else ["varies\ntoo little"] * len(names)
        rows[kind] = (maps, estimate.significant, below, why)
    shown = np.sort(np.argsort(-measurement.answered, kind="stable")[:SHOWN_CLASSES])
    some = (
        "" if len(shown) == len(names) else f"; the {len(shown)} commonest of {len(names)} answers"
    )
    figure = figures.classification_images(
        {kind: [[part[i] for i in shown] for part in row] for kind, row in rows.items()},
        [names[i] for i in shown],
        f"What {subject.place} looks for: covariance of its answers with "
        f"{count:,} {TITLES[args.noise_kind]} noise images{some}\n"
        "n: times answered; r: split-half reliability; exact: correlation with the image that the "
        "network's gradients give;\n"
        "needs: noise images for r = .9 with the truth; outlined: pixels significant at "
        "family-wise 5 %",
    )
    folder = args.out / "part3_imgs"
    written = [figures.save(figure, folder / f"bias_{subject.part3}.png")]
    if subject.test:
        maps = {kind: rows[kind][0] for kind in ("decision", "logit")}
        more, figure = templates_as_classifiers(subject, maps)
        found |= more
        written.append(figures.save(figure, folder / f"template_{subject.part3}.png"))
    return found, written


def templates_as_classifiers(subject, maps):
    """Classify the test set by class images alone; return the accuracies and the figure."""
    import numpy as np

    import figures
    from analysis import confusion, match_templates

    (x_test, y_test), matrices, found = subject.test, {}, {}
    for kind, images in maps.items():
        if np.isnan(images).all():
            continue  # one class answered always: no decision image exists
        answers = match_templates(images, x_test)
        found[f"{kind} templates"] = right = float(np.mean(answers == y_test))
        matrices[f"{kind} images: {right:.1%} right"] = confusion(y_test, answers, len(images))
    figure = figures.confusion_matrix(
        matrices,
        subject.classes,
        f"{len(y_test):,} test images classified by the classification images of {subject.place} "
        "alone",
        "share of the true class",
    )
    return found, figure


# --------------------------------------------------------------------------- Part 4


def part4_activations(subject, measurement, args):
    """Draw the mean activity of the first and last convolution, on real images and on noise."""
    import numpy as np

    import figures
    from analysis import activation_maps

    written, names = [], subject.classes
    for label, layer in subject.layers.items():
        path = args.out / "part4_imgs" / f"{label}_{subject.part4}"
        if subject.test:
            labels = subject.test[1]
            figure = figures.panels(
                activation_maps(subject.network, layer, *subject.test),
                names,
                [f"n = {np.sum(labels == n):,}" for n in range(len(names))],
                f"{layer} of {subject.place}, test images:\n"
                "mean activity, averaged over filters, by true class",
                "mean activity",
            )
            written.append(figures.save(figure, path.with_name(path.name + ".png")))
        estimate = measurement.maps[layer]
        shown = np.sort(np.argsort(-measurement.answered, kind="stable")[:SHOWN_CLASSES])
        with np.errstate(invalid="ignore"):
            maps = estimate.covariance / estimate.response_std[:, None, None, None]
        figure = figures.panels(
            maps[shown],
            [names[i] for i in shown],
            [f"r = {r:.3f}" if np.isfinite(r) else "" for r in estimate.reliability[shown]],
            f"{layer} of {subject.place}, {estimate.count:,} {TITLES[args.noise_kind]} noise "
            "images:\nmean activity, averaged over filters, weighted by the logit of each class",
            "change of activity per s.d. of logit",
            signed=True,
        )
        written.append(figures.save(figure, path.with_name(path.name + "_noise.png")))
    return written


def part4_filters(subject, measurement, args):
    """Draw the receptive fields of the first and last convolution's filters."""
    import numpy as np

    import figures
    from analysis import correlations, cosines, exact_receptive_fields, kernels

    found, written = {}, []
    for label, layer in subject.layers.items():
        estimate = measurement.layers[layer]
        rate = measurement.provenance["layers"][layer]["nonnegative"]
        live = estimate.events >= LIVE_RATE * estimate.count if rate else estimate.response_std > 0
        averages = np.nan_to_num(estimate.average if rate else estimate.covariance)
        title = (
            f"{layer} of {subject.place}: {'spike-triggered averages' if rate else 'covariances'} "
            f"from {measurement.maps[layer].count:,} {TITLES[args.noise_kind]} noise images"
        )
        learned = kernels(subject.network, layer)
        if learned is not None and learned.shape == estimate.covariance.shape:
            agreement = cosines(learned, estimate.covariance)
            rows, columns = {"kernel": learned, "STA": averages}, 8
            notes = [f"{c:.5f}" for c in agreement]
            title += (
                f"\nbelow the learned kernels, with their cosine: at least "
                f"{agreement[live].min(initial=1):.5f} for {np.sum(live)} live filters"
            )
            found["conv1 against kernels"] = agreement[live]
        else:
            rows, columns = {"": averages}, 8 if len(live) <= 32 else 12
            notes = [f"r = {r:.3f}" for r in estimate.reliability]
            title += f"\nr: split-half reliability; {np.sum(live)} of {len(live)} filters are live"
            exact = None
            if args.noise_kind != "binary" and len(live) <= SHOWN_FILTERS:
                try:
                    exact = exact_receptive_fields(
                        subject.network, subject.noise, layer, EXACT_PATCHES
                    )
                except ValueError as error:
                    print(f"{subject.title}: {layer} is not compared with gradients: {error}")
            if exact is not None:
                agreement = correlations(exact, estimate.covariance)
                notes = [f"{n}\nexact {c:.3f}" for n, c in zip(notes, agreement, strict=True)]
                found["last convolution against exact"] = agreement[live & np.isfinite(agreement)]
                middle = np.median(found["last convolution against exact"])
                title += f"; exact: correlation with gradients, median {middle:.3f}"
        spikes = np.rint(estimate.events).astype(int)
        notes = [
            note if alive or not rate else f"spikes: {n:,}" if n else ""
            for alive, note, n in zip(live, notes, spikes, strict=True)
        ]
        if len(notes) > SHOWN_FILTERS:
            title += f"; the first {SHOWN_FILTERS} are shown"
        rows = {label: maps[:SHOWN_FILTERS] for label, maps in rows.items()}
        figure = figures.filters(rows, notes[:SHOWN_FILTERS], title, columns)
        path = args.out / "part4_imgs" / f"sta_{label}_{subject.part4}.png"
        written.append(figures.save(figure, path))
    return found, written


# --------------------------------------------------------------------------- the terminal


def print_summary(subjects, measurements, findings, written, args):
    """Print the closing tables: accuracy, agreement, and how often noise got which answer."""
    import numpy as np

    def line(label, cells):
        if any(cell is not None for cell in cells):
            print(f"{label:42}" + "".join(f"{'-' if c is None else c:>16}" for c in cells))

    def each(key, text):
        return [None if f.get(key) is None else text(f[key]) for f in findings]

    what = TITLES[args.dataset] if args.dataset else subjects[0].title
    print(f"\n{what}, {args.noise_images:,} {TITLES[args.noise_kind]} noise images")
    line("", [subject.title for subject in subjects])
    line("test accuracy", each("test accuracy", "{:.2%}".format))
    for kind in ("decision", "logit"):
        line(f"test accuracy of its {kind} images", each(f"{kind} templates", "{:.1%}".format))
    for kind in ("logit images", "probability images", "last convolution"):
        line(
            f"{kind}, r with exact: least, median",
            each(f"{kind} against exact", lambda a: f"{a.min():.3f}, {np.median(a):.3f}"),
        )
    line(
        "conv1, cosine with kernels: least",
        each("conv1 against kernels", lambda a: f"{a.min(initial=1):.5f}"),
    )
    line(
        "noise that all logit images need for r = .9",
        each("logit images, noise needed", lambda n: f"{np.max(n):,.0f}"),
    )
    shown = np.argsort(-measurements[0].answered, kind="stable")[:SHOWN_CLASSES]
    for k in np.sort(shown):
        label = f"noise answered {subjects[0].classes[k]}"
        line(label, [f"{m.answered[k]:,} of {m.count:,}" for m in measurements])
    print(f"\nFigures in {args.out}: {len(written)}")
    for path in written:
        print(f"  {path.relative_to(args.out)}")


def import_tensorflow_quietly():
    """Import TensorFlow without the greetings that its C++ side prints before it can be told."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    stderr = os.dup(2)
    with open(os.devnull, "wb") as null:
        os.dup2(null.fileno(), 2)
    try:
        import tensorflow

        tensorflow.config.list_physical_devices()
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


def connected(scheduler):
    """Return a context manager that yields a Dask client; None without a scheduler's address."""
    if not scheduler:
        return contextlib.nullcontext()
    from cluster import connect

    return connect(scheduler)


def check_writable(folder):
    """Make a folder, and raise OSError with a sentence if nothing can be written there."""
    probe = folder / f".{os.getpid()}.probe"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
    except OSError as error:
        raise OSError(
            f"cannot write in {folder} ({error.strerror}): choose another --out"
        ) from None
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()


def parse_arguments(arguments=None):
    """Read the command line; constants at the top of this file are the defaults."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--dataset",
        choices=("mnist", "fashion_mnist"),
        help=f"default {DATASET}; with --model, none",
    )
    parser.add_argument(
        "--model",
        type=Path,
        metavar="FILE.keras",
        help="measure this classifier of images instead of the demonstration's networks",
    )
    parser.add_argument(
        "--input-range",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        help=f"of the pixels that --model expects; default {INPUT_RANGE[0]:g} {INPUT_RANGE[1]:g}",
    )
    parser.add_argument(
        "--layers",
        nargs="+",
        metavar="LAYER",
        help="the convolutions of Part 4; default: the first and the last",
    )
    parser.add_argument(
        "--networks",
        nargs="+",
        choices=("lenet", "alexnet"),
        metavar="NETWORK",
        help=f"default {' '.join(NETWORKS)}",
    )
    usual = ", ".join(f"{RECIPES[n, d]['epochs']} ({n}, {d})" for n, d in RECIPES)
    parser.add_argument("--epochs", type=positive, help=f"default {usual}", metavar="N")
    parser.add_argument(
        "--noise-images",
        type=positive,
        default=NOISE_IMAGES,
        metavar="N",
        help=f"shown to each network; default {NOISE_IMAGES:,}",
    )
    parser.add_argument(
        "--noise-kind",
        choices=("gaussian", "uniform", "binary"),
        default=NOISE_KIND,
        help=f"default {NOISE_KIND}",
    )
    parser.add_argument(
        "--seed",
        type=seed,
        default=SEED,
        metavar="N",
        help=f"of training and noise; default {SEED}",
    )
    parser.add_argument(
        "--precision",
        choices=("float32", "bfloat16"),
        default=PRECISION,
        help=f"of the pass of noise; default {PRECISION}",
    )
    parser.add_argument(
        "--scheduler",
        default=SCHEDULER,
        metavar="ADDRESS",
        help="of a Dask cluster that shares the pass of noise, such as tcp://host:8786; or local:N "
        "for N processes on this machine",
    )
    parser.add_argument("--retrain", action="store_true", help="even if models/ has the network")
    parser.add_argument(
        "--out",
        type=lambda text: Path(text).resolve(),
        default=OUT,
        metavar="DIR",
        help="where models/, part3_imgs/ and part4_imgs/ go; default: beside this file",
    )
    args = parser.parse_args(arguments)
    if args.model:
        for flag in ("networks", "epochs", "retrain"):
            if getattr(args, flag):
                parser.error(f"argument --{flag}: it is for the demonstration, not for --model")
    else:
        if args.input_range:
            parser.error("argument --input-range: it is for --model; the data set's is 0 to 1")
        args.dataset = args.dataset or DATASET
    args.networks = tuple(dict.fromkeys(args.networks or NETWORKS))
    args.input_range = tuple(args.input_range or INPUT_RANGE)
    args.layers = tuple(dict.fromkeys(args.layers or ()))
    return args


def positive(text):
    """Read a whole number from 1 up."""
    return whole_number(text, 1)


def seed(text):
    """Read a seed, as NumPy and TensorFlow both take it."""
    return whole_number(text, 0, 2**32 - 1)


def whole_number(text, low, high=10**15):
    """Read a whole number, with or without thousands separators."""
    try:
        number = int(text.replace(",", "").replace("_", ""))
    except ValueError:
        number = None
    if number is None or not low <= number <= high:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high:,}")
    return number


def exit_code(script, run):
    """Run a script's main part; return its exit code: 0, 2 for bad input, 130 for Ctrl-C."""
    try:
        run()
    except (ValueError, OSError) as error:
        print(f"{script}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\n{script}: stopped; the same command continues from here", file=sys.stderr)
        return 130
    return 0


def run(arguments=None):
    """Run from the command line; return the exit code."""
    return exit_code("main.py", lambda: main(parse_arguments(arguments)))


if __name__ == "__main__":
    sys.exit(run())
