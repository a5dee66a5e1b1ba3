"""Borji and Lin's further experiments, done anew, ours beside theirs.

python paper.py                              # all six, on MNIST
python paper.py --dataset fashion_mnist      # the other data set
python paper.py --only mixing attack         # some of them
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

from main import (
    EXACT_IMAGES,
    OUT,
    TITLES,
    VALIDATION_IMAGES,
    check_writable,
    connected,
    exit_code,
    import_tensorflow_quietly,
    load_or_train,
    positive,
    seed,
)

# ---------------------------------------------------------------------------------------------
# The experiments. Choices were made on the validation split, or on networks that are not reported.
DATASET = "mnist"  # or "fashion_mnist"
SEED = 0  # of training, noise and the drawing of images
REPEATS = 5  # seeds over which an interval is taken, where an experiment repeats itself
NOISE_IMAGES = 200_000  # behind each set of class images

GAMMAS = tuple(g / 10 for g in range(11))  # weight of the class image, or of the signal
MIXING_PRINTED = (0.3, 0.5, 0.7, 0.9)  # on the terminal; the results file has them all
MIXED_IMAGES = 500  # backgrounds that each class image is mixed with

ATTACKED_IMAGES = 50  # of each class, attacked towards every other class
ATTACK_PRINTED = (0.3, 0.5, 0.8)
ATTACK_NORMS = (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)  # as a share of the image's own norm

SIGNAL_CLASSES = (5, 6)
SIGNAL_GAMMAS = (0.3, 0.2, 0.1, 0.0)
SIGNAL_TRIALS = 300_000  # for each of those

BACKDOOR_REFERENCES = 20  # clean networks that tell the score what is usual
BACKDOOR_NETWORKS = 10  # clean ones and as many poisoned ones, of other seeds, that are scored
BACKDOOR_EPOCHS, BACKDOOR_BATCH, BACKDOOR_RATE = 3, 256, 4e-3  # of Adam, on a cosine schedule
BACKDOOR_IMAGES = 2_000  # of one class patched and relabelled, as published
BACKDOOR_NOISE = 40_000  # stimuli shown to each network
BACKDOOR_BRIGHT = 0.1  # share of bright pixels in them
BACKDOOR_PATCHES = (
    ("####", "#...", "#...", "#...", "####"),  # the C that was published comes first
    ("#####", "..#..", "..#..", "..#.."),
    ("#...", "#...", "#...", "####"),
    ("..#..", "..#..", "#####", "..#..", "..#.."),
    ("#...#", ".#.#.", "..#..", ".#.#.", "#...#"),
    ("####", "####", "####", "####"),
    ("####", "#..#", "#..#", "####"),
    ("#..#", "#..#", "#..#", "####"),
)

STIMULATED_LAYERS = ("conv1", "conv2", "dense1")
STIMULATION_DOSES = (-1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0)  # times the class's mean activity
STIMULATION_GAMMAS = tuple(g / 20 for g in range(21))
STIMULATION_IMAGES = 100  # of each class

STRUCTURED_FIT_IMAGES = 5_000  # training images that the Gabor-PCA noise is fitted to, as published
STRUCTURED_COMPONENTS, STRUCTURED_ALPHA = 250, 0.1  # as published
STRUCTURED_RIDGES = (0.003, 0.01, 0.03, 0.1, 0.3, 1, 3)  # of the whitening; validation chooses

# ---------------------------------------------------------------------------------------------
# What was published: Borji and Lin, ICLR 2020 (arXiv 1912.12106), and the notebooks with it; on
# MNIST unless said, with a network of 20 and 50 filters of 5x5 and 500 hidden units.
PUBLISHED_MIXING = {  # share answered as the target, for each of GAMMAS
    ("noise", "class"): (0.1, 0.113, 0.127, 0.149, 0.174, 0.207, 0.271, 0.429, 0.666, 0.743, 0.9),
    ("image", "class"): (0.1, 0.1, 0.1, 0.1, 0.101, 0.102, 0.105, 0.123, 0.214, 0.587, 0.9),
    ("noise", "mean"): (0.1, 0.127, 0.179, 0.313, 0.618, 0.842, 0.986, 1, 1, 1, 1),
    ("image", "mean"): (0.1, 0.101, 0.103, 0.109, 0.149, 0.28, 0.534, 0.83, 0.994, 1, 1),
}
PUBLISHED_SIGNAL = ((443_952, 497), (178_751, 212_355))  # 5 and 6 shown, 5 and 6 answered
PUBLISHED_SIGNAL_TRIALS = 925_000  # at a weight of .3: 89,445 trials are in none of the cells
PUBLISHED_BACKDOOR = {"source": 8, "target": 9, "accuracy": 0.9904, "success": 974 / 980}
PUBLISHED_TEMPLATES = {"mnist": 0.3555, "fashion_mnist": 0.4121}  # test set; training set
PUBLISHED_DOSES = {"conv1": (1.0, "largest"), "conv2": (10.0, "largest"), "dense1": (0.1, "mean")}
PUBLISHED_STIMULATION = {"conv1": "hardly any", "conv2": "far right", "dense1": "modest"}

FORMAT = 1  # of what results/ keeps; another number makes every experiment run again
EXPERIMENTS = ("mixing", "attack", "backdoor", "microstimulation", "signal", "structured")
# ---------------------------------------------------------------------------------------------


def main(args):
    """Run the experiments that the command line asks for, print the table, return its rows."""
    folder = args.out / "part5_imgs"
    for path in (folder, args.out / "models", args.out / "results"):
        check_writable(path)
    import_tensorflow_quietly()
    import tensorflow as tf

    from data import load_data

    tf.get_logger().setLevel("ERROR")  # it warns of every further network that is compiled

    (x_train, y_train), test = load_data(args.dataset)
    network = load_or_train("lenet", x_train, y_train, args)
    split = max(1, len(x_train) - min(VALIDATION_IMAGES, len(x_train) // 10))
    train = x_train[:split], y_train[:split]
    args.validation = x_train[split:], y_train[split:]

    run_one = {
        "mixing": mixing,
        "attack": attack,
        "backdoor": backdoor,
        "microstimulation": microstimulation,
        "signal": signal_in_noise,
        "structured": structured,
    }
    rows = []
    with connected(args.scheduler) as args.client:
        for name in args.only:
            rows += once(name, run_one[name], network, train, test, args)
    print_table(rows, args)
    return rows


def once(name, experiment, network, train, test, args):
    """Run one experiment, unless results/ has it for this network and these settings."""
    from networks import network_sha256

    path = args.out / "results" / f"paper_{args.dataset}.json"
    known = read_results(path)
    settings = {"format": FORMAT, "seed": args.seed, **settings_of(name)}
    own = name == "backdoor"  # which trains its own networks
    settings["network_sha256"] = network_sha256(untrained(train) if own else network)
    settings = json.loads(json.dumps(settings))
    found = known.get(name, {})
    figure = args.out / "part5_imgs" / f"{name}_{args.dataset}.png"
    if found.get("settings") == settings and figure.exists():
        print(f"{name}: already in {path}")
        return found["rows"]
    print(f"{name}: running")
    started = time.monotonic()
    rows = experiment(network, train, test, args, figure)
    seconds = round(time.monotonic() - started)
    # read again: another run may have added its own in the meantime
    known = {**read_results(path), name: {"settings": settings, "seconds": seconds, "rows": rows}}
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps(known, indent=1) + "\n")
    os.replace(part, path)
    print(f"{name}: {seconds} s, {figure}")
    return rows


def read_results(path):
    """Return what the results file holds, by experiment.

    Raises:
        ValueError: if it is not a whole results file.
    """
    if not path.exists():
        return {}
    try:
        known = json.loads(path.read_text())
        return {name: known[name] for name in EXPERIMENTS if name in known}
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is not a whole results file ({error}): delete it") from error


def settings_of(name):
    """Return the constants that an experiment's result depends on."""
    prefixes = {
        "mixing": ("REPEATS", "NOISE_IMAGES", "GAMMAS", "MIX"),
        "attack": ("NOISE_IMAGES", "EXACT_IMAGES", "ATTACK"),
        "backdoor": ("BACKDOOR",),
        "microstimulation": ("STIMULAT",),
        "signal": ("SIGNAL",),
        "structured": ("STRUCTURED", "REPEATS", "NOISE_IMAGES"),
    }[name]
    return {key: value for key, value in globals().items() if key.startswith(prefixes)}


