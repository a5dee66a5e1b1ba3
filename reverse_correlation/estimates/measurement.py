"""What was measured, of a network in a pass or of people: estimates from sums, kept in files."""

import numpy as np

from reverse_correlation.estimates.accumulator import restored
from reverse_correlation.estimates.accumulators import ACCUMULATORS, OF_TRIALS
from reverse_correlation.estimates.sums import added_up, not_a_measurement, read_sums, write_sums
from reverse_correlation.observers.observer import names_of_classes
from reverse_correlation.stimuli.catalogue import kept_fields, restored_ensemble


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

    @property
    def class_indices(self):
        """Which of the network's classes were measured: (K,) int."""
        return np.array(self.provenance.get("only") or range(len(self.answered)))

    def class_names(self, names=()):
        """Return the names of the measured classes, in their order; by default the observer's.

        The argument and errors are those of `names_of_classes`.
        """
        names = names or self.provenance.get("class_names", ())
        described = self.provenance["accumulators"]  # some know all classes, some the measured ones
        classes = max(one["classes"] for one in described if "classes" in one)
        return names_of_classes(names, classes, self.provenance.get("only", ()))

    @property
    def answered(self):
        """How often each measured class was the answer, (K,) int; of people, how many choices."""
        if "decision" not in self.classes:
            return np.full(len(self.classes["choice"].covariance), self.count // 2)
        return np.rint(self.classes["decision"].mean_response * self.count).astype(int)

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
            }
            shown = int(sums["classes"]["n"].sum()) if "classes" in sums else 0
            provenance = {**self.provenance, "count": shown}
            parts.append(Measurement(sums, provenance, self.noise, self.kinds))
        return parts

    def plot(self, kind=None, names=None):
        """Draw the class images: a matplotlib Figure.

        Args:
            kind: "choice", "decision", "probability" or "logit"; by default a row for each.
            names: as for `class_names`; by default the observer's, or the numbers of the classes.

        Raises:
            UserError: for a kind that was not measured, or another number of names.
        """
        from reverse_correlation.figures.class_images import plot_measurement

        return plot_measurement(self, self.class_names(names or ()), kind)

    def _repr_html_(self):
        from reverse_correlation.figures.notebook import measurement_html

        return measurement_html(self)

    def save(self, path):
        """Write sums and provenance to a .npz file (no pickles), whole or not at all.

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
            UserError: as `read_sums`.
        """
        levels, provenance, fields = read_sums(path)
        try:
            noise = noise or restored_ensemble(provenance["noise"]["ensemble"], fields)
            return cls(added_up(levels), provenance, noise, accumulators)
        except KeyError as error:
            raise not_a_measurement(path, f"it has no {error}") from error
