"""One page of an observer: what was measured and how, its images under the pointer, its figures."""

import json
from pathlib import Path

import numpy as np

from reverse_correlation.estimates.summary import HEAD, summary_of
from reverse_correlation.figures.class_images import (
    RESPONSES,
    commonest,
    measured_responses,
    reliable_from,
)
from reverse_correlation.figures.style import SIGNED, image_tag
from reverse_correlation.files import replacing
from reverse_correlation.report.summary import listed_classes, regions_of, summary_lines
from reverse_correlation.texts import (
    Html,
    base64_of,
    html_of,
    html_of_each,
    html_table,
    json_in_page,
)

TEMPLATE = Path(__file__).with_name("page.html")
MOST_NUMBERS = 1_500_000  # pixel values in a page, two bytes each
SEE = {  # by the beginning of a figure's name
    "classification": "Test images mixed with noise, averaged by their true class. No network is "
    "involved: this is what the classes look like.",
    "cm": "The network shown those averages. On the diagonal it names them right.",
    "bias": "Class images, of the responses that say most; all are above. One of r near 1 "
    "is a template that the network compares images with; a faint one is noise, whatever it looks "
    "like. An empty panel says why.",
    "template": "The class images used as templates, without the network. A bright diagonal means "
    "that they look like the classes.",
    "about": "One image, what noise makes of it, and for each class what would make it more of "
    "that class: red where it should be brighter, blue where darker.",
    "base": "What is shown; the base plus and minus each image: what the network takes for more, "
    "and for less, of each class; where this is known beyond chance; and its fine structure.",
    "spectrum": "At which scales the network looks: where points stand above the grey band, the "
    "class image has more power than noise.",
    "sta_conv1": "What each filter of the first convolution sees. Where its kernels are known, "
    "they are shown above, and the cosine must be near 1.",
    "sta": "What each filter of a deeper layer sees, which no kernel shows. A filter of low r is "
    "not known yet.",
    "noise": "Where in the layer activity under noise goes with a class.",
    "conv": "Where in the layer the test images of a class are answered.",
}


def write_report(result, figures, path, command, constants=""):
    """Write the page of an observer, one file that needs no other; return the path.

    Args:
        result: a Result.
        figures: paths of its figures.
        path: of the page.
        command, constants: as `flags.how_to_repeat` returns them.

    Raises:
        FileError: if it cannot be written.
    """
    sets, right = image_sets(result), result.test_accuracy
    lead = "" if right is None else f"It names {right:.2%} of the test images right. "
    head, *rows = ([label, *cells] for label, cells in summary_lines(result))
    colours = SIGNED(np.linspace(0, 1, 256))[:, :3]  # from -1 to 1
    provenance = [shown.measurement.provenance for shown in result.shown]
    filled = html_of(
        TEMPLATE.read_text(encoding="utf-8"),
        place=result.place,
        lead=lead + "Noise was shown to it, and averaged by what it answered: the average is the "
        "template that it looks for.",
        how=html_of_each("<p>$text</p>", _how(result)),
        table=html_table(head, rows),
        threshold=", ".join(
            f"|z| above {shown.measurement.classes['logit'].threshold:.2f} ({shown.title})"
            for shown in result.shown
        ),
        maps=Html("\n".join(map(_canvases, sets))),
        reliability=_reliability(result),
        regions=_regions(result),
        figures=Html("\n".join(map(_figure, figures))),
        command=command,
        constants=constants,
        provenance=json.dumps(provenance, indent=1, ensure_ascii=False),
        data=json_in_page(sets),
        colours=json_in_page(np.rint(255 * colours).astype(int).tolist()),
    )
    with replacing(path) as part:
        part.write_text(filled, encoding="utf-8")
    return path


