"""Measure an observer: show it noise, and resume where an earlier call was interrupted."""

import contextlib
import time
from pathlib import Path

from reverse_correlation.errors import UserError, whole_number
from reverse_correlation.estimates.accumulators import ACCUMULATORS
from reverse_correlation.estimates.correlation import correlations
from reverse_correlation.estimates.measurement import Measurement, refuse_contradictions
from reverse_correlation.estimates.sums import added_up, read_sums, write_sums
from reverse_correlation.observers.observer_of import observer_of
from reverse_correlation.passes.first_look import first_remarks, speed_remarks
from reverse_correlation.passes.noise_pass import NoisePass
from reverse_correlation.passes.prediction import with_prediction
from reverse_correlation.passes.shards import SumTree, is_decision_place, is_tree
from reverse_correlation.passes.threshold import SURVIVE, at_threshold, needs_contrast
from reverse_correlation.progress import progress_bar
from reverse_correlation.stimuli.catalogue import kept_fields

SAVE_SECONDS = 15  # between two checkpoints
COMPARED_IMAGES = 20_000  # shown again in float32, at most, to check another precision


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
    survive=SURVIVE,
    classes=None,
    only=(),
    prediction_images=0,
):
    """Show an observer `count` noise images and estimate what its classes and filters look for.

        noise = WhiteNoise(shape=(28, 28, 1))
        measurement = measure(network, noise, 100_000)
        print(measurement.summary())                      # how well each class image is known
        measurement.plot("choice")                        # a matplotlib Figure
        measurement.classes["choice"].covariance          # the images, (K, h, w, c)
        measure(network, noise, 100_000, only=(3, 7))     # which classes: two of them
        measure(labels, noise, 100_000, classes=10)       # how many, of a function to labels

    Stimuli of a symmetric ensemble are shown together with their mirror images about the base.

    Args:
        model: a classifier of images of `noise.shape`: a built Keras model (Sequential, functional
            or a subclass, that answers logits or probabilities), a function of an array
            (n, h, w, c) float32 to logits or probabilities (n, K) or to labels (n,), or an
            Observer, such as those that `observers.onnx`, `.torch` and `.sklearn` return.
        noise: an ensemble such as `WhiteNoise()`. If it is about an image, and was given no
            contrast, the observer's threshold is looked for: see `survive`.
        count: how many stimuli are shown, counting both of a pair; a pixel's standard error falls
            as 1 / sqrt(count). With orthogonal numbers, more than one block of 2,048 is rounded up
            to whole blocks.
        seed: of the noise; block b is a function of (seed, b).
        layers: names of convolutions whose filters are measured too, from all images or, for a
            layer with many positions per image, from every 2nd, 4th or 8th block.
        checkpoint: a .npz file in which the sums are saved every 15 seconds and on Ctrl-C; or a
            folder, for a file whose name depends on everything that the sums depend on. If the
            file exists, the pass continues from it, to the same bits as one that was never
            interrupted; this is also how to add images to an earlier pass.
        progress: whether to show a progress bar and print what a first look at 1,000 images says.
        precision: "float32" or "bfloat16", which is faster on a CPU that supports it but makes a
            slightly different network (weights and activities with 8 significant bits).
        client: a Dask client (see `cluster.connect`), whose workers compute the shards instead of
            this process; to the same bits, if each has as many threads as this process.
        accumulators: classes of the sums that are kept; see `accumulators.py`.
        block_images: stimuli drawn, shown and summed at once; by default as many as fit in 250 MB
            of activities, at most 1,000. It is part of the result's identity.
        save_seconds: between two checkpoints.
        until: the pass ends before `count` once the expected correlation with the truth of every
            class's logit and choice image (if only labels are known: decision image) has reached
            this value; with 0 all images are shown.
        survive: the share of the noise images about an image that should get the same answer as
            the image, which sets the contrast unless the noise was given one.
        classes: how many classes there are, which must be said of a function that answers labels.
            (The flag `--classes` of the command line says which: that is `only`.)
        only: which classes are measured: their indices, or one of them; by default all.
        prediction_images: how many fresh stimuli are shown afterwards, at most, to see how much of
            what the observer answers its images predict (`Measurement.predictions`); no more than
            the fourth part of the pass. See also `predict`.

    Returns:
        A Measurement.

    Raises:
        UserError: if `count` is not a positive whole number; if the observer takes other images,
            has several inputs or outputs, or answers NaN or always the same; if a layer's field
            cannot be derived; if the sums would not fit; if the checkpoint is of another run or
            cannot be written; or if the Dask scheduler is gone.
    """
    count, seed = whole_number(count, "the number of noise images"), whole_number(seed, "the seed")
    prediction_images = whole_number(prediction_images, "the number of fresh stimuli")
    if count < 1:
        raise UserError(f"the number of noise images must be at least 1, not {count}")
    if not 0 <= until < 1:
        raise UserError(
            f"the correlation at which to stop must lie from 0 up and below 1, not {until}"
        )
    if needs_contrast(noise):
        model = observer_of(model, noise, classes, only)
        noise = at_threshold(model, noise, survive, seed)
        if progress:
            print(f"{model.name}: {noise.at_threshold.sentence()}")
    work = NoisePass(
        model, noise, seed, layers, precision, accumulators, block_images, classes, only
    )
    remarks = first_remarks(work)
    if (
        work.noise.orthogonal_coordinates
        and count % work.shard_images
        and count > work.shard_images
    ):
        count += work.shard_images - count % work.shard_images
        blocks = count // work.shard_images
        remarks.append(f"{count:,} images: {blocks:,} whole blocks of orthogonal numbers")
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
            whole, rest = tree.done, 0  # nothing is left to be shown
        if client is None or stopped:
            parts = _sums_here(work, tree.done, whole, rest, bar)
        else:
            # here, so that Dask is only needed by those who use it
            from reverse_correlation.passes.cluster import sums_on

            parts = sums_on(client, work, tree.done, whole, rest, bar, stops=until > 0)
        with contextlib.closing(parts):
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
    found = Measurement(sums, _provenance(work, tree.done, shown), noise, accumulators)
    if prediction_images:
        return with_prediction(work.observer, found, prediction_images, progress)
    return found


