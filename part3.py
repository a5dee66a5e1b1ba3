"""Part 3: classification images, of noisy images by true class and of pure noise by answer."""

import dataclasses

import numpy as np

import figures
from analysis import confusion, generate_classification_images, match_templates, predict
from data import CLASS_NAMES
from noise import generate_white_noise_images
from reverse_correlation import exact_class_images
from reverse_correlation.estimates import correlations
from subjects import PART3_NAMES
from training import TITLES

SHOWN_CLASSES = 20  # in one figure


@dataclasses.dataclass(frozen=True)
class ClassFindings:
    """What Part 3 says of a network.

    Attributes:
        exact_agreement: {"logit" or "probability": (K,)}, correlation of each class image with
            the one that the network's gradients give; empty where there is none.
        images_needed: {response: (K,)}, noise images for r = .9 with the truth.
        template_accuracy: {"decision" or "logit": share of the test set that these images classify
            right by themselves}.
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
        cmap=figures.PICTURE,
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


def pure_noise(subject, measurement, folder, *, exact_images, seed):
    """Draw what the network itself looks for, and classify the test set by that alone.

    Args:
        subject, measurement: a Subject, and the Measurement of it.
        exact_images: whose gradients give the images that the black box is held against.
        seed: of those; another one than the measurement's.

    Returns:
        (ClassFindings, paths of the figures).
    """
    exact = _exact(subject, min(exact_images, max(1000, measurement.count // 100)), seed)
    agreement = {
        response: correlations(images, measurement.classes[response].covariance)
        for response, images in exact.items()
    }
    needed = {name: estimate.images_needed() for name, estimate in measurement.classes.items()}
    figure = class_image_figure(subject, measurement, agreement, needed)
    written = [figures.save(figure, folder / f"bias_{subject.part3}.png")]
    accuracies = {}
    if subject.test:
        maps = {name: measurement.classes[name].image for name in ("decision", "logit")}
        accuracies, figure = templates_as_classifiers(subject, maps)
        written.append(figures.save(figure, folder / f"template_{subject.part3}.png"))
    return ClassFindings(agreement, needed, accuracies), written


def _exact(subject, images, seed):
    """Return the exact class images by response; none where gradients say nothing or too much."""
    has_identity = hasattr(subject.noise, "gradient_weight")
    if not has_identity or getattr(subject.noise, "kind", "") == "binary":
        return {}
    if len(subject.class_names) > SHOWN_CLASSES:
        return {}
    return exact_class_images(subject.network, subject.noise, images, seed)


def class_image_figure(subject, measurement, agreement, needed):
    """Draw the class images of each kind of response, a row each, with their quality below."""
    count, names = measurement.count, subject.class_names
    heads = {
        "decision": [f"n = {n:,}" for n in measurement.answered],
        "probability": [f"mean {p:.2g}" for p in measurement.classes["probability"].mean_response],
        "logit": [f"mean {m:.1f}" for m in measurement.classes["logit"].mean_response],
    }
    reasons = dict.fromkeys(heads, ["varies\ntoo little"] * len(names))
    reasons["decision"] = [f"answered\n{n:,} of\n{count:,}" for n in measurement.answered]
    shown = commonest(measurement)
    rows = {}
    for response, estimate in measurement.classes.items():
        notes = _notes(heads[response], estimate, agreement.get(response), needed[response])
        parts = (estimate.image, estimate.significant, notes, reasons[response])
        rows[response] = [[part[k] for k in shown] for part in parts]
    some = f"; the {len(shown)} commonest of {len(names)} answers"
    return draw_class_images(
        rows,
        [names[k] for k in shown],
        f"What {subject.place} looks for: covariance of its answers with {count:,} "
        f"{subject.noise_title} noise images{some if len(shown) < len(names) else ''}\n"
        "n: times answered; r: split-half reliability; exact: correlation with the image that the "
        "network's gradients give;\n"
        "needs: noise images for r = .9 with the truth; outlined: pixels significant at "
        "family-wise 5 %",
    )


def commonest(measurement):
    """Return the classes that a figure shows: those answered most often, in their order."""
    return np.sort(np.argsort(-measurement.answered, kind="stable")[:SHOWN_CLASSES])


def _notes(heads, estimate, agreement, needed):
    """Return what stands below each class image: (K,) strings."""
    notes = []
    for k, head in enumerate(heads):
        reliability = estimate.reliability[k]
        lines = [head, f"r = {reliability:.3f}" if np.isfinite(reliability) else ""]
        if agreement is not None:
            lines.append(f"exact {agreement[k]:.3f}")
        if np.isfinite(needed[k]):
            lines.append(f"needs {needed[k]:,.0f}")
            notes.append("\n".join(lines))
        else:
            notes.append(head)
    return notes


@figures.styled
def draw_class_images(rows, names, title):
    """What a network looks for: one row of class images for each kind of response.

    Args:
        rows: {label: (maps (K, h, w, c), significant (K, h, w, c) bool, notes (K,), empty (K,))};
            a map of NaN is an empty panel that says what `empty` holds. Each map is shown in
            units of its own largest absolute value, so that one scale serves all.
        names: of the classes.
    """
    count = len(names)
    figure, axes = figures.grid(len(rows), count, 1.02 * count + 0.7, 1.45 * len(rows) + 0.6, title)
    image = None
    for line, (label, (maps, significant, notes, empty)) in zip(axes, rows.items(), strict=True):
        line[0].set_ylabel(label)
        maps = figures.picture(maps)
        significant = np.asarray(significant).any(axis=3)
        for axis, values, mask, note, reason in zip(
            line, maps, significant, notes, empty, strict=True
        ):
            axis.set_xlabel(note, fontsize=5.8, labelpad=2, linespacing=1.15)
            if np.isnan(values).all():
                figures.empty(axis, values.shape, reason)
                continue
            image = figures.show_signed(axis, values)
            if mask.any() and not mask.all():
                axis.contour(mask, levels=[0.5], colors="k", linewidths=0.35)
    for axis, name in zip(axes[0], names, strict=True):
        axis.set_title(name, pad=3)
    figures.signed_scale(figure, image, axes, "covariance / its largest absolute value")
    return figure


def templates_as_classifiers(subject, maps):
    """Classify the test set by class images alone; return the accuracies and the figure."""
    images, labels = subject.test
    matrices, accuracies = {}, {}
    for response, templates in maps.items():
        if np.isnan(templates).all():
            continue  # one class answered always: no decision image exists
        answers = match_templates(templates, images)
        accuracies[response] = right = float(np.mean(answers == labels))
        matrices[f"{response} images: {right:.1%} right"] = confusion(
            labels, answers, len(templates)
        )
    figure = figures.confusion_matrix(
        matrices,
        subject.class_names,
        f"{len(labels):,} test images classified by the classification images of {subject.place} "
        "alone",
        "share of the true class",
    )
    return accuracies, figure
