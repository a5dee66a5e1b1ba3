"""A user's own layer and accumulator, in a module of its own, which workers do not have."""

import dataclasses
import os
import random
import time
from pathlib import Path

import keras
import numpy as np
from keras import ops

from reverse_correlation import Accumulator


@keras.saving.register_keras_serializable(package="tests")
class Halve(keras.layers.Layer):
    def call(self, inputs):
        return inputs / 2


def contrasts(images):
    """A classifier that is a function: the rows' brightness, each less the next one's."""
    rows = images.mean(axis=(2, 3))
    return rows - np.roll(rows, 1, axis=1)


@dataclasses.dataclass(frozen=True)
class Dawdler(Accumulator):
    """Takes its time over each shard, so that shards are finished out of order.

    It leaves a file named after its process, in the folder that WITNESSES names, to be counted.
    """

    name = "dawdler"

    @classmethod
    def for_pass(cls, network, noise, layers):
        return [cls()]

    def zeros(self):
        return {"n": ()}

    def block(self, block):
        return {"n": ops.cast(ops.shape(block["stimuli"])[0], "float32")}

    def finish(self, shard):
        if "WITNESSES" in os.environ:
            Path(os.environ["WITNESSES"], f"{os.getpid()}.pid").touch()
            time.sleep(random.random() / 20)
        return shard

    def estimates(self, sums, *noise):
        return {}
