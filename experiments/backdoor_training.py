"""Many networks of one architecture trained, one after another, by one compiled loop."""

import keras
import numpy as np
import tensorflow as tf

BATCH = 1_000  # images that are answered at once


class Trainer:
    """Trains networks of one architecture, all of them in the same variables and graph.

    The recipe is that of `training.train`: Adam, whose rate falls on a cosine schedule, and images
    in another order each epoch. Compiling anew, and shuffling image by image, would take longer
    than the arithmetic does.

    Attributes:
        network: the Keras model, with the weights that were trained last.
    """

    def __init__(self, build, shape, classes, recipe):
        self.build, self.shape, self.classes, self.recipe = build, shape, classes, recipe
        self.network = build(shape, classes)
        output = self.network.get_layer("logits").output
        self.logits = keras.Model(self.network.inputs, output)
        self.optimizer = keras.optimizers.Adam(recipe.rate)
        self.optimizer.build(self.network.trainable_variables)

    def train(self, images, labels, seed):
        """Train a network on images (n, h, w, c) and labels (n,), anew from its own seed."""
        keras.utils.set_random_seed(seed)
        fresh = self.build(self.shape, self.classes)
        for ours, theirs in zip(self.network.variables, fresh.variables, strict=True):
            ours.assign(theirs)  # weights, and the states of dropout
        for variable in self.optimizer.variables:
            variable.assign(tf.zeros_like(variable))
        images, labels = tf.constant(images), tf.constant(labels, tf.int32)
        rng, epochs = np.random.default_rng([seed, 3]), self.recipe.epochs
        for epoch in range(epochs):
            order = tf.constant(rng.permutation(len(labels)), tf.int32)
            self._epoch(images, labels, order, tf.constant(epoch / epochs))

    def answers(self, images):
        """Return the class that the network answers to each of images (n, h, w, c): (n,)."""
        parts = [images[i : i + BATCH] for i in range(0, len(images), BATCH)]
        return np.concatenate([self._answers(tf.constant(part)).numpy() for part in parts])

    @tf.function(reduce_retracing=True)
    def _epoch(self, images, labels, order, begun):
        """Show the images once, in an order; of the whole training a share has been done."""
        count, batch = tf.shape(order)[0], self.recipe.batch
        steps = -(-count // batch)
        for step in tf.range(steps):
            done = begun + tf.cast(step / steps, tf.float32) / self.recipe.epochs
            self.optimizer.learning_rate.assign(self.recipe.rate * (1 + tf.cos(np.pi * done)) / 2)
            chosen = order[step * batch : (step + 1) * batch]
            with tf.GradientTape() as tape:
                logits = self.logits(tf.gather(images, chosen), training=True)
                loss = tf.nn.sparse_softmax_cross_entropy_with_logits(
                    tf.gather(labels, chosen), logits
                )
                loss = tf.reduce_mean(loss)
            weights = self.network.trainable_variables
            self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))

    @tf.function(reduce_retracing=True)
    def _answers(self, images):
        return tf.argmax(self.logits(images), axis=1)
