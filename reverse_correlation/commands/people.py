"""Forced choice for people: a page that asks them, and what they and a network look for."""

import dataclasses

import numpy as np

from reverse_correlation.commands.flags import how_to_repeat
from reverse_correlation.commands.running import check_writable
from reverse_correlation.errors import UserError
from reverse_correlation.figures.image_files import save_table
from reverse_correlation.figures.style import save
from reverse_correlation.observers.network_files import read_observer
from reverse_correlation.people.answers import read_answers
from reverse_correlation.people.conditions import difference_of
from reverse_correlation.people.exclusion import without_excluded
from reverse_correlation.people.figure import draw_difference, draw_people
from reverse_correlation.people.files import write_people
from reverse_correlation.people.groups import (
    draw_over_participants,
    over_participants,
    print_over_participants,
)
from reverse_correlation.people.observers import StudyResult, classes_of, participants_of
from reverse_correlation.people.page import NO_TEXTS, page_megabytes, write_page
from reverse_correlation.people.page_texts import read_page_texts
from reverse_correlation.people.prediction import prediction_rows, print_predictions
from reverse_correlation.people.study import Study, load_studies
from reverse_correlation.people.tables import (
    difference_row,
    network_rows,
    of_no_study,
    person_rows,
    print_difference,
    print_network,
    print_people,
    print_regions,
    what_was_left_out,
)
from reverse_correlation.report.tables import write_tables
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
LARGE_PAGE = 30  # MB, above which a page is announced before it is written


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
    texts = read_page_texts(settings.text) if settings.text else NO_TEXTS
    size = page_megabytes(study, texts)
    if size > LARGE_PAGE:
        print(
            f"the page will have {size:,.0f} MB, which a browser takes long to open: a smaller "
            "--size or fewer --trials make it smaller"
        )
    clipped = write_page(study, path, settings.pause, texts)
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
    beside = [path.parent / "study.npz" for path in settings.files]
    files = settings.study or [path for path in beside if path.exists()] or beside[:1]
    studies = load_studies(files)
    if len(studies) > 1 and not settings.out:
        raise UserError("the answers are of several conditions: say by --out where results go")
    out = settings.out or files[0].parent
    for folder in ("measurements", "images"):
        check_writable(out / folder)
    mask = read_mask(settings.mask, studies[0].noise.shape) if settings.mask else None
    results, notes = results_of(studies, settings)
    difference = difference_of(*results) if len(results) == 2 else None
    if settings.model:
        results = judged_by_network(results, settings)
    shared, rows = [over_participants(r) if r.group else None for r in results], {}
    for result, found in zip(results, shared, strict=True):
        for name, of_result in print_result(result, found, settings.smooth, mask).items():
            rows[name] = rows.get(name, []) + of_result
    if difference:
        print_difference(difference)
        rows["people"].append(difference_row(difference))
    elif len(results) > 2:
        print("\ndifferences are those of two conditions: read two of them to see theirs")
    if earlier := write_people(results, difference, out):
        print(f"\nof an earlier reading, not of this one: {', '.join(earlier)} in measurements")
    write_rows(rows, out, notes, settings)
    return draw(results, shared, difference, out)


def results_of(studies, settings):
    """Read and measure the participants of each study: (StudyResults, what is to be said first)."""
    answers = read_answers(settings.files, studies, settings.incomplete)
    limits = settings.exclude_faster, settings.exclude_early
    kept, excluded = without_excluded(answers, *limits)
    notes = [*of_no_study(answers), *what_was_left_out(excluded, *limits)]
    print(*notes, sep="\n", end="\n" * bool(notes))
    return [StudyResult(s, *participants_of(kept[s.condition], s)) for s in studies], notes


def judged_by_network(results, settings):
    """Return StudyResults with the classes of the network that ReadSettings name."""
    (low, high), name = settings.input_range, settings.model.name
    sides = results[0].study.noise.shape[:2]
    network = read_observer(settings.model, **settings.reading, otherwise=sides)
    print(f"{name}: is shown pixels from {low:g} (black) to {high:g} (white)")
    judged = []
    for result in results:
        classes = classes_of(network, result.study, (low, high), settings.class_names)
        judged.append(dataclasses.replace(result, classes=classes, network=settings.model))
    return judged


def print_result(result, shared, smooth, mask):
    """Print what is found in a StudyResult, and its GroupImage; return its tables, {name: rows}."""
    rows = {
        "people": person_rows(result),
        "prediction": prediction_rows(result),
        "network": network_rows(result),
    }
    print_people(result, rows["people"])
    print_regions(result, smooth, mask)
    print_predictions(rows["prediction"], len(result.participants))
    if result.classes:
        print_network(result, rows["network"])
    if shared:
        print_over_participants(result, shared)
    return {name: table for name, table in rows.items() if table}


def write_rows(tables, out, notes, settings):
    """Write {name: rows, which are dataclasses}, each to NAME.csv, and all to people.json."""
    written = {}
    for name, rows in tables.items():
        save_table(rows, out / f"{name}.csv")
        head = [field.name for field in dataclasses.fields(rows[0])]
        written[name] = [head, *(in_json(dataclasses.astuple(row)) for row in rows)]
    command, _ = how_to_repeat("python -m reverse_correlation people read", settings)
    write_tables(written, out / "people.json", command, notes)


def in_json(values):
    """Return numbers and texts as JSON has them: what is not finite, or not known, is None."""
    return [None if value in (np.inf, -np.inf) or value != value else value for value in values]


def draw(results, shared, difference, out):
    """Draw StudyResults, their GroupImages, and the difference of two; return the last path."""
    drawn = {}
    for result, found in zip(results, shared, strict=True):
        of_which = f"_{result.study.condition}" * (len(results) > 1)
        if found:
            drawn[f"group{of_which}.png"] = draw_over_participants(result, found)
        drawn[f"people{of_which}.png"] = draw_people(result)
    if difference:
        drawn["difference.png"] = draw_difference(difference)
    paths = [save(figure, out / name) for name, figure in drawn.items()]
    print("", *paths, sep="\n")
    return paths[-1]
