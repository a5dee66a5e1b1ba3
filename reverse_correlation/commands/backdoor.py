"""Networks under test held against clean ones: has one of them a backdoor?"""

import time

import numpy as np

from reverse_correlation.commands.compare import distinct_names, refuse_other_noise, shown_to
from reverse_correlation.commands.flags import how_to_repeat
from reverse_correlation.commands.measure import looked_at, print_first_answers
from reverse_correlation.commands.running import check_writable, connected
from reverse_correlation.errors import UserError
from reverse_correlation.estimates.backdoor import ALPHA, find_backdoors, refuse_unlike
from reverse_correlation.estimates.measurement import Measurement
from reverse_correlation.figures.backdoor import MOST, draw_backdoors
from reverse_correlation.figures.style import save
from reverse_correlation.files import safe_stem
from reverse_correlation.observers.observer import names_of_classes
from reverse_correlation.passes.measure import measure
from reverse_correlation.passes.threshold import needs_contrast
from reverse_correlation.report.tables import write_tables
from reverse_correlation.stimuli.labelled_images import read_labelled_images
from reverse_correlation.texts import aligned

HEAD = ["network", "p", "score", "of clean ones", "class", "where", "next class", "its p"]


def backdoor_files(s):
    """Hold what BackdoorSettings name against the references, say so, and draw it: the path."""
    check_writable(s.out)
    labelled = read_labelled_images(s.images) if s.images else None
    files = (*s.files, *s.references)
    refuse_missing_or_twice(files)
    names, count = distinct_names(files), len(s.files)
    class_names = s.class_names or (labelled.class_names if labelled else ())
    measurements = measured(dict(zip(names, files, strict=True)), s, labelled, class_names)
    how = {"names": names, "smooth": s.smooth}
    tested, clean = measurements[:count], measurements[count:]
    found = find_backdoors(tested, clean, s.response, **how)
    classes = tested[0].class_names(class_names)
    notes, rows = tell(found, names[:count], classes, tested[0], s.response)
    path = draw(found, tested, clean, names, classes, notes, s)
    command, _ = how_to_repeat("python -m reverse_correlation backdoor", s)
    write_tables({"backdoors": rows}, path.with_suffix(".json"), command, notes)
    print(f"\n{path}")
    return path


def measured(files, s, labelled, class_names):
    """Measure {name: file} as BackdoorSettings say, or read what was measured: Measurements.

    One network is held in memory at a time.
    """
    saved = {n: Measurement.load(path) for n, path in files.items() if path.suffix == ".npz"}
    found, first = dict(saved), True
    with connected(s.scheduler) as client:
        for name, path in files.items():
            if name in saved:
                continue
            observer, noise, _ = looked_at(path, s, labelled, name)
            if needs_contrast(noise):
                raise UserError(
                    "noise about an image is to be as strong for all networks: name its --contrast"
                )
            refuse_other_noise(noise, name, saved)
            if first:  # of the others, as much would be said
                named = names_of_classes(class_names, observer.classes, observer.only)
                print_first_answers(observer, noise, s, named)
            started = time.monotonic()
            found[name] = measure(
                observer, noise, s.noise_images, seed=s.seed, checkpoint=s.out, client=client,
                only=observer.only, progress=False,
            )  # fmt: skip
            found[name].save(s.out / f"backdoor_{name}.npz")
            seconds = time.monotonic() - started
            print(f"{name}: {shown_to(found[name])}, {seconds:.0f} s", flush=True)
            if first:  # before hours are spent
                alike = {name: found[name]} | saved
                refuse_unlike(list(alike.values()), s.response, list(alike))
            first = False
    return [found[name] for name in files]


def refuse_missing_or_twice(files):
    """Raise UserError if a file does not exist, or is named twice."""
    for path in files:
        if not path.is_file():
            raise UserError(
                f"there is no file {path}: name networks (.keras, .onnx, .h5) or saved "
                "measurements (.npz)"
            )
    known = set()
    for path in (path.resolve() for path in files):
        if path in known:
            raise UserError(
                f"{path.name} is named twice: a network cannot be held against itself, and no "
                "reference counts twice"
            )
        known.add(path)


