"""Do networks look for the same? Their class images, and how far they agree, side by side.

python compare.py models/mnist_lenet.keras models/mnist_alexnet.keras --dataset mnist --base mean
python compare.py mine.onnx results/model_theirs.npz    # or what was measured already

Each network is shown noise of its own seed, so that none agrees with another for having seen the
same noise; saved measurements of one seed are compared across even and odd shards.
"""

import sys

from command_line import check_writable, connected, exit_code, read_compare_settings
from reverse_correlation.backend import import_tensorflow_quietly
from settings import CompareSettings

# ---------------------------------------------------------------------------------------------
# The first constants are the defaults of the flags of the same name.
RESPONSE = "choice"  # or decision, probability, logit
NOISE_IMAGES = 100_000  # the most that each network is shown
UNTIL = 0.0  # expected correlation of every logit and choice image at which to stop; 0: show all
SEED = 0  # of the first network's noise; the next has the next
# ---------------------------------------------------------------------------------------------

DEFAULTS = CompareSettings((), RESPONSE, NOISE_IMAGES, UNTIL, SEED)

if __name__ == "__main__":  # read before the imports below, which take seconds
    SETTINGS = read_compare_settings(None, DEFAULTS, __doc__)
    import_tensorflow_quietly()

import textwrap

import numpy as np
from subjects import ensemble, read_base, shape_of

import data
import figures
from reverse_correlation import (
    Measurement,
    Network,
    Observer,
    UserError,
    compare,
    difference,
    load_any_network,
    measure,
)
from reverse_correlation.figures.class_images import SHOWN_CLASSES, fill_class_images, of_how_many
from reverse_correlation.figures.style import SIGNED, Picture, styled, without_ticks


def main(settings):
    """Measure, compare, print the table and draw the figure; return its path."""
    results = settings.out / "results"
    check_writable(results)
    train = data.load_data(settings.dataset)[0][0] if settings.dataset else None
    names = distinct_names(settings.files)
    saved = {path: Measurement.load(path) for path in settings.files if path.suffix == ".npz"}
    with connected(settings.scheduler) as client:
        measurements = [
            saved.get(path)
            or measured(path, name, settings, settings.seed + i, train, results, client, saved)
            for i, (path, name) in enumerate(zip(settings.files, names, strict=True))
        ]
    found = compare(measurements, settings.response, names)
    differing = difference(*measurements, settings.response) if len(names) == 2 else None
    classes = class_names(settings, measurements[0])
    print_table(found, differing, measurements, classes, settings.response)
    figure = draw_comparison(found, differing, measurements, classes, settings.response)
    path = figures.save(figure, results / f"compare_{'_'.join(names)}_{settings.response}.png")
    print(f"\n{path}")
    return path


def distinct_names(files):
    """Return how the networks of files are called: their stems, and a number where two are one."""
    stems = [path.stem for path in files]
    return [
        stem if stems.count(stem) == 1 else f"{stem}-{stems[: i + 1].count(stem)}"
        for i, stem in enumerate(stems)
    ]


def measured(path, name, settings, seed, train, results, client, saved):
    """Measure the network that a file holds, and save its Measurement.

    Args:
        saved: {path: Measurement} of what it will be compared with.

    Raises:
        UserError: if those were shown other noise.
    """
    model = load_any_network(path)
    shape = shape_of(model, path)
    mean = None if train is None else train.mean(axis=0)
    base, _ = read_base(settings.base, shape, settings.input_range, mean)
    noise = ensemble(
        settings.noise_kind, shape, settings.input_range, base, settings.contrast, train
    )
    for other, measurement in saved.items():
        if measurement.noise.describe() != noise.describe():
            raise UserError(
                f"{other} is of {measurement.noise.title} noise of "
                f"{' x '.join(map(str, measurement.noise.shape))} pixels that {path.name} would "
                "not be shown: name --noise-kind, --base, --contrast and --input-range as there"
            )
    if not isinstance(model, Observer):
        model = Network(model, noise, name=name)
    measurement = measure(
        model,
        noise,
        settings.noise_images,
        seed=seed,
        until=settings.until,
        client=client,
        only=settings.classes,
    )
    measurement.save(results / f"compare_{name}.npz")
    return measurement


def class_names(settings, measurement):
    """Return the names of the measured classes.

    Raises:
        UserError: if there are others than were named.
    """
    chosen = measurement.class_indices
    if not settings.class_names and not settings.dataset:
        return [str(k) for k in chosen]
    names = settings.class_names or data.CLASS_NAMES[settings.dataset]
    if settings.classes and len(names) > max(chosen):
        names = [names[k] for k in chosen]
    if len(names) != len(chosen):
        raise UserError(
            f"{len(names)} class names for {len(chosen)} classes: give one each, in the order of "
            "the network's outputs"
        )
    return names


