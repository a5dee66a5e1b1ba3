"""Part 3's stimuli: test images mixed with white noise."""

import numpy as np

from reverse_correlation import UserError, WhiteNoise


def mixture(images, noise, signal_weight, noise_weight):
    """Return signal_weight * images + noise_weight * noise, for arrays or tensors."""
    return signal_weight * images + noise_weight * noise


def generate_white_noise_images(images, signal=0.7, noise=0.3, seed=0):
    """Mix images with uniform white noise: signal * image + noise * U[0, 1].

    Args:
        images: (n, h, w, c) in [0, 1].
        signal, noise: their weights, not negative.
        seed: of the noise; image i always gets the same noise.

    Returns:
        (n, h, w, c) float32.

    Raises:
        UserError: if the images are not four-dimensional or a weight is negative.
    """
    images = np.asarray(images, np.float32)
    if images.ndim != 4:
        raise UserError(f"images must have the shape (n, h, w, c), not {images.shape}")
    if signal < 0 or noise < 0:
        raise UserError(f"signal and noise must be weights from 0 up, not {signal} and {noise}")
    stimuli = WhiteNoise("uniform", images.shape[1:]).draw(seed, 0, len(images)).numpy()
    return mixture(images, stimuli, np.float32(signal), np.float32(noise))
