"""Forced choice for people: a page that asks them, and what they and a network look for.

python people.py make --base face.png --size 64 --question "Which looks happier?" --out study
python people.py read study/*.csv
python people.py read study/*.csv --model fer.keras --input-range -1 1    # side by side

`make` writes study/study.html, which runs in a browser, offline, and study/study.npz. Each
participant's CSV file, which the page downloads, goes into the same folder.
"""

import sys

from command_line import check_writable, exit_code, read_people_settings
from reverse_correlation.backend import import_tensorflow_quietly
from settings import MakeSettings, ReadSettings

# ---------------------------------------------------------------------------------------------
# The defaults of the flags of `make` of the same name.
TRIALS = 300  # pairs that each participant judges; human studies take 300 to 1,000
QUESTION = "Which of the two looks more like a face?"
NOISE_KIND = "sinusoid"  # patches of sinusoids, as people are usually shown
CONTRAST = 0.08  # of a pixel, as a share of the range; a face stays visible, as in human studies
BASE = ""  # an image file, a number, or "mean"; "": grey
SIZE = (128, 128)  # of pictures about grey, in pixels
PAUSE = 50  # trials between two breaks
CONDITION = "main"
SEED = 0
LARGEST = 256  # side of a picture, in pixels, where no size is asked for
LEAST_NUMBERS = 200  # of sinusoid patches a trial: those of scales 1, 2 and 4 are 252
MUCH_CLIPPED = 0.1  # of the pixels
# ---------------------------------------------------------------------------------------------

MAKE = MakeSettings(BASE, SIZE, TRIALS, QUESTION, CONDITION, PAUSE, NOISE_KIND, CONTRAST, SEED)
READ = ReadSettings(())

if __name__ == "__main__":  # read before the imports below, which take seconds
    SETTINGS = read_people_settings(None, MAKE, READ, __doc__)
    import_tensorflow_quietly()

import re

import numpy as np

import data
import figures
from people_summary import Judge, draw_people, print_network, print_people
from reverse_correlation import (
    Network,
    Observer,
    UserError,
    load_any_network,
    measure_choices,
)
from reverse_correlation.people.choices import network_choices
from study import Study, read_choices, write_page
from subjects import (
    ensemble,
    is_image_file,
    look_at_image,
    normalised,
    read_base,
    shape_of,
)


def main(settings):
    """Make a study or read its choices, as the settings say; return the path of what was made."""
    return make(settings) if isinstance(settings, MakeSettings) else read(settings)


# --------------------------------------------------------------------------- make


def make(settings):
    """Write a study's page and file; return the path of the page."""
    check_writable(settings.out)
    images = data.load_data(settings.dataset)[0][0] if settings.dataset else None
    shape = picture_shape(settings, images)
    mean = None if images is None else images.mean(axis=0)
    base, _ = read_base(settings.base, shape, (0.0, 1.0), mean)
    if np.ndim(base) == 0 and base is not None and not 0 <= base <= 1:
        raise UserError(f"the base {base:g} is no grey: it lies from 0 (black) to 1 (white)")
    contrast = None if settings.noise_kind == "gabor" else settings.contrast
    noise = ensemble(settings.noise_kind, shape, (0.0, 1.0), base, contrast, images)
    numbers = int(np.prod(noise.coordinates))
    if settings.noise_kind == "sinusoid" and numbers < LEAST_NUMBERS:
        raise UserError(
            f"pictures of {shape[0]} x {shape[1]} have sinusoid patches of too few scales "
            f"({numbers} numbers a trial): take a --size that 16 divides, such as 64, or "
            "--noise-kind pink"
        )
    study = Study(noise, settings.seed, settings.trials, settings.question, settings.condition)
    path, file = settings.out / "study.html", settings.out / "study.npz"
    if file.exists() and Study.load(file).id != study.id:
        raise UserError(
            f"{settings.out} has another study, whose answers would be lost with {file}: choose "
            "another --out"
        )
    clipped = write_page(study, path, settings.pause)
    study.save(file)
    print(
        f"study {study.id}: {study.trials:,} pairs of {shape[0]} x {shape[1]} pixels, base plus "
        f"and minus {noise.title} noise of {numbers:,} numbers, seed {study.seed}; {clipped:.1%} "
        f"of the pixels are clipped\n{path} ({path.stat().st_size / 1e6:.1f} MB): open it in a "
        f"browser; keep the CSV files that it downloads beside {file}"
    )
    if clipped > MUCH_CLIPPED:
        print(
            f"{clipped:.0%} clipped is much, since people do not see that part of the noise: take "
            "a smaller --contrast or a base that is less dark or bright"
        )
    return path


