"""What a pass sums, and the estimates that the sums give.

An accumulator is a frozen dataclass with JSON-serialisable fields; from these and the sums, a
saved measurement computes its estimates again. To measure something new, write another class and
pass it on: `measure(..., accumulators=(*ACCUMULATORS, Mine))`.
"""

import dataclasses

from reverse_correlation.errors import UserError


class Accumulator:
    """The base class of accumulators.

    Attributes:
        name: the name under which its sums are kept; unique within a pass.
        every: only blocks whose index is a multiple of this are summed.
    """

    name, every = "", 1

    @classmethod
    def for_pass(cls, observer, noise, layers):
        """Return the accumulators of this class that a pass needs.

        Args:
            observer: an Observer.
            noise: the ensemble.
            layers: names of the layers that are measured; their activity is in each block.
        """
        raise NotImplementedError

    def zeros(self):
        """Return the shapes of the sums: {name: shape}."""
        raise NotImplementedError

    def block(self, block):
        """Return what a block adds: {name: tensor}.

        It is written with `keras.ops`, and becomes part of a graph: what depends on a tensor's
        value needs `ops.where`, not `if`.

        Args:
            block: a dictionary: "xi" (p, *coordinates), the independent numbers; "stimuli"
                (n, h, w, c), A xi followed by the mirror images -A xi of the first n - p;
                "logits" (n, K), as `Observer.logits_of` returns them; and the activity of each
                layer under its name.
        """
        raise NotImplementedError

    def finish(self, shard):
        """Return what a shard adds to the total, from its float64 sums: {name: array}."""
        return shard

    def estimates(self, sums, noise):
        """Return what the sums say: {group: {name: Estimate}}.

        Args:
            sums: {name: (2, ...)}, for even and for odd shards, as `finish` returned them.
            noise: the ensemble.
        """
        raise NotImplementedError

    def least_correlation(self, sums, noise):
        """Return the least expected correlation of an image with its truth so far.

        The pass may end when this is as high as was asked for. None if the pass need not wait.
        """
        return None

    def describe(self):
        """Return a JSON-serialisable description, from which `restored` makes it again."""
        return {"kind": type(self).__name__, **dataclasses.asdict(self)}


def restored(described, accumulators):
    """Make an accumulator again, of one of these classes, from what its `describe` returned.

    Raises:
        UserError: if its class is not among them.
    """
    fields = dict(described)
    name = fields.pop("kind")
    for accumulator in accumulators:
        if accumulator.__name__ == name:
            return accumulator(**fields)
    raise UserError(f"this measurement has sums of {name}: name that class as an accumulator")
