"""What figures and notebooks show of measurements, read from the artists."""

import re

import numpy as np
import pytest
from helpers import show
from small_observers import convolution, observer

from reverse_correlation import UserError
from reverse_correlation.estimates.findings import LayerFindings
from reverse_correlation.figures.class_images import SHOWN_CLASSES, ImageRow, draw_rows
from reverse_correlation.figures.filters import draw_filters, draw_receptive_fields


def of_classes(count):
    weights = np.random.default_rng(0).normal(size=(6, 6, 1, count))
    return show(observer(weights), 16_000)


@pytest.fixture(scope="module")
def measurement():
    return of_classes(5)


def titles(figure):
    return [axis.get_title() for axis in figure.axes if axis.get_title()]


def test_a_measurement_plots_a_row_for_each_response_or_the_one_that_is_asked_for(measurement):
    figure, one = measurement.plot(), measurement.plot("choice", names=list("abcde"))
    rows = [axis.get_ylabel() for axis in figure.axes[:-1]]
    assert [row for row in rows if row] == ["choice", "decision", "probability", "logit"]
    assert titles(figure) == list("01234") and titles(one) == list("abcde")
    with pytest.raises(UserError, match="not 'decisions'"):
        measurement.plot("decisions")


def test_of_many_classes_the_commonest_answers_are_plotted():
    many = of_classes(24)
    figure = many.plot(kind="choice")
    assert "20 commonest of 24" in figure.get_suptitle().replace("\n", " ")
    least = np.sort(many.answered)[-SHOWN_CLASSES]
    assert all(many.answered[int(title)] >= least for title in titles(figure))


def test_every_picture_of_a_plot_is_the_image_of_its_class(measurement):
    figure = measurement.plot("logit")
    for axis in figure.axes:
        if axis.images:
            image = measurement.classes["logit"].image[int(axis.get_title()), ..., 0]
            assert np.allclose(axis.images[0].get_array(), image / np.abs(image).max())


def test_chosen_classes_keep_their_numbers(measurement):
    weights = np.random.default_rng(0).normal(size=(6, 6, 1, 5))
    chosen = show(observer(weights), 16_000, only=(4, 2))  # of the network of `measurement`
    figure = chosen.plot("logit")
    assert titles(figure) == ["4", "2"] and "(2 chosen classes)" in figure.get_suptitle()
    for axis, image in zip(figure.axes, measurement.classes["logit"].image[[4, 2]], strict=False):
        shown = axis.images[0].get_array()
        assert np.allclose(shown, image[..., 0] / np.abs(image).max(), atol=1e-5)
    rows = re.findall(r"<tr><td>(\d+)</td><td>([\d,]+)</td>", chosen._repr_html_())
    assert rows == [(str(k), f"{measurement.answered[k]:,}") for k in (4, 2)]
    assert titles(chosen.plot("choice", names=["fifth", "third"])) == ["fifth", "third"]
    every = ["first", "second", "third", "fourth", "fifth"]
    assert titles(chosen.plot("choice", names=every)) == ["fifth", "third"]
    with pytest.raises(
        UserError, match="3 class names were given for 5 classes, of which 2 are measured"
    ):
        chosen.plot("choice", names=every[:3])


def test_names_of_all_classes_follow_chosen_ones_where_layers_were_measured_too(rng):
    chosen = show(convolution(rng.normal(size=(3, 3, 1, 2))), 2000, layers=["conv"], only=(1,))
    assert titles(chosen.plot("logit", names=["no", "yes"])) == ["yes"]


@pytest.mark.parametrize(
    "classes", [[3, 1], ["dog", "bee"], [np.int64(3), "bee"], np.array([3, 1]), ("dog", 1)]
)
def test_classes_are_chosen_by_number_or_by_name_in_any_order(classes, measurement):
    names = np.array(["ant", "bee", "cow", "dog", "elk"])
    figure = measurement.plot("logit", names, classes)
    assert titles(figure) == ["dog", "bee"] and "(2 chosen classes)" in figure.get_suptitle()
    for axis, image in zip(figure.axes, measurement.classes["logit"].image[[3, 1]], strict=False):
        assert np.allclose(axis.images[0].get_array(), image[..., 0] / np.abs(image).max())


def test_one_class_needs_no_list_and_none_means_the_commonest(measurement):
    assert titles(measurement.plot("logit", classes=0)) == ["0"]
    assert titles(measurement.plot("logit", classes="4")) == ["4"]
    for none in (None, (), []):
        assert titles(measurement.plot("logit", classes=none)) == list("01234")


def test_a_number_is_the_network_s_also_of_chosen_classes_whose_names_are_numbers():
    weights = np.random.default_rng(0).normal(size=(6, 6, 1, 5))
    chosen = show(observer(weights), 4096, only=(4, 2))
    assert titles(chosen.plot("logit", ["2", "7"], classes=2)) == ["7"]
    assert titles(chosen.plot("logit", ["2", "7"], classes="2")) == ["2"]


