"""One page of a network: what was measured and how, its images under the pointer, its figures."""

import base64
import html
import json
import string
from pathlib import Path

import matplotlib
import numpy as np

from reverse_correlation.figures.class_images import RESPONSES, commonest
from reverse_correlation.figures.style import SIGNED, image_tag
from reverse_correlation.files import replacing
from summary import summary_lines

TEMPLATE = Path(__file__).with_name("report.html")
MOST_NUMBERS = 1_500_000  # pixel values in a page, two bytes each
SEE = {  # by the beginning of a figure's name
    "classification": "Test images mixed with noise, averaged by their true class. No network is "
    "involved: this is what the classes look like.",
    "cm": "The network shown those averages. On the diagonal it names them right.",
    "bias": "The class images. A reliable one (r near 1) is a template that the network compares "
    "images with; one of r near 0 is noise, whatever it looks like. An empty panel says why.",
    "template": "The class images used as templates, without the network. A bright diagonal means "
    "that they look like the classes.",
    "base": "What the network takes for more, and for less, of each class.",
    "sta_conv1": "What each filter of the first convolution sees. Where its kernels are known, "
    "they are shown above, and the cosine must be near 1.",
    "sta": "What each filter of a deeper layer sees, which no kernel shows. A filter of low r is "
    "not known yet.",
    "noise": "Where in the layer activity under noise goes with a class.",
    "conv": "Where in the layer the test images of a class are answered.",
}


def write_report(result, figures, settings, command, path):
    """Write the page of a network, one file that needs no other; return the path.

    Args:
        result: a Result.
        figures: paths of its figures.
        settings: what the run was asked for.
        command: that repeats it.
        path: of the page.

    Raises:
        FileError: if it cannot be written.
    """
    subject, sets = result.subject, image_sets(result)
    right = result.test_accuracy
    lead = "" if right is None else f"It names {right:.2%} of the test images right. "
    thresholds = ", ".join(
        f"|z| above {m.classes['logit'].threshold:.2f} ({shown.title})"
        for shown, m in zip(subject.shown, result.measurements, strict=True)
    )
    table = [
        (label, ["-" if c is None else c for c in cells]) for label, cells in summary_lines(result)
    ]
    fixed = f"signal {settings.signal:g} and noise {settings.noise:g} in Part 3's mixtures of "
    filled = string.Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=html.escape(subject.place),
        place=html.escape(subject.place),
        lead=lead + "Noise was shown to it, and averaged by what it answered: the average is the "
        "template that it looks for.",
        how=_how(result),
        table=_table(["", *table[0][1]], [[label, *cells] for label, cells in table[1:]]),
        threshold=thresholds,
        maps=_maps(sets),
        reliability=_reliability(result),
        figures="\n".join(map(_figure, figures)),
        command=html.escape(command),
        constants=f"Constants that are no flags: {fixed}{settings.noisy_images:,} test images; "
        f"at most {settings.exact_images:,} images' and {settings.exact_patches:,} patches' "
        "gradients.",
        provenance=html.escape(
            json.dumps([m.provenance for m in result.measurements], indent=1, ensure_ascii=False)
        ),
        data=json.dumps(sets).replace("<", "\\u003c"),
        colours=json.dumps([[int(c) for c in rgb] for rgb in _colours()]),
    )
    with replacing(path) as part:
        part.write_text(filled, encoding="utf-8")
    return path


