"""What a group of observers has in common, and how two groups differ, in a table and a figure."""

import numpy as np

from reverse_correlation.estimates.groups import group_difference, group_image
from reverse_correlation.estimates.permutations import ALPHA
from reverse_correlation.figures.class_images import COLUMNS, commonest, of_how_many
from reverse_correlation.figures.groups import counts_of, draw_group
from reverse_correlation.texts import aligned, number

HEAD = ("class", "largest |t|", "p", "significant above", "pixels", "clusters", "least p of these")


def tell_group(measurements, names, classes, s):
    """Print what a group has in common: (title of the table, figure, notes, rows, stem of files).

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
        notes[0],
    )
    return title, figure, notes, rows, "group_" + "_against_".join(map(in_a_word, found.names))


def who(found):
    """Say whose image a GroupImage is."""
    counts = [len(names) for names in found.names]
    if found.paired:
        return f"{counts[0]} observers, the first condition minus the second"
    if len(counts) == 2:
        return f"{counts[0]} observers, minus those of {counts[1]} others"
    return f"{counts[0]} observers"


def shown_to(measurements):
    """Say how many images of which noise observers were shown."""
    counts = [f"{n:,}" for n in sorted({m.count for m in measurements})]
    each = counts[0] if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"{each} images of {measurements[0].noise.title} noise to each observer"


def notes_of(found, given):
    """Say what p of a GroupImage comes from, and what it does not mean: lines.

    Args:
        given: how many measurements there were, of which a paired contrast takes pairs.
    """
    two = len(found.names) == 2 and not found.paired
    which = "permuted labels" if two else "flipped signs"
    share = "all" if found.every else "a sample of"
    lines = [
        f"errors over observers, each counts the same; p: family-wise within a class, by {share} "
        f"{found.rearranged:,} {which}; clusters: of t smoothed by {found.smooth:.2g} pixels"
    ]
    if found.least_p > ALPHA:
        more = "more observers" if two else "six observers or more"
        lines.append(
            f"NOTHING CAN BE SIGNIFICANT: of so few observers p is {found.least_p:.3g} at least; "
            f"it takes {more}"
        )
    if found.paired and (left := given - 2 * len(found.names[0])):
        lines.append(f"left out: {left} who are in one condition alone")
    if found.same_noise:
        lines.append(
            "observers were shown the same noise: what is found holds for other observers of these "
            "stimuli, and need not for other stimuli"
        )
    return lines


def rows_of(found, classes):
    """Return HEAD and a row of texts for each class of a GroupImage."""
    rows, sizes = [HEAD], np.abs(found.t).max(axis=(1, 2, 3))
    pixels = found.significant.sum(axis=(1, 2, 3))
    clusters = counts_of(found.clusters * found.in_clusters, "")
    for k, name in enumerate(classes):
        cells = (
            name,
            number(sizes[k], "{:.3g}"),
            number(found.p[k].min(), "{:.2g}"),
            number(found.threshold[k], "{:.3g}"),
            f"{pixels[k]:,} of {found.p[k].size:,}",
            clusters[k].split()[0],
            number(found.cluster_p[k].min(), "{:.2g}"),
        )
        rows.append(cells)
    return rows


def in_a_word(names):
    """Return names of observers as part of a file's name."""
    return names[0] + (f"_and_{len(names) - 1}_more" if len(names) > 1 else "")
