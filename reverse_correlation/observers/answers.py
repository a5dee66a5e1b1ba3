"""What rows of answers mean: logits, probabilities that exclude each other, or independent labels.

Imports nothing heavy, and works on NumPy arrays and on the symbolic tensors of Keras.
"""

import dataclasses
import math

import numpy as np

from reverse_correlation.errors import UserError

LEAST_PROBABILITY = 1e-30  # lower limit of probabilities before the logarithm is taken
FINEST_STEP = 1e-5  # of the largest answer: what is finer than that is not called quantised
OFF_GRID = 0.02  # of a step: how far from the grid numbers may lie
COARSEST_STEP = 1 / 8  # of the sum: coarser ones are counts, such as votes, and not roundings
BITS = {8: ", in bfloat16", 11: ", in half precision", 16: "", 24: ""}  # that are significant
LEAST_HALF = 2.0**-24  # the least positive number in half precision, and one step of it
CONSTANT = 0.2  # standard deviation of sums that do not vary, over that of independent columns
NEAR = 0.01  # of a sum: how far such sums may lie from it
SAME = 1e-3  # share of the answers' range by which two answers to the same image may differ
SAME_LABELS = 0.02  # share of labels that may differ the second time, because of ties


@dataclasses.dataclass(frozen=True)
class Reading:
    """How answers (n, K) are read as logits. A single column counts as two classes, -z/2 and z/2.

    Attributes:
        source: what the logits come from, in words.
        probabilities: whether the answers are probabilities, or multiples of them.
        independent: whether each column is a label of its own, which excludes no other.
        odds: whether the logit of a probability p is log p - log(1 - p), and not log p.
        total: what probabilities are multiplied by.
        least, gap: of a probability, and of its distance from 1: lower limits before logarithms.
    """

    source: str = "logits"
    probabilities: bool = False
    independent: bool = False
    odds: bool = False
    total: float = 1.0
    least: float = LEAST_PROBABILITY
    gap: float = LEAST_PROBABILITY

    def logits(self, answers, ops=np):
        """Return log-odds of independent labels (n, K), or centred logits of classes.

        Args:
            answers: (n, K) float32.
            ops: numpy; keras.ops for a symbolic tensor.
        """
        if self.probabilities:
            p = answers if self.total == 1 else answers / self.total
            answers = ops.log(ops.maximum(p, self.least))
            if self.odds:
                answers = answers - ops.log(ops.maximum(1 - p, self.gap))
        if answers.shape[1] == 1:
            return ops.concatenate([-answers / 2, answers / 2], axis=1)
        if self.independent:
            return answers
        return answers - ops.mean(answers, axis=1, keepdims=True)

    def meaning(self, columns):
        """Say what the logits of so many columns of answers are."""
        if columns == 1:
            return f"one {self.source} counts as two classes"
        if self.independent:
            return f"log-odds of independent labels, from {self.source}"
        return f"centred, from {self.source}"


def read(answers, label_kind=""):
    """Return the Reading that answers (n, K) to noise tell.

    Rows that are not negative and have the same sum, but for their rounding, are probabilities,
    times that sum. Other rows between 0 and 1 are independent labels. What is left are logits.

    Args:
        answers: (n, K) numbers.
        label_kind: "independent", "exclusive", or "" if the answers tell.
    """
    answers = np.asarray(answers, np.float32)
    columns = answers.shape[1]
    asked = label_kind == "independent" and columns > 1
    if not np.isfinite(answers).all() or answers.min() < 0:
        return Reading("its logits" if columns > 1 else "logit", independent=asked)
    step, bits = resolution(answers)
    total = _total(answers, step, bits) if columns > 1 else 0
    if not total and answers.max() > 1:
        return Reading("its logits" if columns > 1 else "logit", independent=asked)
    independent = asked or columns > 1 and not total and label_kind != "exclusive"
    p, step = answers / (total or 1), step / (total or 1)
    source = "probability" if columns == 1 else "its probabilities"
    if total not in (0, 1):
        source += f" times {total:.3g}"
    if columns > 1 and not total and not independent:
        source = "the log-odds of " + source
    source += f", quantised in steps of {step:.2g}" if step else BITS[bits]
    half = LEAST_HALF if bits in (11, 16) else 0  # 16: times 100, for example
    least = max(step / 2, half / 2, LEAST_PROBABILITY)
    if (p == 0).any() and (p > 0).any() and p[p > 0].min() <= 0.5:
        least = max(float(p[p > 0].min()) / 2, LEAST_PROBABILITY)
    gap = max(step / 2, 2.0 ** -(bits + 1))
    odds = columns == 1 or independent or not total
    return Reading(source, True, independent, odds, total or 1.0, least, gap)


