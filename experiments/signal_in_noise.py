"""Does noise around two weak signals show what tells them apart, and at what signal?

Design: (1 - gamma) * uniform noise + gamma * test image, alternately of class 5 and class 6 (as
published: all of them, in turn). The answer is a forced choice, the larger of the two logits, so
that no trial is lost; how often another of the ten classes would have won is reported too. The four
cells give Ahumada's image and the optimally weighted one. The share of decision variance that is
linear in the noise is estimated from the optimal image; with it, the signal-to-noise ratio of
Ahumada's is predicted and compared.
"""

import dataclasses

import numpy as np

from data import CLASS_NAMES
from experiments.experiment import Experiment, Row
from experiments.four_cells import Cells, CombinedImage, combine_cells, four_cells, snr_interval
from reverse_correlation import WhiteNoise
from reverse_correlation.estimates.intervals import wilson_interval
from reverse_correlation.figures.style import (
    empty,
    grid,
    picture,
    show_signed,
    signed_scale,
    styled,
)
from reverse_correlation.progress import progress_bar
from training import place

# Borji and Lin, ICLR 2020: of 925,000 trials on MNIST; 89,445 of them are in none of the cells
PUBLISHED_GAMMA = 0.3
PUBLISHED_COUNTS = ((443_952, 497), (178_751, 212_355))  # 5 and 6 shown, 5 and 6 answered


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the result depends on."""

    classes: tuple = (5, 6)  # the two that are shown
    gammas: tuple = (0.3, 0.2, 0.1, 0.0)  # weights of the signal
    trials: int = 300_000  # at each of them


@dataclasses.dataclass(frozen=True)
class Condition:
    """What was found at one weight of the signal."""

    gamma: float
    cells: Cells
    ahumada: CombinedImage | None  # the images, or None where a stimulus always got the same answer
    optimal: CombinedImage | None

    @property
    def linear(self):
        """The share of decision variance that is linear in the noise, by the optimal image."""
        return max(self.optimal.snr2, 0) / self.optimal.expected_snr2

    @property
    def predicted(self):
        """The signal-to-noise ratio of Ahumada's image that follows from that share."""
        return np.sqrt(self.linear * self.ahumada.expected_snr2)


def run(*, network, test, settings, seed, dataset, **_):
    """Show, sort, draw: (Rows, figure)."""
    noise = WhiteNoise("uniform", test[0].shape[1:])
    conditions = []
    with progress_bar(len(settings.gammas) * settings.trials, "trials") as bar:
        for gamma in settings.gammas:
            cells = four_cells(
                network, *test, settings.classes, gamma, noise, settings.trials, seed
            )
            conditions.append(condition_of(gamma, cells))
            bar.update(settings.trials)
    names = [CLASS_NAMES[dataset][k] for k in settings.classes]
    rows = []
    for condition in conditions:
        rows += answer_rows(condition, settings.classes, names, dataset == "mnist")
        rows += image_rows(condition)
    figure = draw(
        conditions,
        names,
        f"{place('lenet', dataset)}: {names[1]} (red) against {names[0]} (blue) in uniform noise,\n"
        f"{settings.trials:,} trials a column, forced choice",
    )
    return rows, figure


def condition_of(gamma, cells):
    """Combine the cells of one weight of the signal, if they allow it: a Condition."""
    if not cells.counts.min(axis=1).any():
        return Condition(gamma, cells, None, None)
    return Condition(gamma, cells, *(combine_cells(cells, how) for how in ("ahumada", "optimal")))


def answer_rows(condition, classes, names, published):
    """Return the Rows on answers of two classes; `published`: whether on the published data set."""
    gamma, cells, rows = condition.gamma, condition.cells, []
    for s, shown in enumerate(names):
        what, total = f"signal {gamma}, {shown} shown", cells.shown[s]
        for r, answer in enumerate(names):
            count, theirs = cells.counts[s, r], None
            if published and gamma == PUBLISHED_GAMMA:
                theirs = PUBLISHED_COUNTS[s][r] / sum(PUBLISHED_COUNTS[s])
            interval, over = wilson_interval(count, total), f"{total:,.0f} trials, forced"
            rows.append(
                Row(f"{what}: answered {answer}", float(count / total), interval, over, theirs)
            )
        other = 1 - cells.answered[s, list(classes)].sum() / cells.answered[s].sum()
        rows.append(Row(f"{what}: other classes, of ten", float(other)))
    return rows


def image_rows(condition):
    """Return the Rows on the images of four cells; none where there are no images."""
    if condition.optimal is None:
        return []
    named = {
        f"Ahumada's image (predicted {condition.predicted:.1f})": condition.ahumada,
        "the optimally weighted image": condition.optimal,
    }
    rows, signal = [], f"signal {condition.gamma}"
    for name, image in named.items():
        interval = snr_interval(image.snr2, image.z.shape)
        what = f"{signal}, SNR of {name}"
        rows.append(Row(what, image.snr, interval, "sampling of the noise"))
    what = f"{signal}, decision variance linear in noise"
    return [*rows, Row(what, float(condition.linear))]


@styled
def draw(conditions, names, title):
    """Draw both images of each Condition, a column for each; names are of the two classes."""
    figure, axes = grid(2, len(conditions), 1.9 * len(conditions) + 0.6, 5.1, title)
    shown = None
    for column, condition in zip(axes.T, conditions, strict=True):
        column[0].set_title(heading(condition, names), fontsize=7.5)
        if condition.optimal is None:
            for axis in column:
                empty(axis, condition.cells.sums.shape[2:4], "one answer\nto everything")
            continue
        images = condition.ahumada, condition.optimal
        notes = f"\npredicted {condition.predicted:.1f}", ""
        for axis, image, note in zip(column, images, notes, strict=True):
            axis.set_xlabel(f"SNR {image.snr:.1f}{note}", fontsize=7, labelpad=2)
            shown = show_signed(axis, picture(image.z[None])[0])
    for axis, label in zip(axes[:, 0], ("Ahumada", "optimal"), strict=True):
        axis.set_ylabel(label)
    signed_scale(figure, shown, axes, "z / its largest absolute value")
    return figure


def heading(condition, names):
    """Say how often each of the two stimuli was named right."""
    share = condition.cells.counts[:, 1] / condition.cells.shown
    return (
        f"signal {condition.gamma}\n{names[0]} shown: {1 - share[0]:.0%} right\n"
        f"{names[1]} shown: {share[1]:.0%} right"
    )


EXPERIMENT = Experiment(Settings(), run)
