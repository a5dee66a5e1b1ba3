"""Part 4: inside the network. Mean activity, and spike-triggered averages of filters."""

import dataclasses
import time

import numpy as np

import figures
from analysis import activation_maps
from reverse_correlation import UserError, exact_receptive_fields
from reverse_correlation.estimates.correlation import correlations, cosines
from reverse_correlation.estimates.exact import kept
from reverse_correlation.figures.class_images import commonest
from reverse_correlation.figures.filters import SHOWN_MAPS, draw_filters


@dataclasses.dataclass(frozen=True)
class FilterFindings:
    """What Part 4 says of a network's filters.

    Attributes:
        kernel_cosines: (live filters,) of a first convolution's averages with its learned kernels;
            None where there is no such layer.
        exact_agreement: (live filters,) correlation of a deep layer's averages with those that the
            gradients give; None where there are none.
    """

    kernel_cosines: np.ndarray | None = None
    exact_agreement: np.ndarray | None = None


def activations(subject, measurement, folder):
    """Draw the mean activity of each layer, on real images and on noise; return the paths."""
    written = []
    for label, layer in subject.layers.items():
        stem = f"{label}_{subject.part4}"
        if subject.test:
            figure = mean_activity_figure(subject, layer)
            written.append(figures.save(figure, folder / f"{stem}.png"))
        figure = noise_activity_figure(subject, measurement, layer)
        written.append(figures.save(figure, folder / f"{stem}_noise.png"))
    return written


def mean_activity_figure(subject, layer):
    """Draw a layer's mean activity on the test images of each class."""
    names, labels = subject.class_names, subject.test[1]
    return figures.panels(
        activation_maps(subject.network, layer, *subject.test),
        names,
        [f"n = {np.sum(labels == n):,}" for n in range(len(names))],
        f"{layer} of {subject.place}, test images:\n"
        "mean activity, averaged over filters, by true class",
        "mean activity",
    )


def noise_activity_figure(subject, measurement, layer):
    """Draw how a layer's activity under noise goes with the logit of each class."""
    estimate, shown = measurement.maps[layer], commonest(measurement)
    with np.errstate(invalid="ignore"):
        maps = estimate.covariance / estimate.response_std[:, None, None, None]
    return figures.panels(
        maps[shown],
        [subject.class_names[k] for k in shown],
        [f"r = {r:.3f}" if np.isfinite(r) else "" for r in estimate.reliability[shown]],
        f"{layer} of {subject.place}, {estimate.count:,} {_title(subject)} "
        "noise images:\nmean activity, averaged over filters, weighted by the logit of each class",
        "change of activity per s.d. of logit",
        signed=True,
    )


def filters(subject, measurement, folder, results, *, exact_patches, live_rate, seed):
    """Draw the receptive fields of each layer's filters.

    Args:
        subject, measurement: a Subject, and the Measurement of it.
        folder, results: of the figures, and of what is kept.
        exact_patches: whose gradients give the fields that the black box is held against.
        live_rate: a filter that fires more rarely is not counted among the live ones.
        seed: of the patches; another one than the measurement's.

    Returns:
        (FilterFindings, paths of the figures).
    """
    findings, written = FilterFindings(), []
    for label, layer in subject.layers.items():
        estimate = measurement.layers[layer]
        live = estimate.response_std > 0
        if estimate.nonnegative:
            live = estimate.events >= live_rate * estimate.count
        learned = subject.network.kernels(layer)
        if learned is not None and learned.shape == estimate.covariance.shape:
            agreement = cosines(learned, estimate.covariance)
            findings = dataclasses.replace(findings, kernel_cosines=agreement[live])
            figure = kernel_figure(subject, measurement, layer, live, learned, agreement)
        else:
            path = results / f"{subject.result}_{layer}.exact.npz"
            agreement = _agreement_with_gradients(
                subject, layer, estimate, path, exact_patches, seed
            )
            if agreement is not None:
                counted = agreement[live & np.isfinite(agreement)]
                findings = dataclasses.replace(findings, exact_agreement=counted)
            figure = deep_figure(subject, measurement, layer, live, agreement)
        path = folder / f"sta_{label}_{subject.part4}.png"
        written.append(figures.save(figure, path))
    return findings, written


def _agreement_with_gradients(subject, layer, estimate, path, patches, seed):
    """Return the correlation of each filter's average with the exact one; None without one."""
    noise = subject.shown[0].noise
    if not noise.has_gradient_identity or len(estimate.covariance) > SHOWN_MAPS:
        return None

    def compute():
        return {"filters": exact_receptive_fields(subject.network, noise, layer, patches, seed)}

    identity = [subject.network.sha256, noise.describe(), layer, patches, seed]
    started = time.monotonic()
    try:
        exact = kept(path, identity, compute)["filters"]
    except UserError as error:
        print(f"{subject.title}: {layer} is not compared with gradients: {error}")
        return None
    seconds = time.monotonic() - started
    print(f"{subject.title}: exact fields of {layer}, {exact.count:,} patches, {seconds:.0f} s")
    return correlations(exact.images, estimate.covariance)


def kernel_figure(subject, measurement, layer, live, learned, agreement):
    """Draw the averages of a first convolution below its learned kernels."""
    estimate = measurement.layers[layer]
    least = agreement[live].min(initial=1)
    title = (
        f"{_heading(subject, measurement, layer)}\nbelow the learned kernels, with their cosine: "
        f"at least {least:.5f} for {np.sum(live)} live filters"
    )
    rows = {"kernel": learned, "STA": _averages(estimate)}
    return _filter_figure(estimate, live, rows, [f"{c:.5f}" for c in agreement], title, columns=8)


def deep_figure(subject, measurement, layer, live, agreement):
    """Draw the averages of a deep convolution, with their reliability."""
    estimate = measurement.layers[layer]
    title = (
        f"{_heading(subject, measurement, layer)}\nr: split-half reliability; {np.sum(live)} of "
        f"{len(live)} filters are live"
    )
    notes = [f"r = {r:.3f}" for r in estimate.reliability]
    if agreement is not None:
        notes = [f"{n}\nexact {c:.3f}" for n, c in zip(notes, agreement, strict=True)]
        counted = agreement[live & np.isfinite(agreement)]
        middle = np.median(counted) if len(counted) else np.nan
        title += f"; exact: correlation with gradients, median {middle:.3f}"
    columns = 8 if len(live) <= 32 else 12
    return _filter_figure(estimate, live, {"": _averages(estimate)}, notes, title, columns)


def _heading(subject, measurement, layer):
    rate = measurement.layers[layer].nonnegative
    return (
        f"{layer} of {subject.place}: {'spike-triggered averages' if rate else 'covariances'} "
        f"from {measurement.maps[layer].count:,} {_title(subject)} noise images"
    )


def _title(subject):
    return subject.shown[0].noise.title


def _averages(estimate):
    return np.nan_to_num(estimate.average if estimate.nonnegative else estimate.covariance)


def _filter_figure(estimate, live, rows, notes, title, columns):
    """Draw as many filters as fit; below one that hardly fires, how often it did."""
    if estimate.nonnegative:
        spikes = np.rint(estimate.events).astype(int)
        rare = [f"spikes: {n:,}" if n else "" for n in spikes]
        notes = [n if alive else r for n, r, alive in zip(notes, rare, live, strict=True)]
    if len(notes) > SHOWN_MAPS:
        title += f"; the first {SHOWN_MAPS} are shown"
    rows = {label: maps[:SHOWN_MAPS] for label, maps in rows.items()}
    return draw_filters(rows, notes[:SHOWN_MAPS], title, columns)
