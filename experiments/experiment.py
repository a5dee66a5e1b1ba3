"""What the experiments share: how one is described, the rows of its result, and class means."""

import collections.abc
import dataclasses

import numpy as np

from analysis import generate_classification_images, match_templates
from reverse_correlation.estimates.intervals import student_interval
from training import TITLES


def trained_network(network, train):
    """Return the network that most experiments ask: the trained one of the demonstration."""
    return network


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A question, as `paper.py` runs it.

    Attributes:
        settings: a frozen dataclass whose fields are what the result depends on, and nothing else.
        run: a function of named parameters that returns a list of Rows and a matplotlib figure. It
            is called with network (a Keras model), train, test and validation (each images and
            labels), settings, seed, dataset, client (of a Dask cluster, or None) and folder (for
            what it keeps of its own); what it does not need, it ignores.
        asked: function of (network, train) that returns the network on whose layers and weights
            the result depends.
    """

    settings: object
    run: collections.abc.Callable
    asked: collections.abc.Callable = trained_network


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: in words.
        published: a number, or None where none was published.
        ours: the number found here.
        interval: its 95 % interval, (low, high), or None.
        over: what the interval is over.
        detail: whether the results file has the row, but not the terminal.
    """

    what: str
    published: float | None
    ours: float
    interval: tuple | None = None
    over: str = ""
    detail: bool = False


def row_of_mean(what, published, shares, over="", detail=False):
    """Return the Row of a mean of shares with Student's interval, by default over seeds."""
    over = over or f"{len(shares)} seeds"
    return Row(what, published, float(np.mean(shares)), student_interval(shares), over, detail)


def place(dataset):
    """Say which network on which data set, for titles."""
    return f"{TITLES['lenet']} on {TITLES[dataset]}"


def class_means(images, labels):
    """Return the mean image of each class: (K, h, w, c)."""
    classes = range(labels.max() + 1)
    return np.stack([generate_classification_images(images, labels, k) for k in classes])


def share_right(templates, images, labels):
    """Return the share of images that templates classify right; 0 if no template exists."""
    if not np.isfinite(templates).any():  # with one answer to everything, no decision images
        return 0.0
    return float(np.mean(match_templates(templates, images) == labels))
