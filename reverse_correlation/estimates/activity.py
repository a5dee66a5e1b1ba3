"""The activity of layers that are shown images, class by class."""

import keras
import numpy as np

from reverse_correlation.observers.keras_networks import Network, predict


def activation_maps(model, layer, images, labels):
    """Average a layer's activity over filters and over the images of each class: (K, h, w).

    Labels are positions among the measured classes. The result is the mean activity, not a
    spike-triggered average; it is NaN for a class without images.
    """
    network = Network.of(model)
    mean = keras.ops.mean(network.tapped(layer), axis=3)
    activity = predict(keras.Model(network.graph.inputs[0], mean), images)
    maps = np.full((len(network.measured), *activity.shape[1:]), np.nan, np.float32)
    for k in np.unique(labels):
        maps[k] = activity[labels == k].mean(axis=0)
    return maps
