"""Class images of several observers, and how far they agree, side by side."""

import numpy as np

from reverse_correlation.commands.measure import noise_of
from reverse_correlation.commands.running import check_writable, connected
from reverse_correlation.errors import UserError
from reverse_correlation.estimates.agreement import compare, difference
from reverse_correlation.estimates.measurement import Measurement
from reverse_correlation.figures.comparison import draw_comparison
from reverse_correlation.figures.style import save
from reverse_correlation.observers.network_files import read_observer
from reverse_correlation.observers.observer import names_of_classes
from reverse_correlation.passes.measure import measure
from reverse_correlation.stimuli.labelled_images import read_labelled_images
from reverse_correlation.texts import number


def compare_files(settings):
    """Measure what CompareSettings name, print how far it agrees, and draw it.

    Returns:
        The path of the figure.
    """
    check_writable(settings.out)
    images = read_labelled_images(settings.images) if settings.images else None
    class_names = settings.class_names or (images.class_names if images else ())
    names, response = distinct_names(settings.files), settings.response
    saved = {path: Measurement.load(path) for path in settings.files if path.suffix == ".npz"}
    observers = {}  # all are looked at before the first is measured
    for path, name in zip(settings.files, names, strict=True):
        if path not in saved:
            observers[name] = observer, noise = looked_at(path, name, images, settings)
            refuse_other_noise(noise, path, saved)
            names_of_classes(class_names, observer.classes, observer.only)
    with connected(settings.scheduler) as client:
        measurements = [
            measured(*observers[name], settings.seed + i, client, settings)
            if name in observers
            else saved[path]
            for i, (path, name) in enumerate(zip(settings.files, names, strict=True))
        ]
    found = compare(measurements, response, names)
    differing = difference(*measurements, response) if len(names) == 2 else None
    classes = measurements[0].class_names(class_names)
    print_comparison(found, differing, measurements, classes, response)
    figure = draw_comparison(found, differing, measurements, classes, response)
    path = save(figure, settings.out / f"compare_{'_'.join(names)}_{response}.png")
    print(f"\n{path}")
    return path


def distinct_names(files):
    """Return a name for each file: its stem, and a number where several have the same."""
    stems = [path.stem for path in files]
    return [
        stem if stems.count(stem) == 1 else f"{stem}-{stems[: i + 1].count(stem)}"
        for i, stem in enumerate(stems)
    ]


def looked_at(path, name, images, settings):
    """Read a file, and show its observer a little noise: (Observer, ensemble).

    Args:
        path: of the file.
        name: of the observer.
        images: LabelledImages, or None.
        settings: what it is shown, and how its file is read: CompareSettings.

    Raises:
        UserError: if it cannot be measured as the settings say.
    """
    observer = read_observer(path, settings.channels, settings.input_mean, settings.input_std)
    observer.name = name
    noise, _ = noise_of(settings, observer.shape, images)
    observer = observer.looked(noise).choosing(settings.classes)
    if images:
        images.refuse_unlike(observer, path)
    return observer, noise


def refuse_other_noise(noise, path, saved):
    """Raise UserError if saved measurements, {path: Measurement}, are of other noise."""
    for other, measurement in saved.items():
        if measurement.noise.describe() != noise.describe():
            raise UserError(
                f"{other} is of {measurement.noise.title} noise of "
                f"{' x '.join(map(str, measurement.noise.shape))} pixels that {path.name} would "
                "not be shown: name --noise-kind, --base, --contrast and --input-range as there"
            )


def measured(observer, noise, seed, client, settings):
    """Measure an observer, and save its Measurement in the folder of the results.

    Args:
        observer, noise: as `looked_at` returns them.
        seed: of its noise.
        client: of a Dask cluster, or None.
        settings: how much it is shown, and where results go: CompareSettings.
    """
    measurement = measure(
        observer,
        noise,
        settings.noise_images,
        seed=seed,
        until=settings.until,
        client=client,
        only=observer.only,
    )
    measurement.save(settings.out / f"compare_{observer.name}.npz")
    return measurement


def print_comparison(found, differing, measurements, classes, response):
    """Print how far observers agree on each class.

    Args:
        found: the Agreement.
        differing: the Difference of two observers; None of more.
        measurements: of the observers.
        classes: names of the measured classes.
        response: whose images are compared.
    """
    count = len(found.names)
    upper = np.triu_indices(count, 1)
    for name, m in zip(found.names, measurements, strict=True):
        print(f"{name}: {m.count:,} images of {m.noise.title} noise, seed {m.provenance['seed']}")
    print(
        f"\n{response} images, {count} observers; r: mean over pairs, +- {found.error:.3f} if they "
        "are unrelated"
    )
    head = ["class", "r", "without noise", "ICC(3,1)", "its 95 %", f"ICC(3,{count})", "infoVal"]
    print_row([*head, *(["pixels that differ"] if differing else [])])
    for k, name in enumerate(classes):
        cells = [
            name,
            number(found.correlation[upper][:, k].mean(), "{:.3f}"),
            number(found.disattenuated[upper][:, k].mean(), "{:.3f}"),
            *intraclass_cells(found, k),
            " ".join(number(value, "{:.1f}") for value in found.info_value[:, k]),
        ]
        if differing:
            mask = differing.significant[k]
            cells.append(f"{mask.sum():,} of {mask.size:,}")
        print_row(cells)


def intraclass_cells(found, k):
    """Return the intraclass correlations of a class as texts, dashes where there are none."""
    if found.single is None or not np.isfinite(found.single.value[k]):
        return ["-"] * 3
    single, average = found.single, found.average
    interval = f"{single.low[k]:.3f} to {single.high[k]:.3f}"
    return [f"{single.value[k]:.3f}", interval, f"{average.value[k]:.3f}"]


def print_row(cells):
    """Print a row of the table."""
    print("".join(f"{text:>20}" for text in cells))
