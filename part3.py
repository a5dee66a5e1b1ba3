"""Part 3: classification images, of noisy images by true class and of pure noise by answer."""

import dataclasses
import time

import numpy as np

import figures
from analysis import confusion, generate_classification_images, match_templates, predict
from data import CLASS_NAMES
from noise import generate_white_noise_images
from reverse_correlation import Observer
from reverse_correlation.estimates.correlation import correlations
from reverse_correlation.estimates.exact import exact_class_images, kept
from reverse_correlation.figures.class_images import (
    RESPONSES,
    SHOWN_CLASSES,
    class_row,
    commonest,
    draw_class_images,
    of_how_many,
)
from reverse_correlation.figures.style import PICTURE, SHARE, empty, grid, picture, scale, styled
from subjects import PART3_NAMES
from training import TITLES

LEAST_WEIGHTS = 0.5  # expected correlation of weights of coloured noise that are worth a row
LEAST_RELIABILITY = 0.99  # of an exact image that others are compared with


@dataclasses.dataclass(frozen=True)
class ClassFindings:
    """What Part 3 says of a network shown one ensemble.

    Attributes:
        exact_agreement: {"choice", "logit" or "probability": (K,)}, correlation of each class
            image with the one that the network's gradients give (of choice: with the logit's);
            empty where there is none.
        images_needed: {response: (K,)}, noise images for r = .9 with the truth.
        template_accuracy: {response: share of the test set that these images classify right by
            themselves}.
    """

    exact_agreement: dict
    images_needed: dict
    template_accuracy: dict


# ----------------------------------------------------------------------- by true class


def noisy_images(networks, test, dataset, folder, *, count, signal, noise, seed):
    """Average noisy test images by true class, feed the averages back, and draw both.

    Args:
        networks: {name: Keras model}.
        test: (images, labels).
        count: how many of the test images.
        signal, noise: their weight and that of uniform white noise.

    Returns:
        The paths of the figures.
    """
    names, labels = CLASS_NAMES[dataset], test[1][:count]
    noisy = generate_white_noise_images(test[0][:count], signal, noise, seed)
    present = [n for n in range(len(names)) if n in labels]
    images = np.full((len(names), *noisy.shape[1:]), np.nan, np.float32)
    for n in present:
        images[n] = generate_classification_images(noisy, labels, n)
    figure = figures.panels(
        images,
        names,
        [f"n = {np.sum(labels == n)}" for n in range(len(names))],
        f"Mean of {len(labels):,} {TITLES[dataset]} test images at {signal:.0%} signal and "
        f"{noise:.0%} uniform noise, by true class",
        "mean pixel value",
        cmap=PICTURE,
    )
    written = [figures.save(figure, folder / f"classification_{dataset}.png")]
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
        written.append(figures.save(figure, folder / f"cm_{PART3_NAMES[name]}_{dataset}.png"))
    return written


# ----------------------------------------------------------------------- by the network's answer


def find_classes(subject, measurements, exact):
    """Say how good the class images are, and how well they classify by themselves.

    Args:
        subject: a Subject.
        measurements: of each ensemble that it was shown.
        exact: of each, {"logit" and "probability": ExactImages}, or {}.

    Returns:
        A list of ClassFindings.
    """
    findings = []
    for measurement, images in zip(measurements, exact, strict=True):
        classes = measurement.classes
        agreement = {name: agreement_with(one, classes[name]) for name, one in images.items()}
        if images and "choice" in classes:
            agreement["choice"] = agreement_with(images["logit"], classes["choice"])
        needed = {name: estimate.images_needed() for name, estimate in classes.items()}
        right = {}
        if subject.test:
            for name, estimate in classes.items():
                answers = template_answers(estimate.image, subject.test[0])
                if answers is not None:
                    right[name] = float(np.mean(answers == subject.test[1]))
        findings.append(ClassFindings(agreement, needed, right))
    return findings


