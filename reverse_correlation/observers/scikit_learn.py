"""Scikit-learn classifiers as observers."""

import math
import pickle

import joblib
import numpy as np
from sklearn.exceptions import NotFittedError

from reverse_correlation.errors import UserError
from reverse_correlation.observers.arrays import ArrayObserver

HALF = {"predict_proba": 0.5, "decision_function": 0.0}  # the methods, and where a label begins
AGREE = 0.95  # of the answers to noise; ties, and probabilities fitted afterwards, may differ


def sklearn(estimator, name=None, labels=""):
    """Return an Observer of a fitted scikit-learn classifier of flattened images.

    Answers come from `predict_proba`, or else from `decision_function`: from the first that has a
    column for each class, the largest of which is what `predict` answers. Class k is named
    `estimator.classes_[k]`. Labels are independent if `predict` answers a row of them.

    Args:
        estimator: takes images as rows of numbers.
        name: by default that of its class.
        labels: "independent" or "exclusive"; by default as `predict` answers.

    Raises:
        UserError: if it has neither method or is not fitted; and, once it is shown images, if it
            was fitted to others, or neither method answers as `predict` does.
    """
    title = type(estimator).__name__
    if not any(hasattr(estimator, method) for method in HALF):
        raise UserError(
            f"{title} has neither predict_proba nor decision_function: pass a "
            "function that answers labels, lambda x: estimator.predict(...), and classes=K"
        )
    answer = _Answer(estimator)
    labels = labels or ("independent" if answer.several else "exclusive")
    observer = ArrayObserver(answer, name or title, _hash(estimator), None, ["sklearn"], labels)
    observer.class_names = tuple(map(str, answer.classes))
    return observer


class _Answer:
    """A function of images that an estimator computes, by a method chosen at the first ones.

    Attributes:
        classes: names of the classes, or labels; empty if the estimator does not tell.
        several: whether it answers a row of labels.
    """

    def __init__(self, estimator):
        self.estimator, self.name, self.method = estimator, type(estimator).__name__, ""
        self.features = getattr(estimator, "n_features_in_", None)
        one = np.zeros((1, self.features or 1))
        self.several = bool(self.features) and np.ndim(self._called("predict", one)) == 2
        self.classes = getattr(estimator, "classes_", ())

    def __call__(self, images):
        size = math.prod(images.shape[1:])
        if self.features not in (None, size):
            raise UserError(
                f"{self.name} was fitted to {self.features} numbers per image, but the noise "
                f"has {size}, in the shape {images.shape[1:]}: fit it to such images"
            )
        rows = images.reshape(len(images), -1)
        self.method = self.method or self._chosen(rows)
        return self._answers(self.method, rows)

    def _called(self, method, rows):
        """Return what a method answers to rows of numbers."""
        try:
            answers = getattr(self.estimator, method)(rows)
        except NotFittedError as error:
            raise UserError(
                f"{self.name} is not fitted: call fit(images, labels), with a row of numbers for "
                "each image, before it is measured"
            ) from error
        if isinstance(answers, list):
            raise UserError(
                f"{self.name} answers a list of {len(answers)} arrays, one for each of its labels: "
                "measure the function lambda x: numpy.stack([p[:, 1] for p in "
                f"estimator.{method}(x.reshape(len(x), -1))], axis=1)"
            )
        return answers

    def _answers(self, method, rows):
        answers = self._called(method, rows)
        return answers[:, None] if answers.ndim == 1 else answers  # two classes

    def _chosen(self, rows):
        """Return the method whose answers are those of `predict`."""
        predicted, found = self._called("predict", rows), []
        for method in (method for method in HALF if hasattr(self.estimator, method)):
            answers = self._answers(method, rows)
            agree = self._agreement(answers, predicted, HALF[method])
            if agree >= AGREE:
                return method
            found.append(f"the {answers.shape[1]} columns of {method} agree on {agree:.0%}")
        raise UserError(
            f"of the answers that predict of {self.name}, which has {len(self.classes)} classes, "
            f"gives to noise, {' and '.join(found)}: it needs a column for each class, the largest "
            "of which is the answer (of an SVC, by estimator.set_params(break_ties=True, "
            'decision_function_shape="ovr")); or pass a function that answers labels, lambda x: '
            "estimator.predict(...), and classes=K"
        )

    def _agreement(self, answers, predicted, half):
        """Return the share of the predicted labels that answers (n, K) give."""
        if not len(self.classes):
            return 1.0  # it does not tell
        if self.several:
            same = answers.shape == predicted.shape
            return np.mean((answers > half) == predicted) if same else 0.0
        if answers.shape[1] == 1:
            answers = np.concatenate([half - answers, answers - half], axis=1)
        if answers.shape[1] != len(self.classes):
            return 0.0
        return np.mean(np.asarray(self.classes)[answers.argmax(axis=1)] == predicted)


def _hash(estimator):
    """Return a hash of an estimator; of a search, of the best that it has found."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    try:
        return joblib.hash(estimator)
    except ValueError:  # of the masked arrays of a search inside another estimator
        return joblib.hash(pickle.dumps(estimator))
