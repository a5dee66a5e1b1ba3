"""Scikit-learn classifiers as observers."""

import math

from reverse_correlation.errors import UserError
from reverse_correlation.observers.arrays import ArrayObserver, library


def sklearn(estimator, name=None):
    """Return an Observer of a fitted scikit-learn classifier of flattened images.

    It is asked for `predict_proba`, or for `decision_function` where it has no probabilities.
    Class k is `estimator.classes_[k]`.

    Raises:
        UserError: if it has neither.
    """
    asked = next((m for m in ("predict_proba", "decision_function") if hasattr(estimator, m)), None)
    if asked is None:
        raise UserError(
            f"{type(estimator).__name__} has neither predict_proba nor decision_function: hand "
            "over a function that answers labels, lambda x: estimator.predict(...), and classes=K"
        )
    digest = library("joblib", "joblib", "").hash(estimator) + asked
    answer = _Sklearn(estimator, asked)
    return ArrayObserver(answer, name or type(estimator).__name__, digest, None, ["sklearn"])


class _Sklearn:
    """What a scikit-learn classifier answers to images, flattened."""

    def __init__(self, estimator, asked):
        self.estimator, self.asked = estimator, asked

    def __call__(self, images):
        wanted = getattr(self.estimator, "n_features_in_", None)
        if wanted not in (None, math.prod(images.shape[1:])):
            raise UserError(
                f"{type(self.estimator).__name__} was fitted to {wanted} numbers an image, but the "
                f"noise has {math.prod(images.shape[1:])}, of {images.shape[1:]}"
            )
        answers = getattr(self.estimator, self.asked)(images.reshape(len(images), -1))
        return answers[:, None] if answers.ndim == 1 else answers  # two classes
