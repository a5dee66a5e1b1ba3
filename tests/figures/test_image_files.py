"""Class images as files: what each pixel, array and row of the table must be."""

import csv

import numpy as np
import pytest
from helpers import show
from PIL import Image
from small_observers import observer

from reverse_correlation import FileError, UserError
from reverse_correlation.figures.image_files import in_squares, signed_picture

NAMES = ("a", "../b", "c/d e")


@pytest.fixture(scope="module")
def measurement():
    """Of three classes of images (4, 5, 1), of which the last is never answered."""
    weights = np.random.default_rng(0).normal(size=(4, 5, 1, 3))
    return show(observer(weights, [0, 0, -1000]), 4096)


def test_every_class_image_is_written_and_its_path_returned(measurement, tmp_path):
    paths = measurement.save_images(tmp_path / "new" / "folder", NAMES)
    folder = tmp_path / "new" / "folder"
    assert sorted(paths) == sorted(folder.iterdir()) and len(paths) == len(set(paths))
    choice = ["choice.npy", "choice_0_a.png", "choice_1____b.png", "choice_2_c_d_e.png"]
    assert [path.name for path in paths][:4] == choice and paths[-1].name == "table.csv"
    decisions = [path.name for path in paths if path.stem.startswith("decision")]
    assert decisions == ["decision.npy", "decision_0_a.png", "decision_1____b.png"]
    for response, estimate in measurement.classes.items():
        assert np.array_equal(np.load(folder / f"{response}.npy"), estimate.covariance)


def test_the_name_of_a_file_has_no_name_that_is_the_number(measurement, tmp_path):
    assert measurement.save_images(tmp_path)[1].name == "choice_0.png"


def test_a_picture_is_red_where_its_image_is_positive_a_square_a_pixel(measurement, tmp_path):
    measurement.save_images(tmp_path)
    image = measurement.classes["logit"].covariance[1, ..., 0]
    pixels = np.asarray(Image.open(tmp_path / "logit_1.png")).astype(int)
    assert pixels.shape == (256, 320, 3)
    squares = pixels.reshape(4, 64, 5, 64, 3)
    assert (squares == squares[:, :1, :, :1]).all()
    red, blue = squares[:, 0, :, 0, 0], squares[:, 0, :, 0, 2]
    clear = np.abs(image) > 0.05 * np.abs(image).max()
    assert np.array_equal((red > blue)[clear], (image > 0)[clear])


def test_the_ends_and_the_middle_of_a_picture_s_colours():
    one = signed_picture(np.array([[[-2.0], [0.0], [2.0]]]))[0]
    assert one.tolist() == [[5, 48, 97], [247, 247, 247], [103, 0, 31]]  # of RdBu
    colour = signed_picture(np.array([[[4.0, 0.0, -4.0]]]))[0, 0]
    assert colour.tolist() == [255, 128, 0]


@pytest.mark.parametrize(
    "shape, drawn",
    [
        ((28, 28), (280, 280)),
        ((1, 7), (256, 1792)),
        ((300, 400), (300, 400)),
        ((1, 5000), (1, 5000)),
        ((1, 100), (81, 8100)),
    ],
)
def test_both_sides_have_256_pixels_unless_the_image_is_a_stripe(shape, drawn):
    assert in_squares(np.zeros((*shape, 3), np.uint8)).shape == (*drawn, 3)


def test_the_table_has_a_row_for_every_response_and_class(measurement, tmp_path):
    measurement.save_images(tmp_path, NAMES)
    with open(tmp_path / "table.csv", newline="", encoding="utf-8") as file:
        found = {(row["response"], row["name"]): row for row in csv.DictReader(file)}
    assert len(found) == 12
    for response in measurement.classes:
        for row in measurement.summary(response, NAMES).rows:
            kept = found[response, row.name]
            assert kept["answered"] == str(row.answered)
            for field in ("reliability", "images_needed", "linear_low"):
                value = getattr(row, field)
                assert kept[field] == ("" if np.isnan(value) else repr(value))


def test_names_and_folders_that_cannot_be_are_refused(measurement, tmp_path):
    with pytest.raises(UserError, match="2 class names were given for 3 classes"):
        measurement.save_images(tmp_path, "ab")
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot write .*choice.npy"):
        measurement.save_images(tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