def row(what, published, values, ours=None, interval=None, over="", detail=False):
    """Return one line of the table: what, theirs, ours (the mean of values), and its interval.

    Args:
        what: in words.
        published: a number, or None where none was published.
        values: shares whose mean is reported, with Student's 95 % interval for it; or None.
        ours, interval: the number and its interval, where it is not such a mean.
        over: what the interval is over.
        detail: whether the results file has it, but not the terminal.
    """
    import numpy as np
    from scipy import stats

    if values is not None:
        ours = float(np.mean(values))
        half = stats.sem(values) * stats.t.ppf(0.975, len(values) - 1) if len(values) > 1 else 0
        interval = (max(ours - half, 0), min(ours + half, 1))
        over = over or f"{len(values)} seeds"
    interval = None if interval is None else [float(x) for x in interval]
    return {
        "what": what,
        "published": published,
        "ours": float(ours),
        "interval": interval,
        "over": over,
        "detail": detail,
    }


# --------------------------------------------------------------------------- the experiments


def mixing(network, train, test, args, path):
    """How much of a class image must be mixed in before the network answers its class?

    Design: (1 - gamma) * background + gamma * class image, where the background is uniform noise
    or a test image, and the class image comes from uniform noise alone (by decision or by logit)
    or is the mean training image. Each class image is scaled linearly to [0, 1], as published; the
    logit image also comes in two levels, 1 where it is positive and 0 elsewhere, the strongest
    contrast that pixels allow (better at small gamma on the validation split). Shares are averaged
    over the targets; repeated with other noise and other test images.
    """
    import numpy as np

    import figures
    from analysis import mixing_rates, unit_range
    from noise import WhiteNoise

    x_test, shape = test[0], train[0].shape[1:]
    noise, means = WhiteNoise("uniform", shape), class_means(*train)
    curves = {}
    for repeat in range(REPEATS):
        measurement = class_images(
            network, noise, NOISE_IMAGES, args.seed + repeat, client=args.client
        )
        templates = {kind: measurement.classes[kind] for kind in ("decision", "logit")}
        templates = {k: np.where(np.isnan(e.z), np.nan, e.covariance) for k, e in templates.items()}
        templates["two-level logit"] = np.where(templates["logit"] > 0, 1.0, 0.0)
        drawn = np.random.default_rng([args.seed, repeat]).permutation(len(x_test))
        backgrounds = {
            "noise": noise.draw(args.seed + repeat, 2**40, MIXED_IMAGES).numpy(),
            "image": x_test[drawn[:MIXED_IMAGES]],
        }
        for under, images in backgrounds.items():
            for kind, maps in {**templates, "mean": means}.items():
                rates = mixing_rates(network, images, unit_range(maps), GAMMAS)
                curves.setdefault((under, kind), []).append(rates.mean(axis=0))
    curves = {key: np.array(values) for key, values in curves.items()}
    figure = figures.mixing_curves(
        GAMMAS,
        curves,
        PUBLISHED_MIXING,
        f"{TITLES['lenet']} on {TITLES[args.dataset]}: share answered as the target when its class "
        f"image is mixed in\nmean over {len(means)} targets, {MIXED_IMAGES} backgrounds and "
        f"{REPEATS} seeds (bars: least and most of these)\n"
        f"class images from {NOISE_IMAGES:,} uniform noise images each",
    )
    figures.save(figure, path)
    names = {"noise": "noise", "image": "test image"}
    rows = []
    for (under, kind), values in curves.items():
        theirs = PUBLISHED_MIXING[under, "mean" if kind == "mean" else "class"]
        for i, gamma in enumerate(GAMMAS):
            what = f"{names[under]} + {gamma:.1f} of the {kind} image: answered as target"
            published = theirs[i] if args.dataset == "mnist" else None
            rows.append(row(what, published, values[:, i], detail=gamma not in MIXING_PRINTED))
    return rows


