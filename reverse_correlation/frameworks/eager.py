"""The sums of a shard without a graph around them: block by block, where the network lives."""


def shard_of(work, at_once, compiled=lambda function, **_: function):
    """Return a function for the sums of a shard, one block at a time, whatever `at_once` allows.

    `compiled` is what is done to the functions that compute with tensors alone.
    """
    answered = compiled(work.answered, static_argnums=1)
    block_sums = {each.name: compiled(each.block) for each in work.accumulators}

    def shard(first, images, progress):
        orthogonal, sums = work.orthogonal(first), work.zeros()
        for start in range(0, images, work.block_images):
            index, count = first + start // work.block_images, images - start
            count = min(count, work.block_images)
            block = answered(work.numbers(index, count, orthogonal), count)
            sums = work.added(sums, index, block, block_sums)
            progress(count)
        return sums

    return shard


def where(condition, when_true, when_false):
    """Return what one of two functions returns."""
    return when_true() if condition else when_false()
