"""What a notebook shows of measurements."""

import numpy as np

from reverse_correlation.figures.class_images import SHOWN_CLASSES
from reverse_correlation.figures.filters import plot_estimate
from reverse_correlation.figures.style import image_tag, png
from reverse_correlation.texts import html_table, number


def measurement_html(measurement):
    """Return a measurement as a notebook shows it: a table and the class images."""
    picture = png(measurement.plot())
    alt = f"class images of {measurement.provenance['network']}"
    return measurement.summary()._repr_html_() + image_tag(picture, alt)


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
