"""An image file is read as it is seen, however it is stored."""

import numpy as np
import pytest
from PIL import Image

from reverse_correlation import UserError
from reverse_correlation.stimuli.base_images import look_at_image, read_image

GREY = np.full((48, 32), 255, np.uint8)  # dark above, with a bright square above left; then white
GREY[:16], GREY[4:12, 2:10] = 40, 250
DRAWING = np.dstack([GREY, GREY // 2 + 128, 255 - GREY // 3])
DRAWING[16:] = 255
SIXTEEN = GREY * np.uint16(257)
TURNS = {3: 2, 6: 1, 8: 3}  # quarter turns to the left that make what is stored, by orientation


def as_is(values, mode=None, **options):
    return lambda path: Image.fromarray(np.ascontiguousarray(values), mode).save(path, **options)


def turned(values, orientation, **options):
    exif = Image.Exif()
    exif[274] = orientation
    return as_is(np.rot90(values, TURNS[orientation]), exif=exif, **options)


def see_through(values):
    """Nothing is drawn below, where there are black pixels that no viewer shows."""
    values = values.reshape(48, 32, -1).copy()
    values[16:] = 0
    alpha = np.where(np.arange(48) < 16, np.uint8(255), np.uint8(0))
    return as_is(np.dstack([values, np.tile(alpha[:, None], 32)]))


GREYS = {
    "grey.png": as_is(GREY),
    "grey_in_three.bmp": as_is(np.dstack([GREY] * 3)),
    "turned.png": turned(GREY, 6),
    "half_turned.tif": turned(GREY, 3),
    "sixteen.png": as_is(SIXTEEN),
    "turned.tif": turned(GREY, 8),
    "sixteen_turned.tif": turned(SIXTEEN, 6),
    "sixteen_transparent.png": as_is(np.where(SIXTEEN == 65535, 77, SIXTEEN), transparency=77),
    "sixteen_white_is_zero.tif": as_is(65535 - SIXTEEN, tiffinfo={262: 0}),
    "floats_turned.tif": turned(np.float32(GREY / 255), 6),
    "floats.tif": as_is(np.float32(GREY / 255)),
    "alpha.png": see_through(GREY),
    "palette.gif": lambda path: Image.fromarray(GREY).convert("P").save(path),
    "cmyk.tif": as_is(np.dstack([0 * DRAWING, 255 - GREY]), "CMYK"),
}
COLOURS = {
    "colour.webp": as_is(DRAWING, lossless=True),
    "turned_left.png": turned(DRAWING, 8),
    "transparent.png": see_through(DRAWING),
    "palette.png": lambda path: Image.fromarray(DRAWING).quantize(8).save(path),
    "colour_cmyk.tif": lambda path: Image.fromarray(DRAWING).convert("CMYK").save(path),
}


@pytest.mark.parametrize("name", [*GREYS, *COLOURS])
def test_one_drawing_is_the_same_base_however_it_is_stored(name, tmp_path):
    path, coloured = tmp_path / name, name not in GREYS
    (COLOURS if coloured else GREYS)[name](path)
    drawing = DRAWING if coloured else GREY[..., None]
    assert look_at_image(path) == ((32, 48), coloured)
    assert np.abs(read_image(path, drawing.shape) - drawing / 255).max() <= 1.01 / 255


@pytest.mark.parametrize("mode", ["RGB", "CMYK", "L"])
def test_a_photograph_held_upright_is_upright(mode, tmp_path):
    path = tmp_path / "phone.jpg"
    exif = Image.Exif()
    exif[274] = 6
    stored = Image.fromarray(np.dstack([GREY] * 3)).convert(mode).rotate(90, expand=True)
    stored.save(path, quality=95, exif=exif)
    assert np.abs(read_image(path, (48, 32, 3)) - GREY[..., None] / 255).max() < 8 / 255


def test_one_bit_is_black_and_white(tmp_path):
    Image.fromarray(GREY > 100).save(tmp_path / "one.png")
    assert np.array_equal(read_image(tmp_path / "one.png", (48, 32, 1))[..., 0], GREY > 100)


TWELVE = GREY.astype(np.uint16) * 16


@pytest.mark.parametrize(
    "values", [TWELVE, np.int32(TWELVE), np.float32(GREY), np.float32(GREY / 127.5 - 1)]
)
def test_numbers_of_which_none_is_known_to_be_white_are_refused(values, tmp_path):
    as_is(values)(tmp_path / "microscope.tif")
    with pytest.raises(UserError, match=r"does not tell which are black and white: save it as"):
        read_image(tmp_path / "microscope.tif", (48, 32, 1))


def tiff_of_colours(path, values):
    """Write a TIFF of 16-bit colours, (h, w, 3), in one strip, which Pillow cannot."""
    height, width, _ = values.shape
    data = values.astype("<u2").tobytes()
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 3, 8), (259, 3, 1, 1), (262, 3, 1, 2)]
    tags += [(273, 4, 1, 14), (277, 3, 1, 3), (278, 4, 1, height), (279, 4, 1, len(data))]
    head = b"II*\0" + (14 + len(data)).to_bytes(4, "little") + 3 * (16).to_bytes(2, "little")
    listed = b"".join(
        b"".join(n.to_bytes(size, "little") for n, size in zip(tag, (2, 2, 4, 4), strict=True))
        for tag in tags
    )
    path.write_bytes(head + data + len(tags).to_bytes(2, "little") + listed + bytes(4))


def test_colours_of_sixteen_bits_are_read_and_of_twelve_in_sixteen_refused(tmp_path):
    tiff_of_colours(tmp_path / "sixteen.tif", DRAWING * np.uint16(257))
    tiff_of_colours(tmp_path / "twelve.tif", DRAWING * np.uint16(16))
    read = read_image(tmp_path / "sixteen.tif", (48, 32, 3))
    assert np.abs(read - DRAWING / 255).max() <= 1.01 / 255
    with pytest.raises(UserError, match="does not tell which are black and white"):
        read_image(tmp_path / "twelve.tif", (48, 32, 3))


@pytest.mark.parametrize(
    ("save", "remark"),
    [
        (see_through(DRAWING), "is transparent in 66.7% of its pixels, which are laid on white"),
        (as_is(np.float32(GREY / 255)), "holds numbers from 0.16 to 1: 0 is shown black, 1 white"),
    ],
)
def test_what_was_assumed_of_a_base_is_said(save, remark, tmp_path, capsys):
    path = tmp_path / "face.tif"
    save(path)
    read_image(path, (48, 32, 3))
    assert f"base: {path} {remark}" in capsys.readouterr().out


def test_of_several_pictures_the_first_is_shown_and_that_is_said(tmp_path, capsys):
    frames = [Image.fromarray(values) for values in (GREY, 255 - GREY)]
    frames[0].save(tmp_path / "two.tif", save_all=True, append_images=frames[1:])
    assert np.array_equal(
        read_image(tmp_path / "two.tif", (48, 32, 1))[..., 0], GREY / np.float32(255)
    )
    assert "holds 2 pictures, of which the first is shown" in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"a text", b"\x89PNG\r\n\x1a\n" + bytes(99)])
def test_a_file_that_is_not_an_image_is_refused_in_a_sentence(content, tmp_path):
    (tmp_path / "face.png").write_bytes(content)
    with pytest.raises(UserError, match="cannot be read as an image"):
        read_image(tmp_path / "face.png", (48, 32, 1))


def test_an_image_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    as_is(GREY)(tmp_path / "face.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    with pytest.raises(UserError, match="cannot be read as an image"):
        read_image(tmp_path / "face.png", (48, 32, 1))
