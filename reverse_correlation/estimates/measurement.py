"""What was measured, of a network in a pass or of people: estimates from sums, kept in files."""

import dataclasses
import functools
import math

import numpy as np

from reverse_correlation.errors import UserError
from reverse_correlation.estimates.accumulator import restored
from reverse_correlation.estimates.accumulators import ACCUMULATORS, OF_TRIALS
from reverse_correlation.estimates.prediction import TEST, predictions_of, refuse_impossible
from reverse_correlation.estimates.sums import added_up, not_a_measurement, read_sums, write_sums
from reverse_correlation.observers.observer import names_of_classes
from reverse_correlation.stimuli.catalogue import kept_fields, restored_ensemble

MOST_STIMULI = 2**62  # of a pass


class Measurement:
    """What a pass gave: estimates, computed from its sums.

    Attributes:
        count: stimuli shown.
        classes: {"choice", "decision", "logit", "probability"}: an Estimate over (K, h, w, c);
            without choice where stimuli come without mirror images, decision alone where the
            network answers labels.
        class_indices: (K,), of the classes that were measured, among all of the network's.
        layers: {name: Estimate over (filters, rf_h, rf_w, c)}; the spike-triggered averages.
        maps: {name: Estimate over (K, map_h, map_w, 1)}; the covariance of each class's logit
            with the layer's activity, averaged over filters, at every position.
        predictions: {"choice", "logit": Prediction}; how much of the observer's behaviour on fresh
            pairs the images predict. Empty if none were shown.
        estimates: all of them, {group: {name: Estimate}}; other accumulators have other groups.
        noise: the ensemble.
        sums: {accumulator: {name: (2, ...) float64}}, of even and of odd shards.
        provenance: what identifies the run, a dict that JSON can hold.
    """

    def __init__(self, sums, provenance, noise, accumulators=ACCUMULATORS):
        self.sums, self.provenance, self.noise = sums, provenance, noise
        self.kinds = accumulators
        self.count = provenance["count"]
        self.estimates = {}
        for described in provenance["accumulators"]:
            accumulator = restored(described, (*accumulators, *OF_TRIALS))
            for group, named in accumulator.estimates(sums[accumulator.name], noise).items():
                self.estimates.setdefault(group, {}).update(named)

    @property
    def classes(self):
        """The Estimates of classes, by response."""
        return self.estimates.get("classes", {})

    @property
    def layers(self):
        """The Estimates of filters, by layer."""
        return self.estimates.get("layers", {})

    @property
    def maps(self):
        """The Estimates of activity maps, by layer."""
        return self.estimates.get("maps", {})

    @functools.cached_property
    def predictions(self):
        """The Predictions of class images, by response."""
        return predictions_of(self.sums.get(TEST), self.classes)

    @property
    def class_indices(self):
        """Which of the network's classes were measured: (K,) int."""
        return np.array(self.provenance.get("only") or range(len(self.answered)))

    def class_names(self, names=None):
        """Return the names of the measured classes, in their order: a tuple of texts.

        Args:
            names: of all classes, or of the measured ones in their order; by default those that the
                observer knows, or their numbers.

        Raises:
            UserError: for any other number of names.
        """
        names = self.provenance.get("class_names", ()) if names is None else names
        described = self.provenance["accumulators"]  # some know all classes, some the measured ones
        classes = max(one["classes"] for one in described if "classes" in one)
        only = self.provenance.get("only", ())
        return names_of_classes(names, classes, only)

    @property
    def answered(self):
        """How often each measured class was the answer, (K,) int; of people, how many choices."""
        if "decision" not in self.classes:
            return np.full(len(self.classes["choice"].covariance), self.count // 2)
        return np.rint(self.classes["decision"].mean_response * self.count).astype(int)

    @property
    def of_trials(self):
        """Whether these are choices in trials, as those of people; not the answers of a pass."""
        return list(self.classes) == ["choice"]

    @property
    def images_for_reliability(self):
        """From how many images on there are two halves that can be compared."""
        return 2 * self.provenance["block_images"] * self.provenance["shard_blocks"]

    def halves(self):
        """Return the Measurements of even shards alone, and of odd ones."""
        parts = []
        for i in (0, 1):
            sums = {
                name: {key: np.where(np.arange(2) == i, v.T, 0).T for key, v in named.items()}
                for name, named in self.sums.items()
                if name != TEST  # of the images of both
            }
            shown = int(sums["classes"]["n"].sum()) if "classes" in sums else 0
            provenance = {**self.provenance, "count": shown}
            provenance.pop(TEST, None)
            parts.append(Measurement(sums, provenance, self.noise, self.kinds))
        return parts

    def summary(self, response=None, names=None):
        """Return what is known of each class image, in numbers: a Summary.

        It shows itself as a table in a terminal and in a notebook; its `rows` are data.

        Args:
            response: "choice", "decision", "probability" or "logit"; by default choice, if it was
                measured.
            names: as for `class_names`; by default the numbers of the measured classes.

        Raises:
            UserError: for a response that was not measured, or another number of names.
        """
        from reverse_correlation.estimates.summary import summary_of

        return summary_of(self, self.class_names(names), response)

    def regions(self, response=None, smooth=None, mask=None):
        """Find which regions of the class images matter: Regions, with a family-wise p each.

        Clusters of smoothed z, their masses held against those of null images of the ensemble; of
        images in colour, those of the luminance. It shows itself as a table.

        Args:
            response: as for `summary`.
            smooth: standard deviation of the Gaussian in pixels; by default a 32nd of the shorter
                side, so that a region is about as wide as an eye in a face, or a digit's stroke.
            mask: (h, w) bool: the regions inside are looked for, and count as one family; they
                come with the mean z and the informational value inside.

        Raises:
            UserError: for a response that was not measured, or a mask of another size, without
                any pixel or with all.
        """
        from reverse_correlation.estimates.regions import find_regions

        return find_regions([self], response, smooth, mask)[0]

    def plot(self, kind=None, names=None, classes=()):
        """Draw the class images: a matplotlib Figure.

        Args:
            kind: "choice", "decision", "probability" or "logit"; by default a row for each.
            names: as for `class_names`; by default the observer's, or the numbers of the classes.
            classes: which are drawn, in this order, each by its number (as the network counts its
                classes) or its name; by default the 20 that were answered most often.

        Raises:
            UserError: for a kind or a class that was not measured, or another number of names.
        """
        from reverse_correlation.figures.class_images import plot_measurement

        return plot_measurement(self, self.class_names(names), kind, classes)

    def plot_about_base(self, names=None, response=None):
        """Draw what is shown, and the base plus and minus each class image: a matplotlib Figure.

        Below them stand the images with their significant pixels, and whitened. Of many classes,
        the ten that were answered most often are drawn.

        Args:
            names, response: as for `summary`.

        Raises:
            UserError: as `summary`.
        """
        from reverse_correlation.figures.views import draw_views

        return draw_views(self, self.class_names(names), self.provenance["network"], response)

    def plot_spectrum(self, names=None, response=None):
        """Draw the power of each class image by spatial frequency: a matplotlib Figure.

        Of many classes, the 20 that were answered most often are drawn.

        Args:
            names, response: as for `summary`.

        Raises:
            UserError: as `summary`, or if the noise cannot be whitened.
        """
        from reverse_correlation.figures.spectrum import draw_spectrum

        return draw_spectrum(self, self.class_names(names), self.provenance["network"], response)

    def save_images(self, folder, names=None):
        """Write every class image, as a picture and as numbers, and a table; return their paths.

        The files are RESPONSE_NUMBER_NAME.png, in the signed colours of the figures (red is
        positive, and white is 0; of three channels, red, green and blue about a middle grey), each
        image in units of its own largest absolute value; RESPONSE.npy, the covariances of all
        measured classes, (K, h, w, c); and table.csv, the rows of `summary` for every response.
        A pixel becomes a square, so that both sides have 256 pixels or more. A class whose
        response never varied has no picture.

        Args:
            folder: is made if there is none; files of these names are replaced.
            names: as for `class_names`; by default the numbers of the measured classes.

        Raises:
            UserError: for another number of names; FileError if a file cannot be written.
        """
        from reverse_correlation.figures.image_files import save_images

        tables = [self.summary(response, names).rows for response in self.classes]
        return save_images(self, self.class_names(names), folder, tables)

    def __repr__(self):
        """Say in a line what was measured, and how reliable it is."""
        from reverse_correlation.figures.class_images import said_in_a_line

        return f"<Measurement of {said_in_a_line(self)}>"

    def _repr_html_(self):
        from reverse_correlation.figures.notebook import measurement_html

        return measurement_html(self) if self.classes else None

    def save(self, path):
        """Write sums and provenance to a .npz file (no pickles), whole or not at all.

        The sums keep all their bits, so that what is read again gives the same numbers.
        What it takes seconds to find out about the noise of large images is kept beside them.

        Raises:
            FileError: if the file cannot be written.
        """
        write_sums(path, [self.sums], self.provenance, kept_fields(self.noise))

    @classmethod
    def load(cls, path, accumulators=ACCUMULATORS, noise=None):
        """Read what `save` wrote, or what a checkpoint holds so far.

        Args:
            path: of a .npz file.
            accumulators: classes of what was summed.
            noise: the ensemble, where it is of a class of your own.

        Raises:
            UserError: as `read_sums`, or if parts of it contradict each other.
        """
        levels, provenance, fields = read_sums(path)
        try:
            noise = noise or restored_ensemble(provenance["noise"]["ensemble"], fields)
            sums = added_up(levels)
            refuse_contradictions(sums, provenance, noise, accumulators)
            return cls(sums, provenance, noise, accumulators)
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
        except KeyError as error:
            raise not_a_measurement(path, f"it has no {error}") from error
        except (TypeError, ValueError, ArithmeticError, AttributeError, IndexError) as error:
            raise not_a_measurement(path, f"its parts do not fit together: {error}") from error


def refuse_contradictions(sums, provenance, noise, accumulators):
    """Raise an error if counts are not counts, or sums not of the shapes that are described.

    Shapes are known of this package's own accumulators. Images are computed only after this.

    Args:
        sums, provenance, noise, accumulators: as of a Measurement.

    Raises:
        UserError: if an accumulator is not among these, or has too many sums.
        ValueError, or whatever else the wrong type of a value raises: if something contradicts.
    """
    known = (*ACCUMULATORS, *OF_TRIALS)
    counts = [provenance.get(name, 1) for name in ("block_images", "shard_blocks")]
    for count in (provenance["count"], *counts):
        if type(count) is not int or not 0 < count < MOST_STIMULI:
            raise ValueError(f"{count!r} is not a count")
    for described in provenance["accumulators"]:
        accumulator = restored(described, (*accumulators, *OF_TRIALS))
        if type(accumulator) not in known:
            continue
        if hasattr(accumulator, "pixels"):
            if tuple(accumulator.coordinates) != tuple(noise.coordinates):
                raise ValueError(f"its noise has no {accumulator.coordinates} numbers")
            if sums[accumulator.name]["n"].sum() != provenance["count"]:
                raise ValueError(f"its sums are not those of {provenance['count']:,} stimuli")
            only = provenance.get("only", [])
            within = (type(k) is int and 0 <= k < accumulator.classes for k in only)
            if only != list(accumulator.only) or not all(within):
                raise ValueError(f"it has no classes {only}")
            dataclasses.replace(accumulator, pixels=math.prod(noise.shape))  # refuses too many
            shape = accumulator.responses, accumulator.measured
            refuse_impossible(sums.get(TEST), provenance.get(TEST), *shape)
        for name, shape in accumulator.zeros().items():
            found = sums[accumulator.name].get(name)
            if found is not None and found.shape != (2, *shape):
                raise ValueError(f"{name} of {accumulator.name} has the shape {found.shape}")
