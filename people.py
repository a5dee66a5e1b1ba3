"""Forced choice for people: a page that asks them, and what they and a network look for.

python people.py make --base face.png --size 64 --question "Which looks happier?" --out study
python people.py read study/*.csv
python people.py read study/*.csv --model fer.keras --input-range -1 1    # side by side

`make` writes study/study.html, which runs in a browser without a network, and study/study.npz. Each
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
SCALED = 3  # of what a choice image adds to the base in the figure, in standard deviations of noise
LEAST_NUMBERS = 200  # of sinusoid patches a trial: those of scales 1, 2 and 4 are 252
MUCH_CLIPPED = 0.1  # of the pixels
SHOWN = 24  # participants, and classes of a network, in the figure
# ---------------------------------------------------------------------------------------------

MAKE = MakeSettings(BASE, SIZE, TRIALS, QUESTION, CONDITION, PAUSE, NOISE_KIND, CONTRAST, SEED)
READ = ReadSettings(())

if __name__ == "__main__":  # read before the imports below, which take seconds
    SETTINGS = read_people_settings(None, MAKE, READ, __doc__)
    import_tensorflow_quietly()

import dataclasses
import itertools
import re
import textwrap

import numpy as np

import data
import figures
from experiments.intervals import wilson_interval
from reverse_correlation import (
    Network,
    Observer,
    UserError,
    compare,
    load_any_network,
    measure_choices,
)
from reverse_correlation.agreement import intraclass
from reverse_correlation.choices import network_choices
from reverse_correlation.plots import (
    PICTURE,
    SIGN,
    Picture,
    empty,
    picture,
    show_class_image,
    signed_scale,
    styled,
    without_ticks,
)
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
    return (*(settings.size or (height, width)), 3 if coloured else 1)


# --------------------------------------------------------------------------- read


@dataclasses.dataclass(frozen=True)
class Judge:
    """Anyone who judged the trials of a study.

    Attributes:
        name: of a participant, "all participants", or a network's class.
        choices: (trials,) of 1 and -1; means of these for all participants.
        measurement: what they say.
    """

    name: str
    choices: np.ndarray
    measurement: object

    @property
    def estimate(self):
        """The Estimate of one choice image."""
        return self.measurement.classes["choice"]


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


# --------------------------------------------------------------------------- what was found


def print_people(people, group, answers, study):
    """Print what each participant's choice image is worth, and how far they agree."""
    noise = study.noise
    print(
        f'\n"{study.question}" {study.trials:,} pairs, base plus and minus {noise.title} noise, '
        f"seed {study.seed}; participants: {len(people)}"
    )
    print_line("", "plus", "left", "early", "median s", "reliability", "infoVal", "needs", "pixels")
    for each in [*people, *filter(None, [group])]:
        estimate = each.estimate
        given = answers.get(each.name, ()) if each is not group else ()
        times, early, left = (
            [value for value in values if value is not None]
            for values in (
                [answer.milliseconds for answer in given],
                [answer.early for answer in given],
                [answer.chose_left for answer in given],
            )
        )
        print_line(
            each.name,
            f"{np.mean(each.choices) / 2 + 0.5:.1%}",
            f"{np.mean(left):.1%}" if left else "-",
            f"{np.sum(early):.0f}" if early else "-",
            f"{np.median(times) / 1000:.2f}" if times else "-",
            number(estimate.reliability[0], "{:.3f}"),
            number(estimate.info_value[0], "{:.2f}"),
            number(estimate.images_needed()[0] / 2, "{:,.0f}"),  # trials, not stimuli
            f"{estimate.significant.sum():,} of {estimate.significant.size:,}",
        )
    print(
        "plus, left: how often base plus noise, and the left picture, was chosen; early: presses "
        "that were no\nanswers; reliability: split half, over even and odd stimulus numbers, for "
        "all trials; infoVal: 1.96 and\nabove is more than chance; needs: trials for a "
        "correlation of .9 with the truth; pixels: significant at\nfamily-wise 5 %"
    )
    if group is None:
        return
    found = compare([each.measurement for each in people])
    upper = np.triu_indices(len(people), 1)
    images = np.array([each.estimate.covariance.ravel() for each in people])
    single, average = intraclass(images / images.std(axis=1, keepdims=True))
    without_noise = found.disattenuated[upper]
    told = f"{np.nanmean(without_noise):.3f}" if np.isfinite(without_noise).any() else "-"
    print(
        f"\nagreement of participants, mean over pairs: r {found.correlation[upper].mean():.3f} "
        f"across halves (unrelated:\n0 +- {found.error:.3f}), {told} without noise (it may pass 1)"
    )
    for name, (value, low, high) in (
        ("ICC(3,1)", single),
        (f"ICC(3,{len(people)})", average),
    ):
        print(f"{name} {value:.3f} ({low:.3f} to {high:.3f})")
    print(
        "ICC as in studies of people, of whole images on the same trials: what participants share "
        "beside a template\ncan raise it, which cannot raise r across halves"
    )


