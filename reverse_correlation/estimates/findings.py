"""What is found about an observer: how good its class images and filters are."""

import dataclasses
import time

import numpy as np

from reverse_correlation.errors import UserError
from reverse_correlation.estimates.correlation import correlations, cosines
from reverse_correlation.estimates.exact import (
    exact_class_images,
    exact_receptive_fields,
    kept_exact,
)
from reverse_correlation.estimates.measurement import Measurement
from reverse_correlation.estimates.regions import Regions
from reverse_correlation.estimates.templates import confusion, match_templates
from reverse_correlation.observers.observer import Observer

LEAST_RELIABILITY = 0.99  # of an exact image with which others are compared
EXACT_CLASSES = 20  # an observer with more is not compared with gradients, which would take long
EXACT_FILTERS = 96  # nor is a layer with more


@dataclasses.dataclass(frozen=True)
class ClassFindings:
    """How good the class images of one ensemble are.

    Attributes:
        exact_agreement: {"choice", "logit" or "probability": (K,)}, correlation of each class
            image with the one from the network's gradients (a choice image with that of the
            logit), NaN if that is not reliable at .99; empty if there are no exact images.
        images_needed: {response: (K,)}, noise images needed for r = .9 with the truth.
        template_confusions: {response: (K, K) or None}, how these images alone classify test
            images, as shares of each true class (row); None if no class has an image; {} without
            test images.
        template_accuracy: {response: share of the test images that they classify correctly}.
        regions: the Regions of one response; None where they were not looked for.
    """

    exact_agreement: dict
    images_needed: dict
    template_confusions: dict
    template_accuracy: dict
    regions: Regions | None = None


@dataclasses.dataclass(frozen=True)
class Shown:
    """One ensemble that an observer was shown; its title is such as "pure noise"."""

    title: str
    measurement: Measurement
    findings: ClassFindings


@dataclasses.dataclass(frozen=True)
class LayerFindings:
    """What is found about the filters of one layer.

    Attributes:
        live: (filters,) bool; the other filters fire in too few images to be counted.
        learned: (filters, kh, kw, c), the kernels of a first convolution; None for deeper layers.
        agreement: (filters,), cosine of each spike-triggered average with the kernel, or its
            correlation with the receptive field from gradients; None if there is neither.
        live_rate: in what share of the images a filter that is live fires, at least.
    """

    layer: str
    live: np.ndarray
    learned: np.ndarray | None
    agreement: np.ndarray | None
    live_rate: float = 0.0


@dataclasses.dataclass(frozen=True)
class Result:
    """Everything that is reported about one observer.

    Attributes:
        title: its name in figures, such as "LeNet".
        place: its name with the data set, such as "LeNet on MNIST".
        class_names: of the measured classes.
        shown: a Shown for each ensemble.
        layers: LayerFindings for each measured layer, with the first ensemble.
        test_accuracy: share of the test images that it classifies correctly; None without any.
    """

    observer: Observer
    title: str
    place: str
    class_names: tuple
    shown: tuple
    layers: tuple = ()
    test_accuracy: float | None = None

    @property
    def kernel_cosines(self):
        """Cosines of a first convolution's live filters with its kernels; None without one."""
        found = [f.agreement[f.live] for f in self.layers if f.learned is not None]
        return found[-1] if found else None

    @property
    def field_agreement(self):
        """Correlations of a deep layer's live filters with exact fields; None without any."""
        deep = [f for f in self.layers if f.learned is None and f.agreement is not None]
        return deep[-1].agreement[deep[-1].live & np.isfinite(deep[-1].agreement)] if deep else None


