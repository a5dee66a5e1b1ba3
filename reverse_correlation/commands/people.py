"""Forced choice for people: a page that asks them, and what they and a network look for."""

import numpy as np

from reverse_correlation.commands.running import check_writable
from reverse_correlation.errors import UserError
from reverse_correlation.figures.style import save
from reverse_correlation.files import safe_stem
from reverse_correlation.observers.network_files import read_observer
from reverse_correlation.people.answers import read_answers
from reverse_correlation.people.figure import draw_people
from reverse_correlation.people.groups import (
    draw_over_participants,
    over_participants,
    print_over_participants,
)
from reverse_correlation.people.observers import StudyResult, classes_of, participants_of
from reverse_correlation.people.page import write_page
from reverse_correlation.people.prediction import prediction_rows, print_predictions
from reverse_correlation.people.study import Study
from reverse_correlation.people.tables import print_network, print_people, print_regions
from reverse_correlation.stimuli.base_images import (
    is_image_file,
    look_at_image,
    read_base,
    read_mask,
)
from reverse_correlation.stimuli.catalogue import ensemble_of
from reverse_correlation.stimuli.labelled_images import read_labelled_images

GREY_SIZE = (128, 128)  # of pictures about grey, in pixels
LARGEST = 256  # side of a picture, in pixels, where no size is asked for
LEAST_NUMBERS = 200  # of sinusoid patches a trial: those of scales 1, 2 and 4 are 252
MUCH_CLIPPED = 0.1  # of the pixels


def make(settings):
    """Write a study's page and file, as MakeSettings say; return the path of the page."""
    check_writable(settings.out)
    noise = noise_of(settings)
    study = Study(noise, settings.seed, settings.trials, settings.question, settings.condition)
    path, file = settings.out / "study.html", settings.out / "study.npz"
    if file.exists() and Study.load(file).id != study.id:
        raise UserError(
            f"{settings.out} has another study, whose answers would be lost with {file}: choose "
            "another --out"
        )
    clipped = write_page(study, path, settings.pause)
    study.save(file)
    print_study(study, clipped, path, file)
    return path


def noise_of(settings):
    """Return the ensemble of the study that MakeSettings name.

    Raises:
        UserError: if there is none of that kind, base and size.
    """
    labelled = read_labelled_images(settings.images) if settings.images else None
    shape = picture_shape(settings, labelled)
    mean, images = (labelled.mean_image, labelled.train[0]) if labelled else (None, None)
    base, _ = read_base(settings.base, shape, (0.0, 1.0), mean)
    if np.ndim(base) == 0 and base is not None and not 0 <= base <= 1:
        raise UserError(f"--base {base:g} is not a grey, which goes from 0 (black) to 1 (white)")
    contrast = None if settings.noise_kind == "gabor" else settings.contrast
    # a session has fewer trials than a block of orthogonal numbers
    drawn = {"independent": True, "achromatic": settings.achromatic}
    noise = ensemble_of(settings.noise_kind, shape, (0.0, 1.0), base, contrast, images, **drawn)
    numbers = int(np.prod(noise.coordinates))
    if settings.noise_kind == "sinusoid" and numbers < LEAST_NUMBERS:
        raise UserError(
            f"pictures of {shape[0]} x {shape[1]} have sinusoid patches of too few scales "
            f"({numbers} numbers a trial): take a --size that 16 divides, such as 64, or "
            "--noise-kind pink"
        )
    return noise


def picture_shape(settings, labelled):
    """Return the shape (h, w, c) of the pictures that MakeSettings, and LabelledImages, name.

    Raises:
        UserError: if the base image cannot be read, or labelled images are not of that size.
    """
    size = (settings.size * 2)[:2]
    if labelled is not None:
        height, width, channels = labelled.train[0].shape[1:]
        if size not in ((), (height, width)):
            raise UserError(f"images of {labelled.name} are {height} x {width}: leave --size out")
        if channels not in (1, 3):
            raise UserError(
                f"images of {labelled.name} have {channels} channels: people are shown grey "
                "pictures, of 1 channel, or coloured ones, of 3"
            )
        return height, width, channels
    if not is_image_file(settings.base):
        return (*(size or GREY_SIZE), 1)
    (width, height), coloured = look_at_image(settings.base)
    size = size or fitting_size(height, width, settings.noise_kind)
    return (*size, 3 if coloured else 1)


def fitting_size(height, width, noise_kind):
    """Return the (height, width) of a base image where no size is asked for, at most LARGEST.

    If three scales of sinusoid patches do not fit, sides are the next multiples of 16.
    """
    shrink = min(1, LARGEST / max(height, width))
    size = [max(4, round(side * shrink)) for side in (height, width)]
    if noise_kind == "sinusoid" and (min(size) < 16 or any(side % 4 for side in size)):
        size = [max(16, 16 * round(side / 16)) for side in size]
    return tuple(size)


def print_study(study, clipped, path, file):
    """Print what a study shows, and what to do with its page and file."""
    height, width, _ = study.noise.shape
    print(
        f"study {study.id}: {study.trials:,} pairs of {height} x {width} pixels, base plus and "
        f"minus {study.noise.title} noise of {int(np.prod(study.noise.coordinates)):,} numbers, "
        f"seed {study.seed}; {clipped:.1%} of the pixels are clipped\n{path} "
        f"({path.stat().st_size / 1e6:.1f} MB): open it in a browser; keep the CSV files that it "
        f"downloads beside {file}"
    )
    if clipped > MUCH_CLIPPED:
        print(
            f"{clipped:.0%} clipped is much, since people do not see that part of the noise: take "
            "a smaller --contrast or a base that is less dark or bright"
        )


def read(settings):
    """Measure participants, and a network on their trials, as ReadSettings say: a figure's path."""
    for path in settings.files:
        if not path.is_file():
            raise UserError(f"there is no file {path}: name the CSV files of choices")
    file = settings.study or settings.files[0].parent / "study.npz"
    study = Study.load(file)
    mask = read_mask(settings.mask, study.noise.shape) if settings.mask else None
    out = settings.out or file.parent
    check_writable(out / "measurements")
    participants, group = participants_of(read_answers(settings.files, study), study)
    classes = ()
    if settings.model:
        (low, high), name = settings.input_range, settings.model.name
        sides = study.noise.shape[:2]
        network = read_observer(settings.model, **settings.reading, otherwise=sides)
        print(f"{name}: is shown pixels from {low:g} (black) to {high:g} (white)")
        classes = classes_of(network, study, (low, high), settings.class_names)
    result = StudyResult(study, participants, group, classes, settings.model)
    stems = file_stems([person.name for person in result.people])
    for person, stem in zip(result.people, stems, strict=True):
        person.measurement.save(out / f"measurements/{stem}.npz")
    print_people(result)
    print_regions(result, settings.smooth, mask)
    print_predictions(prediction_rows(result), len(participants))
    if classes:
        print_network(result)
    if result.group:
        found = over_participants(result)
        print_over_participants(result, found)
        print(f"\n{save(draw_over_participants(result, found), out / 'group.png')}")
    path = save(draw_people(result), out / "people.png")
    print(f"\n{path}")
    return path


def file_stems(names):
    """Return stems of file names, letters, digits, - and _, no two of them alike in any case."""
    stems = [safe_stem(name) for name in names]
    if len({stem.casefold() for stem in stems}) < len(stems):
        stems = [f"{i + 1}_{stem}" for i, stem in enumerate(stems)]
    return stems