def agreement_with(exact, estimate):
    """Correlate class images with exact ones, (K,); NaN where those are not reliable at .99."""
    r = correlations(exact.images, estimate.covariance)
    return np.where(exact.reliability >= LEAST_RELIABILITY, r, np.nan)


def template_answers(images, stimuli):
    """Return what class images answer to stimuli, (n,); None where no class has an image."""
    return None if np.isnan(images).all() else match_templates(images, stimuli)


def exact_images(subject, shown, path, *, count, seed):
    """Return the exact class images by response, kept in a file; {} where there are none."""
    network = subject.network
    if isinstance(network, Observer) or network.classes > SHOWN_CLASSES or network.only:
        return {}
    if not shown.noise.has_gradient_identity:
        return {}
    identity = [subject.network.sha256, shown.noise.describe(), count, seed]
    print(f"{subject.title}: exact images of {shown.title}, from {count:,} gradients at most")
    started = time.monotonic()
    exact = kept(
        path, identity, lambda: exact_class_images(subject.network, shown.noise, count, seed)
    )
    seconds, used = time.monotonic() - started, exact["logit"].count
    print(f"{subject.title}: {used:,} gradients of each class were enough, {seconds:.0f} s")
    return exact


def draw_bias(subject, measurements, findings, path):
    """Draw the class images of each ensemble and kind of response; return the path."""
    names = subject.class_names
    shown = commonest(measurements[0])
    rows, several = {}, len(subject.shown) > 1
    for each, measurement, finding in zip(subject.shown, measurements, findings, strict=True):
        for response in (name for name in RESPONSES if name in measurement.classes):
            label = f"{each.title}\n{response}" if several else response
            agreement = finding.exact_agreement.get(response)
            rows[label] = class_row(measurement, response, shown, agreement)
        expected = weights_correlation(measurement)
        if np.max(expected) >= LEAST_WEIGHTS:
            weights = measurement.classes["logit"].weights
            notes = [f"expected r {r:.2f}" for r in expected]
            parts = weights, np.zeros_like(weights, bool), notes, [""] * len(names)
            rows["logit,\nas weights"] = [[part[k] for k in shown] for part in parts]
    counts = " and ".join(
        f"{m.count:,} {each.noise.title} noise images" + several * f" ({each.title})"
        for each, m in zip(subject.shown, measurements, strict=True)
    )
    some, exact = of_how_many(measurements[0], shown), ""
    if any(finding.exact_agreement for finding in findings):
        exact = (
            "exact: correlation with the image from the network's gradients (choice: of the "
            "logit);\n"
        )
    figure = draw_class_images(
        rows,
        [names[k] for k in shown],
        f"What {subject.place} looks for{some}: covariance of its answers with {counts}\n"
        f"n: times answered; r: split-half reliability; {exact}"
        "needs: noise images for r = .9 with the truth; outlined: pixels significant at "
        "family-wise 5 %",
    )
    return figures.save(figure, path)


def weights_correlation(measurement, draws=8):
    """Return the expected correlation of a logit's weights with their truth, (K,).

    As for the image: 1 - error power / power, where the error is that of independent coefficients,
    brought to pixels as weights are. 0 for white noise, whose weights are its image.
    """
    logit, noise = measurement.classes["logit"], measurement.noise
    if logit.weights is None or noise.is_white:
        return np.zeros(len(logit.covariance))
    null = np.random.default_rng(0).normal(size=(draws, *noise.coordinates))
    power = np.sum(noise.weights(null) ** 2) / draws
    share = power * logit.coefficient_error**2 / np.sum(logit.weights**2, axis=(1, 2, 3))
    return np.sqrt(np.maximum(1 - share, 0))


