"""Tables and phrases of README.md and docs/*.md that are made of several numbers."""

DATASETS = ("mnist", "fashion_mnist")
PAPER_HEAD = ["", "published", "ours", "low", "high"]  # of the tables of paper.py


def cell_text(cell):
    """Return a cell as text: of a number, three digits after the point."""
    return "" if cell is None else cell if isinstance(cell, str) else f"{cell:.3f}"


def decimal(x):
    """Return a number as .63, without the zero before its point."""
    return f"{x + 1e-9:.2f}".replace("0.", ".", 1)  # a third digit 5, rounded already, goes up


def percent(x):
    """Return a share in per cent, with a digit more where it would look like 0 or 100."""
    return percent_1(x) if 0 < abs(x) < 0.0095 or 0.995 <= x < 1 else f"{100 * x:.0f}"


def percent_1(x):
    """Return a share in per cent, with one digit after the point."""
    return f"{100 * x:.1f}".replace("100.0", "100")


def span(values, text=decimal, to=" to "):
    """Return the least and the most of some numbers, as .45 to .57; one where they look alike."""
    return to.join(dict.fromkeys(text(x) for x in (min(values), max(values))))


def with_interval(found, text=cell_text):
    """Return (ours, low, high) as 36 (32 to 40); ours alone where there is no interval."""
    ours, low, high = found
    return text(ours) if low is None else f"{text(ours)} ({text(low)} to {text(high)})"


def markdown(head, rows):
    """Return a Markdown table of texts."""
    first, *lines = [f"| {' | '.join(row)} |" for row in (head, *rows)]
    return "\n".join([first.replace("|  |", "| |", 1), "|" + "---|" * len(head), *lines])


def as_it_is(title, table, above=None):
    """Return a table of a file in Markdown, below its title, command, version and notes.

    What the table `above` it says already is left out.
    """
    head, *rows = table["rows"]
    if head == PAPER_HEAD:
        head = ["", "published", "ours (95 %)"]
        rows = [[row[0], cell_text(row[1]), with_interval(row[2:])] for row in rows]
    rows = [[*map(cell_text, row), *[""] * (len(head) - len(row))] for row in rows]
    made, notes = f"**{title}**", "; ".join(table.get("notes", ()))
    if above and all(above.get(key) == table.get(key) for key in ("command", "version", "notes")):
        notes = ""
    else:
        made += f" (`{table['command']}`, version {table['version']})"
    return "\n\n".join(filter(None, [made, notes, markdown(head, rows)]))


def individuals(numbers):
    """Return the table of LeNets and AlexNets on both data sets, in Markdown."""
    grey, mean, alone = "{}, pure noise", "{}, mean image", "right by logit images"
    rows = (
        ("test set right, %", "{}: test set right", percent_1),
        ("*about grey (pure noise)*: logit images alone", f"{grey}: {alone}", percent),
        ("decision images alone", f"{grey}: right by decision images", percent),
        ("commonest answer, % of the noise", f"{grey}: answered *", percent),
        ("of one of the networks, at least", f"{grey}: the same, least of them", percent_1),
        ("of one of the networks, at most", f"{grey}: the same, most of them", percent_1),
        ("two networks agree at r =", "agreement, pure noise: {}", decimal),
        ("more, if trained in noise, by", "agreement, pure noise: {0}+noise minus {0}", decimal),
        ("*about the mean image*: logit images alone", f"{mean} (*: {alone}", percent),
        ("more than about grey by", f"{mean} minus pure noise: {alone}", percent),
        ("two networks agree at r =", "agreement, mean image: {}", decimal),
        ("more, if trained in noise, by", "agreement, mean image: {0}+noise minus {0}", decimal),
    )

    def cell(label, pattern, text, dataset, network):
        if "trained" in label and network != "LeNet":  # the only ones that were trained in noise
            return ""
        what, _, *found = numbers.row(f"paper_{dataset}", "individuals", pattern.format(network))
        answer = what.split("answered ")[1].split()[0] + ": " if "answered" in what else ""
        return answer + with_interval(found, text)

    columns = [(dataset, net) for dataset in DATASETS for net in ("LeNet", "AlexNet")]
    titles = {"mnist": "MNIST", "fashion_mnist": "Fashion"}
    head = ["", *[f"{net}, {titles[dataset]}" for dataset, net in columns]]
    return markdown(head, [[row[0], *[cell(*row, *each) for each in columns]] for row in rows])