def resolution(answers):
    """Return how finely numbers are resolved: (step, bits).

    Args:
        answers: an array of finite numbers.

    Returns:
        The step of the grid on which all of them lie, 0 if there is none; and how many bits of
        each are significant: 8 as of bfloat16, 11 as of half precision, at most 16, or 24.
    """
    values = np.unique(np.abs(np.asarray(answers, np.float32)))
    used = int(np.bitwise_or.reduce(values.view(np.uint32))) & 0x7FFFFF
    significant = 24 - ((used & -used).bit_length() - 1) if used else 24  # powers of 2 do not tell
    bits = next(n for n in BITS if n >= significant)
    step = _grid(values.astype(float))
    # floating-point numbers lie on a grid, too, but one with more steps than they have bits
    return (step, bits) if step and values[-1] / step <= 2**bits else (0.0, bits)


def _grid(values):
    """Return the largest step of which sorted numbers that are not negative are multiples, or 0."""
    largest, spaces = values[-1], np.diff(values, prepend=0)
    step = min(spaces[spaces > 0], default=0)
    while step > FINEST_STEP * largest:
        times = np.round(values / step)
        off = np.abs(values - times * step)
        if off.max() < step / 4:  # a last digit of the step matters in its large multiples
            step = times @ values / (times @ times)
            on_grid = np.abs(values - times * step).max() < OFF_GRID * step
            return float(step) if on_grid and step < largest else 0.0
        step = off[off > OFF_GRID * step].min()
    return 0.0


def _total(answers, step, bits):
    """Return the sum of rows that are not negative if it is always the same, or 0.

    Sums may differ from it by as much as the rounding of the numbers explains.
    """
    sums = answers.sum(axis=1, dtype=float)
    constant = sums.std() <= CONSTANT * np.sqrt(answers.var(axis=0, dtype=float).sum())
    usual = (100.0, 255.0, 256.0) if answers.max() > 1 + NEAR else (1.0,)
    for total in (*usual, float(np.median(sums))):
        step = step if step <= COARSEST_STEP * total else 0
        rounding = total * 2.0 ** (1 - bits) * (1 + math.sqrt(answers.shape[1]))
        least = np.maximum(answers - step / 2, 0).sum(axis=1).max() - rounding
        most = (answers + step).sum(axis=1).min() + rounding
        rounded = total > 0 and least <= total <= most
        near = np.abs(sums - total).max() <= NEAR * total
        if rounded and (total in usual or constant) or near and constant:
            return total
    return 0.0


def refuse_changing(name, first, again):
    """Raise UserError if two answers to the same images, rows (n, K) or labels (n,), differ.

    Numbers may differ by a thousandth of their range, and by a last digit.
    """
    if first.ndim == 1:
        differing = np.mean(again != first) > SAME_LABELS
    else:
        step, bits = resolution(first)
        digit = max(step, 2.0 ** (1 - bits) * np.abs(first).max())
        differing = np.abs(again - first).max() > SAME * np.ptp(first) + digit
    if differing:
        raise UserError(
            f"the observer {name!r} answers the same images differently the second time, "
            "in smaller batches: it is random or in training mode; switch off dropout and "
            "batch statistics (for a PyTorch module, call module.eval())"
        )
