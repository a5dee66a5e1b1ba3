"""The image about which noise is shown, as named on the command line: a number or a file."""

import numpy as np
from PIL import Image, UnidentifiedImageError

from reverse_correlation.errors import UserError


def read_base(text, shape, input_range, mean_image=None):
    """Read the base that `--base` names; if an image file has to be resized, say so.

    Args:
        text: a number, "mean", the path of an image file, or "" for the default base.
        shape: (h, w, c) of the observer's images.
        input_range: (low, high), the values of black and white.
        mean_image: (h, w, c), the mean training image, in [0, 1]; None without a data set.

    Returns:
        (base, title): a number, an array (h, w, c) or None; and what it is called.

    Raises:
        UserError: if the text is something else, or the image does not fit the observer.
    """
    low, high = input_range
    if not text:
        return None, ""
    if text == "mean":
        if mean_image is None:
            raise UserError(
                "--base mean is the mean training image: give labelled images with --images FILE"
            )
        return low + (high - low) * mean_image, "the mean training image"
    if is_image_file(text):
        return low + (high - low) * read_image(text, shape), str(text).rpartition("/")[2]
    return float(text), f"grey {float(text):g}"


def is_image_file(base):
    """Return whether a base names an image file: it is not a number, "mean" or ""."""
    try:
        float(base)
    except ValueError:
        return base not in ("", "mean")
    return False


def look_at_image(path):
    """Return the (width, height) of an image file, and whether it is in colour."""
    picture, coloured = _opened(path)
    return picture.size, coloured


def read_image(path, shape):
    """Read an image file, resized to a shape, in [0, 1]: (h, w, c) float32.

    Raises:
        UserError: if it cannot be read, or does not have the same channels.
    """
    height, width, channels = shape
    picture, coloured = _opened(path)
    if channels not in (1, 3) or (coloured and channels == 1):
        has = "in colour" if coloured else "grey"
        raise UserError(
            f"the base {path} is {has}, but the observer takes {channels} channel"
            f"{'s' if channels > 1 else ''}: give an image with as many channels"
        )
    if picture.size != (width, height):
        before = f"{picture.width} x {picture.height}"
        print(f"base: {path} was resized from {before} to {width} x {height}")
    picture = picture.convert("L" if channels == 1 else "RGB")
    picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(picture, np.float32).reshape(shape) / 255


def _opened(path):
    """Return an image file as a PIL image, grey or RGB, and whether it is in colour."""
    try:
        with Image.open(path) as picture:
            if picture.mode.startswith("I"):  # 16-bit grey, which PIL would clip to 8 bits
                return Image.fromarray((np.asarray(picture) / 257).astype(np.uint8)), False
            picture = picture.convert("RGB" if picture.mode in ("P", "RGBA", "CMYK") else None)
            coloured = len(picture.getbands()) >= 3 and np.ptp(np.asarray(picture), axis=2).any()
            return picture, bool(coloured)
    except FileNotFoundError as error:
        raise UserError(f"there is no file {path}: give a number, mean, or an image") from error
    except (OSError, UnidentifiedImageError) as error:
        raise UserError(
            f"the base {path} cannot be read as an image ({error}): give a number, mean, or a "
            "PNG or JPEG file"
        ) from error
