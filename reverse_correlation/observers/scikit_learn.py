"""Scikit-learn classifiers as observers."""

import functools
import math

import joblib

from reverse_correlation.errors import UserError
from reverse_correlation.observers.arrays import ArrayObserver


def sklearn(estimator, name=None):
    """Return an Observer of a fitted scikit-learn classifier of flattened images.

    Answers come from `predict_proba`, or from `decision_function` if there is no `predict_proba`.
    Class k is `estimator.classes_[k]`.

    Raises:
        UserError: if it has neither method.
    """
    methods = ("predict_proba", "decision_function")
    method = next((m for m in methods if hasattr(estimator, m)), None)
    if method is None:
        raise UserError(
            f"{type(estimator).__name__} has neither predict_proba nor decision_function: pass a "
            "function that answers labels, lambda x: estimator.predict(...), and classes=K"
        )
    digest = joblib.hash(estimator) + method
    answer = functools.partial(_answer, estimator, method)
    return ArrayObserver(answer, name or type(estimator).__name__, digest, None, ["sklearn"])


def _answer(estimator, method, images):
    """Return an estimator's answers to images (n, h, w, c)."""
    fitted, size = getattr(estimator, "n_features_in_", None), math.prod(images.shape[1:])
    if fitted not in (None, size):
        raise UserError(
            f"{type(estimator).__name__} was fitted to {fitted} numbers per image, but the noise "
            f"has {size}, in the shape {images.shape[1:]}: fit it to such images"
        )
    answers = getattr(estimator, method)(images.reshape(len(images), -1))
    return answers[:, None] if answers.ndim == 1 else answers  # two classes