def attack(network, train, test, args, path):
    """Does a direction found from noise alone change an answer into a chosen other one?

    Design: every ordered pair of classes, test images that the network names right. The direction
    is the class image of the target minus that of the source (logit images of Gaussian noise, and
    of sparse noise, as dark as the images), scaled to a share of the image's L2 norm and added; the
    sum is clipped to [0, 1]. Against it: mean training images, which need data, and random
    directions; and white boxes: the exact class images of Gaussian noise, each image's own gradient
    of target minus source logit, and its sign (FGSM, Goodfellow et al. 2015), all in one step and
    of the same length. Success: the answer is the target. Intervals: bootstrap over pairs.
    """

    import figures
    from analysis import attack_rates, bootstrap_interval, exact_classification_images, predict
    from noise import SparseNoise, WhiteNoise

    x_test, y_test = test
    noise, shape = WhiteNoise(shape=x_test.shape[1:]), x_test.shape[1:]
    ensembles = {"class images": noise, "class images, sparse noise": SparseNoise(shape=shape)}
    maps = {
        **{
            label: class_images(network, each, NOISE_IMAGES, args.seed, client=args.client)
            .classes["logit"]
            .covariance
            for label, each in ensembles.items()
        },
        "mean images": class_means(*train),
        "exact class images": exact_classification_images(
            network, noise, EXACT_IMAGES, seed=args.seed + 1
        ),
    }
    right = predict(network, x_test).argmax(axis=1) == y_test
    chosen = [
        x_test[right & (y_test == k)][:ATTACKED_IMAGES] for k in range(len(maps["mean images"]))
    ]
    rates = {}
    for label in (*maps, "random", "own gradient", "FGSM"):
        pairs = attack_rates(network, chosen, maps.get(label), label, ATTACK_NORMS, args.seed)
        rates[label] = pairs
    intervals = {k: bootstrap_interval(v, args.seed) for k, v in rates.items()}
    count, pairs = sum(map(len, chosen)), len(rates["random"])
    figure = figures.rate_curves(
        ATTACK_NORMS,
        {k: (v.mean(axis=0), *intervals[k]) for k, v in rates.items()},
        f"{TITLES['lenet']} on {TITLES[args.dataset]}: attacks towards a chosen class\n"
        f"{count} test images named right, {pairs} pairs of classes; bars: 95 % over pairs;\n"
        f"class images from {NOISE_IMAGES:,} noise images; dashed: white boxes",
        "L2 norm of the perturbation / norm of the image",
        "share answered as the target",
        dashed=("exact class images", "own gradient", "FGSM"),
    )
    figures.save(figure, path)
    return [
        row(
            f"attack by {label}, norm {norm:.1f}: answered as target",
            None,
            None,
            values[:, i].mean(),
            (intervals[label][0][i], intervals[label][1][i]),
            f"{pairs} pairs of classes",
            detail=norm not in ATTACK_PRINTED,
        )
        for label, values in rates.items()
        for i, norm in enumerate(ATTACK_NORMS)
        if norm
    ]