def images_saved(numbers):
    """Return by how many times orthogonal numbers save images, the least and the most."""
    rows = numbers.table("images_per_picture", "times fewer images")["rows"][1:]
    return span([float(cell) for row in rows for cell in row[1:]], "{:.1f}".format)


def demonstration_alone(numbers):
    """Return what the images of main.py's LeNets classify right by themselves about grey."""
    found = numbers.main("test set right by its logit images alone", "LeNet")
    return " and ".join(percent(float(text.strip("%")) / 100) for text in found)


def least_of(numbers, label, place):
    """Return the least of what main.py prints at a place of a line, over the four networks."""
    found = min(float(text.split(", ")[place]) for text in numbers.main(label))
    return f"{found:.4f}".removeprefix("0")


ALONE = "right by logit images"
GREY, MORE = f"{{}}, pure noise: {ALONE}", f"{{}}, mean image minus pure noise: {ALONE}"
ON_MNIST, ON_FASHION = ({"datasets": (dataset,)} for dataset in DATASETS)
STRUCTURED = {"experiment": "structured", **ON_MNIST}

NAMED = {  # functions of Numbers that return the text
    "individuals": individuals,
    "images saved": images_saved,
    "median cosine": lambda n: least_of(n, "conv1, cosine with kernels: least, median", 1),
    "least cosine": lambda n: least_of(n, "conv1, cosine with kernels: least, median", 0),
    "two agree": lambda n: span(n.column("agreement", "choice images", "without noise")),
    "white alone": lambda n: span(n.paper("*(white, logit)", **STRUCTURED), percent),
    "coarse alone": lambda n: span(n.paper("*(coarse about*, logit)", **STRUCTURED), percent),
    "LeNets alone": lambda n: span(n.paper(GREY, "LeNet", **ON_MNIST), percent),
    "both LeNets alone": lambda n: span(n.paper(GREY, "LeNet"), percent, " and "),
    "demonstration alone": demonstration_alone,
    "LeNets, 8": lambda n: span(
        n.paper("LeNet, pure noise: the same, {} of them", "least", "most", **ON_MNIST), percent_1
    ),
    "AlexNets, 8": lambda n: span(
        n.paper("AlexNet, pure noise: the same, least of them", **ON_MNIST), percent_1
    ),
    "LeNets gain": lambda n: span(n.paper(MORE, "LeNet", **ON_MNIST)),
    "AlexNets gain": lambda n: span(n.paper(MORE, "AlexNet", **ON_MNIST)),
    "LeNets gain, Fashion": lambda n: span(n.paper(MORE, "LeNet", **ON_FASHION)),
    "AlexNets gain, Fashion": lambda n: span(n.paper(MORE, "AlexNet", **ON_FASHION)),
    "alike, grey": lambda n: span(n.paper("agreement, pure noise: {}", "LeNet", "AlexNet")),
    "alike, mean": lambda n: span(
        n.paper("agreement, mean image: {}", "LeNet", "AlexNet", **ON_MNIST)
    ),
    "unlike, grey": lambda n: span(n.paper("agreement, pure noise: LeNet with AlexNet")),
    "noise adds": lambda n: span(
        n.paper("agreement, {}: LeNet+noise minus LeNet", "pure noise", "mean image")
    ),
    "noise costs": lambda n: percent_1(
        float.__sub__(*n.paper("{}: test set right", "LeNet", "LeNet+noise", **ON_FASHION))
    ),
    "Bag, noise": lambda n: span(
        n.paper("LeNet+noise, pure noise: answered Bag", **ON_FASHION), percent
    ),
    "Bag, usual": lambda n: span(n.paper("LeNet, pure noise: answered Bag", **ON_FASHION), percent),
}