def _print_what_was_shown(work, sums, shown, seconds):
    """Print how many images a pass has shown, and how well the class images are known."""
    least, line = work.least_correlation(sums), f"{work.name}: {shown:,} images in {seconds:.0f} s"
    if least is not None:
        line += f"; least expected correlation of an image with its truth {least:.3f}"
    print(line)
    if work.precision != "float32":
        count, images = min(shown, COMPARED_IMAGES), []
        for precision in (work.precision, "float32"):
            same = {"seed": work.seed, "precision": precision, "progress": False}
            again = measure(work.observer, work.noise, count, **same)
            images.append(again.classes["logit"].covariance)
        print(
            f"{work.name}: logit images in {work.precision} and float32, from the same {count:,} "
            f"images, agree at r = {correlations(*images).min():.4f} or better"
        )


def _provenance(work, shards, count=None):
    """Return the record of a pass after so many shards, and images if they are not whole shards."""
    return {**work.identity, "shards": shards, "count": count or shards * work.shard_images}


def _sums_here(work, first, whole, rest, bar):
    """Compute shards in this process, one by one, as `sums_on` does on a cluster."""
    for index in range(first, whole):
        yield work.shard_sums(index, progress=bar.update), 0
    if rest:
        yield work.shard_sums(whole, rest, progress=bar.update), None


def _resume(checkpoint, work, shards):
    """Return the sums of a checkpoint, and the path at which to go on saving or None.

    A checkpoint that holds more images than are asked for is neither used nor overwritten.

    Raises:
        UserError: if it is of another run.
    """
    if checkpoint is None or not Path(checkpoint).exists():
        return SumTree(), checkpoint
    levels, kept, _ = read_sums(checkpoint)
    whole = {"shards": kept.pop("shards", None), "count": kept.pop("count", None)}
    if differing := work.differing(kept):
        raise UserError(
            f"{checkpoint} is of another run (it differs in {', '.join(differing)}): delete it "
            "or name another checkpoint"
        )
    done = whole["shards"]
    try:
        if not is_tree(levels, done) or whole["count"] != done * work.shard_images:
            raise ValueError(f"they are not those of {done!r} shards")
        refuse_contradictions(added_up(levels), kept | whole, work.noise, work.kinds)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise UserError(
            f"{checkpoint} does not hold the sums of a checkpoint ({error}): delete it, or name "
            "another checkpoint"
        ) from error
    if done > shards:
        return SumTree(), None
    if done:
        images = done * work.shard_images
        print(f"{work.name}: continuing from {images:,} images in {checkpoint}")
    return SumTree(levels, done), checkpoint
