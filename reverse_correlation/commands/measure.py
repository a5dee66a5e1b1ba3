"""`python -m reverse_correlation measure FILE`: what the classifier in a file looks for."""

import numpy as np

from reverse_correlation.commands.flags import how_to_repeat
from reverse_correlation.commands.running import check_writable, connected
from reverse_correlation.errors import UserError
from reverse_correlation.estimates import findings
from reverse_correlation.estimates.activity import activation_maps
from reverse_correlation.estimates.spectrum import has_spectrum
from reverse_correlation.figures.class_images import commonest, draw_bias
from reverse_correlation.figures.filters import draw_receptive_fields
from reverse_correlation.figures.panels import draw_activation_maps, draw_noise_activity
from reverse_correlation.figures.spectrum import draw_spectrum
from reverse_correlation.figures.style import save
from reverse_correlation.figures.templates import draw_templates
from reverse_correlation.figures.views import draw_views
from reverse_correlation.observers.network_files import read_observer
from reverse_correlation.observers.observer import names_of_classes
from reverse_correlation.passes.first_look import base_remark, range_remark
from reverse_correlation.passes.measure import measure
from reverse_correlation.passes.threshold import at_threshold, needs_contrast
from reverse_correlation.report.page import write_report
from reverse_correlation.report.summary import print_summary, write_summary
from reverse_correlation.stimuli.base_images import read_base, read_mask, size_of_base
from reverse_correlation.stimuli.catalogue import ensemble_of
from reverse_correlation.stimuli.labelled_images import read_labelled_images


def measure_file(s):
    """Measure the observer that MeasureSettings name, and draw it; return the paths written."""
    check_writable(s.out)
    labelled = read_labelled_images(s.images) if s.images else None
    observer, noise, title = looked_at(s.file, s, labelled)
    names = s.class_names or (labelled.class_names if labelled else ())
    names = names_of_classes(names, observer.classes, observer.only)
    test = test_images(labelled, observer, s.input_range) if labelled else None
    stem = f"{s.file.stem}_{labelled.name}" if labelled else s.file.stem
    place = f"{s.file.stem} on {labelled.name}" if labelled else s.file.stem
    convolutions = observer.convolutions()
    usual = tuple(dict.fromkeys(convolutions[:1] + convolutions[-1:]))
    layers = findings.layers_to_measure(noise, usual, s.layers)
    print_what_it_is(observer, s.input_range, bool(convolutions), bool(layers))
    mask = read_mask(s.mask, observer.shape) if s.mask else None
    print_first_answers(observer, noise, s, names)
    noise = with_contrast(observer, noise, s, names)
    with connected(s.scheduler) as client:
        measurement = measure(
            observer,
            noise,
            s.noise_images,
            seed=s.seed,
            layers=layers.values(),
            checkpoint=s.out,
            precision=s.precision,
            client=client,
            until=s.until,
            only=observer.only,
            prediction_images=s.prediction_images,
        )
    measurement.save(s.out / f"{stem}.npz")
    regions = measurement.regions(smooth=s.smooth, mask=mask)
    result = findings_of(s, observer, measurement, layers, names, test, title, stem, place, regions)
    written = draw_all(result, layers, test, stem, s)
    how = how_to_repeat("python -m reverse_correlation measure", s)
    write_summary([result], s.out / f"{stem}.json", how[0])
    if s.report:
        written.append(write_report(result, written, s.out / f"{stem}.html", *how))
    print_summary([result], written, s.out)
    return written


def looked_at(path, s, labelled=None, name=None):
    """Read a file, and show its observer a little noise.

    Args:
        path: of the file.
        s: what it is shown, and how its file is read: MeasureSettings or CompareSettings.
        labelled: LabelledImages, or None.
        name: of the observer; by default the file's.

    Returns:
        (Observer, ensemble, what its base is called).

    Raises:
        UserError: if the file, the noise or the labelled images do not fit together.
    """
    sides = labelled.mean_image.shape[:2] if labelled else size_of_base(s.base)
    observer = read_observer(path, **s.reading, otherwise=sides)
    observer.name = name or observer.name
    if observer.shape[2] == 3:
        order = {"rgb": "red, green and blue", "bgr": "blue, green and red"}[s.colours]
        print(f"{observer.name}: expects {order}, in that order; see --colours")
    mean, images = (labelled.mean_image, labelled.train[0]) if labelled else (None, None)
    base, title = read_base(s.base, observer.shape, s.input_range, mean)
    noise = ensemble_of(
        s.noise_kind,
        observer.shape,
        s.input_range,
        base,
        s.contrast,
        images,
        s.independent,
        s.achromatic,
    )
    if np.ndim(base):
        least, most = noise.mean.min(), noise.mean.max()
        print(f"base: {title}, mean {noise.mean.mean():.2g}, from {least:.2g} to {most:.2g}")
    if not needs_contrast(noise) and s.survive != type(s).survive:
        raise UserError(
            "--survive sets the contrast of noise about an image: name one with --base, or leave "
            "--survive out"
        )
    observer = observer.looked(noise).choosing(s.classes)
    if labelled:
        labelled.refuse_unlike(observer, path)
    return observer, noise, title or "pure noise"


