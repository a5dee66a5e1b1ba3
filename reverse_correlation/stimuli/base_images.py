"""The image about which noise is shown, as named on the command line: a number or a file."""

import struct

import numpy as np
from PIL import Image, ImageOps

from reverse_correlation.errors import UserError

BITS_PER_SAMPLE, PHOTOMETRIC, WHITE_IS_ZERO = 258, 262, 0  # tags of a TIFF, and a value
BLACK_TO, WHITE_FROM, MOST_GREY = 63, 192, 0.1  # of a mask: levels, and the share in between
WHITE_IS_65535 = ("PNG", "PPM", "JPEG2000")  # formats that say so, of grey in 16 bits
# what opening a damaged or very large image raises
UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    struct.error,
    Image.DecompressionBombError,
)


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
    """Return the (width, height) of an image file as it is seen, and whether it is in colour."""
    picture, coloured, _ = _opened(path)
    return picture.size, coloured


def size_of_base(base):
    """Return the (height, width) of the image file that a base names; () if it names none."""
    return look_at_image(base)[0][::-1] if is_image_file(base) else ()


def read_image(path, shape):
    """Read an image file as it is seen, resized to a shape, in [0, 1]: (h, w, c) float32.

    Raises:
        UserError: if it cannot be read, or does not have the same channels.
    """
    height, width, channels = shape
    picture, coloured, remarks = _opened(path)
    if channels not in (1, 3) or (coloured and channels == 1):
        has = "in colour" if coloured else "grey"
        raise UserError(
            f"the base {path} is {has}, but the observer takes {channels} channel"
            f"{'s' if channels > 1 else ''}: give an image with as many channels"
        )
    if picture.size != (width, height):
        before = f"{picture.width} x {picture.height}"
        remarks.append(f"was resized from {before} to {width} x {height}")
    for remark in remarks:
        print(f"base: {path} {remark}")
    picture = picture.convert("L" if channels == 1 else "RGB")
    picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(picture, np.float32).reshape(shape) / 255


def read_mask(path, shape):
    """Read a mask for images of a shape (h, w, c), as it is seen, white inside: (h, w) bool.

    Raises:
        UserError: if it cannot be read, has another size, is not black and white, or is all of one.
    """
    picture, _, remarks = _opened(path, "mask", "")
    for remark in remarks:
        print(f"mask: {path} {remark}")
    grey = np.asarray(picture.convert("L"))
    if np.mean((grey > BLACK_TO) & (grey < WHITE_FROM)) > MOST_GREY:
        raise UserError(
            f"the mask {path} is not black and white, but has much grey: paint what counts white, "
            "and the rest black"
        )
    return checked_mask(grey >= 128, shape, f"the mask {path}")


def checked_mask(mask, shape, name="the mask"):
    """Return a mask for images of a shape (h, w, c): (h, w) bool.

    Raises:
        UserError: if it has another size, or holds no pixel or all.
    """
    mask = np.asarray(mask) != 0
    if mask.shape != tuple(shape[:2]):
        has, wanted = (" x ".join(map(str, size)) for size in (mask.shape, shape[:2]))
        raise UserError(
            f"{name} is {has} pixels, but the images are {wanted}: give one of that size"
        )
    if mask.all() or not mask.any():
        held = "every pixel" if mask.all() else "no pixel"
        raise UserError(f"{name} holds {held}: mark (in white) what you ask about, or leave it out")
    return mask


def _opened(path, what="base", instead="a number, mean, or "):
    """Return an image file as it is seen.

    Args:
        path: of the file.
        what: it is called; and what might be given instead of an image, for errors.

    Returns:
        (PIL image, L or RGB; whether it is in colour; what should be said of it, [text]).
    """
    try:
        # opened here, since Pillow scrambles turned TIFFs that it opens by their name
        with open(path, "rb") as file, Image.open(file) as stored:
            picture, remarks = _eight_bits(ImageOps.exif_transpose(stored), stored, path)
            if getattr(stored, "n_frames", 1) > 1:
                remarks.append(f"holds {stored.n_frames} pictures, of which the first is shown")
            picture = _on_white(picture, remarks)
    except UserError:
        raise
    except FileNotFoundError as error:
        raise UserError(f"there is no file {path}: give {instead}an image") from error
    except UNREADABLE as error:
        raise UserError(
            f"the {what} {path} cannot be read as an image ({error}): give {instead}a PNG or JPEG "
            "file"
        ) from error
    coloured = picture.mode == "RGB" and np.ptp(np.asarray(picture), axis=2).any()
    return picture, bool(coloured), remarks


def _eight_bits(picture, stored, path):
    """Return an upright image in 8 bits a channel, and what should be said of it.

    Raises:
        UserError: if the file holds numbers, and does not tell which of them is white.
    """
    tags = getattr(stored, "tag_v2", {})  # of a TIFF
    bits, remarks = int(np.max(tags.get(BITS_PER_SAMPLE, 16))), []
    integers, floats = picture.mode.startswith("I"), picture.mode == "F"
    if not (integers or floats or tags and bits == 16):
        return picture, remarks
    values = np.asarray(picture, np.float64)
    least, most = values.min(), values.max()
    white = 1 if floats else 2**bits - 1 if integers else 255  # PIL keeps 8 of 16 bits of colours
    known = least >= 0 and most <= white
    if floats:
        remarks.append(f"holds numbers from {least:.2g} to {most:.2g}: 0 is shown black, 1 white")
    elif bits >= 16 and stored.format not in WHITE_IS_65535:
        known &= bits == 16 and most > white / 2  # cameras store 10 to 14 bits in 16
    if not known:
        raise UserError(
            f"the base {path} holds numbers from {least:g} to {most:g}, and does not tell which "
            "are black and white: save it as it should be seen, as an 8-bit PNG, or as numbers "
            "from 0 (black) to 1 (white)"
        )
    if not (integers or floats):
        return picture, remarks
    seen = white - values if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO else values
    grey = Image.fromarray(np.uint8(np.round(255 * seen / white)))
    if "transparency" in picture.info:
        opaque = values != picture.info["transparency"]
        grey.putalpha(Image.fromarray(np.uint8(255 * opaque)))
    return grey, remarks


def _on_white(picture, remarks):
    """Return an image as L or RGB; what is transparent is laid on white, and that is remarked."""
    if picture.mode in ("1", "L") and "transparency" not in picture.info:
        return picture.convert("L")
    if "transparency" not in picture.info and not set("Aa") & set(picture.getbands()):
        return picture.convert("RGB")
    picture = picture.convert("RGBA")
    share = np.mean(np.asarray(picture)[..., 3] < 255)
    if share:
        remarks.append(f"is transparent in {share:.1%} of its pixels, which are laid on white")
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
