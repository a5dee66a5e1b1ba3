"""Class images of several observers, and how far they agree, side by side."""

import dataclasses

import numpy as np

from reverse_correlation.commands.flags import how_to_repeat
from reverse_correlation.commands.groups import tell_group
from reverse_correlation.commands.measure import looked_at, print_first_answers, with_contrast
from reverse_correlation.commands.running import check_writable, connected
from reverse_correlation.errors import UserError
from reverse_correlation.estimates.agreement import compare, difference
from reverse_correlation.estimates.measurement import Measurement
from reverse_correlation.estimates.prediction import LEAST_PAIRS
from reverse_correlation.estimates.summary import share_text
from reverse_correlation.figures.class_images import noise_images
from reverse_correlation.figures.comparison import draw_comparison
from reverse_correlation.figures.style import save
from reverse_correlation.observers.observer import names_of_classes
from reverse_correlation.passes.measure import measure
from reverse_correlation.passes.prediction import OWN_SEED, cross_predict, images_of_a_test
from reverse_correlation.passes.threshold import at_contrast, needs_contrast
from reverse_correlation.report.tables import write_tables
from reverse_correlation.stimuli.labelled_images import read_labelled_images
from reverse_correlation.texts import number


def compare_files(s):
    """Measure what CompareSettings name, say what they show, and draw it: the path."""
    check_writable(s.out)
    labelled = read_labelled_images(s.images) if s.images else None
    class_names = s.class_names or (labelled.class_names if labelled else ())
    files = (*s.files, *s.group, *s.against)
    names = distinct_names(files)
    named = dict(zip(names, files, strict=True))
    measurements, observers = measured(named, s, labelled, class_names)
    classes = measurements[0].class_names(class_names)
    if s.group:
        found = tell_group(measurements, names, classes, s)
    else:
        found = tell_agreement(measurements, observers, names, classes, s)
    tables, figure, notes, stem = found
    path = save(figure, s.out / f"{stem}_{s.response}.png")
    command, _ = how_to_repeat("python -m reverse_correlation compare", s)
    write_tables(tables, path.with_suffix(".json"), command, notes)
    print(f"\n{path}")
    return path


def measured(files, s, labelled, class_names):
    """Measure {name: file} as CompareSettings say, or read what was: Measurements and observers.

    Returns:
        (a list of all Measurements, {name: (Observer, ensemble)} of those that were measured now).
    """
    found = {n: Measurement.load(path) for n, path in files.items() if path.suffix == ".npz"}
    observers, names = {}, list(files)  # all are looked at before the first is measured
    for name in (name for name in names if name not in found):
        observer, noise, _ = looked_at(files[name], s, labelled, name)
        observers[name] = observer, at_their_contrast(noise, found)
        refuse_other_noise(observers[name][1], name, found)
        of_classes = names_of_classes(class_names, observer.classes, observer.only)
        print_first_answers(observer, noise, s, of_classes)
    observers = at_the_lowest_threshold(observers, s, class_names)
    with connected(s.scheduler) as client:
        for name, (observer, noise) in observers.items():
            found[name] = measure(
                observer,
                noise,
                s.noise_images,
                seed=s.seed + names.index(name),
                until=s.until,
                client=client,
                only=observer.only,
            )
            found[name].save(s.out / f"compare_{name}.npz")
    return [found[name] for name in names], observers


def tell_agreement(measurements, observers, names, classes, s):
    """Print how far observers agree: ({title: rows}, figure, notes, stem of its files)."""
    agreement = compare(measurements, s.response, names)
    differing = difference(*measurements, s.response) if len(names) == 2 else None
    compared = agreement, differing, measurements, classes, s.response
    notes, rows = print_comparison(*compared)
    judges = {name: observers.get(name, [None])[0] for name in names}
    crossed = predicted(s, judges, measurements)
    tables = {f"{s.response} images": rows} | (print_prediction(crossed) if crossed else {})
    tables |= print_bands(agreement)
    return tables, draw_comparison(*compared, crossed), notes, f"compare_{'_'.join(names)}"


def distinct_names(files):
    """Return a name for each file: its stem, and a number where several have the same."""
    stems = [path.stem for path in files]
    return [
        stem if stems.count(stem) == 1 else f"{stem}-{stems[: i + 1].count(stem)}"
        for i, stem in enumerate(stems)
    ]


def at_their_contrast(noise, saved):
    """Return noise at the contrast of saved measurements, {name: Measurement}, if it has none."""
    for measurement in saved.values():
        if needs_contrast(noise) and hasattr(measurement.noise, "contrast"):
            return dataclasses.replace(noise, contrast=measurement.noise.contrast)
    return noise