def print_network(classes, people, group, model):
    """Print how far a network's classes choose as people do, on the very same trials."""
    who = group or people[0]
    majority = np.sign(who.choices)
    told = "the majority of participants" if group else who.name
    print(
        f"\n{model.name} on the same trials: how often each class chooses as {told} did\n(chance: "
        "50 %; ties are left out), and r of the two images across halves"
    )
    print_line("class", "same choice", "95 %", "r", "without noise", "reliability", width=17)
    for each in classes:
        clear = (majority != 0) & (each.choices != 0)
        same, trials = int(np.sum(majority[clear] == each.choices[clear])), int(clear.sum())
        low, high = wilson_interval(same, trials)
        found = compare([who.measurement, each.measurement])
        print_line(
            each.name,
            f"{same:,} of {trials:,}",
            f"{low:.1%} to {high:.1%}",
            number(found.correlation[0, 1, 0], "{:.3f}"),
            number(found.disattenuated[0, 1, 0], "{:.3f}"),
            number(each.estimate.reliability[0], "{:.3f}"),
            width=17,
        )
    print(
        f"r of unrelated observers: 0 +- {found.error:.3f}; r without noise may pass 1. Of many "
        "classes, look at\nthe one that was chosen beforehand, or ask more of the best"
    )


def print_line(first, *cells, width=12):
    """Print a line of a table, its first cell cut to 20 letters."""
    print(f"{first[:20]:>20}" + "".join(f"{cell:>{width}}" for cell in cells))


def number(value, template):
    """Return a number as text; a dash where it is none."""
    return template.format(value) if np.isfinite(value) else "-"


@styled
def draw_people(people, group, classes, study, model):
    """Draw the base plus and minus the group's image, and the choice image of every judge.

    Args:
        people, classes: Judges, of participants and of a network's classes.
        group: the Judge of all participants; None where there is one.
        study: the Study.
        model: path of the network, or None.
    """
    shown = [*filter(None, [group]), *people[:SHOWN], *classes[:SHOWN]]
    columns = min(6, max(3, len(shown)))
    rows = -(-len(shown) // columns)
    lower = 0.5 + 1.75 * rows
    figure = Picture(figsize=(1.5 * columns + 1, 2.9 + lower), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(2.9, lower))
    _draw_plus_and_minus(above, group or people[0], study)
    axes = below.subplots(rows, columns, squeeze=False)
    without_ticks(axes)
    image = None
    for axis, each in itertools.zip_longest(axes.flat, shown):
        if each is None:
            axis.set_axis_off()
            continue
        estimate = each.estimate
        axis.set_title(plain(f"{model.stem}: {each.name}" if each in classes else each.name, 22))
        told = number(estimate.reliability[0], "r = {:.2f}, ")
        told += number(estimate.info_value[0], "infoVal {:.1f}")
        axis.set_xlabel(told, fontsize=6.5, labelpad=2)
        values = picture(estimate.image)[0]
        if np.isnan(values).all():
            empty(axis, values.shape, "no image")
        else:
            image = show_class_image(axis, values, estimate.significant[0])
    left_out = len(people) + len(classes) + (group is not None) - len(shown)
    signed_scale(below, image, axes, SIGN)
    below.get_layout_engine().set(hspace=0.06)
    below.suptitle(
        f"choice images from {study.trials:,} pairs each; r: split-half reliability; infoVal: 1.96 "
        "and above is\nmore than chance; outlined: pixels significant at family-wise 5 %"
        + (f"; {left_out} more are in the table" if left_out else "")
    )
    question = textwrap.fill(plain(f'"{study.question}"'), 12 * columns)
    figure.suptitle(
        f"{question}\nchoice images added to the base are scaled to a peak of {SCALED} standard "
        "deviations of the noise"
    )
    return figure


def _draw_plus_and_minus(figure, who, study):
    """Draw the base, and the base plus and minus the choice image of a Judge."""
    axes = figure.subplots(1, 3, squeeze=False)
    without_ticks(axes)
    base = np.broadcast_to(study.noise.mean, study.noise.shape)
    image = np.nan_to_num(who.estimate.image[0])
    image = SCALED * study.noise.pixel_std.mean() * image / max(np.abs(image).max(), 1e-12)
    name = plain(who.name, 22)
    titles = f"base minus image of\n{name}", "base", f"base plus image of\n{name}"
    for axis, title, sign in zip(axes[0], titles, (-1, 0, 1), strict=True):
        shown = picture(np.clip(base + sign * image, 0, 1)[None])[0]
        axis.imshow(shown, cmap=PICTURE, vmin=0, vmax=1)
        axis.set_title(title)


def plain(text, most=None):
    """Return a text as a figure shows it letter by letter, cut to the most letters that fit."""
    cut = text if most is None or len(text) <= most else text[: most - 3] + "..."
    return cut.replace("$", r"\$")


def run(arguments=None):
    """Read a command line and run; return the exit code."""
    settings = read_people_settings(arguments, MAKE, READ, __doc__)
    return exit_code("people.py", lambda: main(settings), goes_on=False)


if __name__ == "__main__":
    sys.exit(exit_code("people.py", lambda: main(SETTINGS), goes_on=False))