def class_findings(measurement, exact=None, test=None, regions=None):
    """Find how good the class images of a Measurement are: ClassFindings.

    Args:
        exact: {"logit": ExactImages, "probability": ExactImages}; empty or None without any.
        test: (images, labels) to be classified by the class images alone, or None.
        regions: of its images, or None.
    """
    classes, exact, agreement = measurement.classes, dict(exact or {}), {}
    if exact and "choice" in classes:
        exact["choice"] = exact["logit"]
    for name, one in exact.items():
        r = correlations(one.images, classes[name].covariance)
        agreement[name] = np.where(one.reliability >= LEAST_RELIABILITY, r, np.nan)
    needed = {name: estimate.images_needed() for name, estimate in classes.items()}
    confusions, accuracy = {}, {}
    for name, estimate in classes.items() if test is not None else ():
        confusions[name] = None
        if not np.isnan(estimate.image).all():
            answers = match_templates(estimate.image, test[0])
            confusions[name] = confusion(test[1], answers, len(estimate.image))
            accuracy[name] = float(np.mean(answers == test[1]))
    return ClassFindings(agreement, needed, confusions, accuracy, regions)


def exact_images_of(observer, noise, path, count, seed, title="noise"):
    """Return an observer's exact class images by response, or {} if it cannot have any.

    Args:
        observer, noise, count, seed: as for `exact_classification_images`.
        path: of the file that keeps the images.
        title: of the ensemble, for the line that is printed.
    """
    possible = observer.has_gradients and noise.has_gradient_identity and not observer.only
    if not possible or observer.classes > EXACT_CLASSES:
        return {}
    identity = [observer.sha256, observer.meaning, noise.describe(), count, seed]
    print(f"{observer.name}: exact images of {title}, from {count:,} gradients at most")
    started = time.monotonic()
    exact = kept_exact(path, identity, lambda: exact_class_images(observer, noise, count, seed))
    seconds, used = time.monotonic() - started, exact["logit"].count
    print(f"{observer.name}: {used:,} gradients of each class were enough, {seconds:.0f} s")
    return exact


def layers_to_measure(noise, usual, chosen=()):
    """Return the layers whose receptive fields are measured with an ensemble: {label: layer}.

    There are none unless the noise is white and about a number: about an image, the base differs
    from place to place, and coloured noise blurs receptive fields.

    Args:
        noise: the ensemble.
        usual: names of the first and the last convolution, or fewer.
        chosen: names of the layers to use instead, which are their own labels.
    """
    if not noise.is_white or np.ndim(noise.mean):
        return {}
    if chosen:
        return {layer: layer for layer in chosen}
    return dict(zip(("conv1", "convLast"), usual, strict=False))


def layer_findings(observer, measurement, layer, path, *, patches, live_rate, seed):
    """Compare the spike-triggered averages of a layer with kernels or gradients: LayerFindings.

    Args:
        observer, measurement: an Observer, and a Measurement of it.
        layer: the name of the layer.
        path: of the file that keeps exact receptive fields.
        patches, seed: of `exact_receptive_fields`; the seed must differ from the measurement's.
        live_rate: the share of the images in which a filter fires, at least, if it is live.
    """
    estimate = measurement.layers[layer]
    live = estimate.response_std > 0
    if estimate.nonnegative:
        live = estimate.fired >= max(live_rate * measurement.maps[layer].count, 1)
    learned = observer.kernels(layer)
    if learned is not None and learned.shape == estimate.covariance.shape:
        cosine = cosines(learned, estimate.covariance)
        return LayerFindings(layer, live, learned, cosine, live_rate)
    noise = measurement.noise
    if not noise.has_gradient_identity or len(estimate.covariance) > EXACT_FILTERS:
        return LayerFindings(layer, live, None, None, live_rate)

    def compute():
        return {"filters": exact_receptive_fields(observer, noise, layer, patches, seed)}

    identity = [observer.sha256, noise.describe(), layer, patches, seed]
    started = time.monotonic()
    try:
        exact = kept_exact(path, identity, compute)["filters"]
    except UserError as error:
        print(f"{observer.name}: {layer} is not compared with gradients: {error}")
        return LayerFindings(layer, live, None, None, live_rate)
    seconds = time.monotonic() - started
    print(f"{observer.name}: exact fields of {layer}, {exact.count:,} patches, {seconds:.0f} s")
    agreement = correlations(exact.images, estimate.covariance)
    return LayerFindings(layer, live, None, agreement, live_rate)