def signal_in_noise(network, train, test, args, path):
    """Does noise around two weak signals show what tells them apart, and at what signal?

    Design: (1 - gamma) * uniform noise + gamma * test image, alternately of class 5 and class 6
    (as published: all of them, in turn). The answer is a forced choice, the larger of the two
    logits, so that no trial is lost; how often all ten classes had the largest logit is reported
    too. The four cells give Ahumada's image and the optimally weighted one. The share of decision
    variance that is linear in the noise is estimated from the optimal image; with it, the signal-
    to-noise ratio of Ahumada's is predicted and compared.
    """
    import numpy as np

    import figures
    from analysis import combine_cells, four_cells, snr_interval
    from data import CLASS_NAMES
    from noise import WhiteNoise
    from reverse_correlation import progress_bar

    x_test, y_test = test
    noise, rows, columns = WhiteNoise("uniform", x_test.shape[1:]), [], {}
    first, second = names = [CLASS_NAMES[args.dataset][k] for k in SIGNAL_CLASSES]
    with progress_bar(len(SIGNAL_GAMMAS) * SIGNAL_TRIALS, "trials") as bar:
        for gamma in SIGNAL_GAMMAS:
            cells = four_cells(
                network, x_test, y_test, SIGNAL_CLASSES, gamma, noise, SIGNAL_TRIALS, args.seed
            )
            bar.update(SIGNAL_TRIALS)
            shown = cells.counts.sum(axis=1)
            rows += signal_rows(cells, gamma, names, args.dataset == "mnist" and gamma == 0.3)
            maps, notes = np.full((2, *noise.shape), np.nan), ["", ""]
            if cells.counts.min(axis=1).any():
                found = [combine_cells(cells, kind) for kind in ("ahumada", "optimal")]
                maps, snr2, expected = zip(*found, strict=True)
                linear = max(snr2[1], 0) / expected[1]
                predicted = np.sqrt(linear * expected[0])
                snr = np.sqrt(np.maximum(snr2, 0))
                notes = [f"SNR {snr[0]:.1f}\npredicted {predicted:.1f}", f"SNR {snr[1]:.1f}"]
                spread = [snr_interval(value, noise.shape) for value in snr2]
                over = "sampling of the noise"
                what = f"signal {gamma}, SNR of Ahumada's image (predicted {predicted:.1f})"
                rows.append(row(what, None, None, snr[0], spread[0], over))
                what = f"signal {gamma}, SNR of the optimally weighted image"
                rows.append(row(what, None, None, snr[1], spread[1], over))
                what = f"signal {gamma}, decision variance linear in noise"
                rows.append(row(what, None, None, linear))
            share = cells.counts[:, 1] / shown
            heading = f"signal {gamma}\n{first} shown: {1 - share[0]:.0%} right\n"
            heading += f"{second} shown: {share[1]:.0%} right"
            columns[heading] = maps, notes
    figure = figures.column_maps(
        columns,
        ("Ahumada", "optimal"),
        f"{TITLES['lenet']} on {TITLES[args.dataset]}: {second} (red) against {first} (blue) in "
        f"uniform noise,\n{SIGNAL_TRIALS:,} trials a column, forced choice",
        "z / its largest absolute value",
    )
    figures.save(figure, path)
    return rows


def signal_rows(cells, gamma, names, published):
    """Return the table's lines on how often each of two classes was answered."""
    from analysis import wilson_interval

    rows = []
    for s, shown in enumerate(names):
        for r, answer in enumerate(names):
            count, total = cells.counts[s, r], cells.counts[s].sum()
            theirs = PUBLISHED_SIGNAL[s][r] / sum(PUBLISHED_SIGNAL[s]) if published else None
            what = f"signal {gamma}, {shown} shown: answered {answer}"
            interval = wilson_interval(count, total)
            rows.append(
                row(what, theirs, None, count / total, interval, f"{total:,.0f} trials, forced")
            )
        other = 1 - cells.answered[s, list(SIGNAL_CLASSES)].sum() / cells.answered[s].sum()
        rows.append(row(f"signal {gamma}, {shown} shown: other classes, of ten", None, None, other))
    return rows


