"""White-noise analysis of two small convolutional networks, from training to figures.

python main.py                                    # the constants below
python main.py --dataset fashion_mnist            # the other data set
python main.py --noise-images 20000 --epochs 1    # a quick look
"""

import argparse
import contextlib
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
EXACT_PATCHES = 20_000  # the same for the receptive fields of the last convolution
LIVE_RATE = 1e-3  # a filter that fires more rarely is not counted among the live ones

# Training, chosen on the validation split. Adam starts at `rate` on a cosine schedule; images are
# blended with a random grey by up to `contrast` (see README).
RECIPES = {
    ("lenet", "mnist"): {"epochs": 13, "batch": 128, "rate": 3e-3, "contrast": 0.5},
    ("lenet", "fashion_mnist"): {
        "epochs": 13, "batch": 128, "rate": 3e-3, "contrast": 0.5
    },
    ("alexnet", "mnist"): {
        "epochs": 8, "batch": 64, "rate": 1.5e-3, "contrast": 0.5
    },
    ("alexnet", "fashion_mnist"): {
        "epochs": 10, "batch": 64, "rate": 1.5e-3, "contrast": 0.0
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


def main(args):
    """Run Parts 1 to 4 and return the paths of the figures."""
    import_tensorflow_quietly()
    from cluster import connect
    from data import load_data

    for folder in ("models", "results", "part3_imgs", "part4_imgs"):
        check_writable(args.out / folder)

    # Part 1: the data
    (x_train, y_train), test = load_data(args.dataset)

    # Part 2: the networks
    networks = {name: load_or_train(name, x_train, y_train, args) for name in args.networks}
    accuracies = {name: test_accuracy(networks[name], *test) for name in args.networks}

    # Part 3: classification images, of noisy images by true class and of pure noise by answer
    written = part3_noisy_images(networks, *test, args)
    findings = {name: {"test accuracy": accuracies[name]} for name in args.networks}
    with connect(args.scheduler) as client:
        measurements = {
            name: measure_network(name, networks[name], args, client) for name in args.networks
        }
    for name, measurement in measurements.items():
        found, paths = part3_noise(name, networks[name], measurement, *test, args)
        findings[name] |= found
        written += paths

    # Part 4: spike-triggered analysis of the first and last convolution
    for name, measurement in measurements.items():
        written += part4_activations(name, networks[name], *test, measurement, args)
        found, paths = part4_filters(name, networks[name], measurement, args)
        findings[name] |= found
        written += paths

    print_summary(measurements, findings, written, args)
    return written


# --------------------------------------------------------------------------- Part 2: networks


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
    if recipe["contrast"]:
        batches = batches.map(lambda x, y: (vary_contrast(x, recipe["contrast"]), y))
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


def vary_contrast(images, most):
    """Blend each image (n, h, w, c) with a random uniform grey, by a random share up to `most`.

    Training data alone has black backgrounds; a network that never saw another answers noise,
    whose mean is 1/2, with most of its filters silent.
    """
    import tensorflow as tf

    count = tf.shape(images)[0]
    share = tf.random.uniform((count, 1, 1, 1), 0, most)
    return images * (1 - share) + share * tf.random.uniform((count, 1, 1, 1))


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
    import keras

    import alexnet  # noqa: F401  (registers its class)
    import lenet  # noqa: F401

    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("it is truncated, or not a .keras archive")
        network = keras.saving.load_model(path, compile=False, safe_mode=True)
        with zipfile.ZipFile(path) as archive:
            known = "training.json" in archive.namelist()
            training = json.loads(archive.read("training.json")) if known else {}
    except Exception as error:  # a damaged archive can fail in any of its layers
        reason = " ".join(str(error).split())[:120]
        raise ValueError(
            f"{path} cannot be read as a Keras network ({reason}): delete it or use --retrain"
        ) from error
    found = tuple(network.inputs[0].shape[1:]), network.outputs[0].shape[-1]
    if found != (tuple(shape), classes):
        raise ValueError(
            f"{path} takes images of {found[0]} and answers {found[1]} classes, but the data has "
            f"{tuple(shape)} and {classes}: delete it or use --retrain"
        )
    return network, training


def test_accuracy(network, x_test, y_test):
    """Return the share of test images that the network names right."""
    from analysis import accuracy

    return accuracy(network, x_test, y_test)


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


def measure_network(name, network, args, client=None):
    """Show a network pure noise, once for everything that Parts 3 and 4 ask of it.

    The sums are kept in results/ while they grow; a later call continues from them.
    """
    from reverse_correlation import measure, network_sha256

    folder, ds = args.out / "results", args.dataset
    settings = f"{args.noise_kind}_seed{args.seed}_{args.precision}_{network_sha256(network)[:8]}"
    measurement = measure(
        network,
        ensemble(network, args),
        args.noise_images,
        seed=args.seed,
        layers=CONVOLUTIONS[name],
        checkpoint=folder / f"{ds}_{name}_{settings}.checkpoint.npz",
        precision=args.precision,
        client=client,
    )
    measurement.save(folder / f"{ds}_{name}.npz")
    if args.precision != "float32":
        print_agreement_with_float32(network, args)
    return measurement


def print_agreement_with_float32(network, args):
    """Print how far the images of the faster, slightly other network are those of the network."""
    from analysis import correlations
    from reverse_correlation import measure

    noise, count = ensemble(network, args), min(args.noise_images, 20_000)
    rough, full = (
        measure(network, noise, count, seed=args.seed, progress=False, precision=p)
        for p in (args.precision, "float32")
    )
    r = correlations(rough.classes["logit"].covariance, full.classes["logit"].covariance)
    print(
        f"{network.name}: logit images in {args.precision} agree with float32's from the same "
        f"{count:,} images at r = {r.min():.4f} or better"
    )


def ensemble(network, args):
    """Return the noise that the command line asks for, in the network's image shape."""
    from noise import WhiteNoise

    return WhiteNoise(args.noise_kind, tuple(network.inputs[0].shape[1:]))


def part3_noise(name, network, measurement, x_test, y_test, args):
    """Draw what the network itself looks for, and classify the test set by that alone."""
    import numpy as np

    import figures
    from analysis import confusion, correlations, exact_classification_images, match_templates
    from data import CLASS_NAMES

    ds, names, count = args.dataset, CLASS_NAMES[args.dataset], measurement.count
    counts = {
        "decision": [f"n = {n:,}" for n in measurement.answered],
        "probability": [f"mean {p:.2g}" for p in measurement.classes["probability"].mean_response],
        "logit": [f"mean {m:.1f}" for m in measurement.classes["logit"].mean_response],
    }
    empty = [f"answered\n{n:,} of\n{count:,}" for n in measurement.answered]
    found, rows = {}, {}
    for kind, estimate in measurement.classes.items():
        maps = np.where(np.isnan(estimate.z), np.nan, estimate.covariance)
        quality = [f"\nr = {r:.3f}" if np.isfinite(r) else "\n" for r in estimate.reliability]
        if kind != "decision" and args.noise_kind != "binary":
            exact = exact_classification_images(
                network, ensemble(network, args), EXACT_IMAGES, kind
            )
            agreement = correlations(exact, estimate.covariance)
            quality = [f"{q}\nexact {r:.3f}" for q, r in zip(quality, agreement, strict=True)]
            found[f"{kind} images against exact"] = agreement
        found[f"{kind} images, noise needed"] = needed = estimate.images_needed(count)
        notes = [
            f"{a}{b}\nneeds {n:,.0f}" if np.isfinite(n) else a
            for a, b, n in zip(counts[kind], quality, needed, strict=True)
        ]
        rows[kind] = (maps, estimate.significant, notes, empty)
    figure = figures.classification_images(
        rows,
        names,
        f"What {TITLES[name]} looks for on {TITLES[ds]}: covariance of its answers with "
        f"{count:,} {TITLES[args.noise_kind]} noise images\n"
        "n: times answered; r: split-half reliability; exact: correlation with the image that the "
        "network's gradients give;\n"
        "needs: noise images for r = .9 with the truth; outlined: pixels significant at "
        "family-wise 5 %",
    )
    folder = args.out / "part3_imgs"
    written = [figures.save(figure, folder / f"bias_{PART3_NAMES[name]}_{ds}.png")]

    matrices = {}
    for kind in ("decision", "logit"):
        maps = rows[kind][0]
        if np.isnan(maps).all():
            continue  # one class answered always: no decision image exists
        answers = match_templates(maps, x_test)
        found[f"{kind} templates"] = float(np.mean(answers == y_test))
        matrices[f"{kind} images: {found[f'{kind} templates']:.1%} right"] = confusion(
            y_test, answers, len(names)
        )
    figure = figures.confusion_matrix(
        matrices,
        names,
        f"{len(y_test):,} {TITLES[ds]} test images classified by {TITLES[name]}'s "
        "classification images alone",
        "share of the true class",
    )
    written.append(figures.save(figure, folder / f"template_{PART3_NAMES[name]}_{ds}.png"))
    return found, written


# --------------------------------------------------------------------------- Part 4


def part4_activations(name, network, x_test, y_test, measurement, args):
    """Draw the mean activity of the first and last convolution, on real images and on noise."""
    import numpy as np

    import figures
    from analysis import activation_maps
    from data import CLASS_NAMES

    names, written = CLASS_NAMES[args.dataset], []
    for label, layer in zip(("conv1", "convLast"), CONVOLUTIONS[name], strict=True):
        path = args.out / "part4_imgs" / f"{label}_{PART4_NAMES[name]}_{PART4_NAMES[args.dataset]}"
        where = f"{TITLES[name]} {layer} on"
        figure = figures.panels(
            activation_maps(network, layer, x_test, y_test),
            names,
            [f"n = {np.sum(y_test == n):,}" for n in range(len(names))],
            f"{where} {TITLES[args.dataset]} test images:\n"
            "mean activity, averaged over filters, by true class",
            "mean activity",
        )
        written.append(figures.save(figure, path.with_suffix(".png")))
        estimate = measurement.maps[layer]
        figure = figures.panels(
            estimate.covariance / estimate.response_std[:, None, None, None],
            names,
            [f"r = {r:.3f}" if np.isfinite(r) else "" for r in estimate.reliability],
            f"{where} {estimate.count:,} {TITLES[args.noise_kind]} noise images:\n"
            "mean activity, averaged over filters, weighted by the logit of each class",
            "change of activity per s.d. of logit",
            signed=True,
        )
        written.append(figures.save(figure, path.with_name(path.name + "_noise.png")))
    return written


def part4_filters(name, network, measurement, args):
    """Draw the receptive fields of the first and last convolution's filters."""
    import numpy as np

    import figures
    from analysis import correlations, cosines, exact_receptive_fields, kernels

    found, written = {}, []
    for label, layer in zip(("conv1", "convLast"), CONVOLUTIONS[name], strict=True):
        estimate = measurement.layers[layer]
        live = estimate.events >= LIVE_RATE * estimate.count
        averages = np.nan_to_num(estimate.average)
        title = (
            f"{TITLES[name]} {layer} on {TITLES[args.dataset]}: spike-triggered averages from "
            f"{measurement.maps[layer].count:,} {TITLES[args.noise_kind]} noise images"
        )
        if label == "conv1":
            learned = kernels(network, layer)
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
            if args.noise_kind != "binary":
                exact = exact_receptive_fields(
                    network, ensemble(network, args), layer, EXACT_PATCHES
                )
                agreement = correlations(exact, estimate.covariance)
                notes = [f"{n}\nexact {c:.3f}" for n, c in zip(notes, agreement, strict=True)]
                found["last convolution against exact"] = agreement[live & np.isfinite(agreement)]
                middle = np.median(found["last convolution against exact"])
                title += f"; exact: correlation with gradients, median {middle:.3f}"
        spikes = np.rint(estimate.events).astype(int)
        notes = [
            note if alive else f"spikes: {n:,}" if n else ""
            for alive, note, n in zip(live, notes, spikes, strict=True)
        ]
        figure = figures.filters(rows, notes, title, columns)
        stem = f"sta_{label}_{PART4_NAMES[name]}_{PART4_NAMES[args.dataset]}.png"
        written.append(figures.save(figure, args.out / "part4_imgs" / stem))
    return found, written


# --------------------------------------------------------------------------- the terminal


def print_summary(measurements, findings, written, args):
    """Print the closing tables: accuracy, agreement, and how often noise got which answer."""
    import numpy as np

    from data import CLASS_NAMES

    def line(label, cells):
        print(f"{label:42}" + "".join(f"{cell:>16}" for cell in cells))

    found = [findings[name] for name in measurements]
    print(f"\n{TITLES[args.dataset]}, {args.noise_images:,} {TITLES[args.noise_kind]} noise images")
    line("", [TITLES[name] for name in measurements])
    line("test accuracy", [f"{f['test accuracy']:.2%}" for f in found])
    for kind in ("decision", "logit"):
        right = [f.get(f"{kind} templates") for f in found]
        line(
            f"test accuracy of its {kind} images",
            ["none" if r is None else f"{r:.1%}" for r in right],
        )
    for key in ("logit images", "probability images", "last convolution"):
        agreement = [f.get(f"{key} against exact", np.array([])) for f in found]
        line(
            f"{key}, r with exact: least, median",
            [f"{a.min():.3f}, {np.median(a):.3f}" if a.size else "-" for a in agreement],
        )
    line(
        "conv1, cosine with kernels: least",
        [f"{f['conv1 against kernels'].min(initial=1):.5f}" for f in found],
    )
    needed = [np.max(f["logit images, noise needed"]) for f in found]
    line("noise that all logit images need for r = .9", [f"{n:,.0f}" for n in needed])
    for k, label in enumerate(CLASS_NAMES[args.dataset]):
        line(f"noise answered {label}", [f"{m.answered[k]:,}" for m in measurements.values()])
    print(f"\n{len(written)} figures in {args.out}:")
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
        "--dataset", choices=("mnist", "fashion_mnist"), default=DATASET, help=f"default {DATASET}"
    )
    parser.add_argument(
        "--networks",
        nargs="+",
        choices=("lenet", "alexnet"),
        default=NETWORKS,
        metavar="NETWORK",
        help="lenet, alexnet or both (default)",
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
    args.networks = tuple(dict.fromkeys(args.networks))
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


def run(arguments=None):
    """Run from the command line; return the exit code: 0, 2 for bad input, 130 for Ctrl-C."""
    try:
        main(parse_arguments(arguments))
    except (ValueError, OSError) as error:
        print(f"main.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nmain.py: stopped; the same command continues from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(run())
