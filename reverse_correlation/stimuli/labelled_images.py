"""The user's own labelled images, in a .npz file with the same keys as Keras's mnist.npz."""

import dataclasses
from pathlib import Path

import numpy as np

from reverse_correlation.errors import UserError
from reverse_correlation.files import DAMAGED, read_npz

KEYS = ("x_train", "y_train", "x_test", "y_test")


@dataclasses.dataclass(frozen=True)
class LabelledImages:
    """Training and test images with their labels.

    Attributes:
        name: the name of the file, without its suffix.
        train, test: each (images (n, h, w, c) float32 in [0, 1], labels (n,) int64).
        class_names: of the labels; empty if the file has none.
    """

    name: str
    train: tuple
    test: tuple
    class_names: tuple = ()

    @property
    def classes(self):
        """How many classes there are: one more than the largest label."""
        return 1 + max(int(self.train[1].max()), int(self.test[1].max()))

    @property
    def mean_image(self):
        """The mean training image, (h, w, c)."""
        return self.train[0].mean(axis=0)

    def refuse_unlike(self, observer, path):
        """Raise UserError if the images or their classes do not fit an observer, of this path."""
        shape = self.train[0].shape[1:]
        if tuple(observer.shape) != shape or observer.classes != self.classes:
            raise UserError(
                f"{path} takes images of {tuple(observer.shape)} and answers {observer.classes} "
                f"classes, but {self.name} has images of {shape} and {self.classes} classes: give "
                "images like the observer's, or leave --images out"
            )


def read_labelled_images(path):
    """Read labelled images: LabelledImages.

    Pixels are whole numbers from 0 to 255 or numbers from 0 to 1; images (n, h, w) have one
    channel.

    Args:
        path: of a .npz file with x_train, y_train, x_test, y_test and, optionally, class_names.

    Raises:
        UserError: if the file is missing, or does not hold labelled images.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"there is no file {path}: name a .npz file with {', '.join(KEYS)}")
    try:
        arrays = read_npz(path)
    except DAMAGED as error:
        raise UserError(
            f"{path} cannot be read as a .npz file of arrays of numbers ({error}): save the images "
            "with numpy.savez"
        ) from error
    missing = [key for key in KEYS if key not in arrays]
    if missing:
        raise UserError(
            f"{path} has no {', '.join(missing)}: name a file of labelled images, such as "
            "python data.py mnist mnist.npz writes"
        )
    train, test = (
        _checked(path, part, arrays[f"x_{part}"], arrays[f"y_{part}"]) for part in ("train", "test")
    )
    if train[0].shape[1:] != test[0].shape[1:]:
        raise UserError(f"{path}: x_train and x_test hold images of different shapes")
    class_names = np.ravel(arrays.get("class_names", ()))
    return LabelledImages(path.stem, train, test, tuple(map(str, class_names)))


def _checked(path, part, x, y):
    """Return images (n, h, w, c) float32 in [0, 1], and labels (n,) int64."""
    images = x[..., None] if x.ndim == 3 else x
    if images.ndim != 4 or not images.size or images.dtype.kind not in "uif":
        raise UserError(
            f"{path}: x_{part} is a {x.dtype} array of shape {x.shape}: expected images (n, h, w) "
            "or (n, h, w, c) of numbers"
        )
    low, high = images.min(), images.max()
    most = 1 if images.dtype.kind == "f" else 255
    if not 0 <= low <= high <= most:
        raise UserError(
            f"{path}: the pixels of x_{part} lie between {low:g} and {high:g}: expected whole "
            "numbers from 0 to 255, or numbers from 0 to 1"
        )
    labels = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if labels.shape != (len(x),) or labels.dtype.kind not in "ui" or labels.min() < 0:
        raise UserError(
            f"{path}: y_{part} is a {y.dtype} array of shape {y.shape}: expected one label for "
            f"each of the {len(x):,} images, a whole number from 0 up"
        )
    return images.astype(np.float32) / most, labels.astype(np.int64)