def image_sets(result):
    """Return the class images that a page holds, as JSON can hold them: one dictionary a row.

    As many as fit in MOST_NUMBERS, of the commonest answers.
    """
    sets, left = {}, MOST_NUMBERS
    classes = commonest(result.shown[0].measurement)
    for response in ("logit", "choice", "decision", "probability"):
        for i, shown in enumerate(result.shown):
            if response not in shown.measurement.classes:
                continue
            estimate = shown.measurement.classes[response]
            drawn = [k for k in classes if np.abs(estimate.covariance[k]).max() > 0]
            fit = drawn[: left // estimate.covariance[0].size]
            left -= len(fit) * estimate.covariance[0].size
            if fit:
                deviation = shown.measurement.noise.pixel_std
                sets[i, RESPONSES.index(response)] = {
                    "id": f"set-{i}-{response}",
                    "title": f"{shown.title}, {response}",
                    **_images(estimate, fit, result.class_names, deviation),
                }
    return [sets[place] for place in sorted(sets)]


def _images(estimate, classes, names, deviation):
    """Return class images of an Estimate: values of 16 bits, in units of each image's largest.

    Args:
        classes: indices of those that are wanted.
        names: of all measured classes.
        deviation: standard deviation of each pixel of noise.
    """
    deviation = np.asarray(deviation, np.float32)
    if np.ptp(deviation) == 0:
        deviation = deviation.ravel()[:1]
    entries = []
    for k in classes:
        scale = float(np.abs(estimate.covariance[k]).max())
        values = np.rint(32767 * estimate.covariance[k] / scale).astype(np.int16)
        error = float(estimate.coefficient_error[k])
        entries.append(
            {
                "values": base64_of(values),
                "scale": scale,
                "error": error,
                "name": names[k],
                "chance": not bool(estimate.above_chance[k]),
            }
        )
    return {
        "shape": list(estimate.covariance.shape[1:]),
        "threshold": float(estimate.threshold),
        "deviation": base64_of(deviation),
        "classes": entries,
    }


def _how(result):
    """Say what was measured: a list of paragraphs."""
    observer = result.observer
    lines = [
        f"{result.title} takes images of {' × '.join(map(str, observer.shape))} and tells "
        f"{observer.classes:,} classes apart. Its logits: {observer.meaning}."
    ]
    for shown in result.shown:
        measurement, noise = shown.measurement, shown.measurement.noise
        base = "about an image" if np.ndim(noise.mean) else f"about {noise.mean:g}"
        pairs = ", each with its mirror image about the base" if noise.symmetric else ""
        lines.append(
            f"{shown.title}: {measurement.count:,} images of {noise.title} noise {base}, pixels of "
            f"standard deviation {np.mean(noise.pixel_std):.3g} in a range from {noise.low:g} to "
            f"{noise.high:g}{pairs}; seed {measurement.provenance['seed']}."
        )
    if len(observer.measured) < observer.classes:
        lines.append(f"Of its classes, {len(observer.measured)} were measured.")
    return lines


def _canvases(images):
    """Return a heading, and an empty canvas for each class image of a set."""
    cells = [
        html_of(
            '<div class="map$chance" id="$id-$k"><canvas></canvas>$name</div>',
            chance=" chance" * entry["chance"],
            id=images["id"],
            k=k,
            name=entry["name"] + ", not above chance" * entry["chance"],
        )
        for k, entry in enumerate(images["classes"])
    ]
    return html_of(
        '<h3>$title</h3><div class="row">$cells</div>',
        title=images["title"],
        cells=Html("".join(cells)),
    )


def _reliability(result):
    """Return a table that its headings sort, a row for each class image."""
    start = reliable_from([shown.measurement for shown in result.shown])
    head = [f"r ({start})" if start and name == "r" else name for name in HEAD]
    head[1:1] = ["noise", "response"]
    rows = []
    for shown in result.shown:
        for response in measured_responses(shown.measurement):
            summary = summary_of(shown.measurement, result.class_names, response)
            for row in (summary.rows[k] for k in summary.shown):
                cells = [_cell(text, text) for text in (row.name, shown.title, response)]
                cells += [  # one without a number comes last
                    _cell(text, value if text != "-" else "")
                    for text, value in zip(row.texts[1:], row.values[1:], strict=True)
                ]
                rows.append(Html("".join(cells)))
    return html_of(
        '<table id="reliability"><thead><tr>$heads</tr></thead><tbody>$body</tbody></table>',
        heads=html_of_each("<th><button>$text</button></th>", head),
        body=html_of_each("<tr>$text</tr>", rows),
    )


def _regions(result):
    """Return the tables of regions, where they were looked for: Html."""
    parts = []
    for found in regions_of(result):
        parts.append(html_of("<h3>$title</h3>", title=found.title.capitalize()))
        for head, *rows in found.tables(*listed_classes(result)):
            table = html_table(head, rows)
            parts.append(html_of('<div class="wide">$table</div>', table=table))
        parts.append(html_of("<p>$legend</p>", legend=found.legend))
    return Html("".join(parts))


def _cell(text, key):
    """Return a cell that is sorted by a key."""
    return html_of('<td data-key="$key">$text</td>', key=key, text=text)


def _figure(path):
    """Return a figure with what to see in it."""
    beginning = "noise" if path.stem.endswith("_noise") else path.stem
    return html_of(
        "<figure>$picture<figcaption><code>$name</code> $see</figcaption></figure>",
        picture=image_tag(path.read_bytes(), path.stem),
        name=path.name,
        see=next((text for start, text in SEE.items() if beginning.startswith(start)), ""),
    )
