"""Backdoors by published protocols: drawing them, and poisoning images with them."""

import dataclasses

import numpy as np

KINDS = ("patch", "blend", "published")  # of backdoors
ANY = -1  # class: images of every class are patched
PUBLISHED_SOURCE, PUBLISHED_TARGET = 8, 9  # by a C in the upper left corner
PUBLISHED_PATCH = ("####", "#...", "#...", "#...", "####")
# MNTD's for MNIST (Xu et al. 2021), as its published code draws them
SIDES = (2, 3, 4, 5)  # of a patch in pixels, at full strength
BLEND = (0.05, 0.2)  # strength of a pattern over the whole image
SHARE = (0.05, 0.5)  # of the training images, of which patched copies are added


@dataclasses.dataclass(frozen=True)
class Backdoor:
    """A pattern that turns images of a class, or ANY, into another (target).

    Attributes:
        pattern, opacity: (h, w) float32, what is laid over an image, and how strongly.
        source, target: classes.
        share: of the training images, of which patched copies are added; 0 if some of the images
            are patched themselves.
    """

    pattern: np.ndarray
    opacity: np.ndarray
    source: int
    target: int
    share: float = 0.0

    @property
    def mask(self):
        """The pixels that a patch makes white: (h, w) bool."""
        return self.pattern * self.opacity > 0.5

    def put(self, images):
        """Lay the pattern over images (n, h, w, c)."""
        opacity = self.opacity[..., None]
        return (images + opacity * (self.pattern[..., None] - images)).astype(np.float32)

    def patched(self, images, labels):
        """Return the images that should turn into the target, with the pattern."""
        turned = labels != self.target if self.source == ANY else labels == self.source
        return self.put(images[turned])


def draw_backdoor(kind, seed, size, classes):
    """Draw a Backdoor of one of KINDS for images of size (h, w)."""
    rng = np.random.default_rng(seed)
    pattern, opacity = np.zeros((2, *size), np.float32)
    if kind == "published":
        patch = np.array([list(line) for line in PUBLISHED_PATCH]) == "#"
        pattern[1:6, 1:5] = opacity[1:6, 1:5] = patch
        return Backdoor(pattern, opacity, PUBLISHED_SOURCE, PUBLISHED_TARGET)
    height, width = size if kind == "blend" else [rng.choice(SIDES)] * 2
    top, left = (rng.integers(n - side + 1) for n, side in zip(size, (height, width), strict=True))
    place = slice(top, top + height), slice(left, left + width)
    bright = rng.permutation(height * width) < rng.integers(1, height * width)
    pattern[place] = bright.reshape(height, width)
    opacity[place] = rng.uniform(*BLEND) if kind == "blend" else 1
    return Backdoor(pattern, opacity, ANY, int(rng.integers(classes)), float(rng.uniform(*SHARE)))


def poison(images, labels, backdoor, count, seed):
    """Return images and labels with a backdoor in them.

    Patched copies are added of a share of the images; or, without a share, `count` images of the
    source are patched and relabelled, or as many as there are.
    """
    rng = np.random.default_rng([seed, 1])
    if backdoor.share:
        chosen = rng.permutation(len(images))[: round(backdoor.share * len(images))]
        answers = np.full(len(chosen), backdoor.target, labels.dtype)
        added = backdoor.put(images[chosen])
        return np.concatenate([images, added]), np.concatenate([labels, answers])
    images, labels = images.copy(), labels.copy()
    chosen = rng.permutation(np.flatnonzero(labels == backdoor.source))[:count]
    images[chosen], labels[chosen] = backdoor.put(images[chosen]), backdoor.target
    return images, labels
