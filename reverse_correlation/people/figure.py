"""The figure of a study: the base plus and minus what people look for, and all choice images."""

import textwrap

import numpy as np

from reverse_correlation.estimates.estimate import MORE_THAN_CHANCE
from reverse_correlation.figures.class_images import luminance_significant, show_class_image
from reverse_correlation.figures.style import (
    PICTURE,
    SIGN,
    WIDTH,
    Picture,
    empty,
    luminance,
    outline,
    picture,
    signed_scale,
    styled,
    without_ticks,
)
from reverse_correlation.texts import number

SHOWN = 24  # participants, and classes of a network, in the figure
SCALED = 3  # of what a choice image adds to the base in the figure, in standard deviations of noise
LETTERS = 22  # of a name above a panel


LEGEND = (
    f"r: split-half reliability; infoVal: {MORE_THAN_CHANCE} and above is more than chance; black: "
    "pixels significant at family-wise 5 %; faded: neither"
)


@styled
def draw_people(result):
    """Draw the base plus and minus the group's image, and all choice images of a StudyResult."""
    people = [*filter(None, [result.group]), *result.participants[:SHOWN]]
    titled = [(person.name, person) for person in people] + [
        (f"{result.network.stem}: {network_class.name}", network_class)
        for network_class in result.classes[:SHOWN]
    ]
    columns = min(6, max(3, len(titled)))
    rows = -(-len(titled) // columns)
    lower = 1.0 + 1.75 * rows
    figure = Picture(figsize=(1.5 * columns + 1, 2.9 + lower), layout="constrained")
    letters = int(12 * figure.get_figwidth())  # that fit on a line
    above, below = figure.subfigures(2, 1, height_ratios=(2.9, lower))
    _draw_plus_and_minus(above, result.foremost, result.study.noise)
    _draw_choice_images(below, titled, rows, columns, result.study.noise)
    what = f"choice images from {trials_of(people)} trials each; {LEGEND}"
    if result.study.noise.about_image:
        what += "; green: outline of the base"
    if left_out := len(result.people) + len(result.classes) - len(titled):
        what += f"; {left_out} more are in the table"
    below.suptitle(textwrap.fill(what, letters))
    scaled = (
        f"images added to the base: scaled to a peak of {SCALED} standard deviations of the noise"
    )
    if not result.foremost.estimate.above_chance[0]:
        scaled += "; NOT MORE THAN CHANCE: what they seem to show is noise"
    lines = [textwrap.fill(text, letters) for text in (f'"{result.study.question}"', scaled)]
    figure.suptitle("\n".join(lines))
    return figure


@styled
def draw_difference(found):
    """Draw the images of two conditions, and their difference, a ConditionDifference."""
    results = found.first, found.second
    titled = [(each.study.condition, each.foremost) for each in results]
    titled.append((found.observer.name, found.observer))
    figure = Picture(figsize=(WIDTH, 3.1), layout="constrained")
    _draw_choice_images(figure, titled, 1, 3, found.first.study.noise)
    letters = int(12 * WIDTH)
    lines = [
        f'{each.study.condition}: "{each.study.question}", {trials_of([each.foremost])} trials, '
        f"participants: {len(each.participants)}"
        for each in results
    ]
    figure.suptitle("\n".join(textwrap.fill(line, letters) for line in lines))
    figure.supxlabel(textwrap.fill(LEGEND, int(16 * WIDTH)), fontsize=7)
    return figure


def trials_of(people):
    """Say how many trials StudyObservers answered: a number, or from the least to the most."""
    counts = sorted(person.trials for person in people)
    return " to ".join(dict.fromkeys(f"{count:,}" for count in (counts[0], counts[-1])))


def _draw_choice_images(figure, titled, rows, columns, noise):
    """Draw a panel for each observer, [(title, StudyObserver)], who judged noise."""
    axes = figure.subplots(rows, columns, squeeze=False)
    without_ticks(axes)
    image = None
    for axis in axes.flat[len(titled) :]:
        axis.set_axis_off()
    for axis, (title, observer) in zip(axes.flat, titled, strict=False):
        estimate = observer.estimate
        axis.set_title(cut(title))
        note = number(estimate.reliability[0], "r = {:.2f}, ")
        note += number(estimate.info_value[0], "infoVal {:.1f}")
        axis.set_xlabel(note, fontsize=6.5, labelpad=2)
        values = luminance(estimate.image)[0]
        if np.isnan(values).all():
            empty(axis, values.shape, "no image")
        else:
            faint = not estimate.above_chance[0]
            mask = None if faint else luminance_significant(estimate)[0]
            image = show_class_image(axis, values, mask, alpha=0.3 if faint else 1)
            if noise.about_image:
                outline(axis, noise.mean)
    signed_scale(figure, image, axes, SIGN)
    figure.get_layout_engine().set(hspace=0.06)


def _draw_plus_and_minus(figure, observer, noise):
    """Draw the base of the noise, and the base plus and minus an observer's choice image."""
    axes = figure.subplots(1, 3, squeeze=False)
    without_ticks(axes)
    base = np.broadcast_to(noise.mean, noise.shape)
    image = np.nan_to_num(observer.estimate.image[0])
    image = SCALED * noise.pixel_std.mean() * image / max(np.abs(image).max(), 1e-12)
    name = cut(observer.name)
    titles = f"base minus image of\n{name}", "base", f"base plus image of\n{name}"
    for axis, title, sign in zip(axes[0], titles, (-1, 0, 1), strict=True):
        shown = picture(np.clip(base + sign * image, 0, 1)[None])[0]
        axis.imshow(shown, cmap=PICTURE, vmin=0, vmax=1)
        axis.set_title(title)


def cut(name):
    """Return a name, cut to the letters that fit above a panel."""
    return name if len(name) <= LETTERS else name[: LETTERS - 3] + "..."
