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
SHOWN = 24  # participants, and classes of a network, in the figure
# ---------------------------------------------------------------------------------------------

MAKE = MakeSettings(BASE, SIZE, TRIALS, QUESTION, CONDITION, PAUSE, NOISE_KIND, CONTRAST, SEED)
READ = ReadSettings(())

if __name__ == "__main__":  # read before the imports below, which take seconds
    SETTINGS = read_people_settings(None, MAKE, READ, __doc__)
    import_tensorflow_quietly()

import dataclasses
import itertools

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
    contrast = None if settings.noise_kind == "gabor" else settings.contrast
    noise = ensemble(settings.noise_kind, shape, (0.0, 1.0), base, contrast, images)
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
        f"and minus {noise.title} noise, seed {study.seed}; {clipped:.1%} of the pixels are "
        f"clipped to black or white\n{path} ({path.stat().st_size / 1e6:.1f} MB): open it in a "
        f"browser; keep the CSV files that it downloads beside {file}"
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
    for each in [*people, *filter(None, [group])]:
        each.measurement.save(out / "measurements" / f"{each.name.replace(' ', '_')}.npz")
    print_people(people, group, answers, study)
    if classes:
        print_network(classes, people, group, settings.model)
    figure = draw_people(people, group, classes, study, settings.model)
    path = figures.save(figure, out / "people.png")
    print(f"\n{path}")
    return path


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
    head = ("", "plus chosen", "median s", "reliability", "infoVal", "needs for r = .9", "pixels")
    print("".join(f"{text:>18}" for text in head))
    for each in [*people, *filter(None, [group])]:
        estimate = each.estimate
        times = [a.milliseconds for a in answers.get(each.name, ()) if a.milliseconds is not None]
        needed = estimate.images_needed()[0] / 2  # trials, not stimuli
        cells = (
            each.name,
            f"{np.mean(each.choices) / 2 + 0.5:.1%}",
            f"{np.median(times) / 1000:.2f}" if times else "-",
            f"{estimate.reliability[0]:.3f}",
            f"{estimate.info_value[0]:.2f}",
            f"{needed:,.0f} trials" if np.isfinite(needed) else "-",
            f"{estimate.significant.sum():,} of {estimate.significant.size:,}",
        )
        print("".join(f"{text:>18}" for text in cells))
    print(
        "reliability: split half, over even and odd trials; infoVal: 1.96 and above is more than "
        "chance;\npixels: significant at family-wise 5 %"
    )
    if group is None:
        return
    found = compare([each.measurement for each in people])
    upper = np.triu_indices(len(people), 1)
    images = np.array([each.estimate.covariance.ravel() for each in people])
    single, average = intraclass(images / images.std(axis=1, keepdims=True))
    print(
        f"agreement of participants: r {found.correlation[upper].mean():.3f} across halves, mean "
        f"over pairs (unrelated: 0 +- {found.error:.3f})"
        + "".join(
            f"; {name} {value:.3f} ({low:.3f} to {high:.3f})"
            for name, (value, low, high) in (
                ("ICC(3,1)", single),
                (f"ICC(3,{len(people)})", average),
            )
        )
        + "\nICC as in studies of people, of whole images on the same trials: what participants "
        "share beside a\ntemplate can raise it, where r across halves it cannot"
    )


def print_network(classes, people, group, model):
    """Print how far a network's classes choose as people do, on the very same trials."""
    who = group or people[0]
    majority = np.sign(who.choices)
    told = "the majority of participants" if group else who.name
    print(
        f"\n{model.name} on the same trials; agreement with {told} (chance: 50 %; without ties), "
        "and r with\ntheir image across halves"
    )
    head = ("class", "same choice", "95 %", "r", "r without noise", "reliability")
    print("".join(f"{text:>18}" for text in head))
    for each in classes:
        clear = (majority != 0) & (each.choices != 0)
        same, trials = int(np.sum(majority[clear] == each.choices[clear])), int(clear.sum())
        low, high = wilson_interval(same, trials)
        found = compare([who.measurement, each.measurement])
        cells = (
            each.name,
            f"{same:,} of {trials:,}",
            f"{low:.1%} to {high:.1%}",
            f"{found.correlation[0, 1, 0]:.3f}",
            f"{found.disattenuated[0, 1, 0]:.3f}",
            f"{each.estimate.reliability[0]:.3f}",
        )
        print("".join(f"{text:>18}" for text in cells))
    print(
        f"r of unrelated observers: 0 +- {found.error:.3f}; r without noise may pass 1. Of many "
        "classes, look at the\none that was chosen beforehand, or ask more of the best"
    )


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
        axis.set_title(f"{model.stem}: {each.name}" if each in classes else each.name, pad=3)
        note = f"r = {estimate.reliability[0]:.2f}, infoVal {estimate.info_value[0]:.1f}"
        axis.set_xlabel(note, fontsize=6.5, labelpad=2)
        values = picture(estimate.image)[0]
        if np.isnan(values).all():
            empty(axis, values.shape, "no image")
        else:
            image = show_class_image(axis, values, estimate.significant[0])
    left_out = len(people) + len(classes) + (group is not None) - len(shown)
    signed_scale(below, image, axes, SIGN)
    below.suptitle(
        f"choice images from {study.trials:,} pairs each; r: split-half reliability; infoVal: 1.96 "
        "and above is\nmore than chance; outlined: pixels significant at family-wise 5 %"
        + (f"; {left_out} more are in the table" if left_out else "")
    )
    scaled = f"at most {SCALED} standard deviations of a pixel of noise are added"
    figure.suptitle(f'"{study.question}" ({scaled})')
    return figure


def _draw_plus_and_minus(figure, who, study):
    """Draw the base, and the base plus and minus the choice image of a Judge."""
    axes = figure.subplots(1, 3, squeeze=False)
    without_ticks(axes)
    base = np.broadcast_to(study.noise.mean, study.noise.shape)
    image = np.nan_to_num(who.estimate.image[0])
    image = SCALED * study.noise.pixel_std.mean() * image / max(np.abs(image).max(), 1e-12)
    titles = f"base minus the image of {who.name}", "base", f"base plus the image of {who.name}"
    for axis, title, sign in zip(axes[0], titles, (-1, 0, 1), strict=True):
        shown = picture(np.clip(base + sign * image, 0, 1)[None])[0]
        axis.imshow(shown, cmap=PICTURE, vmin=0, vmax=1)
        axis.set_title(title)


def run(arguments=None):
    """Read a command line and run; return the exit code."""
    settings = read_people_settings(arguments, MAKE, READ, __doc__)
    return exit_code("people.py", lambda: main(settings))


if __name__ == "__main__":
    sys.exit(exit_code("people.py", lambda: main(SETTINGS)))
