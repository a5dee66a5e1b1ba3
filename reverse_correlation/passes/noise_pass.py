"""The pass: noise is shown to an observer once, for everything that is measured."""

import dataclasses
import functools
import hashlib
import json
import math
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import tensorflow as tf

from reverse_correlation import backend
from reverse_correlation.estimates.accumulators import ACCUMULATORS
from reverse_correlation.observers.answers import SAME
from reverse_correlation.observers.observer import BLOCK_IMAGES, FEW_IMAGES, refuse_nan
from reverse_correlation.observers.observer_of import observer_of
from reverse_correlation.stimuli.orthogonal import ROWS

SHARD_BLOCKS = 8  # blocks summed by one graph call, in float32; shards are added in float64
AT_ONCE = 10  # blocks that may be in the works at once, so that some are drawn ahead
DRAWN_VALUES = 10**7  # of pixels in a block, for an observer that has no graph to compile
COMPARED_ANSWERS = 8  # stimuli, and classes, whose logits tell one observer from another
SMALL_BLOCK = (
    100  # images; with smaller blocks, as of a large network, there is one block at a time
)


class NoisePass:
    """Computes the sums of any shard of a pass from the observer and the noise.

    Args:
        model, noise, seed, layers, precision, accumulators, block_images, classes, only: as for
            `measure`.

    Attributes:
        observer: the Observer.
        first_logits: (n, K), its answers to the first stimuli of the pass.
        shard_images: stimuli per shard.
        identity: everything that the sums depend on, JSON-serialisable.
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
        self.observer = observer = observer_of(model, noise, classes, only)
        self.name, self.noise, self.seed, self.kinds = observer.name, noise, seed, accumulators
        self.layers, self.precision = tuple(layers), precision
        self.responses = observer.responses(self.layers, precision)  # None if it has no graph
        self.accumulators = [
            accumulator
            for accumulator_class in accumulators
            for accumulator in accumulator_class.for_pass(observer, noise, self.layers)
        ]
        fit = block_images or min(BLOCK_IMAGES, observer.images_that_fit(layers))
        if self.responses is None and not block_images:  # which answers a few of them at a time
            fit = max(fit, min(BLOCK_IMAGES, DRAWN_VALUES // math.prod(noise.shape)))
        self.block_images, self.shard_blocks = fit, SHARD_BLOCKS
        if noise.orthogonal_coordinates:  # a shard is a block of orthogonal numbers, in parts
            pairs = 2 ** max(min(fit // 2, ROWS // 2).bit_length() - 1, 0)
            self.block_images, self.shard_blocks = 2 * pairs, ROWS // pairs
        elif not block_images:
            self.block_images = max(fit - fit % 2, 1)  # whole pairs if they fit
        self.shard_images = self.block_images * self.shard_blocks
        self._shard = self._by_blocks() if self.responses is None else self._compiled()
        versions = {"tensorflow": tf.__version__, "keras": keras.__version__}
        identity = {
            "network": observer.name,
            "network_sha256": observer.sha256,
            "logits": observer.meaning,
            "noise": noise.describe(),
            "seed": seed,
            "precision": precision,
            "block_images": self.block_images,
            "shard_blocks": self.shard_blocks,
            "layers": list(layers),
            "paired": noise.symmetric,
            "accumulators": [accumulator.describe() for accumulator in self.accumulators],
            "versions": versions | observer.versions,
            "machine": backend.machine(),
            "only": list(observer.only),
        }
        if observer.class_names:
            identity["class_names"] = list(observer.class_names)
        if noise.at_threshold:
            identity["at_threshold"] = dataclasses.asdict(noise.at_threshold)
        few = FEW_IMAGES if observer.is_large else COMPARED_ANSWERS
        self.first_logits = np.asarray(self.block(0, min(few, self.block_images))["logits"])
        answers = self.first_logits[:COMPARED_ANSWERS, :COMPARED_ANSWERS]
        identity["answers"] = [[float(f"{z:.6g}") for z in row] for row in answers]
        self.identity = json.loads(json.dumps(identity))  # as it will be when read from a file

    def differing(self, kept):
        """Return in what a record differs from this pass: a list of the names of its entries.

        Answers to noise may differ in their last digits, as they do with another number of threads.
        """
        found = [key for key in kept | self.identity if kept.get(key) != self.identity.get(key)]
        if found != ["answers"]:
            return [key for key in found if key != "answers"]  # which follow from the others
        here, there = np.array(self.identity["answers"]), np.array(kept.get("answers"), float)
        same = here.shape == there.shape and np.abs(here - there).max() <= SAME * np.ptp(here)
        return [] if same else found

    @property
    def digest(self):
        """Eight hexadecimal digits that stand for the identity in the name of a file."""
        sure = {key: value for key, value in self.identity.items() if key != "answers"}
        return hashlib.sha256(json.dumps(sure).encode()).hexdigest()[:8]

    def shard_sums(self, index, images=None, progress=None):
        """Return the sums of a shard, or of its first images: {accumulator: {name: (2, ...)}}.

        The first row is for even shards and the second for odd ones; one of them is zero.

        Args:
            index, images: of the shard, and how many of its images.
            progress: is told of every few images that they were shown, if the observer has no
                graph to compile; else of all at the end.

        Raises:
            UserError: if the observer answers NaN or infinity.
        """
        images = self.shard_images if images is None else images
        computed = self._shard(index * self.shard_blocks, images, progress or (lambda images: None))
        sums = {}
        for accumulator in self.accumulators:
            tensors = computed[accumulator.name]
            shard = {name: t.numpy().astype(np.float64) for name, t in tensors.items()}
            refuse_nan(self.name, *shard.values())
            halves = sums[accumulator.name] = {}
            for name, value in accumulator.finish(shard).items():
                halves[name] = np.zeros((2, *value.shape))
                halves[name][index % 2] = value
        return sums

    def block(self, index, images, orthogonal=None):
        """Draw a block and show it; return what accumulators are given, a dictionary of tensors.

        Args:
            index, images: of the block, and how many of its stimuli.
            orthogonal: what `_orthogonal` gave for its shard, if that was asked already.
        """
        block = self._drawn(index, images, orthogonal)
        shown = self.noise.mean + block["stimuli"]
        if self.responses is None:
            return {**block, "logits": self.observer.logits_of(shown.numpy())}
        answers = self.responses(shown, training=False)
        return {**block, **{name: tf.cast(t, tf.float32) for name, t in answers.items()}}

    def _orthogonal(self, first):
        """Draw the orthogonal numbers of the shard that begins with a block; None without any."""
        if not self.noise.orthogonal_coordinates:
            return None
        return self.noise.orthogonal_numbers(self.seed, first // self.shard_blocks)

    def _drawn(self, index, images, orthogonal=None):
        """Draw a block: its numbers xi, and its stimuli without the base, mirror images last."""
        drawn = (images + 1) // 2 if self.noise.symmetric else images
        if self.noise.orthogonal_coordinates:
            row = index % self.shard_blocks * (self.block_images // 2)
            shard = index // self.shard_blocks
            xi = self.noise.xi(self.seed, shard, drawn, row, orthogonal)
        else:
            xi = self.noise.xi(self.seed, index, drawn)
        fluctuation = self.noise.fluctuation(xi)
        if self.noise.symmetric:
            fluctuation = tf.concat([fluctuation, -fluctuation[: images - drawn]], axis=0)
        return {"xi": xi, "stimuli": fluctuation}

    def least_correlation(self, sums):
        """Return the least expected correlation of an image with its truth, from sums so far."""
        least = [
            accumulator.least_correlation(sums[accumulator.name], self.noise)
            for accumulator in self.accumulators
            if sums.get(accumulator.name)
        ]
        return min((value for value in least if value is not None), default=None)

    def _zeros(self):
        """Return the sums before the first block."""
        return {
            accumulator.name: {name: tf.zeros(shape) for name, shape in accumulator.zeros().items()}
            for accumulator in self.accumulators
        }

    def _added(self, sums, index, block):
        """Return the sums with those of a block added."""

        def added(accumulator):
            block_sums = accumulator.block(block)
            return tf.nest.map_structure(tf.add, sums[accumulator.name], block_sums)

        return {
            accumulator.name: tf.cond(
                self._counts(index, accumulator.every),
                functools.partial(added, accumulator),
                functools.partial(sums.get, accumulator.name),
            )
            if accumulator.every > 1
            else added(accumulator)
            for accumulator in self.accumulators
        }

    def _counts(self, index, every):
        """Say whether a block is among those, one in `every`, that an accumulator sums.

        They lie in even shards and in odd ones, so that there are two halves.
        """
        within = min(every, self.shard_blocks)
        shard, part = index // self.shard_blocks, index % self.shard_blocks
        return tf.logical_and(part % within == 0, shard // 2 % (every // within) == 0)

    def _compiled(self):
        """Return a function for the sums of one shard: a loop over blocks inside one graph."""
        size = self.block_images

        def add(index, sums, first, images, orthogonal):
            count = tf.minimum(images - index * size, size)
            block = self.block(first + index, count, orthogonal)
            return index + 1, self._added(sums, first + index, block)

        number = tf.TensorSpec((), tf.int64)

        @tf.function(input_signature=[number, number], autograph=False)  # which takes a second
        def shard(first, images):
            """Return the sums over `images` stimuli, from block `first` on."""
            orthogonal = self._orthogonal(first)
            _, sums = tf.while_loop(
                lambda index, _: index * size < images,
                lambda index, sums: add(index, sums, first, images, orthogonal),
                (tf.constant(0, tf.int64), self._zeros()),
                parallel_iterations=AT_ONCE if size >= SMALL_BLOCK else 1,
            )
            return sums

        def followed(first, images, progress):
            """Return the same, and say at the end that they were shown."""
            sums = shard(first, images)
            progress(images)
            return sums

        return followed

    def _by_blocks(self):
        """Return a function for the sums of one shard if the observer has no graph to compile."""
        size = self.block_images

        @tf.function(reduce_retracing=True, autograph=False)
        def drawn(index, images, orthogonal):
            block = self._drawn(index, images, orthogonal)
            return block, self.noise.mean + block["stimuli"]

        added = tf.function(self._added, reduce_retracing=True, autograph=False)
        numbers = tf.function(self._orthogonal, reduce_retracing=True, autograph=False)

        def shard(first, images, progress):
            """Return the sums over `images` stimuli, from block `first` on; say how far it is."""
            sums = self._zeros()
            orthogonal = numbers(tf.constant(first, tf.int64))
            counts = [min(size, images - start) for start in range(0, images, size)]

            def block_of(index):
                where = tf.constant(first + index, tf.int64)
                return drawn(where, tf.constant(counts[index], tf.int64), orthogonal)

            with ThreadPoolExecutor(1) as ahead:  # a block is drawn while another is answered
                following = ahead.submit(block_of, 0)
                for index, count in enumerate(counts):
                    block, shown = following.result()
                    if index + 1 < len(counts):
                        following = ahead.submit(block_of, index + 1)
                    block["logits"] = tf.constant(self.observer.logits_of(shown.numpy()))
                    sums = added(sums, tf.constant(first + index, tf.int64), block)
                    progress(count)
            return sums

        return shard
