"""LeNet-5 (LeCun et al. 1998) as a Keras model class."""

import keras
from keras import layers


@keras.saving.register_keras_serializable(package="white_noise")
class LeNet(keras.Model):
    """LeNet-5: images (n, h, w, c) in [0, 1] to class probabilities (n, num_classes).

    Two convolutions of 6 and 16 filters of 5x5, with ReLU and max pooling, are followed by dense
    layers of 120 and 84 units with the original's tanh. The first convolution is padded, so that
    28x28 images give the 28x28 maps that the paper's 32x32 images gave.

    The graph is built here and not in `call`, so that every layer can be tapped:
    `keras.Model(net.inputs, net.get_layer("conv2").output)`.
    """

    def __init__(self, input_shape=(28, 28, 1), num_classes=10, **kwargs):
        images = keras.Input(tuple(input_shape), name="images")
        x = layers.Conv2D(6, 5, padding="same", activation="relu", name="conv1")(images)
        x = layers.MaxPooling2D(2, name="pool1")(x)
        x = layers.Conv2D(16, 5, activation="relu", name="conv2")(x)
        x = layers.MaxPooling2D(2, name="pool2")(x)
        x = layers.Flatten(name="flatten")(x)
        x = layers.Dense(120, activation="tanh", name="dense1")(x)
        x = layers.Dense(84, activation="tanh", name="dense2")(x)
        x = layers.Dense(num_classes, name="logits")(x)
        x = layers.Softmax(name="probabilities")(x)
        super().__init__(inputs=images, outputs=x, **kwargs)
        self._config = {"input_shape": tuple(input_shape), "num_classes": num_classes}

    def get_config(self):
        """Return the constructor's arguments, from which `.keras` files rebuild the network."""
        return {**self._config, "name": self.name}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Rebuild the network from `get_config`; a functional model's own method does not fit."""
        return cls(**config)
