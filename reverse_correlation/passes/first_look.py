"""What a few images reveal before a long pass."""

import time

import numpy as np
import tensorflow as tf

from reverse_correlation.errors import UserError
from reverse_correlation.observers.keras_networks import seconds_a_block
from reverse_correlation.observers.observer import BLOCK_IMAGES, refuse_nan

FIRST_IMAGES = 1000  # noise images shown before the long pass, at most
FIRST_BLOCKS = 10  # blocks shown before it at most, for an observer with small blocks


def first_remarks(work):
    """Show an observer 1,000 images before the long pass; return remarks to be printed.

    Raises:
        UserError: if it answers NaN, or answers all of them alike.
    """
    count = min(FIRST_IMAGES, FIRST_BLOCKS * work.block_images)
    blocks = range(-(-count // work.block_images))
    look, images = work.block, work.block_images
    if work.responses and work.block_images < BLOCK_IMAGES:
        look = tf.function(work.block)  # eagerly, a large network would keep all its activities
        # tensors, so that it is traced once and not once for every block
        blocks, images = tf.range(len(blocks), dtype=tf.int64), tf.constant(images, tf.int64)
    logits = [look(block, images)["logits"] for block in blocks]
    logits = np.concatenate(logits)[:count].astype(np.float64)
    refuse_nan(work.name, logits)
    if np.all(np.ptp(logits, axis=0) <= 1e-6 * np.abs(logits).max(axis=0)):
        raise UserError(
            f"the observer {work.name!r} answers all of {len(logits):,} noise images alike: there "
            "is nothing to correlate with; check the range of its input, or train it again"
        )
    answers, remarks = np.bincount(logits.argmax(axis=1), minlength=logits.shape[1]), []
    if answers.max() > 0.999 * count and not work.observer.independent:
        remarks.append(
            f"class {answers.argmax()} is the answer to {answers.max():,} of the first {count:,} "
            "noise images: decision images of other classes will rest on few images or "
            "none; logit images and filters remain meaningful"
        )
    return remarks


def speed_remarks(work, count):
    """Time a block of the compiled pass; return what should be said of how long it will take."""
    work.shard_sums(0, work.block_images)  # compiles
    started = time.perf_counter()
    work.shard_sums(0, 2 * work.block_images)
    seconds = (time.perf_counter() - started) / (2 * work.block_images) * count
    remarks = [
        f"{count:,} images at most, {_in_seconds(seconds)} here if all are shown "
        f"({_in_seconds(1000 * seconds / count)} for 1,000)"
    ]
    if work.precision != "float32":
        slower = seconds_a_block(work.responses, work.block_images) / seconds_a_block(
            work.observer.responses(work.layers), work.block_images
        )
        remarks.append(f"{work.precision} takes {slower:.2f} of the time of float32 here")
    return remarks


def _in_seconds(seconds):
    """Return a time in words: whole seconds, and of less than ten seconds two digits."""
    return f"{seconds:,.0f} s" if seconds >= 10 else f"{seconds:.2g} s"