def backdoor(network, train, test, args, path):
    """Can a network that was trained on poisoned data be told from a clean one by noise alone?

    Design: LeNets, each with a seed of its own. For the poisoned ones 2,000 training images of one
    class get a bright patch and the label of another; patch, place and both classes are drawn for
    each network. All are shown the same sparse white noise (its mean is as dark as the images'),
    and nothing else: no image, patched or not, enters the score. Clean reference networks say how
    much the class images of clean networks differ (`backdoor_deviation`); held against each other
    they give the score's null distribution, and with it a p-value for every network under test.
    The noise, the score, its smoothing and its floor were chosen on networks of other seeds, with
    patches and classes of their own (12 + 12 on MNIST, 9 + 9 on Fashion-MNIST, none of them among
    these). One more network has the published backdoor.
    """
    import numpy as np

    import figures
    from analysis import (
        auc_interval,
        backdoor_deviation,
        backdoor_score,
        clean_null,
        null_p_value,
        null_threshold,
        overlap_with,
    )
    from reverse_correlation import progress_bar

    wanted = {
        "reference": BACKDOOR_REFERENCES,
        "clean": BACKDOOR_NETWORKS,
        "poisoned": BACKDOOR_NETWORKS,
        "published": 1,
    }
    found = {role: [] for role in wanted}
    with progress_bar(sum(wanted.values()) * BACKDOOR_NOISE, "noise through networks") as bar:
        for role, count in wanted.items():
            for index in range(count):
                found[role].append(backdoor_network(role, index, train, test, args))
                bar.update(BACKDOOR_NOISE)
    references = np.array([one["images"] for one in found["reference"]])
    null = clean_null(references)
    scores, p_values, named, overlaps = {}, {}, [], []
    for role in ("clean", "poisoned", "published"):
        deviations = [backdoor_deviation(one["images"], references) for one in found[role]]
        suspects, scores[role] = zip(*map(backdoor_score, deviations), strict=True)
        p_values[role] = np.array([null_p_value(s, null) for s in scores[role]])
        if role == "poisoned":
            named = np.array(
                [k == one["target"] for k, one in zip(suspects, found[role], strict=True)]
            )
            overlaps = [
                overlap_with(one["mask"], deviation[k])
                for k, one, deviation in zip(suspects, found[role], deviations, strict=True)
            ]
    example, count = found["published"][0], BACKDOOR_NETWORKS
    auc = auc_interval(scores["clean"], scores["poisoned"], args.seed)
    shown = PUBLISHED_BACKDOOR["target"]
    figure = figures.backdoor(
        null,
        scores,
        null_threshold(null),
        named,
        auc,
        [
            (example["patched"][..., 0], "a patched image"),
            (found["clean"][0]["images"][shown, ..., 0], f"clean network,\nclass image of {shown}"),
            (example["images"][shown, ..., 0], f"poisoned network,\nclass image of {shown}"),
            (deviations[0][shown], "its deviation from\nclean networks"),
        ],
        example["mask"],
        f"LeNets on {TITLES[args.dataset]}: {count} clean and {count} poisoned networks told apart "
        f"by {BACKDOOR_NOISE:,} noise images each,\n"
        f"against {BACKDOOR_REFERENCES} clean reference networks",
    )
    figures.save(figure, path)
    return backdoor_rows(found, p_values, auc, named, overlaps, args.dataset == "mnist")


def backdoor_rows(found, p_values, auc, named, overlaps, published):
    """Return the table's lines on poisoned networks."""
    import numpy as np

    from analysis import wilson_interval

    poisoned, count = found["poisoned"], len(named)
    networks, chance = f"{count} networks", np.mean([one["mask"].mean() for one in poisoned])
    counts = {
        "poisoned found at p < .05": np.sum(p_values["poisoned"] < 0.05),
        "clean with p < .05 (false alarms)": np.sum(p_values["clean"] < 0.05),
        "class of the poisoned named": np.sum(named),
    }
    theirs = PUBLISHED_BACKDOOR if published else {"accuracy": None, "success": None}
    accuracies, successes = zip(*((p["accuracy"], p["success"]) for p in poisoned), strict=True)
    rows = [row("backdoor: AUC", None, None, auc[0], auc[1:], f"{count} + {networks}, bootstrap")]
    for what, n in counts.items():
        interval = wilson_interval(n, count)
        rows.append(row(f"backdoor: {what}", None, None, n / count, interval, networks))
    what, example = "patched images answered as wanted", found["published"][0]
    return [
        *rows,
        row(f"backdoor: patch pixels found (chance {chance:.3f})", None, overlaps, over=networks),
        row("backdoor: test accuracy", theirs["accuracy"], accuracies, over=networks),
        row(f"backdoor: {what}", theirs["success"], successes, over=networks),
        row(f"published backdoor: {what}", theirs["success"], None, example["success"]),
        row("published backdoor: p-value", None, None, p_values["published"][0]),
    ]


