"""What participants, and a network on their trials, look for: the tables and the figure."""

import dataclasses
import itertools
import textwrap

import numpy as np

from experiments.intervals import wilson_interval
from reverse_correlation import compare
from reverse_correlation.estimates.agreement import intraclass
from reverse_correlation.figures.class_images import show_class_image
from reverse_correlation.figures.style import (
    PICTURE,
    SIGN,
    Picture,
    empty,
    picture,
    signed_scale,
    styled,
    without_ticks,
)

SHOWN = 24  # participants, and classes of a network, in the figure
MORE_THAN_CHANCE = 1.96  # infoVal, as in studies of people
SCALED = 3  # of what a choice image adds to the base in the figure, in standard deviations of noise


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
    lower = 1.0 + 1.75 * rows
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
    letters = int(12 * figure.get_figwidth())  # that fit on a line
    below.suptitle(
        textwrap.fill(
            f"choice images from {study.trials:,} pairs each; r: split-half reliability; infoVal: "
            "1.96 and above is more than chance; outlined: pixels significant at family-wise 5 %"
            + (f"; {left_out} more are in the table" if left_out else ""),
            letters,
        )
    )
    who = group or people[0]
    told = (
        f"images added to the base: scaled to a peak of {SCALED} standard deviations of the noise"
    )
    if not who.estimate.info_value[0] >= MORE_THAN_CHANCE:
        told += "; NOT MORE THAN CHANCE: what they seem to show is noise"
    lines = [textwrap.fill(text, letters) for text in (f'"{study.question}"', told)]
    figure.suptitle(plain("\n".join(lines)))
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
