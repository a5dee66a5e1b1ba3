"""The pass: noise through a network, once for everything that is measured."""

import contextlib
import copy
import functools
import json
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from reverse_correlation import backend
from reverse_correlation.accumulators import ACCUMULATORS
from reverse_correlation.ensemble_files import kept_fields
from reverse_correlation.errors import UserError
from reverse_correlation.measurement import Measurement
from reverse_correlation.networks import BLOCK_IMAGES, Network, seconds_a_block
from reverse_correlation.observers import Observer, function
from reverse_correlation.progress import progress_bar
from reverse_correlation.sums import (
    SumTree,
    added_up,
    is_decision_place,
    read_sums,
    write_sums,
)

SHARD_BLOCKS = 8  # blocks of one graph call, in float32; shards are added in float64
SAVE_SECONDS = 15  # between two checkpoints
AT_ONCE = 10  # blocks may be drawn while another is answered; but one by one,
FEW_IMAGES = 100  # of a network that is so large that fewer than these are a block
FIRST_IMAGES = 1000  # shown before the long pass,
FIRST_BLOCKS = 10  # or so many blocks, of a network that can be shown only few at once


class NoisePass:
    """A pass as it is computed: the sums of any of its shards, from the network and the noise.

    Args:
        model, noise, seed, layers, precision, accumulators, block_images, classes, only: as for
            `measure`.

    Attributes:
        network: the Network, or the Observer.
        shard_images: stimuli of one shard.
        identity: everything that the sums depend on, as JSON can hold it.
    """

    def __init__(
        self,
        model,
        noise,
        seed=0,
        layers=(),
        precision="float32",
        accumulators=ACCUMULATORS,
        block_images=None,
        classes=None,
        only=(),
    ):
        self.network = network = network_of(model, noise, classes, only)
        self.name, self.noise, self.seed, self.kinds = network.name, noise, seed, accumulators
        self.layers, self.precision = tuple(layers), precision
        self.responses = None  # of what is asked in arrays
        if isinstance(network, Network):
            self.responses = network.responses(layers, precision)
        else:
            network.refuse_what_it_lacks(self.layers, precision)
        self.accumulators = [
            one for kind in accumulators for one in kind.for_pass(network, noise, self.layers)
        ]
        fit = min(BLOCK_IMAGES, network.images_that_fit(layers))
        self.block_images = block_images or max(fit - fit % 2, 1)  # whole pairs, where they fit
        self.shard_images = self.block_images * SHARD_BLOCKS
        self._shard = self._by_blocks() if self.responses is None else self._compiled()
        identity = {
            "network": network.name,
            "network_sha256": network.sha256,
            "logits": network.meaning,
            "noise": noise.describe(),
            "seed": seed,
            "precision": precision,
            "block_images": self.block_images,
            "shard_blocks": SHARD_BLOCKS,
            "layers": list(layers),
            "paired": noise.symmetric,
            "accumulators": [one.describe() for one in self.accumulators],
            "versions": {
                "tensorflow": tf.__version__,
                "keras": keras.__version__,
                **network.versions,
            },
            "machine": backend.machine(),
            "only": list(network.only),
        }
        self.identity = json.loads(json.dumps(identity))  # as it is read again

    def shard_sums(self, index, images=None):
        """Return the sums of a shard, or of its first images: {accumulator: {name: (2, ...)}}.

        The first row is of even shards and the second of odd ones; one of them is zero.

        Raises:
            UserError: if the network answers NaN or infinity.
        """
        images = self.shard_images if images is None else images
        computed = self._shard(index * SHARD_BLOCKS, images)
        halves = {}
        for one in self.accumulators:
            shard = {name: t.numpy().astype(np.float64) for name, t in computed[one.name].items()}
            refuse_nan(self.name, *shard.values())
            halves[one.name] = {}
            for name, value in one.finish(shard).items():
                halves[one.name][name] = np.zeros((2, *value.shape))
                halves[one.name][name][index % 2] = value
        return halves

    def block(self, index, images):
        """Draw a block and show it: what accumulators are given, a dictionary of tensors."""
        block = self._drawn(index, images)
        shown = self.noise.mean + block["stimuli"]
        if self.responses is None:
            return {**block, "logits": self.network.logits(shown.numpy())}
        answers = self.responses(shown, training=False)
        return {**block, **{name: tf.cast(each, tf.float32) for name, each in answers.items()}}

    def _drawn(self, index, images):
        """Draw a block: its numbers xi, and how its stimuli differ from the base.

        Of a symmetric ensemble, the first half is drawn and the second its mirror images.
        """
        drawn = (images + 1) // 2 if self.noise.symmetric else images
        xi = self.noise.xi(self.seed, index, drawn)
        fluctuation = self.noise.fluctuation(xi)
        if self.noise.symmetric:
            fluctuation = tf.concat([fluctuation, -fluctuation[: images - drawn]], axis=0)
        return {"xi": xi, "stimuli": fluctuation}

    def least_correlation(self, sums):
        """Return the least expected correlation of an image with its truth, from sums so far."""
        least = [
            one.least_correlation(sums[one.name], self.noise)
            for one in self.accumulators
            if sums.get(one.name)
        ]
        return min((value for value in least if value is not None), default=None)

    def _zeros(self):
        """Return the sums of nothing."""
        return {
            one.name: {name: tf.zeros(shape) for name, shape in one.zeros().items()}
            for one in self.accumulators
        }

    def _added(self, sums, index, block):
        """Return sums with a block's added."""

        def added(one):
            return tf.nest.map_structure(tf.add, sums[one.name], one.block(block))

        return {
            one.name: tf.cond(
                index % one.every == 0,
                functools.partial(added, one),
                functools.partial(sums.get, one.name),
            )
            if one.every > 1
            else added(one)
            for one in self.accumulators
        }

    def _compiled(self):
        """Compile the sums of one shard: a loop over blocks inside one graph."""
        size = self.block_images

        def add(index, sums, first, images):
            block = self.block(first + index, tf.minimum(images - index * size, size))
            return index + 1, self._added(sums, first + index, block)

        @tf.function(input_signature=[tf.TensorSpec((), tf.int64), tf.TensorSpec((), tf.int64)])
        def shard(first, images):
            """Sums over `images` stimuli, from block `first` on."""
            _, sums = tf.while_loop(
                lambda index, _: index * size < images,
                lambda index, sums: add(index, sums, first, images),
                (tf.constant(0, tf.int64), self._zeros()),
                parallel_iterations=AT_ONCE if size >= FEW_IMAGES else 1,
            )
            return sums

        return shard

    def _by_blocks(self):
        """Return the sums of one shard of an observer, which is asked in arrays, block by block."""
        size = self.block_images
        numbers = [tf.TensorSpec((), tf.int64), tf.TensorSpec((), tf.int64)]

        @tf.function(input_signature=numbers)
        def drawn(index, images):
            block = self._drawn(index, images)
            return block, self.noise.mean + block["stimuli"]

        added = tf.function(self._added, reduce_retracing=True)

        def shard(first, images):
            """Sums over `images` stimuli, from block `first` on."""
            sums = self._zeros()
            for index in range(-(-images // size)):
                block, shown = drawn(first + index, min(images - index * size, size))
                block["logits"] = tf.constant(self.network.logits(shown.numpy()))
                sums = added(sums, tf.constant(first + index, tf.int64), block)
            return sums

        return shard


def network_of(model, noise, classes=None, only=()):
    """Return what is measured, as the pass sees it: a Network or an Observer.

    Args:
        model, noise, classes, only: as for `measure`.

    Raises:
        UserError: if it is nothing that answers images, or has not those classes.
    """
    if isinstance(model, (Network, keras.Model)):
        network = Network.of(model, noise)
    elif isinstance(model, Observer) or callable(model):
        observer = model if isinstance(model, Observer) else function(model)
        network = observer.looked(noise, classes)
    else:
        raise UserError(
            f"a {type(model).__name__} cannot be shown images: hand over a Keras model, a function "
            "of arrays, or what observers.onnx, .torch or .sklearn make"
        )
    if classes not in (None, network.classes):
        raise UserError(f"the network has {network.classes:,} classes, not {classes:,}")
    only = tuple(int(k) for k in only)
    odd = [k for k in only if not 0 <= k < network.classes]
    if odd or len(set(only)) < len(only):
        raise UserError(
            f"classes {', '.join(map(str, odd or only))} cannot be chosen: the network has "
            f"{network.classes:,}, from 0 to {network.classes - 1}; name each once"
        )
    if only:
        network = copy.copy(network)
        network.only = only
    return network


def logits_of(network, images):
    """Return centred logits of images (n, h, w, c), as many at once as fit: (n, K) float32.

    Args:
        network: a Network or an Observer.
        images: (n, h, w, c), in the range of its input.
    """
    size = network.images_that_fit()
    if isinstance(network, Observer):
        parts = [network.logits(images[i : i + size]) for i in range(0, len(images), size)]
        return np.concatenate(parts)
    batch = min(BLOCK_IMAGES, size)
    return network.responses().predict(images, batch_size=batch, verbose=0)["logits"]


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
        checkpoint: a .npz file where the sums are kept every 15 seconds and on Ctrl-C. If it is
            there, the pass continues from it, to the same bits as one that was never interrupted;
            asking for more images than it has continues too.
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
    tree, checkpoint = _resume(checkpoint, work, whole)
    saved = time.monotonic()

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
            from reverse_correlation.cluster import sums_on  # Dask is needed by those who use it

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
    provenance = _provenance(work, tree.done, shown)
    return Measurement(added_up([last, tree.total()]), provenance, noise, accumulators)


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


def first_remarks(work):
    """Show a network 1,000 images before the long pass; return what should be said about it.

    Raises:
        UserError: if it answers NaN, or the same to all of them.
    """
    count = min(FIRST_IMAGES, FIRST_BLOCKS * work.block_images)
    blocks = range(-(-count // work.block_images))
    look = work.block
    if work.responses and work.block_images < BLOCK_IMAGES:  # a large network, which eagerly would
        look = tf.function(work.block)  # keep all its activities at once
    logits = [look(block, work.block_images)["logits"] for block in blocks]
    logits = np.concatenate(logits)[:count].astype(np.float64)
    refuse_nan(work.name, logits)
    if np.all(np.ptp(logits, axis=0) <= 1e-6 * np.abs(logits).max(axis=0)):
        raise UserError(
            f"the network {work.name!r} answers all of {len(logits):,} noise images alike: there "
            "is nothing to correlate with; check the range of its input, or train it again"
        )
    answers, remarks = np.bincount(logits.argmax(axis=1), minlength=logits.shape[1]), []
    if answers.max() > 0.999 * count:
        remarks.append(
            f"of the first {count:,} noise images {answers.max():,} are answered "
            f"{answers.argmax()}: decision images of other classes will rest on few or no images; "
            "logit images and filters remain meaningful"
        )
    return remarks


def speed_remarks(work, count):
    """Time a block of the compiled pass; return what should be said of how long it will take."""
    work.shard_sums(0, work.block_images)  # compiles
    started = time.perf_counter()
    work.shard_sums(0, 2 * work.block_images)
    seconds = (time.perf_counter() - started) / (2 * work.block_images) * count
    remarks = [
        f"{count:,} images at most, {seconds:,.0f} s here if all are shown "
        f"({1000 * seconds / count:.2g} s for 1,000)"
    ]
    if work.precision != "float32":
        slower = seconds_a_block(work.responses, work.block_images) / seconds_a_block(
            work.network.responses(work.layers), work.block_images
        )
        remarks.append(f"{work.precision} takes {slower:.2f} of the time of float32 here")
    return remarks


def refuse_nan(name, *answers):
    """Raise UserError if answers, or sums of them, are not finite."""
    if not all(np.isfinite(array).all() for array in answers):
        raise UserError(
            f"the network {name!r} answers NaN or infinity to noise: its weights are damaged; "
            "train it again"
        )