def print_table(found, differing, measurements, classes, response):
    """Print how far the observers agree on each class."""
    count = len(found.names)
    upper = np.triu_indices(count, 1)
    for name, m in zip(found.names, measurements, strict=True):
        print(f"{name}: {m.count:,} images of {m.noise.title} noise, seed {m.provenance['seed']}")
    print(
        f"\n{response} images, {count} observers; r: mean over pairs, +- {found.error:.3f} if they "
        "are unrelated"
    )
    head = ["class", "r", "without noise", "ICC(3,1)", "its 95 %", f"ICC(3,{count})", "infoVal"]
    head += ["pixels that differ"] if differing else []
    print("".join(f"{text:>20}" for text in head))
    for k, name in enumerate(classes):
        cells = [name, f"{found.correlation[upper][:, k].mean():.3f}"]
        cells.append(f"{found.disattenuated[upper][:, k].mean():.3f}")
        if found.single is None:
            cells += ["-"] * 3
        else:
            low, high = found.single.low[k], found.single.high[k]
            cells += [f"{found.single.value[k]:.3f}", f"{low:.3f} to {high:.3f}"]
            cells.append(f"{found.average.value[k]:.3f}")
        cells.append(" ".join(f"{value:.1f}" for value in found.info_value[:, k]))
        if differing:
            mask = differing.significant[k]
            cells.append(f"{mask.sum():,} of {mask.size:,}")
        print("".join(f"{text:>20}" for text in cells))


@styled
def draw_comparison(found, differing, measurements, classes, response):
    """Draw the matrix of agreement above the images, a row an observer and a column a class."""
    count = len(found.names)
    shown = np.sort(np.argsort(-measurements[0].answered, kind="stable")[:SHOWN_CLASSES])
    rows = {}
    for name, m in zip(found.names, measurements, strict=True):
        estimate = m.classes[response]
        notes = [f"r = {r:.3f}" if np.isfinite(r) else "" for r in estimate.reliability]
        blank = [f"answered\n{n:,} of\n{m.count:,}" for n in m.answered]
        rows[name] = [
            [part[k] for k in shown]
            for part in (estimate.image, estimate.significant, notes, blank)
        ]
    if differing:
        notes = [f"{mask.sum():,} pixels" for mask in differing.significant]
        parts = differing.covariance, differing.significant, notes, [""] * len(notes)
        rows["difference"] = [[part[k] for k in shown] for part in parts]
    side = min(1.8, max(1.02, 6 / len(shown)))
    width, top = max(side * len(shown) + 0.9, 6.4), 1.4 + 0.34 * count
    figure = Picture(figsize=(width, top + (side + 0.4) * len(rows) + 0.8), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[top, figure.get_figheight() - top])
    with np.errstate(invalid="ignore"):
        draw_matrix(above, np.nanmean(found.disattenuated, axis=2), found.names, found.error)
    axes = below.subplots(len(rows), len(shown), squeeze=False)
    without_ticks(axes)
    fill_class_images(below, axes, rows, [classes[k] for k in shown])
    legend = "r: split-half reliability; outlined: pixels significant at family-wise 5 %"
    legend += "; difference: in units of each response's s.d." if differing else ""
    legend = textwrap.fill(legend, int(14 * width))
    below.suptitle(f"{response} images{of_how_many(measurements[0], shown)}\n{legend}")
    return figure


def draw_matrix(figure, matrix, names, error):
    """Draw the correlation of every pair of observers, mean over classes."""
    axis = figure.subplots()
    axis.imshow(matrix, cmap=SIGNED, vmin=-1, vmax=1)
    for (i, j), value in np.ndenumerate(matrix):
        colour = "white" if abs(value) > 0.6 else "black"
        axis.text(j, i, f"{value:.2f}", ha="center", va="center", color=colour, fontsize=7)
    axis.set_xticks(range(len(names)), names, rotation=20, ha="right", fontsize=7)
    axis.set_yticks(range(len(names)), names, fontsize=7)
    figure.suptitle(
        "Agreement: correlation of class images without their noise, mean over classes\n"
        f"(unrelated observers: 0 ± {error:.2f} a class, before the noise is taken out)"
    )


def run(arguments=None):
    """Read a command line and run; return the exit code."""
    settings = read_compare_settings(arguments, DEFAULTS, __doc__)
    return exit_code("compare.py", lambda: main(settings))


if __name__ == "__main__":
    sys.exit(exit_code("compare.py", lambda: main(SETTINGS)))
