"""Figures of class images: rows of small maps under the names of their classes."""

import dataclasses

import numpy as np

from reverse_correlation.errors import UserError, whole_number
from reverse_correlation.figures.style import (
    PICTURE,
    SIGN,
    SIGNED,
    WIDTH,
    empty,
    grid,
    luminance,
    outline,
    scale,
    show_signed,
    styled,
    wrapped,
)

RESPONSES = ("choice", "decision", "probability", "logit")  # the rows of a figure
SHOWN_CLASSES = 20  # in one figure
COLUMNS = 10  # of a figure
LETTERS = 12  # that fit above a narrow image
NOT_MORE = "not above\nchance"


@dataclasses.dataclass(frozen=True)
class ImageRow:
    """A row of a figure: an image for each of K classes.

    Attributes:
        maps: (K, h, w), signed; or pictures (K, h, w) or (K, h, w, 3) in [0, 1], if `cmap` is
            PICTURE. A map of NaN is an empty panel that says its reason.
        significant: (K, h, w) bool, pixels that are outlined; None for none.
        notes, reasons: (K,) texts, below each map, and of empty panels.
        chance: (K,) bool, of maps that are not above chance: they are faded, and say so.
        base: (h, w, c), the image that noise is about, whose outline is drawn over; None for none.
        cmap: of the maps; None for the usual one of signed maps.
    """

    maps: np.ndarray
    significant: np.ndarray | None = None
    notes: tuple = ()
    reasons: tuple = ()
    chance: np.ndarray | None = None
    base: np.ndarray | None = None
    cmap: object = None

    def note(self, k):
        """Return what stands below a map."""
        note = self.notes[k] if len(self.notes) else ""
        if self.chance is not None and self.chance[k] and np.isfinite(self.maps[k]).all():
            note = "\n".join(filter(None, [note.partition("\n")[0], NOT_MORE]))
        return note


def plot_measurement(measurement, names, kind=None, classes=()):
    """Draw the class images of a measurement with the names of its classes; see its `plot`."""
    has = measured_responses(measurement) if kind is None else [response_of(measurement, kind)]
    shown, chosen = commonest(measurement), chosen_classes(measurement, names, classes)
    verb = "looked" if measurement.of_trials else "looks"  # it may be of several people
    title = f"What {measurement.provenance['network']} {verb} for"
    title += f" ({len(chosen)} chosen classes)" if chosen else of_how_many(measurement, shown)
    shown = np.array(chosen) if chosen else shown
    rows = {name: class_row(measurement, name, shown) for name in has}
    caption = caption_of([measurement], noise_images(measurement))
    return draw_rows(rows, [names[k] for k in shown], title, caption)


def measured_responses(measurement):
    """Return the responses whose class images a measurement has, in the order of a figure."""
    return [name for name in RESPONSES if name in measurement.classes]


def response_of(measurement, wanted=None):
    """Return the response whose images are looked at: choice if there is one, or the last.

    Raises:
        UserError: if another one is wanted, which was not measured.
    """
    has = measured_responses(measurement)
    if wanted is None:
        return "choice" if "choice" in has else has[-1]
    if wanted not in has:
        raise UserError(f"this measurement has {', '.join(has)} images, not {wanted!r}")
    return wanted


def chosen_classes(measurement, names, classes=()):
    """Return the places, among the measured classes, of those that are wanted: a list.

    Args:
        names: of the measured classes.
        classes: numbers, as the network counts its classes, or names; or one of either.

    Raises:
        UserError: if one was not measured, has the same name as another, or is given twice.
    """
    single = isinstance(classes, str) or np.ndim(classes) == 0
    wanted = [] if classes is None else [classes] if single else classes
    numbers, places = measurement.class_indices.tolist(), []
    for one in wanted:
        named = isinstance(one, str)
        one = one if named else whole_number(one, "the number of a class")
        found = [k for k, known in enumerate(names if named else numbers) if known == one]
        if len(found) != 1:
            what = "several classes are called" if found else "there are no images of class"
            known = f"the classes {_listed(numbers)}"
            if list(names) != list(map(str, numbers)):
                known += f", or the names {_listed(names)}"
            raise UserError(f"{what} {one!r}: choose among {known}")
        places += found
    if len(set(places)) < len(places):
        raise UserError(f"classes {_listed(wanted)}: name each class once")
    return places


def _listed(things):
    """Return a few things as a text, and how many more there are."""
    more = len(things) - SHOWN_CLASSES
    return ", ".join(map(str, things[:SHOWN_CLASSES])) + (f" and {more:,} more" if more > 0 else "")


