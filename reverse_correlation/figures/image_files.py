"""Class images as files: pictures a pixel a square, arrays, and their table."""

import csv
import dataclasses
import functools
import math
from pathlib import Path

import numpy as np
from PIL import Image

from reverse_correlation.figures.class_images import measured_responses
from reverse_correlation.figures.style import SIGNED, picture
from reverse_correlation.files import replacing, safe_stem

LEAST_SIDE = 256  # pixels of a picture, at least,
MOST_SIDE = 8192  # and at most, unless the image itself has more


def save_images(measurement, names, folder, tables):
    """Write the class images of a measurement, and tables of them; see its `save_images`.

    Args:
        measurement, folder: the Measurement, and where the files go.
        names: of the measured classes.
        tables: rows of dataclasses, one list a response.
    """
    folder, paths = Path(folder), []

    def write(name, content):
        path = folder / name
        with replacing(path) as part:
            folder.mkdir(parents=True, exist_ok=True)
            content(part)
        paths.append(path)

    for response in measured_responses(measurement):
        estimate = measurement.classes[response]
        write(f"{response}.npy", functools.partial(np.save, arr=estimate.covariance))
        numbers = measurement.class_indices
        for number, name, image in zip(numbers, names, estimate.image, strict=True):
            if np.isfinite(image).all():
                named = "" if name == str(number) else f"_{safe_stem(name)}"
                picture_of = functools.partial(_write_png, image)
                write(f"{response}_{number}{named}.png", picture_of)
    rows = [row for rows in tables for row in rows]
    write("table.csv", functools.partial(_write_rows, rows))
    return paths


def save_image(image, path):
    """Write an image (h, w, c), as a picture to PATH.png and as numbers to PATH.npy.

    One that is not finite has no picture.

    Args:
        path: without a suffix, in a folder that there is.
    """
    with replacing(f"{path}.npy") as part:
        np.save(part, image)
    if np.isfinite(image).all():
        with replacing(f"{path}.png") as part:
            _write_png(image, part)


def save_table(rows, path):
    """Write rows, dataclasses of one kind, to a CSV file with a heading; unknown numbers are empty.

    Raises:
        FileError: if it cannot be written.
    """
    with replacing(path) as part:
        _write_rows(rows, part)


def signed_picture(image):
    """Return an image (h, w, c) in units of its largest absolute value: (h, w, 3) uint8.

    Blue is negative, white 0 and red positive; three channels are red, green and blue about a
    middle grey.
    """
    values = picture(image[None])[0]
    values = values / max(np.abs(values).max(), np.finfo(float).tiny)
    colours = 0.5 + 0.5 * values
    if values.ndim == 2:
        colours = SIGNED(colours)[..., :3]
    return np.rint(255 * colours).astype(np.uint8)


def in_squares(pixels):
    """Return pixels (h, w, 3), each a square so large that both sides have 256 or more.

    Of an image that is much longer than wide, the squares are smaller, so that it stays in bounds.
    """
    least, most = min(pixels.shape[:2]), max(pixels.shape[:2])
    side = max(1, min(math.ceil(LEAST_SIDE / least), MOST_SIDE // most))
    return pixels.repeat(side, axis=0).repeat(side, axis=1)


def _write_png(image, path):
    Image.fromarray(in_squares(signed_picture(image))).save(path, optimize=True)


def _write_rows(rows, path):
    rows = [dataclasses.asdict(row) for row in rows]
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        for row in rows:
            writer.writerow({key: "" if value != value else value for key, value in row.items()})