def picture_shape(settings, images):
    """Return the shape (h, w, c) of a study's pictures.

    Raises:
        UserError: if the base image cannot be read, or the data set has another size.
    """
    if images is not None:
        if settings.size not in (None, images.shape[1:3]):
            raise UserError(f"images of {settings.dataset} are 28 x 28: leave --size out")
        return images.shape[1:]
    if not is_image_file(settings.base):
        return (*(settings.size or MAKE.size), 1)
    (width, height), coloured = look_at_image(settings.base)
    size = settings.size or fitting_size(height, width, settings.noise_kind)
    return (*size, 3 if coloured else 1)


def fitting_size(height, width, noise_kind):
    """Return the (height, width) to which a base image is brought where no size is asked for.

    Its own, at most LARGEST; for sinusoid patches, if three scales of them do not fit, sides of the
    next multiples of 16.
    """
    shrink = min(1, LARGEST / max(height, width))
    size = [max(4, round(side * shrink)) for side in (height, width)]
    if noise_kind == "sinusoid" and (min(size) < 16 or any(side % 4 for side in size)):
        size = [max(16, 16 * round(side / 16)) for side in size]
    return tuple(size)


# --------------------------------------------------------------------------- read


def read(settings):
    """Measure participants, and a network on the same trials; return the path of the figure."""
    for path in settings.files:
        if not path.is_file():
            raise UserError(f"there is no file {path}: name the CSV files of choices")
    file = settings.study or settings.files[0].parent / "study.npz"
    study = Study.load(file)
    out = settings.out or file.parent
    check_writable(out / "measurements")
    answers = read_choices(settings.files, study)
    people = [
        judge(name, np.array([answer.response for answer in given]), study)
        for name, given in answers.items()
    ]
    group = None
    if len(people) > 1:
        means = np.mean([person.choices for person in people], axis=0)
        group = judge("all participants", means, study)
    classes = network_judges(settings, study) if settings.model else []
    everyone = [*people, *filter(None, [group])]
    for each, stem in zip(everyone, file_stems([each.name for each in everyone]), strict=True):
        each.measurement.save(out / "measurements" / f"{stem}.npz")
    print_people(people, group, answers, study)
    if classes:
        print_network(classes, people, group, settings.model)
    figure = draw_people(people, group, classes, study, settings.model)
    path = figures.save(figure, out / "people.png")
    print(f"\n{path}")
    return path


def file_stems(names):
    """Return stems of file names, letters, digits, - and _, no two of them alike in any case."""
    stems = [re.sub(r"[^A-Za-z0-9_-]", "_", name)[:60] for name in names]
    if len({stem.casefold() for stem in stems}) < len(stems):
        stems = [f"{i + 1}_{stem}" for i, stem in enumerate(stems)]
    return stems


def judge(name, choices, study):
    """Measure one observer's choices: a Judge."""
    measurement = measure_choices(choices, study.noise, seed=study.seed, name=name)
    return Judge(name, choices, measurement)


def network_judges(settings, study):
    """Let a network judge the trials: a Judge for each of its classes.

    Raises:
        UserError: if it takes other images, or has other classes than were named.
    """
    model, shape = load_any_network(settings.model, settings.channels), study.noise.shape
    low, high = settings.input_range
    print(f"{settings.model.name}: is shown pixels from {low:g} (black) to {high:g} (white)")
    if shape_of(model, settings.model) != shape:
        taken = " x ".join(map(str, shape_of(model, settings.model)))
        raise UserError(
            f"{settings.model} takes images of {taken}, but the study's are "
            f"{' x '.join(map(str, shape))}: make a study of the network's --size and colours"
        )
    if settings.input_mean:
        model = normalised(model, shape, settings.input_mean, settings.input_std)
    if not isinstance(model, Observer):
        model = Network(model, name=settings.model.stem)
    chosen = network_choices(model, study.noise, study.numbers, settings.input_range)
    names = settings.class_names or tuple(map(str, range(chosen.shape[1])))
    if len(names) != chosen.shape[1]:
        raise UserError(
            f"{len(names)} class names for {chosen.shape[1]} classes: give one each, in the order "
            "of the network's outputs"
        )
    return [judge(name, choices, study) for name, choices in zip(names, chosen.T, strict=True)]


def run(arguments=None):
    """Read a command line and run; return the exit code."""
    settings = read_people_settings(arguments, MAKE, READ, __doc__)
    return exit_code("people.py", lambda: main(settings), goes_on=False)


if __name__ == "__main__":
    sys.exit(exit_code("people.py", lambda: main(SETTINGS), goes_on=False))
