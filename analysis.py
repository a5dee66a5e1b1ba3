"""The analyses of Parts 3 and 4: class averages, templates, confusion, activation maps."""

import numpy as np
import tensorflow as tf

from data import CLASS_NAMES
from reverse_correlation import UserError, measure
from reverse_correlation.estimates import findings

# "as" marks what is only passed on, to main.py and the experiments
from reverse_correlation.estimates.activity import activation_maps as activation_maps
from reverse_correlation.estimates.templates import confusion as confusion
from reverse_correlation.estimates.templates import match_templates
from reverse_correlation.observers.keras_networks import predict as predict
from reverse_correlation.observers.observer import BLOCK_IMAGES, refuse_nan
from reverse_correlation.passes.threshold import at_threshold, needs_contrast
from reverse_correlation.stimuli.base_images import read_base
from reverse_correlation.stimuli.catalogue import ensemble_of


def generate_classification_images(noisy_images, labels, n):
    """Average the noisy images whose label is n: (h, w, c).

    Args:
        noisy_images: (N, h, w, c).
        labels: (N,) integers, the class of each image (the true one in Part 3).
        n: the class.

    Raises:
        UserError: if no image has that label, or the lengths differ.
    """
    labels = np.asarray(labels)
    if len(labels) != len(noisy_images):
        raise UserError(
            f"{len(noisy_images)} images but {len(labels)} labels: give one label per image"
        )
    chosen = labels == n
    if not chosen.any():
        raise UserError(f"none of the {len(labels)} images has the label {n}: nothing to average")
    return np.asarray(noisy_images)[chosen].mean(axis=0)


def contrast_for_templates(network, noise, contrasts, validation, *, images, seed):
    """Choose the contrast of noise at which logit images classify the validation split best.

    All contrasts are tried with the same numbers xi, in pairs about the base.

    Args:
        network: a Network.
        noise: an ensemble about the base, with any contrast.
        contrasts: those to try.
        validation: (images, labels).
        images: stimuli shown at each contrast.
        seed: of the noise.

    Returns:
        (contrast, {contrast: share classified correctly}).
    """
    responses, noise = network.responses(), noise.independent
    size = min(BLOCK_IMAGES, network.images_that_fit()) // 2  # pairs shown at once

    @tf.function(autograph=False)
    def block_sum(block, scale):
        """Sum the odd part of every logit times xi over a block: (K, *coordinates)."""
        xi = noise.xi(seed, block, size)
        push = scale * noise.fluctuation(xi)
        stimuli = tf.concat([noise.mean + push, noise.mean - push], axis=0)
        logits = responses(stimuli, training=False)["logits"]
        return tf.tensordot(logits[:size] - logits[size:], xi, ((0,), (0,)))

    shares = {}
    for contrast in contrasts:
        scale = tf.constant(contrast / noise.contrast, tf.float32)
        sums = sum(block_sum(tf.constant(b), scale) for b in range(max(1, images // (2 * size))))
        refuse_nan(network.name, sums)
        answers = match_templates(noise.images(sums), validation[0])
        shares[contrast] = float(np.mean(answers == validation[1]))
    return max(shares, key=shares.get), shares


def show_noise(observer, ensembles, layers, test, stem, folder, how, *, exact_images):
    """Show a network its ensembles, {title: ensemble}: a Shown of each.

    Args:
        observer: a Network.
        layers: {label: layer}, measured with the first ensemble alone.
        test: (images, labels), which the class images classify.
        stem, folder: of the measurements' files.
        how: what `measure` gets beside.
        exact_images: whose gradients class images are held to, at most.
    """
    shown = []
    for title, noise in ensembles.items():
        print(f"{observer.name}: {noise.title} noise ({title})")
        name, to_tap = stem + "_mean" * len(shown), () if shown else layers.values()
        measurement = measured(observer, noise, name, folder, how, to_tap)
        path = folder / f"{name}.exact.npz"
        exact = findings.exact_images_of(observer, noise, path, exact_images, how["seed"] + 1)
        of_classes = findings.class_findings(measurement, exact, test)
        shown.append(findings.Shown(title, measurement, of_classes))
    return shown


def measured(observer, noise, stem, folder, how, layers=()):
    """Show a network noise, and save the Measurement; arguments are as for `show_noise`."""
    measurement = measure(observer, noise, layers=layers, checkpoint=folder, **how)
    measurement.save(folder / f"{stem}.npz")
    return measurement


LOOKED_AT = {"mnist": 4, "fashion_mnist": 6}  # the class of the image that noise is about: a shirt


def refuse_unknown_image(index, count):
    """Raise UserError if there is no test image of that index, None for any, among so many."""
    if index is not None and index >= count:
        raise UserError(
            f"--about {index}: there are {count:,} test images, from 0 to {count - 1:,}"
        )


def noise_about_one_image(network, test, dataset, *, index, noise_kind, independent, contrast,
                          survive, seed):  # fmt: skip
    """Return noise about one test image at the network's threshold, and the image's true class.

    Args:
        network: a Network.
        test: (images, labels).
        dataset: "mnist" or "fashion_mnist".
        index: of the image; None for the first that is LOOKED_AT and rightly answered.
        noise_kind, independent, contrast, survive, seed: as main.py's flags.

    Raises:
        UserError: if the noise does not have a base of its own.
    """
    images, labels = test
    if index is None:
        wanted = np.flatnonzero(labels == LOOKED_AT[dataset])
        right = network.logits_of(images[wanted]).argmax(axis=1) == LOOKED_AT[dataset]
        index = int((wanted[right] if right.any() else wanted)[0])
    names, base = CLASS_NAMES[dataset], images[index]
    noise = ensemble_of(
        noise_kind, base.shape, base=base, contrast=contrast, independent=independent
    )
    print(f"{network.name}: noise about test image {index:,}, {names[labels[index]]}")
    if needs_contrast(noise):
        noise = at_threshold(network.looked(noise), noise, survive, seed)
        print(f"{network.name}: {noise.at_threshold.sentence(names)}")
    return noise, names[labels[index]]


def noise_ensembles(
    network, train, validation, *, noise_kind, base, independent, contrast, contrasts, images, seed
):
    """Return what a network of the demonstration is shown: {title: ensemble}.

    If no base is given, these are pure noise about grey, as published, and noise about the mean
    training image, at the contrast that is best on the validation split. The kind, base and
    contrast are as main.py's flags; for the rest see `contrast_for_templates`.
    """
    shape, mean, given = train[0].shape[1:], train[0].mean(axis=0), contrast

    def noise(base, contrast=contrast):
        return ensemble_of(
            noise_kind,
            shape,
            base=base,
            contrast=contrast,
            images=train[0],
            independent=independent,
        )

    if (base and base != "mean") or noise_kind in ("sparse", "gabor"):
        image, title = read_base(base, shape, (0.0, 1.0), mean)
        return {title or "pure noise": noise(image)}
    if contrast is None:
        print(
            f"{network.name}: choosing the contrast of noise about the mean training image on the "
            f"validation split, {len(contrasts)} x {images:,} images"
        )
        contrast, shares = contrast_for_templates(
            network, noise(mean), contrasts, validation, images=images, seed=seed
        )
        found = ", ".join(f"{c:g}: {share:.1%}" for c, share in shares.items())
        print(
            f"{network.name}: {contrast:g} of the input range (shares that logit images alone "
            f"classify correctly at each contrast: {found})"
        )
    about_mean = {"mean image": noise(mean, contrast)}
    return about_mean if base else {"pure noise": noise(None, given), **about_mean}
