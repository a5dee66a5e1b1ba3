"""What participants have in common, with errors over them, beside errors over trials.

All judge the same pictures, whose chance correlations with what everybody looks for are in every
image: over participants alone, they would look like part of it. So what counts is only what is
significant over trials, too (Clark 1973).
"""

import dataclasses

import numpy as np

from reverse_correlation.estimates.group_texts import notes_of, rows_of, who
from reverse_correlation.estimates.groups import group_image
from reverse_correlation.figures.groups import draw_group
from reverse_correlation.texts import aligned

ALSO = "only what is significant over trials, too, counts; of clusters, those with such a pixel"


def over_participants(result):
    """Return the GroupImage of two or more participants of a StudyResult.

    p is 1 for pixels that are not significant over trials, and for clusters without such a pixel.
    """
    measured = [participant.measurement for participant in result.participants]
    found = group_image(measured, same_noise=True)
    over_trials = result.group.estimate.significant
    kept = np.unique(found.clusters[over_trials.any(axis=3)])
    return dataclasses.replace(
        found,
        p=np.where(over_trials, found.p, 1),
        cluster_p=np.where(np.isin(found.clusters, kept), found.cluster_p, 1),
    )


def print_over_participants(result, found):
    """Print what the GroupImage of participants says."""
    print(
        f"\nmean image of {who(found)}, over participants; {ALSO}",
        *notes_of(found, len(result.participants)),
        *aligned(rows_of(found, [f"condition {result.study.condition}"])),
        sep="\n",
    )


def draw_over_participants(result, found):
    """Draw the GroupImage of participants."""
    study, few = result.study, notes_of(found, len(result.participants))[1]
    caption = f"{study.trials:,} pairs, base plus and minus {study.noise.title} noise; {ALSO}"
    caption += f"; {few}" * few.startswith("NOTHING")
    title = f'"{study.question}"\nmean choice image of {who(found)}, with errors over them'
    return draw_group(found, study.noise, [study.condition], title, caption)