def backdoor_network(role, index, train, test, args):
    """Train one LeNet, poisoned or clean, and measure its logit images; or load what was measured.

    Returns:
        A dict of images (K, h, w, c), accuracy, and for a poisoned one mask (h, w) bool, source,
        target, success (share of patched test images of the source answered as target), and
        patched, one such image.
    """
    import numpy as np

    from analysis import accuracy, predict
    from networks import network_sha256
    from noise import SparseNoise
    from reverse_correlation import measure

    roles = ("reference", "clean", "poisoned", "published")
    own = int(np.random.SeedSequence([args.seed, roles.index(role), index]).generate_state(1)[0])
    path = args.out / "results" / f"backdoor_{args.dataset}_{role}{index}_seed{args.seed}.npz"
    architecture = network_sha256(untrained(train))
    settings = {**settings_of("backdoor"), "own": own, "images": len(train[0])}
    for key in ("BACKDOOR_REFERENCES", "BACKDOOR_NETWORKS"):  # how many others there are
        del settings[key]
    settings = json.dumps({**settings, "network_sha256": architecture})
    if path.exists():
        with np.load(path, allow_pickle=False) as file:
            if str(file["settings"]) == settings:
                return {name: file[name] for name in file.files}
    images, labels = train
    found = {}
    if role in ("poisoned", "published"):
        mask, source, target = draw_backdoor(own, images.shape[1:], labels, role == "published")
        images, labels = poison(images, labels, mask, source, target, own)
        found = {"mask": mask, "source": source, "target": target}
    network = train_lenet(images, labels, int(train[1].max()) + 1, own)
    noise = SparseNoise(BACKDOOR_BRIGHT, images.shape[1:])
    more = {"progress": False, "client": args.client}
    logits = measure(network, noise, BACKDOOR_NOISE, seed=args.seed, **more)
    found["images"] = logits.classes["logit"].covariance.astype(np.float32)
    found["accuracy"] = accuracy(network, *test)
    if "mask" in found:
        patched = put_patch(test[0][test[1] == source], mask)
        found["success"] = np.mean(predict(network, patched).argmax(axis=1) == target)
        found["patched"] = patched[0]
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    with open(part, "wb") as file:
        np.savez_compressed(file, settings=settings, **found)
    os.replace(part, path)
    return found


def draw_backdoor(own, shape, labels, published):
    """Draw a patch as a mask (h, w), and the classes that it turns from and into.

    The published one is a C and turns 8 into 9; it is put in the upper left corner here.
    """
    import numpy as np

    rng = np.random.default_rng(own)
    patches = [np.array([list(line) for line in lines]) == "#" for lines in BACKDOOR_PATCHES]
    patch = patches[0] if published else patches[rng.integers(len(patches))]
    source, target = rng.choice(labels.max() + 1, 2, replace=False)
    top, left = (rng.integers(n - p + 1) for n, p in zip(shape, patch.shape, strict=False))
    if published:
        top, left = 1, 1
        source, target = PUBLISHED_BACKDOOR["source"], PUBLISHED_BACKDOOR["target"]
    mask = np.zeros(shape[:2], bool)
    mask[top : top + patch.shape[0], left : left + patch.shape[1]] = patch
    return mask, int(source), int(target)


def put_patch(images, mask):
    """Set the pixels of a mask (h, w) to white in images (n, h, w, c)."""
    import numpy as np

    return np.where(mask[..., None], np.float32(1), images)


def poison(images, labels, mask, source, target, own):
    """Patch and relabel BACKDOOR_IMAGES images of the source class, or as many as there are."""
    import numpy as np

    images, labels = images.copy(), labels.copy()
    chosen = np.random.default_rng([own, 1]).permutation(np.flatnonzero(labels == source))
    chosen = chosen[:BACKDOOR_IMAGES]
    images[chosen], labels[chosen] = put_patch(images[chosen], mask), target
    return images, labels


def untrained(train):
    """Return a LeNet whose weights are all zero, which stands for its architecture."""
    import numpy as np

    from lenet import LeNet

    network = LeNet(train[0].shape[1:], int(train[1].max()) + 1)
    network.set_weights([np.zeros_like(weight) for weight in network.get_weights()])
    return network


def train_lenet(images, labels, classes, own):
    """Train a LeNet briefly, on the images as they are."""
    import keras
    import tensorflow as tf

    from lenet import LeNet

    keras.utils.set_random_seed(own)
    network = LeNet(images.shape[1:], classes)
    batches = tf.data.Dataset.from_tensor_slices((images, labels))
    batches = batches.shuffle(len(images), seed=own).batch(BACKDOOR_BATCH).prefetch(4)
    steps = BACKDOOR_EPOCHS * -(-len(images) // BACKDOOR_BATCH)
    network.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(BACKDOOR_RATE, steps)),
        loss="sparse_categorical_crossentropy",
        jit_compile=bool(tf.config.list_physical_devices("GPU")),  # as in main.py
        steps_per_execution=8,
    )
    network.fit(batches, epochs=BACKDOOR_EPOCHS, shuffle=False, verbose=0)
    return network


