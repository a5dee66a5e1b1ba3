"""How class images classify test images by themselves."""

from reverse_correlation.figures.class_images import RESPONSES
from reverse_correlation.figures.style import SHARE, empty, grid, scale, styled


def draw_templates(shown, names, place, count):
    """Draw how class images alone classify `count` test images: a matplotlib Figure.

    One row of confusion matrices an ensemble, one column a kind of response.

    Args:
        shown, names, place: as for `draw_bias`.
    """
    rows = {}
    for each in shown:
        matrices, right = each.findings.template_confusions, each.findings.template_accuracy
        rows[each.title] = {
            name: (matrices[name], right.get(name)) for name in RESPONSES if name in matrices
        }
    return draw_confusions(
        rows,
        names,
        f"{count:,} test images classified by the classification images of {place} alone",
    )


@styled
def draw_confusions(rows, names, title):
    """Small confusion matrices: ground truth down, prediction across, shares of the true class.

    Args:
        rows: {label: {heading: (matrix (K, K) or None, share right or None)}}.
        names: of the classes.
    """
    columns = max(map(len, rows.values()))
    long = max(map(len, names)) > 2
    figure, axes = grid(
        len(rows), columns, 2.1 * columns + (1.3 if long else 0.9), 2.3 * len(rows) + 0.7, title
    )
    image = None
    for line, (label, cells) in zip(axes, rows.items(), strict=True):
        line[0].set_ylabel(f"{label}\nground truth")
        for axis, (heading, (matrix, right)) in zip(line, cells.items(), strict=False):
            if matrix is None:
                axis.set_title(f"{heading}: none", pad=3)
                empty(axis, (len(names), len(names)), "one answer\nto everything")
                continue
            axis.set_title(f"{heading}: {right:.1%} right", pad=3)
            image = axis.imshow(matrix, cmap=SHARE, vmin=0, vmax=1)
        line[0].set_yticks(range(len(names)), names, fontsize=5.5)
        for axis in line[len(cells) :]:
            axis.set_axis_off()
    for axis in axes[-1]:
        axis.set_xticks(range(len(names)), names, fontsize=5.5, rotation=90 if long else 0)
        axis.set_xlabel("prediction")
    if image is not None:
        scale(figure, image, list(axes.flat), "share of the true class", shrink=0.9)
    return figure