def draw_templates(subject, measurements, path):
    """Draw how class images alone classify the test set; return the path.

    One row of confusion matrices an ensemble, one column a kind of response.
    """
    images, labels = subject.test
    rows = {}
    for each, measurement in zip(subject.shown, measurements, strict=True):
        for response in (name for name in RESPONSES if name in measurement.classes):
            answers = template_answers(measurement.classes[response].image, images)
            matrix, right = None, None
            if answers is not None:
                matrix = confusion(labels, answers, len(subject.class_names))
                right = float(np.mean(answers == labels))
            rows.setdefault(each.title, {})[response] = matrix, right
    figure = draw_confusions(
        rows,
        subject.class_names,
        f"{len(labels):,} test images classified by the classification images of {subject.place} "
        "alone",
    )
    return figures.save(figure, path)


@styled
def draw_confusions(rows, names, title):
    """Small confusion matrices: ground truth down, prediction across, shares of the true class.

    Args:
        rows: {label: {heading: (matrix (K, K) or None, share right or None)}}.
        names: of the classes.
    """
    columns = max(map(len, rows.values()))
    long = max(map(len, names)) > 2
    figure, axes = grid(
        len(rows), columns, 2.1 * columns + (1.3 if long else 0.9), 2.3 * len(rows) + 0.7, title
    )
    image = None
    for line, (label, cells) in zip(axes, rows.items(), strict=True):
        line[0].set_ylabel(f"{label}\nground truth")
        for axis, (heading, (matrix, right)) in zip(line, cells.items(), strict=False):
            if matrix is None:
                axis.set_title(f"{heading}: none", pad=3)
                empty(axis, (len(names), len(names)), "one answer\nto everything")
                continue
            axis.set_title(f"{heading}: {right:.1%} right", pad=3)
            image = axis.imshow(matrix, cmap=SHARE, vmin=0, vmax=1)
        line[0].set_yticks(range(len(names)), names, fontsize=5.5)
        for axis in line[len(cells) :]:
            axis.set_axis_off()
    for axis in axes[-1]:
        axis.set_xticks(range(len(names)), names, fontsize=5.5, rotation=90 if long else 0)
        axis.set_xlabel("prediction")
    if image is not None:
        scale(figure, image, list(axes.flat), "share of the true class", shrink=0.9)
    return figure


def draw_about_base(subject, measurement, path, push=1.0):
    """Draw the base plus and minus each class's images, as studies of people show them.

    Each image is scaled to `push` standard deviations of the noise where it is largest; pixels
    are clipped to the input range in the picture. Returns the path.
    """
    noise, shown = measurement.noise, commonest(measurement)
    low, high = noise.low, noise.high
    rows = {}
    for response in (name for name in ("choice", "logit") if name in measurement.classes):
        maps = measurement.classes[response].image[shown]
        largest = np.abs(maps).max(axis=(1, 2, 3), keepdims=True)
        step = push * np.mean(noise.pixel_std) * maps / largest
        for sign, word in ((1, "base + image"), (-1, "base - image")):
            pixels = np.clip(noise.mean + sign * step, low, high)
            rows[f"{response}\n{word}"] = (pixels - low) / (high - low)
    figure = draw_pictures(
        rows,
        [subject.class_names[k] for k in shown],
        f"The base plus and minus each class image of {subject.place} ({noise.title} noise, "
        f"{measurement.count:,} images);\nat its largest, an image changes a pixel by {push:g} "
        "standard deviation of the noise",
    )
    return figures.save(figure, path)


@styled
def draw_pictures(rows, names, title):
    """Rows of pictures in [0, 1], grey or RGB: {label: (K, h, w, c)}."""
    count = len(names)
    figure, axes = grid(len(rows), count, 1.1 * count + 0.7, 1.15 * len(rows) + 0.7, title)
    for line, (label, maps) in zip(axes, rows.items(), strict=True):
        line[0].set_ylabel(label)
        for axis, values in zip(line, picture(maps), strict=True):
            if np.isnan(values).all():
                empty(axis, values.shape, "no image")
            else:
                axis.imshow(values, cmap=PICTURE, vmin=0, vmax=1)
    for axis, name in zip(axes[0], names, strict=True):
        axis.set_title(name, pad=3)
    return figure
