"""What a measurement says of each class in numbers: for a terminal, a notebook, a page, a table."""

import dataclasses

import numpy as np

from reverse_correlation.errors import UserError
from reverse_correlation.estimates.prediction import ceiling
from reverse_correlation.figures.class_images import (
    commonest,
    measured_responses,
    noise_images,
    of_how_many,
    reliable_from,
    response_of,
)
from reverse_correlation.texts import aligned, html_of, html_table, number

HEAD = ("class", "answered", "r", "needs", "significant", "infoVal", "linear")
HEAD += ("predicts", "ceiling", "R2")
LEGEND = (
    "r: split-half reliability; needs: {} for r = .9 with the truth; significant: pixels at\n"
    "family-wise 5 %; infoVal: above 1.96 is more than chance; linear: share of the response's\n"
    "variance; predicts: share of the choices on fresh pairs that the image predicts, by chance\n"
    "50 %, and its ceiling, which the linear share implies for Gaussian drive; R2: of the logit\n"
    "on fresh stimuli, by a curve of the image's drive; each with its 95 % interval"
)


@dataclasses.dataclass(frozen=True)
class ClassRow:
    """One class image in numbers; NaN where something is not known.

    Attributes:
        number: of the class, among all of the network's.
        name: of the class; by default its number.
        response: "choice", "decision", "probability" or "logit".
        answered: how often the class was the answer; of people, how many choices.
        reliability: split-half correlation of the image, stepped up to the whole.
        images_needed: stimuli for an expected correlation of .9 with the truth; infinite without
            any signal so far.
        significant: pixels that are significant at family-wise 5 %.
        info_value: informational value; above 1.96 is more than chance.
        linear, linear_low, linear_high: the share of the response's variance that is linear in
            the stimulus, and its 95 % interval. The estimate is without bias, so that it may come
            out a little below 0 or above 1.
        predicted, predicted_low, predicted_high: the share of the observer's choices on fresh pairs
            that the image predicts, and its 95 % interval; chance is .5. See `Prediction`.
        ceiling, ceiling_low, ceiling_high: what the linear share implies for it.
        explained, explained_low, explained_high: R**2 of the logit by the image's drive.
    """

    number: int
    name: str
    response: str
    answered: int
    reliability: float
    images_needed: float
    significant: int
    info_value: float
    linear: float
    linear_low: float
    linear_high: float
    predicted: float
    predicted_low: float
    predicted_high: float
    ceiling: float
    ceiling_low: float
    ceiling_high: float
    explained: float
    explained_low: float
    explained_high: float

    @property
    def values(self):
        """What stands below each of HEAD."""
        known = self.name, self.answered, self.reliability, self.images_needed
        shares = self.linear, self.predicted, self.ceiling, self.explained
        return *known, self.significant, self.info_value, *shares

    @property
    def texts(self):
        """The same as texts; a dash where there is no number."""
        templates = ("{:,}", "{:.3f}", "{:,.0f}", "{:,}", "{:.1f}")
        name, *values = self.values
        return [
            name,
            *map(number, values, templates),  # of the first ones
            _with_half(self.linear, self.linear_low, self.linear_high),
            share_text(self.predicted, self.predicted_low, self.predicted_high),
            share_text(self.ceiling, self.ceiling_low, self.ceiling_high),
            _with_half(self.explained, self.explained_low, self.explained_high),
        ]


def _with_half(value, low, high):
    """Return a number and half of its interval, as 0.82 ± 0.01; a dash for none."""
    half = f" ± {(high - low) / 2:.2f}" if np.isfinite(high - low) else ""
    return number(value, "{:.2f}") + half


def share_text(value, low, high):
    """Return a share and its interval, as 81.5% (79.7 to 83.2); a dash for none."""
    within = f" ({100 * low:.1f} to {100 * high:.1f})" if np.isfinite(high - low) else ""
    return number(value, "{:.1%}") + within


@dataclasses.dataclass(frozen=True, repr=False)
class Summary:
    """The images of one response, a ClassRow for each measured class.

    It shows itself in a terminal and in a notebook: the classes answered most often. As data, all
    classes: `summary.rows`, `summary.column("reliability")`, `pandas.DataFrame(summary.rows)`.

    Attributes:
        name: of the observer.
        caption: whose images of which noise these are.
        rows: of all measured classes, in their order.
        shown: indices of the rows that are shown.
        unit: of what is needed, as it is shown: images, or trials of two.
    """

    name: str
    caption: str
    rows: list
    shown: np.ndarray
    unit: str = "images"

    def column(self, field):
        """Return one field of a ClassRow for all measured classes: (K,)."""
        return np.array([getattr(row, field) for row in self.rows])

    @property
    def _shown_texts(self):
        rows = [self.rows[k] for k in self.shown]
        if self.unit == "trials":
            rows = [dataclasses.replace(row, images_needed=row.images_needed / 2) for row in rows]
        return [row.texts for row in rows]

    @property
    def _left_out(self):
        left = len(self.rows) - len(self.shown)
        return f"{left:,} more classes are in .rows" if left else ""

    def __repr__(self):
        """Return a table for a terminal, and what its columns are."""
        lines = [HEAD, *([" ".join(t.split()) for t in texts] for texts in self._shown_texts)]
        more, legend = filter(None, [self._left_out]), LEGEND.format(self.unit)
        return "\n".join([f"{self.name}: {self.caption}", *aligned(lines), *more, legend])

    def _repr_html_(self):
        caption = html_of("<p><b>$name</b>: $text</p>", name=self.name, text=self.caption)
        table = html_table(HEAD, self._shown_texts)
        return caption + table + html_of("<p>$left</p>" * bool(self._left_out), left=self._left_out)


def _tested(measurement, response, estimate):
    """Return the nine last columns, (K,) each: what the images predict."""
    found, classes = measurement.predictions.get(response), len(estimate.covariance)
    limits = ceiling(response, estimate.variance, classes)
    if found is None:
        return *[np.full(classes, np.nan)] * 3, *limits, *[np.full(classes, np.nan)] * 3
    half = 1.96 * found.explained_error
    explained = found.explained, found.explained - half, found.explained + half
    return found.share, found.low, found.high, *limits, *explained


def summary_of(measurement, names, response=None):
    """Return the Summary of the images of one response; see `Measurement.summary`."""
    if not measured_responses(measurement):
        raise UserError("this measurement has no images of classes: measure with ClassSums")
    response, shown = response_of(measurement, response), commonest(measurement)
    estimate, unknown = measurement.classes[response], np.full(len(names), np.nan)
    share = half = unknown
    if estimate.variance is not None:
        share, half = estimate.variance.linear, 1.96 * estimate.variance.linear_error
    columns = (
        measurement.class_indices,
        names,
        [response] * len(names),
        measurement.answered,
        estimate.reliability,
        estimate.images_needed(),
        estimate.significant.sum(axis=(1, 2, 3)),
        estimate.info_value,
        share,
        share - half,
        share + half,
        *_tested(measurement, response, estimate),
    )
    columns = [values.tolist() if isinstance(values, np.ndarray) else values for values in columns]
    rows = [ClassRow(*values) for values in zip(*columns, strict=True)]
    start = reliable_from([measurement])
    caption = f"{response} images, from {noise_images(measurement)}"
    caption += of_how_many(measurement, shown) + (start and f"; r {start}")
    unit = "trials" if measurement.of_trials else "images"
    return Summary(measurement.provenance["network"], caption, rows, shown, unit)