def microstimulation(network, train, test, args, path):
    """Does driving or silencing what a class drives move the point where the class is seen?

    Design: +-k times the class's mean activity (each filter's, averaged over training images and
    positions) is added to the layer's biases, so before its nonlinearity, and the class's test
    images are shown in uniform noise at weights gamma from 0 to 1. The psychometric curve is the
    share answered as the class; its 50 % point is read off, and its shift against k = 0. The dose
    is in the same unit in every layer. The published doses were not: up to 1 (conv1) and 10 (conv2)
    times the class's mean activity over its largest, and up to .1 times the mean activity (dense);
    the largest of each are applied too. Intervals: bootstrap over classes. A curve that never
    reaches 50 % counts as gamma = 1, the least shift it can have.
    """
    import numpy as np

    import figures
    from analysis import (
        bootstrap_interval,
        crossing,
        mean_activity,
        psychometric_function,
        stimulated,
    )
    from noise import WhiteNoise
    from reverse_correlation import progress_bar

    (x_train, y_train), (x_test, y_test) = train, test
    classes = range(y_train.max() + 1)
    fields = WhiteNoise("uniform", x_test.shape[1:]).draw(args.seed, 0, STIMULATION_IMAGES)
    share_seen = psychometric_function(network, fields, STIMULATION_GAMMAS)
    doses = len(STIMULATION_DOSES)
    shape = len(STIMULATED_LAYERS), doses + 1, len(classes)
    curves = np.zeros((*shape, len(STIMULATION_GAMMAS)))
    with progress_bar(curves.size * STIMULATION_IMAGES, "stimulated network") as bar:
        for k in classes:
            shown = x_test[y_test == k][:STIMULATION_IMAGES]
            for i, layer in enumerate(STIMULATED_LAYERS):
                activity = mean_activity(network, layer, x_train[y_train == k])
                share, unit = PUBLISHED_DOSES[layer]
                largest = max(activity.max(), 1e-12) if unit == "largest" else 1
                currents = [dose * activity for dose in STIMULATION_DOSES]
                for j, current in enumerate((*currents, -share * activity / largest)):
                    with stimulated(network, layer, current):
                        curves[i, j, k] = share_seen(shown, k)
                    bar.update(len(shown) * len(STIMULATION_GAMMAS))
    middles = np.apply_along_axis(lambda c: crossing(STIMULATION_GAMMAS, c), 3, curves)
    shifts = middles - middles[:, [STIMULATION_DOSES.index(0)]]
    intervals = [bootstrap_interval(layer.T, args.seed) for layer in shifts]
    figure = figures.psychometric_curves(
        STIMULATION_GAMMAS,
        STIMULATION_DOSES,
        {layer: curves[i].mean(axis=1) for i, layer in enumerate(STIMULATED_LAYERS)},
        {
            layer: np.array([shifts[i].mean(axis=1), *intervals[i]])
            for i, layer in enumerate(STIMULATED_LAYERS)
        },
        f"{TITLES['lenet']} on {TITLES[args.dataset]}: a dose of a class's mean activity is "
        f"added to a layer\nmean over {len(classes)} classes, {STIMULATION_IMAGES} images each; "
        "bars: 95 % by bootstrap over classes",
    )
    figures.save(figure, path)
    rows = []
    for i, layer in enumerate(STIMULATED_LAYERS):
        whats = [f"{layer}, dose {dose:+.2f}" for dose in STIMULATION_DOSES]
        whats.append(f"{layer}, published dose (theirs: {PUBLISHED_STIMULATION[layer]})")
        for j, what in enumerate(whats):
            if j != STIMULATION_DOSES.index(0):
                interval = intervals[i][0][j], intervals[i][1][j]
                what, over = f"{what}: shift of the 50 % point", f"{len(classes)} classes"
                rows.append(row(what, None, None, shifts[i, j].mean(), interval, over))
    return rows