def draw_bias(shown, names, place):
    """Draw what an observer looks for in each ensemble that it was shown: a matplotlib Figure.

    Its choice images (a page has all responses); and of the first ensemble, or the only one, some
    more: decision images, as published, and logit images.

    Args:
        shown: a Shown of each ensemble.
        names: of the measured classes.
        place: what the observer is called.
    """
    drawn, several, rows = commonest(shown[0].measurement), len(shown) > 1, {}
    for i, each in enumerate(shown):
        wanted = ("choice", "decision", "logit")[: 1 if i else 2 if several else 3]
        has = [name for name in RESPONSES if name in each.measurement.classes]
        for response in [name for name in has if name in wanted] or has[-1:]:
            label = f"{each.title}\n{response}" if several else response
            rows[label] = class_row(each.measurement, response, drawn)
    measured = [each.measurement for each in shown]
    counts = [
        noise_images(m) + several * f" ({e.title})" for m, e in zip(measured, shown, strict=True)
    ]
    title = f"What {place} looks for{of_how_many(measured[0], drawn)}"
    caption = caption_of(measured, " and ".join(counts))
    return draw_rows(rows, [names[k] for k in drawn], title, caption)


def noise_images(measurement):
    """Say how many images, or trials, of which noise an observer was shown, and asked what."""
    if measurement.of_trials:
        question = measurement.provenance.get("question")
        asked = f', asked "{question}"' if question else ""
        return f"{measurement.count // 2:,} trials of {measurement.noise.title} noise{asked}"
    return f"{measurement.count:,} {measurement.noise.title} noise images"


def said_in_a_line(measurement):
    """Say whom a measurement is of, what was shown, and how reliable its class images are."""
    parts = [noise_images(measurement)]
    if measured_responses(measurement):
        response, classes = response_of(measurement), len(measurement.answered)
        known = range_of(measurement.classes[response].reliability)
        parts += [] if measurement.of_trials else [f"{classes:,} class{'es' * (classes > 1)}"]
        start = reliable_from([measurement])
        parts += [f"{response} {known}"] if known else [f"r {start}"] if start else []
    return f"{measurement.provenance['network']}: {', '.join(parts)}"


def caption_of(measurements, counts):
    """Return the caption of class images: what they are, from how many images, and their marks."""
    start = reliable_from(measurements)
    marks = ["r: split-half reliability" + (start and f", {start}"), "black: significant pixels"]
    if any("decision" in m.classes for m in measurements):
        marks.insert(0, "n: times answered")
    if any(m.noise.about_image for m in measurements):
        marks.append("green: outline of the image that noise is about")
    if any(m.noise.shape[2] == 3 for m in measurements):
        marks.append("of images in colour, the luminance is shown")
    what = "choices" if all(m.of_trials for m in measurements) else "answers"
    return f"Covariance of {what} with {counts}; {'; '.join(marks)}."


