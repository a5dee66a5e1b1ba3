"""What a GroupImage says, in words and in a table."""

import numpy as np

from reverse_correlation.estimates.permutations import ALPHA
from reverse_correlation.figures.groups import counts_of
from reverse_correlation.texts import number

HEAD = ("class", "largest |t|", "p", "significant above", "pixels", "clusters", "cluster p")


def who(found):
    """Say whose image a GroupImage is."""
    counts = [len(names) for names in found.names]
    if found.paired:
        return f"{counts[0]} observers, the first condition minus the second"
    if len(counts) == 2:
        return f"{counts[0]} observers, minus those of {counts[1]} others"
    return f"{counts[0]} observers"


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
            "all were shown the same noise: its chance correlations with what they share are in "
            "every image; what is found holds for other observers of these stimuli, not for others"
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
