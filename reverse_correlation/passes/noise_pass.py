"""The pass: noise through a network, once for everything that is measured."""

import functools
import hashlib
import json

import keras
import numpy as np
import tensorflow as tf

from reverse_correlation import backend
from reverse_correlation.estimates.accumulators import ACCUMULATORS
from reverse_correlation.observers.observer import BLOCK_IMAGES, refuse_nan
from reverse_correlation.observers.observer_of import observer_of

SHARD_BLOCKS = 8  # blocks of one graph call, in float32; shards are added in float64
AT_ONCE = 10  # blocks may be drawn while another is answered; but one by one,
FEW_IMAGES = 100  # of a network that is so large that fewer than these are a block


class NoisePass:
    """A pass as it is computed: the sums of any of its shards, from the network and the noise.

    Args:
        model, noise, seed, layers, precision, accumulators, block_images, classes, only: as for
            `measure`.

    Attributes:
        observer: the Observer.
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
        self.observer = observer = observer_of(model, noise, classes, only)
        self.name, self.noise, self.seed, self.kinds = observer.name, noise, seed, accumulators
        self.layers, self.precision = tuple(layers), precision
        self.responses = observer.responses(self.layers, precision)  # None: it is asked in arrays
        self.accumulators = [
            one for kind in accumulators for one in kind.for_pass(observer, noise, self.layers)
        ]
        fit = min(BLOCK_IMAGES, observer.images_that_fit(layers))
        self.block_images = block_images or max(fit - fit % 2, 1)  # whole pairs, where they fit
        self.shard_images = self.block_images * SHARD_BLOCKS
        self._shard = self._by_blocks() if self.responses is None else self._compiled()
        identity = {
            "network": observer.name,
            "network_sha256": observer.sha256,
            "logits": observer.meaning,
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
                **observer.versions,
            },
            "machine": backend.machine(),
            "only": list(observer.only),
        }
        self.identity = json.loads(json.dumps(identity))  # as it is read again

    @property
    def digest(self):
        """Eight letters and digits that stand for the identity in the name of a file."""
        return hashlib.sha256(json.dumps(self.identity).encode()).hexdigest()[:8]

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
            return {**block, "logits": self.observer.logits_of(shown.numpy())}
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
                block["logits"] = tf.constant(self.observer.logits_of(shown.numpy()))
                sums = added(sums, tf.constant(first + index, tf.int64), block)
            return sums

        return shard