def with_contrast(observer, noise, s, names):
    """Return noise with its contrast: that at the observer's threshold, if none was given.

    The `names` are of the measured classes.
    """
    if not needs_contrast(noise):
        return noise
    noise = at_threshold(observer, noise, s.survive, s.seed)
    print(f"{observer.name}: {noise.at_threshold.sentence(names_of_all(observer, names))}")
    return noise


def names_of_all(observer, names):
    """Return what all classes are called, of which `names` are those that are measured."""
    measured = {k: name for k, name in zip(observer.measured, names, strict=True)}
    return [measured.get(k, f"class {k}") for k in range(observer.classes)]


def print_first_answers(observer, noise, s, names):
    """Print what an observer answers to the base, and whether its input range looks wrong."""
    named = names_of_all(observer, names)
    print(base_remark(observer, noise, named))
    if not s.input_mean and (remark := range_remark(observer, noise, named)):
        print(remark)


def test_images(labelled, observer, input_range):
    """Return the test images of the measured classes, in the observer's range, with their labels.

    Labels are places among the measured classes.
    """
    (images, labels), (low, high) = labelled.test, input_range
    if observer.only:
        place = {k: i for i, k in enumerate(observer.only)}
        chosen = np.isin(labels, observer.only)
        images, labels = images[chosen], np.array([place[k] for k in labels[chosen]], int)
    return low + (high - low) * images, labels


def print_what_it_is(observer, input_range, has_convolutions, has_layers):
    """Print what an observer is taken for."""
    name, (low, high) = observer.name, input_range
    for rescaling in observer.rescalings():
        print(f"{name} rescales its input itself ({rescaling}): see that --input-range fits")
    print(
        f"{name}: images of {observer.shape} from {low:g} to {high:g}, classes: "
        f"{observer.classes:,}, responses: logits, {observer.meaning}"
    )
    if not observer.has_gradients:
        print(f"{name} is not a Keras network, so its layers cannot be tapped: no receptive fields")
    elif not has_convolutions:
        print(f"{name} has no convolution whose receptive field can be derived")
    elif not has_layers:
        print(f"{name}: receptive fields are measured with white noise about grey alone")


def findings_of(s, observer, measurement, layers, names, test, title, stem, place, regions):
    """Say how good the class images and filters of a measurement are: a Result."""
    exact = findings.exact_images_of(
        observer, measurement.noise, s.out / f"{stem}.exact.npz", s.exact_images, s.seed + 1
    )
    how = {"patches": s.exact_patches, "live_rate": s.live_rate, "seed": s.seed + 1}
    of_layers = [
        findings.layer_findings(
            observer, measurement, layer, s.out / f"{stem}_{layer}.exact.npz", **how
        )
        for layer in layers.values()
    ]
    right = observer.accuracy(*test) if test and not observer.only else None
    of_classes = findings.class_findings(measurement, exact, test, regions)
    shown = (findings.Shown(title, measurement, of_classes),)
    return findings.Result(observer, observer.name, place, names, shown, tuple(of_layers), right)


def draw_all(result, layers, test, stem, s):
    """Draw the figures of a Result; return their paths."""
    (shown,), names, place = result.shown, result.class_names, result.place
    measurement, observer = shown.measurement, result.observer
    figures = {f"bias_{stem}": draw_bias(result.shown, names, place)}
    if test:
        figures[f"template_{stem}"] = draw_templates(result.shown, names, place, len(test[1]))
    regions = shown.findings.regions
    figures[f"base_{stem}"] = draw_views(measurement, names, place, regions=regions)
    if has_spectrum(measurement.classes["decision"]):
        figures[f"spectrum_{stem}"] = draw_spectrum(measurement, names, place)
    for (label, layer), found in zip(layers.items(), result.layers, strict=True):
        if test:
            maps = activation_maps(observer, layer, *test)
            figures[f"{label}_{stem}"] = draw_activation_maps(maps, names, test[1], layer, place)
        activity = draw_noise_activity(measurement, layer, commonest(measurement), names, place)
        figures[f"{label}_{stem}_noise"] = activity
        figures[f"sta_{label}_{stem}"] = draw_receptive_fields(measurement, found, place)
    return [save(figure, s.out / f"{name}.png", s.format) for name, figure in figures.items()]
