"""Measure a network: show it noise, and resume where an earlier call was interrupted."""

import contextlib
import time
from pathlib import Path

from reverse_correlation.errors import UserError
from reverse_correlation.estimates.accumulators import ACCUMULATORS
from reverse_correlation.estimates.correlation import correlations
from reverse_correlation.estimates.measurement import Measurement
from reverse_correlation.estimates.sums import added_up, read_sums, write_sums
from reverse_correlation.passes.first_look import first_remarks, speed_remarks
from reverse_correlation.passes.noise_pass import NoisePass
from reverse_correlation.passes.shards import SumTree, is_decision_place
from reverse_correlation.progress import progress_bar
from reverse_correlation.stimuli.catalogue import kept_fields

SAVE_SECONDS = 15  # between two checkpoints
COMPARED_IMAGES = 20_000  # shown again in float32, to see how far another precision agrees


def measure(
    model,
    noise,
    count,
    *,
    seed=0,
    layers=(),
    checkpoint=None,
    progress=True,
    precision="float32",
    client=None,
    accumulators=ACCUMULATORS,
    block_images=None,
    save_seconds=SAVE_SECONDS,
    until=0.0,
    classes=None,
    only=(),
):
    """Show a network `count` noise images and estimate what its classes and filters look for.

    Of a symmetric ensemble, every stimulus is shown with its mirror image about the base.

    Args:
        model: a classifier of images of `noise.shape`. A built Keras model (Sequential, functional
            or a subclass; logits or probabilities out), or a Network made of one; or an observer:
            any function of an array (n, h, w, c) float32 to logits or probabilities (n, K), or to
            labels (n,), or what `observers.onnx`, `.torch` or `.sklearn` make.
        noise: an ensemble such as `WhiteNoise()`.
        count: how many stimuli, both of a pair; a pixel's standard error falls as 1 / sqrt(count).
        seed: of the noise; block b is a function of (seed, b).
        layers: names of convolutions whose filters are measured too, from all images or, where
            they have many positions an image, from every 2nd, 4th or 8th block.
        checkpoint: a .npz file where the sums are kept every 15 seconds and on Ctrl-C, or a folder
            for a file that is named by all that the sums depend on. If the file is there, the
            pass continues from it, to the same bits as one that was never interrupted; asking
            for more images than it has continues too.
        progress: whether to show a progress bar, and what a first look at 1,000 images says.
        precision: "float32", or "bfloat16": faster on a CPU that has it, and a slightly different
            network (weights and activities of 8 significant bits).
        client: a Dask client (see `cluster.connect`), whose workers compute the shards instead of
            this process: to the same bits, where they have as many threads each as it has.
        accumulators: classes of what is summed; see `accumulators.py`.
        block_images: stimuli drawn, shown and summed at once; by default as many as fit in 1 GB of
            activities, at most 1,000. It is part of the result's identity.
        save_seconds: between two checkpoints.
        until: the pass ends before `count` when the expected correlation with the truth of every
            class's logit and choice image (of labels: decision image) has reached this; 0 shows
            all.
        classes: how many there are; needed where a function answers labels.
        only: indices of the classes to measure, of a network that has many; by default all.

    Returns:
        A Measurement.

    Raises:
        UserError: if count is not positive, the network takes other images, has several inputs
            or outputs, a layer's receptive field cannot be derived, the sums would not fit, the
            checkpoint is of other settings or cannot be written, the network answers NaN or
            always the same, or the Dask scheduler is gone.
    """
    if count < 1:
        raise UserError(f"the number of noise images must be at least 1, not {count}")
    if not 0 <= until < 1:
        raise UserError(f"a correlation to stop at lies from 0 up and below 1, not {until}")
    work = NoisePass(
        model, noise, seed, layers, precision, accumulators, block_images, classes, only
    )
    remarks = first_remarks(work)
    if progress:
        remarks += [] if client else speed_remarks(work, count)
        for remark in remarks:
            print(f"{work.name}: {remark}")
    whole, rest = divmod(count, work.shard_images)
    if checkpoint is not None and Path(checkpoint).is_dir():
        checkpoint = Path(checkpoint) / f"{work.name}_{work.digest}.checkpoint.npz"
    tree, checkpoint = _resume(checkpoint, work, whole)
    saved = started = time.monotonic()

    def keep():
        if checkpoint and tree.done:
            write_sums(checkpoint, tree.levels, _provenance(work, tree.done), kept_fields(noise))

    def good_enough():
        if not until or not is_decision_place(tree.done):
            return False
        least = work.least_correlation(tree.total())
        if least is not None:
            bar.set_postfix_str(f"least r = {least:.2f}", refresh=False)
        return least is not None and least >= until

    description = f"noise through {work.name}"
    begun = tree.done * work.shard_images
    with progress_bar(count, description, begun, disable=not progress) as bar:
        last, stopped = {}, good_enough()
        if stopped:
            parts = iter(())
        elif client is None:
            parts = _sums_here(work, tree.done, whole, rest, bar)
        else:
            from reverse_correlation.passes.cluster import (
                sums_on,
            )  # Dask is needed by those who use it

            parts = sums_on(client, work, tree.done, whole, rest, bar, stops=until > 0)
        with contextlib.closing(parts) if not stopped else contextlib.nullcontext():
            try:
                for sums, level in parts:
                    if level is None:  # not in the checkpoint, which holds whole shards only
                        last = sums
                        continue
                    tree.add(sums, level)
                    if stopped := good_enough():
                        break
                    if time.monotonic() - saved > save_seconds:
                        keep()
                        saved = time.monotonic()
            finally:
                keep()
    shown = tree.done * work.shard_images if stopped else count
    sums = added_up([last, tree.total()])
    if progress:
        _print_what_was_shown(work, sums, shown, time.monotonic() - started)
    return Measurement(sums, _provenance(work, tree.done, shown), noise, accumulators)