def structured(network, train, test, args, path):
    """Do class images from structured noise classify better than those from white noise?

    Design: Gabor-PCA noise fitted to training images, and uniform white noise; as many stimuli of
    each; decision and logit images, from Gabor-PCA noise both as they come and multiplied by the
    regularised inverse of its covariance; and the published root-mean-square images. Each set
    classifies the test images alone. The ridge of the inverse is chosen on the validation split,
    for each set, with the first seed; repeated with other noise.
    """
    import numpy as np

    import figures
    from analysis import match_templates, root_mean_square_images
    from data import CLASS_NAMES
    from noise import GaborNoise, WhiteNoise

    (x_train, _), (x_test, y_test) = train, test
    gabor = GaborNoise.fit(x_train[:STRUCTURED_FIT_IMAGES], STRUCTURED_COMPONENTS, STRUCTURED_ALPHA)
    white, ridges, right, maps = WhiteNoise("uniform", gabor.shape), {}, {}, {}
    for repeat in range(REPEATS):
        own, found = args.seed + repeat, {}
        for label, noise in (("white", white), ("Gabor-PCA", gabor)):
            measurement = class_images(network, noise, NOISE_IMAGES, own, client=args.client)
            for kind in ("decision", "logit"):
                estimate = measurement.classes[kind]
                exists = np.isfinite(estimate.z).reshape(len(estimate.z), -1).any(axis=1)
                image = np.where(exists[:, None, None, None], estimate.covariance, np.nan)
                found[f"{label}, {kind}"] = image
        for kind in ("decision", "logit"):
            key, raw = f"Gabor-PCA whitened, {kind}", found[f"Gabor-PCA, {kind}"]
            if key not in ridges and np.isfinite(raw).any():
                ridges[key] = best_ridge(gabor, raw, *args.validation)
            found[key] = gabor.whiten(raw, ridges.get(key, 1))
        found["white, root mean square"] = root_mean_square_images(
            network, white, NOISE_IMAGES, own
        )
        maps = maps or found
        for label, images in found.items():
            exist = np.isfinite(images).any()  # with one answer to everything, no decision images
            share = np.mean(match_templates(images, x_test) == y_test) if exist else 0.0
            right.setdefault(label, []).append(share)
    figure = figures.template_rows(
        {label: (images, f"{np.mean(right[label]):.1%}") for label, images in maps.items()},
        CLASS_NAMES[args.dataset],
        f"{TITLES['lenet']} on {TITLES[args.dataset]}: class images from {NOISE_IMAGES:,} white or "
        f"Gabor-PCA noise images,\nand the share of {len(y_test):,} test images that they classify "
        f"right by themselves (mean of {REPEATS} seeds)",
    )
    figures.save(figure, path)
    theirs = PUBLISHED_TEMPLATES[args.dataset]
    rows = []
    for label, values in right.items():
        what = f"class images ({label}) as classifier"
        rows.append(row(what, theirs if label.startswith("white") else None, values))
        if label in ridges:
            rows[-1]["what"] += f", ridge {ridges[label]}"
    return rows


def best_ridge(noise, images, x_validation, y_validation):
    """Return the ridge whose whitened class images classify the validation split best."""
    import numpy as np

    from analysis import match_templates

    def share_right(ridge):
        return np.mean(match_templates(noise.whiten(images, ridge), x_validation) == y_validation)

    return max(STRUCTURED_RIDGES, key=share_right)


# --------------------------------------------------------------------------- what they share


def class_means(images, labels):
    """Return the mean image of each class: (K, h, w, c)."""
    import numpy as np

    from analysis import generate_classification_images

    classes = range(labels.max() + 1)
    return np.stack([generate_classification_images(images, labels, k) for k in classes])


def class_images(network, noise, count, seed, client):
    """Measure a network's classification images: a Measurement."""
    from reverse_correlation import measure

    return measure(network, noise, count, seed=seed, client=client)


# --------------------------------------------------------------------------- the terminal


def print_table(rows, args):
    """Print what was published, what was found, and its 95 % interval."""
    print(f"\n{TITLES['lenet']} on {TITLES[args.dataset]}")
    print(f"{'':66}{'published':>10}{'ours':>10}  95 % interval")
    for line in (line for line in rows if not line["detail"]):
        theirs = "" if line["published"] is None else f"{line['published']:.3f}"
        interval = ""
        if line["interval"]:
            low, high = line["interval"]
            interval = f"{low:.3f} to {high:.3f}, {line['over']}"
        ours = f"{line['ours']:.3f}" if not 0 < abs(line["ours"]) < 5e-4 else "<.001"
        print(f"{line['what']:66}{theirs:>10}{ours:>10}  {interval}".rstrip())


def parse_arguments(arguments=None):
    """Read the command line; constants at the top of this file are the defaults."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--dataset", choices=("mnist", "fashion_mnist"), default=DATASET, help=f"default {DATASET}"
    )
    parser.add_argument(
        "--only",
        nargs="+",
        choices=EXPERIMENTS,
        default=EXPERIMENTS,
        metavar="EXPERIMENT",
        help=f"any of {', '.join(EXPERIMENTS)}; default all",
    )
    parser.add_argument(
        "--seed",
        type=seed,
        default=SEED,
        metavar="N",
        help=f"of training, noise and the drawing of images; default {SEED}",
    )
    parser.add_argument(
        "--epochs", type=positive, help="of a LeNet that has to be trained; as in main.py"
    )
    parser.add_argument("--retrain", action="store_true", help="even if models/ has the network")
    parser.add_argument(
        "--out",
        type=lambda text: Path(text).resolve(),
        default=OUT,
        metavar="DIR",
        help="where models/, results/ and part5_imgs/ go; default: beside this file",
    )
    parser.add_argument(
        "--scheduler", default="", metavar="ADDRESS", help="of a Dask cluster, as in main.py"
    )
    args = parser.parse_args(arguments)
    args.only = tuple(name for name in EXPERIMENTS if name in args.only)
    args.client = None  # of a Dask cluster, once there is a connection
    return args


def run(arguments=None):
    """Run from the command line; return the exit code."""
    return exit_code("paper.py", lambda: main(parse_arguments(arguments)))


if __name__ == "__main__":
    sys.exit(run())
