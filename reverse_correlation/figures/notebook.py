"""What a notebook shows of measurements."""

import numpy as np

from reverse_correlation.figures.class_images import (
    RESPONSES,
    SHOWN_CLASSES,
    commonest,
    noise_images,
    of_how_many,
    reliable_from,
)
from reverse_correlation.figures.filters import plot_estimate
from reverse_correlation.figures.style import image_tag, png
from reverse_correlation.texts import html_of, html_table, number


def measurement_html(measurement):
    """Return a measurement as a notebook shows it: a table and the class images."""
    has, shown = [name for name in RESPONSES if name in measurement.classes], commonest(measurement)
    head = ["class", "answered", *(f"{name}: r" for name in has), f"{has[-1]}: needs for r = .9"]
    reliability = [measurement.classes[name].reliability for name in has]
    needed = measurement.classes[has[-1]].images_needed()
    rows = [
        [
            measurement.class_indices[k],
            f"{measurement.answered[k]:,}",
            *(number(r[k], "{:.3f}") for r in reliability),
            number(needed[k], "{:,.0f}"),
        ]
        for k in shown
    ]
    name, start = measurement.provenance["network"], reliable_from([measurement])
    caption = html_of(
        "<p><b>$name</b> shown $shown$start</p>",
        name=name,
        shown=noise_images(measurement) + of_how_many(measurement, shown),
        start=start and f"; r {start}",
    )
    picture = image_tag(png(measurement.plot()), f"class images of {name}")
    return caption + html_table(head, rows) + picture


def estimate_html(estimate):
    """Return an Estimate as a notebook shows it: a table and its images."""
    largest = np.abs(np.nan_to_num(estimate.z)).max(axis=(1, 2, 3))
    significant = estimate.significant.sum(axis=(1, 2, 3))
    rows = [
        [
            k,
            f"{estimate.mean_response[k]:.3g}",
            number(r, "{:.3f}"),
            f"{largest[k]:.1f}",
            f"{significant[k]:,} of {estimate.covariance[k].size:,}",
        ]
        for k, r in enumerate(estimate.reliability[:SHOWN_CLASSES])
    ]
    head = ["response", "mean", "reliability", "largest |z|", "significant (family-wise 5 %)"]
    more = len(estimate.covariance) - len(rows)
    note = f"<p>and {more:,} more</p>" if more > 0 else ""
    picture = image_tag(png(plot_estimate(estimate)), "images of an Estimate")
    return html_table(head, rows) + note + picture