def _print_what_was_shown(work, sums, shown, seconds):
    """Print how many images a pass has shown, and how well the images are known."""
    least, line = work.least_correlation(sums), f"{work.name}: {shown:,} images in {seconds:.0f} s"
    if least is not None:
        line += f"; least expected correlation of an image with its truth {least:.3f}"
    print(line)
    if work.precision != "float32":
        count = min(shown, COMPARED_IMAGES)
        r = agreement_with_float32(work.observer, work.noise, count, work.precision, work.seed)
        print(
            f"{work.name}: logit images in {work.precision} agree with float32's from the same "
            f"{count:,} images at r = {r.min():.4f} or better"
        )


def _provenance(work, shards, count=None):
    """Return the record of a pass that has come so far."""
    return {**work.identity, "shards": shards, "count": count or shards * work.shard_images}


def _sums_here(work, first, whole, rest, bar):
    """Compute shards in this process, and yield their sums, and the level 0, in their order.

    The sums of `rest` images of the shard after those come last, with the level None.
    """
    for index in range(first, whole):
        sums = work.shard_sums(index)
        bar.update(work.shard_images)
        yield sums, 0
    if rest:
        sums = work.shard_sums(whole, rest)
        bar.update(rest)
        yield sums, None


def _resume(checkpoint, work, shards):
    """Return the sums of a checkpoint, and where to go on saving.

    A checkpoint that holds more than is asked for is neither used nor written.

    Raises:
        UserError: if it is of another run.
    """
    if checkpoint is None or not Path(checkpoint).exists():
        return SumTree(), checkpoint
    levels, kept, _ = read_sums(checkpoint)
    done, _ = kept.pop("shards"), kept.pop("count")
    if kept != work.identity:
        differing = [key for key in work.identity if kept.get(key) != work.identity[key]]
        raise UserError(
            f"{checkpoint} is of another run (it differs in {', '.join(differing)}): delete it "
            "or name another checkpoint"
        )
    if done > shards:
        return SumTree(), None
    if done:
        images = done * work.shard_images
        print(f"{work.name}: continuing from {images:,} images in {checkpoint}")
    return SumTree(levels, done), checkpoint


def agreement_with_float32(observer, noise, count, precision, seed=0):
    """Return how far logit images in another precision are those of float32's: (K,) correlations.

    Args:
        observer, noise, count, precision, seed: as for `measure`; both are shown the same images.
    """
    rough, full = (
        measure(observer, noise, count, seed=seed, progress=False, precision=each)
        for each in (precision, "float32")
    )
    return correlations(rough.classes["logit"].covariance, full.classes["logit"].covariance)
