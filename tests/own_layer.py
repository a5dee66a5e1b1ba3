"""A user's own layer, in a module of its own, which workers of a cluster do not have."""

import keras


@keras.saving.register_keras_serializable(package="tests")
class Halve(keras.layers.Layer):
    def call(self, inputs):
        return inputs / 2
