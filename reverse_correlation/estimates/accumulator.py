"""What a pass sums, and the estimates that the sums give.

An accumulator is a frozen dataclass whose fields JSON can hold; with them and its sums, a saved
measurement gives its estimates again. To measure something new, write one more class here, or
anywhere, and hand it to the pass: `measure(..., accumulators=(*ACCUMULATORS, Mine))`.
"""

import dataclasses

from reverse_correlation.errors import UserError


class Accumulator:
    """What every accumulator says.

    Attributes:
        name: under which its sums are kept; unique within a pass.
        every: it sees only the blocks whose index this divides.
    """

    name, every = "", 1

    @classmethod
    def for_pass(cls, network, noise, layers):
        """Return those of this class that a pass needs.

        Args:
            network: a Network.
            noise: the ensemble.
            layers: names of the layers that are measured; their activity is in each block.
        """
        raise NotImplementedError

    def zeros(self):
        """Return the shapes of the sums: {name: shape}."""
        raise NotImplementedError

    def block(self, block):
        """Return what a block adds: {name: tensor}.

        Args:
            block: "xi" (p, *coordinates), the independent numbers; "stimuli" (n, h, w, c), A xi
                and then the mirror images -A xi of the first n - p of them; "logits" (n, K),
                centred (of labels, 1 for the answer and 0); and each layer's activity by its name.
        """
        raise NotImplementedError

    def finish(self, shard):
        """Return what a shard adds to the total, from its float64 sums: {name: array}."""
        return shard

    def estimates(self, sums, noise):
        """Return what the sums say: {group: {name: Estimate}}.

        Args:
            sums: {name: (2, ...)}, of even and of odd shards, as `finish` returned them.
            noise: the ensemble.
        """
        raise NotImplementedError

    def least_correlation(self, sums, noise):
        """Return the least expected correlation of an image with its truth, so far.

        The pass ends when it is as high as was asked for; None if there is nothing to wait for.
        """
        return None

    def describe(self):
        """Return what JSON can hold and `restored` takes."""
        return {"kind": type(self).__name__, **dataclasses.asdict(self)}


def restored(described, kinds):
    """Make an accumulator of one of some classes again from what its `describe` returned.

    Raises:
        UserError: if its class is not among them.
    """
    fields = dict(described)
    name = fields.pop("kind")
    for kind in kinds:
        if kind.__name__ == name:
            return kind(**fields)
    raise UserError(f"this measurement has sums of {name}: name that class as an accumulator")
