"""What was found of each observer of a study, in files: measurements, pictures and numbers."""

from reverse_correlation.figures.image_files import save_image
from reverse_correlation.files import safe_stem


def write_people(results, difference, out):
    """Write the Measurement and the choice image of every observer of StudyResults.

    These are measurements/NAME.npz, images/NAME.png and images/NAME.npy. Of several conditions, a
    name begins with that of its condition. The ConditionDifference, or None, has an image alone.

    Args:
        out: a folder that has these two.

    Returns:
        Names of the measurements of an earlier reading, which are still there.
    """
    named = []
    for result in results:
        first = f"{result.study.condition}_" if len(results) > 1 else ""
        named += [(first + person.name, person) for person in result.people]
        named += [(f"{first}{result.network.stem}_{each.name}", each) for each in result.classes]
    if difference:
        named.append((difference.observer.name, difference.observer))
    stems = file_stems([name for name, _ in named])
    for stem, (_, observer) in zip(stems, named, strict=True):
        save_image(observer.estimate.image[0], out / "images" / stem)
        if difference is None or observer is not difference.observer:
            observer.measurement.save(out / f"measurements/{stem}.npz")
    return sorted(path.name for path in out.glob("measurements/*.npz") if path.stem not in stems)


def file_stems(names):
    """Return stems of file names, letters, digits, - and _, no two of them alike in any case."""
    stems = [safe_stem(name) for name in names]
    if len({stem.casefold() for stem in stems}) < len(stems):
        stems = [f"{i + 1}_{stem}" for i, stem in enumerate(stems)]
    return stems