@pytest.mark.parametrize(
    "classes, said",
    [
        (5, "no images of class 5: choose among the classes 0, 1, 2, 3, 4, or the names a, a, c"),
        (-1, "no images of class -1"),
        (["c", "z"], "no images of class 'z'"),
        ("a", "several classes are called 'a'"),
        ([2, "c"], "name each class once"),
        ([1.5], "must be a whole number"),
    ],
)
def test_classes_that_were_not_measured_are_refused(classes, said, measurement):
    with pytest.raises(UserError, match=said):
        measurement.plot(names=list("aacde"), classes=classes)


def test_what_is_about_the_base_is_drawn_by_one_call(measurement):
    figure = measurement.plot_about_base(list("abcde"), "logit")
    assert figure.get_suptitle() == "observer: logit images"
    above, below = figure.subfigs
    assert [axis.get_title() for axis in above.axes] == ["base", "base + noise", "base - noise"]
    assert [axis.get_title() for axis in below.axes[:5]] == list("abcde")
    assert measurement.plot_about_base().get_suptitle() == "observer: choice images"
    with pytest.raises(UserError, match="not 'rating'"):
        measurement.plot_about_base(response="rating")


@pytest.mark.parametrize("names", [["a"], list("abcdef")])
def test_another_number_of_names_is_refused(names, measurement):
    with pytest.raises(UserError, match=f"{len(names)} class names were given for 5 classes"):
        measurement.plot(names=names)


def test_a_caption_and_notes_say_what_was_counted(measurement):
    figure = measurement.plot()
    assert "16,384 Gaussian noise images" in figure.get_supxlabel().replace("\n", " ")
    notes = [axis.get_xlabel() for axis in figure.axes[:20]]
    counts = [int(re.match(r"n = ([\d,]+)", note)[1].replace(",", "")) for note in notes[5:10]]
    assert sum(counts) == 16_384 and counts == measurement.answered.tolist()
    for note, r in zip(notes[:5], measurement.classes["choice"].reliability, strict=True):
        assert note == ("r > .99" if r > 0.995 else f"r = .{round(100 * r)}")


def test_a_class_that_is_never_answered_says_so_and_has_a_choice_image_all_the_same():
    weights = np.random.default_rng(0).normal(size=(6, 6, 1, 3))
    figure = show(observer(weights, [0, 0, -1000]), 8_192).plot()
    choice, decision = figure.axes[2], figure.axes[5]
    assert choice.images and not choice.texts
    assert not decision.images and decision.texts[0].get_text() == "answered\n0 of\n8,192"


# ----------------------------------------------------------------------- signs and places


def colours(image, *values):
    """Return what an image artist shows values in: RGB from 0 to 1."""
    return [image.cmap(image.norm(value))[:3] for value in values]


def test_what_is_positive_is_red_and_what_is_negative_blue(measurement):
    figure = measurement.plot("logit")
    image, bar = figure.axes[0].images[0], figure.axes[-1]
    (red, _, blue), middle, (less_red, _, more_blue) = colours(image, 1.0, 0.0, -1.0)
    assert red > 2 * blue and more_blue > 2 * less_red and min(middle) > 0.9
    assert bar.get_ylim() == (-1, 1) and "covariance" in bar.get_ylabel()


def test_each_map_is_drawn_upright_under_its_name_and_significant_pixels_are_outlined():
    maps, significant = np.zeros((2, 4, 5)), np.zeros((2, 4, 5), bool)
    maps[0, 1, 3], maps[1, 2, 0] = -2, 8
    significant[0, 1, 3] = True
    rows = {"logit": ImageRow(maps, significant, ["first", "second"], ["", ""])}
    figure = draw_rows(rows, ["a", "b"], "title")
    one, other = figure.axes[:2]
    assert (one.get_title(), one.get_xlabel()) == ("a", "first")
    assert (other.get_title(), other.get_xlabel()) == ("b", "second")
    assert one.images[0].get_array()[1, 3] == -1 and other.images[0].get_array()[2, 0] == 1
    assert one.images[0].origin == "upper" and one.get_ylim()[0] > one.get_ylim()[1]
    outline = np.concatenate(
        [path.vertices for each in one.collections for path in each.get_paths()]
    )
    assert np.allclose(outline.mean(axis=0), [3, 1], atol=0.2)  # the fourth column, second row
    assert not other.collections


def test_more_than_ten_classes_are_drawn_in_several_lines_below_each_other():
    maps = np.random.default_rng(0).normal(size=(13, 4, 5))
    rows = {name: ImageRow(sign * maps, None, (), ()) for name, sign in (("a", 1), ("b", -1))}
    names = [f"class {k}" for k in range(13)]
    axes = np.array(draw_rows(rows, names, "title").axes[:40]).reshape(4, 10)
    assert [axis.get_title() for axis in axes[0]] == names[:10]
    assert [axis.get_title() for axis in axes[2, :3]] == names[10:]
    assert [line[0].get_ylabel() for line in axes] == ["a", "b", "a", "b"]
    for line, place, k in ((0, 4, 4), (2, 2, 12)):
        shown = axes[line, place].images[0].get_array()
        assert np.allclose(shown, maps[k] / np.abs(maps[k]).max())
        assert np.allclose(axes[line + 1, place].images[0].get_array(), -shown)
    assert not any(axis.axison for axis in axes[2:, 3:].flat)


