"""What a few images reveal before a long pass."""

import time

import numpy as np
from keras import ops
from scipy import special

from reverse_correlation.errors import UserError
from reverse_correlation.frameworks import framework
from reverse_correlation.observers.keras_networks import seconds_a_block
from reverse_correlation.observers.observer import BLOCK_IMAGES, FEW_IMAGES, refuse_nan

FIRST_IMAGES = 1000  # noise images shown before the long pass, at most
ENOUGH_TO_TELL = 100  # of them, that an answer to all of them is worth a remark
ONE_ANSWER, SEVERAL = 0.98, 0.8  # shares of the commonest answer: nothing else, and others too
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pixels, from 0 to 1
USUAL_RANGES = {  # flags, and the images of an observer that was trained so, from images in [0, 1]
    "--input-range 0 1": lambda unit: unit,
    "--input-range -1 1": lambda unit: 2 * unit - 1,
    "--input-range 0 255": lambda unit: 255 * unit,
    "--input-mean .485 .456 .406 --input-std .229 .224 .225": lambda unit: (
        (unit - np.float32(MEAN)) / np.float32(DEVIATION)
    ),
}


def first_remarks(work):
    """Say what the answers to the first images of a pass reveal; return remarks to be printed.

    A thousand images; of a large observer, those that it was shown already.

    Raises:
        UserError: if it answers NaN, or answers all of them alike.
    """
    logits = work.first_logits if work.observer.is_large else _first_thousand(work)
    logits, count = logits.astype(np.float64), len(logits)
    refuse_nan(work.name, logits)
    if np.all(np.ptp(logits, axis=0) <= 1e-6 * np.abs(logits).max(axis=0)):
        raise UserError(
            f"the observer {work.name!r} answers all of {len(logits):,} noise images alike: there "
            "is nothing to correlate with; check the range of its input, or train it again"
        )
    answers, remarks = np.bincount(logits.argmax(axis=1), minlength=logits.shape[1]), []
    one_for_all = answers.max() > 0.999 * count and count >= ENOUGH_TO_TELL
    if one_for_all and not work.observer.independent:
        remarks.append(
            f"class {answers.argmax()} is the answer to {answers.max():,} of the first {count:,} "
            "noise images: decision images of other classes will rest on few images or "
            "none; logit images and filters remain meaningful"
        )
    return remarks


def _first_thousand(work):
    """Return the logits of the first 1,000 images of a pass."""
    blocks = range(-(-FIRST_IMAGES // work.block_images))
    look = work.block
    if work.responses and work.observer.images_that_fit(work.layers) < BLOCK_IMAGES:
        # eagerly, a network that is not small would keep all its activities
        look = framework.as_graph(work.block)
    logits = (look(block, work.block_images)["logits"] for block in blocks)
    return np.concatenate([ops.convert_to_numpy(rows) for rows in logits])[:FIRST_IMAGES]


def base_remark(observer, noise, names):
    """Say what an observer that has looked answers to the base; names are of all its classes."""
    base = np.broadcast_to(np.asarray(noise.mean, np.float32), noise.shape)[None]
    logits = observer.logits_of(base)[0].astype(np.float64)
    refuse_nan(observer.name, logits)
    answer = int(logits.argmax())
    line = f"{observer.name}: its answer to the base is {names[answer]}"
    if observer.labels:
        return line
    p = (special.expit if observer.independent else special.softmax)(logits)[answer]
    return line + f", p = {p:.2f}".replace("0.", ".")


def range_remark(observer, noise, names):
    """Say so if an observer gives one answer to all noise, but several in another usual range.

    Args:
        observer: that has looked, and is shown images as they are.
        noise: an ensemble.
        names: of all classes.

    Returns:
        A sentence that names the flag, or "".
    """
    if observer.independent:
        return ""
    answers = observer.first_decisions
    common = np.bincount(answers).argmax()
    if np.mean(answers == common) < ONE_ANSWER:
        return ""
    images = ops.convert_to_numpy(noise.draw(0, 0, len(answers)))  # as it was shown
    unit, found = (images - noise.low) / (noise.high - noise.low), {}
    for flag, in_range in USUAL_RANGES.items():
        if "mean" not in flag or noise.shape[2] == 3:
            logits = observer.logits_of(np.float32(in_range(unit)))
            counts = (
                np.bincount(logits.argmax(axis=1)) if np.isfinite(logits).all() else [len(unit)]
            )
            found[flag] = np.max(counts) / len(unit), np.count_nonzero(counts)
    flag = min(found, key=found.get)
    share, different = found[flag]
    if share > SEVERAL:
        return ""
    return (
        f"{observer.name}: its answer to {np.mean(answers == common):.0%} of {len(answers)} noise "
        f"images is {names[common]}; with {flag} it would give {different} different answers: see "
        "on which pixels it was trained"
    )


def speed_remarks(work, count):
    """Time a block of the compiled pass; return what should be said of how long it will take."""
    large = work.observer.is_large
    work.shard_sums(0, 2 if large else work.block_images)  # compiles
    images = min(work.block_images, FEW_IMAGES) if large else 2 * work.block_images
    started = time.perf_counter()
    work.shard_sums(0, images)
    seconds = (time.perf_counter() - started) / images * count
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
