"""What a group of observers has in common, and how two groups differ, in a table and a figure."""

from reverse_correlation.estimates.group_texts import notes_of, rows_of, who
from reverse_correlation.estimates.groups import group_difference, group_image
from reverse_correlation.figures.class_images import COLUMNS, commonest, of_how_many
from reverse_correlation.figures.groups import draw_group
from reverse_correlation.texts import aligned


def tell_group(measurements, names, classes, s):
    """Print what a group has in common: ({title: rows}, figure, notes, stem of files).

    Args:
        measurements, names: of the observers of both groups that CompareSettings name.
        classes: names of the measured classes.
        s: CompareSettings.
    """
    first, how = len(s.group), {"same_noise": s.same_noise, "smooth": s.smooth}
    if s.paired:  # who is in both is known by a name of her own
        files = zip((*s.group, *s.against), measurements, strict=True)
        names = [m.provenance["network"] if f.suffix == ".npz" else f.stem for f, m in files]
    if s.against:
        groups, names = ((rows[:first], rows[first:]) for rows in (measurements, names))
        found = group_difference(*groups, s.response, paired=s.paired, names=names, **how)
    else:
        found = group_image(measurements, s.response, names=names, **how)
    title, notes = f"{s.response} images of {who(found)}", [shown_to(measurements)]
    notes, rows = [*notes, *notes_of(found, len(measurements))], rows_of(found, classes)
    print("", title, *notes, "", *aligned(rows), sep="\n")
    shown = commonest(measurements[0])[:COLUMNS]
    figure = draw_group(
        found.of(shown),
        measurements[0].noise,
        [classes[k] for k in shown],
        title + of_how_many(measurements[0], shown),
        "; ".join([notes[0], *notes[2:]]),
    )
    stem = "group_" + "_against_".join(map(in_a_word, found.names))
    return {title: rows}, figure, notes, stem


def shown_to(measurements):
    """Say how many images of which noise observers were shown."""
    counts = [f"{n:,}" for n in sorted({m.count for m in measurements})]
    each = counts[0] if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"{each} images of {measurements[0].noise.title} noise to each observer"


def in_a_word(names):
    """Return names of observers as part of a file's name."""
    return names[0] + (f"_and_{len(names) - 1}_more" if len(names) > 1 else "")