def reliable_from(measurements):
    """Say from how many images on there is a reliability; nothing where all of them have one."""
    starts = [each.images_for_reliability for each in measurements]
    later = [n for n, each in zip(starts, measurements, strict=True) if each.count <= n // 2]
    return f"from {max(later):,} images on" if later else ""


def commonest(measurement):
    """Return the classes that a figure shows: those answered most often, in their order."""
    return np.sort(np.argsort(-measurement.answered, kind="stable")[:SHOWN_CLASSES])


def of_how_many(measurement, shown):
    """Say in a caption of which classes those that are shown are; nothing where they are all."""
    count = len(measurement.answered)
    if measurement.provenance.get("only"):
        return f" ({len(shown)} chosen classes)"
    return f" ({len(shown)} commonest of {count:,} answers)" if len(shown) < count else ""


def class_row(measurement, response, shown):
    """Return the ImageRow of one response, of the classes `shown`."""
    estimate, noise = measurement.classes[response], measurement.noise
    answered = [f"n = {n:,}" if response == "decision" else "" for n in measurement.answered]
    notes = [
        "\n".join(filter(None, both))
        for both in zip(answered, reliabilities(estimate), strict=True)
    ]
    maps, significant = luminance(estimate.image), luminance_significant(estimate)
    reasons = empty_reasons(measurement, response)
    return ImageRow(
        maps[shown],
        significant[shown],
        [notes[k] for k in shown],
        [reasons[k] for k in shown],
        ~estimate.above_chance[shown],
        noise.mean if noise.about_image else None,
    )


def luminance_significant(estimate):
    """Return where the luminance of images is significant: (R, h, w) bool.

    The three channels of colour noise are independent and have equal errors, so that the sum of
    three z over the root of 3 is a z; of noise whose channels are the same, any z is.
    """
    z = np.nan_to_num(estimate.z)
    if z.shape[3] != 3 or np.allclose(z, z[..., :1]):
        return np.abs(z).max(axis=3) > estimate.threshold
    return np.abs(z.sum(axis=3)) / np.sqrt(3) > estimate.threshold


def reliabilities(estimate):
    """Return the note on the reliability of each image of an Estimate, "" where it is not known."""
    return [rounded(r) if np.isfinite(r) else "" for r in estimate.reliability]


def rounded(r):
    """Return a reliability as it is known: two digits, as r = .93."""
    return "r > .99" if r > 0.995 else f"r = {two_digits(r)}"


def two_digits(r):
    """Return a correlation as a text, such as .93, or > .99."""
    return "> .99" if r > 0.995 else f"{r:.2f}".replace("0.", ".", 1)


def range_of(reliability):
    """Return reliabilities (K,) as a text, such as "r .93 to .94"; "" where none is known."""
    known = np.sort(reliability[np.isfinite(reliability)])
    ends = dict.fromkeys(map(two_digits, known[[0, -1]] if len(known) else ()))
    return f"r {' to '.join(ends)}" if ends else ""


def empty_reasons(measurement, response):
    """Return what an empty panel says, for each class."""
    if response != "decision":
        return ["varies\ntoo little"] * len(measurement.answered)
    return [f"answered\n{n:,} of\n{measurement.count:,}" for n in measurement.answered]


@styled
def draw_rows(rows, names, title, caption=""):
    """Draw rows of images, at most ten columns wide: a matplotlib Figure.

    Args:
        rows: {label: ImageRow}. Each signed map is shown in units of its own largest absolute
            value, so that one scale serves all.
        names: of the classes.
        title, caption: above and below.
    """
    columns = min(len(names), COLUMNS)
    side = min(1.5, (WIDTH - 1.4) / columns)
    lines = -(-len(names) // columns)
    tall = sum(
        side + 0.13 * max(len(row.note(k).split("\n")) for k in range(len(names))) + 0.07
        for row in rows.values()
    )
    height = lines * (tall + 0.15) + 0.35
    figure, axes = grid(lines * len(rows), columns, columns * side + 1.4, height, title, caption)
    fill_rows(figure, axes, rows, names)
    return figure


def fill_rows(figure, axes, rows, names):
    """Draw rows of images into the axes of a figure; see `draw_rows`."""
    columns, signed = axes.shape[1], None
    for first in range(0, len(names), columns):
        line = first // columns * len(rows)
        for place, name in enumerate(names[first : first + columns]):
            axes[line, place].set_title(wrapped(name, LETTERS if columns > 6 else 24), pad=3)
        for lower, (label, row) in enumerate(rows.items()):
            cells = axes[line + lower]
            cells[0].set_ylabel(label)
            for axis in cells[len(names) - first :]:
                axis.set_axis_off()
            for k, axis in enumerate(cells[: len(names) - first], start=first):
                image = show_cell(axis, row, k)
                signed = image if row.cmap is None and image is not None else signed
    if signed is not None:
        scale(figure, signed, axes, SIGN, shrink=min(1, 2.6 * figure.dpi / figure.bbox.height))


def show_cell(axis, row, k):
    """Draw image k of an ImageRow; return the artist, or None of an empty panel."""
    axis.set_xlabel(row.note(k), fontsize=7, labelpad=2, linespacing=1.1)
    values, faint = row.maps[k], row.chance is not None and row.chance[k]
    if np.isnan(values).any():
        empty(axis, values.shape, row.reasons[k])
        return None
    alpha = 0.3 if faint else 1
    if row.cmap == PICTURE:
        return axis.imshow(values, cmap=PICTURE, vmin=0, vmax=1, alpha=alpha)
    mask = None if faint or row.significant is None else row.significant[k]
    image = show_class_image(axis, values, mask, row.cmap or SIGNED, alpha)
    if row.base is not None:
        outline(axis, row.base)
    return image


def show_class_image(axis, values, significant=None, cmap=SIGNED, alpha=1):
    """Show a map (h, w) as `show_signed` does; what is significant, (h, w) bool, is outlined."""
    image, mask = show_signed(axis, values, cmap, alpha), significant
    if mask is not None and min(mask.shape) > 1 and mask.any() and not mask.all():
        axis.contour(mask, levels=[0.5], colors="k", linewidths=0.4)
    return image
