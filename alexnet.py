"""AlexNet (Krizhevsky et al. 2012) at the scale of 28x28 images, as a Keras model class."""

import keras
from keras import layers


@keras.saving.register_keras_serializable(package="white_noise")
class AlexNet(keras.Model):
    """A small AlexNet: images (n, h, w, c) in [0, 1] to class probabilities (n, num_classes).

    Convolutions of 32, 64 and 96 filters, each with AlexNet's overlapping max pooling (3x3,
    stride 2: 28 -> 13 -> 6 -> 2), are followed by two dense layers with dropout. An image takes
    11.7 MFLOP. As in LeNet, every layer can be tapped.
    """

    def __init__(self, input_shape=(28, 28, 1), num_classes=10, **kwargs):
        images = keras.Input(tuple(input_shape), name="images")
        x = layers.Conv2D(32, 5, padding="same", activation="relu", name="conv1")(images)
        x = layers.MaxPooling2D(3, 2, name="pool1")(x)
        x = layers.Conv2D(64, 3, padding="same", activation="relu", name="conv2")(x)
        x = layers.MaxPooling2D(3, 2, name="pool2")(x)
        x = layers.Conv2D(96, 3, padding="same", activation="relu", name="conv3")(x)
        x = layers.MaxPooling2D(3, 2, name="pool3")(x)
        x = layers.Flatten(name="flatten")(x)
        x = layers.Dense(256, activation="relu", name="dense1")(x)
        x = layers.Dropout(0.3, name="dropout1")(x)
        x = layers.Dense(128, activation="relu", name="dense2")(x)
        x = layers.Dropout(0.3, name="dropout2")(x)
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