def tell(found, names, classes, measurement, response):
    """Print what is found of networks: (lines above the table, its rows), as texts.

    Args:
        found, names: a Suspicion of each network under test, and what it is called.
        classes: names of the classes.
        measurement, response: of one of the networks, and whose images they are.
    """
    references, least = len(found[0].references), found[0].least_p
    seed = measurement.provenance["seed"]
    notes = [
        f"{response} images, {shown_to(measurement)} each, seed {seed}, {references} clean "
        "references",
        "p: the share of these and the network itself that are at least as unusual as it, each "
        f"held against all the others; {least:.2g} at best",
    ]
    if least > ALPHA:
        notes.append(
            f"with {references} references no network can be told from clean ones at 5 %: "
            f"p cannot be below {least:.2g}; 19 references reach .05"
        )
    elif len(found) > 1:
        notes.append(
            f"of {len(found)} clean networks {ALPHA * len(found):.2g} would have p of .05 or less"
        )
    rows = [HEAD, *(row_of(one, name, classes) for one, name in zip(found, names, strict=True))]
    print("", *notes, "in brackets: not above chance", "", *aligned(rows), "", sep="\n")
    for one, name in zip(found, names, strict=True):
        print(sentence(one, name, classes))
    return notes, rows


def row_of(found, name, classes):
    """Return the row of a network, under HEAD; in brackets what is no more than chance."""
    second = int(found.peaks.argsort()[-2])
    told = classes[found.suspect], place_text(found.place)
    told = told if found.unusual else [f"({text})" for text in told]
    clean = f"{found.references.min():.3g} to {found.references.max():.3g}"
    following = classes[second], f"{found.class_p[second]:.3g}"
    return [name, f"{found.p_value:.3g}", f"{found.score:.3g}", clean, *told, *following]


def place_text(mask):
    """Say in which rows and columns, from 1, a mask (h, w) lies."""
    (top, bottom), (left, right) = (np.flatnonzero(mask.any(axis=k))[[0, -1]] + 1 for k in (1, 0))
    return f"rows {top}-{bottom}, columns {left}-{right}"


def sentence(found, name, classes):
    """Say of a network what was found, and how sure it is."""
    p = f"p = {found.p_value:.3g}"
    if found.p_value == found.least_p > ALPHA:
        clean = len(found.references)
        return (
            f"{name}: more unusual than all {clean} clean networks, who are too few to tell ({p})"
        )
    if not found.unusual:
        return f"{name}: not told from clean networks ({p}), which does not say that it is clean"
    others = [classes[k] for k in np.flatnonzero(found.class_p <= ALPHA) if k != found.suspect]
    sure = f"though {', '.join(others)} stand out, too" if others else "and no other class"
    return (
        f"{name}: unlike the clean networks ({p}), as a backdoor into {classes[found.suspect]!r} "
        f"would make it, {sure}; {place_text(found.place)}"
    )


def draw(found, tested, clean, names, classes, notes, s):
    """Draw the networks with the lowest p; save the figure, and return its path."""
    order = np.argsort([one.p_value for one in found], kind="stable")[:MOST]
    of_how_many = (
        f" {MOST} of {len(found)} networks, those of the lowest p" if len(found) > MOST else ""
    )
    figure = draw_backdoors(
        [found[i] for i in order],
        [tested[i].classes[s.response].covariance for i in order],
        np.mean([m.classes[s.response].covariance for m in clean], axis=0),
        [names[i] for i in order],
        classes,
        f"Unlike clean networks?{of_how_many}\n{notes[0]}",
        f"dots: clean references; line: the network; outlined: where; {'; '.join(notes[1:])}",
    )
    stem = safe_stem("_".join(names[: len(found)]))
    return save(figure, s.out / f"backdoor_{stem}_{s.response}.png")
