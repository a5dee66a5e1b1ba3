"""Two signals in noise: trials sorted by what was shown and what was answered, and their images."""

import dataclasses

import numpy as np
import tensorflow as tf
from scipy import stats

from experiments.experiment import sums_over_blocks
from noise import mixture
from reverse_correlation import Network
from reverse_correlation.errors import UserError
from reverse_correlation.observers.observer import BLOCK_IMAGES


@dataclasses.dataclass(frozen=True)
class Cells:
    """Trials of two stimuli (rows), sorted by the answer (columns); every trial is in one cell."""

    answered: np.ndarray  # (2, K), how often each of all K classes had the largest logit
    counts: np.ndarray  # (2, 2), how often each of the two classes had the larger logit of the two
    sums: np.ndarray  # (2, 2, h, w, c), sums of the noise less its mean over the trials of `counts`
    std: float  # standard deviation of a pixel of the noise

    @property
    def shown(self):
        """How often each stimulus was shown: (2,)."""
        return self.counts.sum(axis=1)


@dataclasses.dataclass(frozen=True)
class CombinedImage:
    """One classification image of four cells, in units of its standard error."""

    z: np.ndarray  # (h, w, c), standard normal in pixels that do not matter
    snr2: float  # its squared signal-to-noise ratio: the sum of z**2 less the number of pixels
    # what a linear observer without internal noise would reach with these counts,
    # (sum w_s phi_s / (p_s q_s))**2 / sum w_s**2 / (N_s p_s q_s) (Murray 2011)
    expected_snr2: float

    @property
    def snr(self):
        """The signal-to-noise ratio; 0 where its square is estimated to be less."""
        return float(np.sqrt(max(self.snr2, 0)))


def four_cells(model, images, labels, classes, gamma, noise, count, seed=0):
    """Show two classes in noise, (1 - gamma) * noise + gamma * image, and sort the noise: Cells.

    Trials, `count` of them, alternate between the two classes and take the images (n, h, w, c) of
    each in turn. The answer is a forced choice, the larger of the two classes' logits.

    Raises:
        UserError: if there is no image of one of the classes.
    """
    banks = [np.asarray(images)[np.asarray(labels) == k] for k in classes]
    if not all(len(bank) for bank in banks):
        raise UserError(
            f"classes {classes[0]} and {classes[1]} do not both have images: choose two that do"
        )
    banks = [tf.constant(bank, tf.float32) for bank in banks]
    network = Network.of(model)
    responses, pixels = network.responses(), int(np.prod(noise.shape))

    @tf.function(autograph=False)
    def block_sums(block, trials):
        fields = noise.draw(seed, block, trials)
        number = (tf.cast(block, tf.int64) * BLOCK_IMAGES + tf.range(trials, dtype=tf.int64)) // 2
        shown = tf.range(trials) % 2
        signals = [tf.gather(bank, number % len(bank)) for bank in banks]
        signal = tf.where((shown == 0)[:, None, None, None], *signals)
        logits = responses(mixture(signal, fields, gamma, 1 - gamma), training=False)["logits"]
        rows = tf.one_hot(shown, 2)
        raw = tf.one_hot(tf.argmax(logits, axis=1), network.classes)
        forced = tf.one_hot(tf.argmax(tf.gather(logits, classes, axis=1), axis=1), 2)
        cells = tf.reshape(rows[:, :, None] * forced[:, None, :], (-1, 4))
        centred = tf.reshape(fields - noise.mean, (-1, pixels))
        return (
            tf.matmul(rows, raw, transpose_a=True),
            tf.reduce_sum(cells, axis=0),
            tf.matmul(cells, centred, transpose_a=True),
        )

    answered, counts, fields = sums_over_blocks(block_sums, count)
    return Cells(answered, counts.reshape(2, 2), fields.reshape(2, 2, *noise.shape), noise.std)


def cell_weights(counts, weighting):
    """Return the weights of the two stimuli in a classification image from four cells: (2,).

    "ahumada": 1 and 1, so that c = (n12 + n22) - (n11 + n21) (Ahumada & Lovell 1971). "optimal":
    N_s phi(z_s) with z_s the normal quantile of P(second answer | s), which gives a linear
    observer's image the largest signal-to-noise ratio (Ahumada 2002, Murray 2011). A stimulus that
    always got the same answer has no difference to offer, and weight 0.

    Raises:
        UserError: for another weighting, or if both stimuli always got the same answer.
    """
    counts = np.asarray(counts, np.float64)
    usable = counts.min(axis=1) > 0
    if not usable.any():
        raise UserError("each stimulus always got the same answer: there is nothing to compare")
    if weighting not in ("ahumada", "optimal"):
        raise UserError(f"weights are ahumada or optimal, not {weighting!r}")
    if weighting == "ahumada":
        return usable.astype(np.float64)
    shown = counts.sum(axis=1)
    return np.where(usable, shown * stats.norm.pdf(stats.norm.ppf(counts[:, 1] / shown)), 0)


def combine_cells(cells, weighting):
    """Combine the four cells into one classification image: a CombinedImage.

    c = sum over stimuli s of w_s (mean noise of answer 2 - mean noise of answer 1), with the
    weights of `cell_weights`. White noise of variance v gives each pixel of c the variance
    v sum w_s**2 (1 / N_s1 + 1 / N_s2).
    """
    weights = cell_weights(cells.counts, weighting)
    used = weights > 0
    counts, sums, weights = cells.counts[used], cells.sums[used], weights[used]
    means = sums / counts[:, :, None, None, None]
    image = np.tensordot(weights, means[:, 1] - means[:, 0], 1)
    variance = np.sum(weights**2 * (1 / counts).sum(axis=1))
    z = image / (cells.std * np.sqrt(variance))
    p = counts[:, 1] / counts.sum(axis=1)
    signal = np.sum(weights * stats.norm.pdf(stats.norm.ppf(p)) / (p * (1 - p)))
    return CombinedImage(z, float(np.sum(z**2) - z.size), float(signal**2 / variance))


def snr_interval(snr2, shape, level=0.95):
    """Return the interval of a signal-to-noise ratio from its estimated square: (low, high).

    The sum of z**2 over D pixels is noncentral chi-square, of variance 2 D + 4 SNR**2.
    """
    snr2 = max(snr2, 0)
    half = stats.norm.ppf(0.5 + level / 2) * np.sqrt(2 * np.prod(shape) + 4 * snr2)
    return float(np.sqrt(max(snr2 - half, 0))), float(np.sqrt(snr2 + half))
