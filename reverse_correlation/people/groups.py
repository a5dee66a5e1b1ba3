"""What participants have in common, with errors over them, beside errors over trials."""

from reverse_correlation.estimates.group_texts import notes_of, rows_of, who
from reverse_correlation.estimates.groups import group_image
from reverse_correlation.figures.groups import draw_group
from reverse_correlation.texts import aligned


def over_participants(result):
    """Return the GroupImage of two or more participants of a StudyResult."""
    measured = [participant.measurement for participant in result.participants]
    return group_image(measured, same_noise=True)


def print_over_participants(result, found):
    """Print what a GroupImage says, and what of it is also significant over trials."""
    both = (found.significant & result.group.estimate.significant).sum()
    name = f"condition {result.study.condition}"
    print(
        f"\nmean image of {who(found)}, over participants: these are a sample, trials are not",
        *notes_of(found, len(result.participants)),
        *aligned(rows_of(found, [name])),
        f"pixels significant over trials, as above, and over participants, too: {both:,}",
        sep="\n",
    )


def draw_over_participants(result, found):
    """Draw a GroupImage of the participants of a StudyResult."""
    study = result.study
    caption = f"{study.trials:,} pairs, base plus and minus {study.noise.title} noise"
    title = f'"{study.question}"\nmean choice image of {who(found)}, with errors over them'
    return draw_group(found, study.noise, [study.condition], title, caption)
