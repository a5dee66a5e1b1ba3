"""Class images as classifiers: what they answer to images by themselves, without the observer."""

import numpy as np
from sklearn.metrics import confusion_matrix

from reverse_correlation.errors import UserError


def match_templates(templates, images):
    """Classify images by the template that each of them resembles most: (n,) int.

    Templates are scaled to zero mean and unit norm, so their brightness and contrast do not
    matter; an image is assigned to the template with the largest inner product.

    Args:
        templates: (K, h, w, c); one that is NaN or constant is never chosen.
        images: (n, h, w, c).

    Raises:
        UserError: if no template can be chosen, or shapes differ.
    """
    templates, images = np.asarray(templates, np.float64), np.asarray(images)
    if templates.shape[1:] != images.shape[1:]:
        raise UserError(
            f"templates of {templates.shape[1:]} cannot be matched with images of "
            f"{images.shape[1:]}: give both the same shape"
        )
    flat = templates.reshape(len(templates), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(flat, axis=1, keepdims=True)
    usable = norm[:, 0] > 1e-12  # False for NaN
    if not usable.any():
        raise UserError("every template is NaN or constant, so there is nothing to match")
    scores = images.reshape(len(images), -1) @ (flat[usable] / norm[usable]).T
    return np.flatnonzero(usable)[scores.argmax(axis=1)]


def confusion(labels, answers, classes):
    """Return the share of each true class (row) that was answered with each class (column)."""
    return confusion_matrix(labels, answers, labels=np.arange(classes), normalize="true")