def at_the_lowest_threshold(observers, s, class_names):
    """Return observers with noise of one contrast, at which each still sees the image.

    Args:
        observers: {name: (Observer, ensemble)}; left as they are if their noise has its contrast.
        s: CompareSettings.
        class_names: as given.
    """
    if not any(needs_contrast(noise) for _, noise in observers.values()):
        return observers
    found = {}
    for name, (observer, noise) in observers.items():
        names = names_of_classes(class_names, observer.classes, observer.only)
        found[name] = observer, with_contrast(observer, noise, s, names)
    lowest = min(noise.contrast for _, noise in found.values())
    print(f"contrast {lowest:.3g}, the lowest of their thresholds, is shown to all")
    return {
        name: (observer, at_contrast(noise, lowest, noise.at_threshold))
        for name, (observer, noise) in found.items()
    }


def refuse_other_noise(noise, name, saved):
    """Raise UserError if saved measurements, {name: Measurement}, are of other noise."""
    for other, measurement in saved.items():
        if measurement.noise.describe() != noise.describe():
            raise UserError(
                f"{other}.npz is of {measurement.noise.title} noise of "
                f"{' x '.join(map(str, measurement.noise.shape))} pixels that {name} would not be "
                "shown: name --noise-kind, --base, --contrast and --input-range as there"
            )


def print_comparison(found, differing, measurements, classes, response):
    """Print how far observers agree on each class; the arguments are `draw_comparison`'s.

    Returns:
        (lines above the table, its rows), as texts.
    """
    count = len(found.names)
    upper = np.triu_indices(count, 1)
    notes = [
        f"{name}: {shown_to(m)}, seed {m.provenance['seed']}"
        for name, m in zip(found.names, measurements, strict=True)
    ]
    notes.append(
        f"{response} images, {count} observers; r: mean over pairs, +- {found.error:.3f} if they "
        "are unrelated"
    )
    print(*notes[:-1], "", notes[-1], sep="\n")
    head = ["class", "r", "without noise", "ICC(3,1)", "its 95 %", f"ICC(3,{count})", "infoVal"]
    rows = [[*head, *(["pixels that differ"] if differing else [])]]
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
        rows.append(cells)
    for cells in rows:
        print_row(cells)
    return notes, rows


def print_bands(found):
    """Print how far observers agree in each band of spatial frequency; return {title: rows}."""
    bands, title = found.bands, "agreement by spatial frequency"
    if bands is None:
        print(f"\n{title}: not known of noise that cannot be whitened, or of so small images")
        return {}
    head = ["cycles an image", "coefficients", "r", "without noise", "+- if unrelated"]
    rows, pairs = [[*head, "least to most", "known of"]], np.triu_indices(len(found.names), 1)
    for b, name in enumerate(bands.names):
        parts = bands.correlation[b], bands.disattenuated[b], bands.disattenuated_error[b]
        r, without_noise, error = (part[pairs][np.isfinite(part[pairs])] for part in parts)
        means = [number(v.mean() if len(v) else None, "{:.3f}") for v in (r, without_noise, error)]
        known = f"{len(without_noise):,} of {parts[1][pairs].size:,}"
        ends = (f"{end(without_noise):.3f}" for end in (min, max)) if len(without_noise) else "-"
        rows.append([name, f"{bands.count[b]:,}", *means, " to ".join(ends), known])
    print(f"\n{title}: means over pairs and classes; +-: of one pair and class")
    for cells in rows:
        print_row(cells)
    return {title: rows}


def shown_to(measurement):
    """Say how many images of which noise an observer was shown, or how many trials people were."""
    if measurement.of_trials:
        return noise_images(measurement)
    return f"{measurement.count:,} images of {measurement.noise.title} noise"


def intraclass_cells(found, k):
    """Return the intraclass correlations of a class as texts, dashes where there are none."""
    if found.single is None or not np.isfinite(found.single.value[k]):
        return ["-"] * 3
    single, average = found.single, found.average
    interval = f"{single.low[k]:.3f} to {single.high[k]:.3f}"
    return [f"{single.value[k]:.3f}", interval, f"{average.value[k]:.3f}"]


def predicted(s, observers, measurements):
    """Show observers, {name: Observer or None}, fresh pairs: a CrossPrediction, or None of none."""
    count = images_of_a_test(s.prediction_images, min(m.count for m in measurements))
    pairs = count >= 2 * LEAST_PAIRS and measurements[0].noise.symmetric
    if not pairs or not any(observers.values()):
        return None
    return cross_predict(observers, measurements, s.response, count, s.seed + OWN_SEED)


def print_prediction(crossed):
    """Print a CrossPrediction; return its table, {title: rows}."""
    title = f"choices that images predict, mean over classes, {crossed.pairs:,} fresh pairs"
    limits = zip(crossed.share, crossed.low, crossed.high, strict=True)
    rows = [["images of, choices of", *crossed.names]]
    rows += [
        [name, *map(share_text, *cells)] for name, cells in zip(crossed.names, limits, strict=True)
    ]
    print(f"\n{title}\n(chance: 50 %, with 95 % intervals; a dash: was not there to choose)")
    for cells in rows:
        print("".join(f" {text:>22}" for text in cells))
    return {title: rows}


def print_row(cells):
    """Print a row of the table."""
    print("".join(f"{text:>20}" for text in cells))