def image_sets(result):
    """Return the class images that a page holds, as JSON: a dictionary an ensemble and response.

    As many as fit in MOST_NUMBERS, of the commonest answers.
    """
    sets, left = [], MOST_NUMBERS
    names, shown = result.subject.class_names, commonest(result.measurements[0])
    for response in ("logit", "choice", "decision", "probability"):
        for i, measurement in enumerate(result.measurements):
            if response not in measurement.classes:
                continue
            estimate = measurement.classes[response]
            drawn = [k for k in shown if np.abs(estimate.covariance[k]).max() > 0]
            fit = drawn[: left // estimate.covariance[0].size]
            left -= len(fit) * estimate.covariance[0].size
            if fit:
                title = f"{result.subject.shown[i].title}, {response}"
                sets.append(_image_set(f"set-{i}-{response}", title, measurement, estimate, fit))
                for each, k in zip(sets[-1]["classes"], fit, strict=True):
                    each["name"] = names[k]
    order = [f"set-{i}-{r}" for i in range(len(result.measurements)) for r in RESPONSES]
    return sorted(sets, key=lambda each: order.index(each["id"]))


def _image_set(name, title, measurement, estimate, shown):
    """Return class images of one kind: values of 16 bits, in units of each image's largest."""
    deviation = np.asarray(measurement.noise.pixel_std, np.float32)
    if np.ptp(deviation) == 0:
        deviation = deviation.ravel()[:1]
    scales = [float(np.abs(estimate.covariance[k]).max()) for k in shown]
    return {
        "id": name,
        "title": title,
        "shape": list(estimate.covariance.shape[1:]),
        "threshold": float(estimate.threshold),
        "deviation": _base64(deviation),
        "classes": [
            {
                "values": _base64(np.rint(32767 * estimate.covariance[k] / scale).astype(np.int16)),
                "scale": scale,
                "error": float(estimate.coefficient_error[k]),
            }
            for k, scale in zip(shown, scales, strict=True)
        ],
    }


def _base64(array):
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def _colours():
    return np.rint(255 * matplotlib.colormaps[SIGNED](np.linspace(0, 1, 256))[:, :3])


def _how(result):
    """Say in sentences what was measured."""
    subject, lines = result.subject, []
    network = subject.network
    lines.append(
        f"{subject.title} takes images of {' × '.join(map(str, network.shape))} and tells "
        f"{network.classes:,} classes apart. Its logits: {network.meaning}."
    )
    for shown, measurement in zip(subject.shown, result.measurements, strict=True):
        noise = measurement.noise
        base = "about an image" if np.ndim(noise.mean) else f"about {noise.mean:g}"
        pairs = ", each with its mirror image about the base" if noise.symmetric else ""
        lines.append(
            f"{shown.title}: {measurement.count:,} images of {noise.title} noise {base}, pixels of "
            f"standard deviation {np.mean(noise.pixel_std):.3g} in a range from {noise.low:g} to "
            f"{noise.high:g}{pairs}; seed {measurement.provenance['seed']}."
        )
    if len(network.measured) < network.classes:
        lines.append(f"Of its classes, {len(network.measured)} were measured.")
    return "".join(f"<p>{html.escape(line)}</p>" for line in lines)


def _table(head, rows):
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    heads = "".join(f"<th>{html.escape(str(cell))}</th>" for cell in head)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def _maps(sets):
    """Return an empty canvas for each class image."""
    parts = []
    for each in sets:
        cells = "".join(
            f'<div class="map" id="{each["id"]}-{k}"><canvas></canvas>{html.escape(name)}</div>'
            for k, name in enumerate(one["name"] for one in each["classes"])
        )
        parts.append(f'<h3>{html.escape(each["title"])}</h3><div class="row">{cells}</div>')
    return "\n".join(parts)


def _reliability(result):
    """Return a table that its headings sort, a row for each class image."""
    head = ["class", "noise", "response", "answered", "r", "needs", "significant", "infoVal"]
    rows = []
    for shown, measurement in zip(result.subject.shown, result.measurements, strict=True):
        for response in (name for name in RESPONSES if name in measurement.classes):
            estimate = measurement.classes[response]
            needed, info = estimate.images_needed(), estimate.info_value
            significant = estimate.significant.sum(axis=(1, 2, 3))
            for k in commonest(measurement):
                rows.append(
                    _sorted_by(result.subject.class_names[k])
                    + _sorted_by(shown.title)
                    + _sorted_by(response)
                    + _sorted_by(measurement.answered[k], "{:,}")
                    + _sorted_by(estimate.reliability[k], "{:.3f}")
                    + _sorted_by(needed[k], "{:,.0f}")
                    + _sorted_by(significant[k], "{:,}")
                    + _sorted_by(info[k], "{:.1f}")
                )
    heads = "".join(f"<th><button>{name}</button></th>" for name in head)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<table id="reliability"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>'


def _sorted_by(value, template=None):
    """Return a cell that knows what it is sorted by; a number that is none is a dash, and last."""
    if template is None:
        return f'<td data-key="{html.escape(value)}">{html.escape(value)}</td>'
    if not np.isfinite(value):
        return '<td data-key="">-</td>'
    return f'<td data-key="{value}">{template.format(value)}</td>'


def _figure(path):
    """Return a figure with what to see in it."""
    kind = "noise" if path.stem.endswith("_noise") else path.stem
    see = next((text for start, text in SEE.items() if kind.startswith(start)), "")
    picture = image_tag(path.read_bytes(), path.stem)
    return f"<figure>{picture}<figcaption><code>{path.name}</code> {see}</figcaption></figure>"