def test_filters_stand_above_their_estimates():
    kernels, found = np.zeros((2, 3, 3, 1)), np.zeros((2, 3, 3, 1))
    kernels[0, 0, 0], kernels[1, 1, 1], found[0, 0, 1] = 5, -5, -3
    figure = draw_filters({"kernel": kernels, "found": found}, ["one", "two"], "title")
    above, below = np.array(figure.axes[:4]).reshape(2, 2)
    assert [row[0].get_ylabel() for row in (above, below)] == ["kernel", "found"]
    assert above[0].images[0].get_array()[0, 0] == 1 and above[1].images[0].get_array()[1, 1] == -1
    assert below[0].images[0].get_array()[0, 1] == -1 and not below[1].images
    assert below[1].texts[0].get_text() == "silent"
    assert [axis.get_xlabel() for axis in below] == ["one", "two"]


@pytest.fixture(scope="module")
def with_filters():
    """A measurement of three filters, of which the second never fires."""
    kernels = np.random.default_rng(3).normal(size=(3, 3, 1, 3))
    kernels[..., 1] = 0
    return show(convolution(kernels), 2000, layers=["conv"])


def test_an_agreement_that_is_not_known_is_a_dash(with_filters):
    live = np.array([True, False, True])
    found = LayerFindings("conv", live, None, np.array([0.5, np.nan, np.nan]))
    figure = draw_receptive_fields(with_filters, found, "it")
    notes = [axis.get_xlabel() for axis in figure.axes[:2]]  # of the filters that are live
    assert [note.rpartition("\n")[2] for note in notes] == ["exact 0.50", "exact -"]
    assert "median 0.500" in figure.get_supxlabel()
    found = LayerFindings("conv", live, None, np.full(3, np.nan))
    assert draw_receptive_fields(with_filters, found, "it").get_supxlabel().endswith("median -.")


def test_if_no_filter_is_live_all_are_drawn_with_their_spikes(with_filters):
    found = LayerFindings("conv", np.zeros(3, bool), None, None, 0.01)
    figure = draw_receptive_fields(with_filters, found, "it")
    notes = [axis.get_xlabel() for axis in figure.axes[:3]]
    events = with_filters.layers["conv"].events
    assert notes == [f"spikes: {round(n):,}" for n in events] and notes[1] == "spikes: 0"
    caption = figure.get_supxlabel().replace("\n", " ")
    assert "From 512 of 2,000 Gaussian noise images (every 4th block)" in caption
    assert "0 of 3 filters are live, which fire in 5 images or more" in caption


def test_no_figure_of_filters_says_nan(with_filters, rng):
    live, cosines = np.ones(3, bool), np.array([1, np.nan, 0.99])
    kernels = rng.normal(size=with_filters.layers["conv"].covariance.shape)
    for learned in (None, kernels):
        found = LayerFindings("conv", live, learned, cosines)
        figure = draw_receptive_fields(with_filters, found, "it")
        texts = [
            figure.get_suptitle(),
            figure.get_supxlabel(),
            *(axis.get_xlabel() for axis in figure.axes),
        ]
        assert not any("nan" in text for text in texts), texts


def test_an_estimate_plots_its_images(measurement):
    figure = measurement.classes["logit"].plot(names=list("abcde"))
    labels = [axis.get_xlabel() for axis in figure.axes if axis.images]
    assert labels[0].startswith("a\nr ") and len(labels) == 5
    measurement.classes["logit"].plot(names=np.array(list("abcde")))
    with pytest.raises(UserError, match="2 names were given for 5 responses"):
        measurement.classes["logit"].plot(names="ab")


def test_a_notebook_shows_a_table_and_the_images(measurement):
    text = measurement._repr_html_()
    row = re.search(r"<tr><td>3</td><td>([\d,]+)</td>", text)
    assert int(row[1].replace(",", "")) == measurement.answered[3]
    assert text.count("<tr>") == 6 and "data:image/png;base64,iVBOR" in text
    assert measurement.classes["logit"]._repr_html_().count("<tr>") == 6
    assert measurement.plot("logit")._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize("count", [1000, 2048, 4096])
def test_a_notebook_says_from_how_many_images_on_there_is_a_reliability(count):
    weights = np.random.default_rng(0).normal(size=(6, 6, 1, 2))
    measurement = show(observer(weights), count)
    known = np.isfinite(measurement.classes["choice"].reliability).all()
    head = measurement._repr_html_().partition("<table")[0]
    assert known == (count == 4096) == head.endswith("noise images</p>")
    assert known or head.endswith("noise images; r from 4,096 images on</p>")
