"""Shards of a pass: how their sums are added in a fixed tree, and where a pass may end."""

from reverse_correlation.estimates.sums import added_up

GROUP = 8  # shards, or groups of shards, in a group of the next level


class SumTree:
    """The sums of shards, added in a fixed order; groups of shards may be added elsewhere.

    Eight consecutive shards make a group, eight groups make a group of the next level, and so on.
    `levels[k]` holds the sum of the complete groups of 8**k shards, of which there are at most
    seven. A group's numbers are added in the same order wherever it is added.
    """

    def __init__(self, levels=(), done=0):
        self._state = list(levels), done  # one assignment, so an interrupt never splits the two

    @property
    def levels(self):
        """The sums of complete groups, the smallest groups first; {} if there are none."""
        return self._state[0]

    @property
    def done(self):
        """How many shards have been added."""
        return self._state[1]

    def add(self, sums, level=0):
        """Add the sums of the next 8**level shards.

        Raises:
            ValueError: if these shards do not begin where a group of that level begins.
        """
        if self.done % GROUP**level:
            raise ValueError(f"{GROUP**level} shards cannot be added after {self.done}")
        levels, done = list(self.levels), self.done + GROUP**level
        levels += [{} for _ in range(level - len(levels))]
        while True:
            levels += [{}] if level == len(levels) else []
            levels[level] = added_up([sums, levels[level]])
            if done // GROUP**level % GROUP:
                break
            sums, levels[level] = levels[level], {}
            level += 1
        self._state = levels, done

    def total(self):
        """Return the sums of all shards."""
        return added_up(self.levels)


def is_tree(levels, done):
    """Return whether these levels, of a file, can be those of a SumTree of so many shards."""
    if type(done) is not int or not 0 < done < GROUP ** len(levels):
        return False
    return all(bool(level) == bool(done // GROUP**k % GROUP) for k, level in enumerate(levels))


def decision_level(done):
    """Return k such that a pass of `done` shards may next end after 8**k more.

    A pass may end after each of the first 8 shards, after every 8th of the first 64, and so on.
    So the decision rests on the same sums wherever the pass runs and however often it was
    interrupted.
    """
    level = 0
    while done >= GROUP ** (level + 1):
        level += 1
    return level


def is_decision_place(done):
    """Return whether a pass may end after so many shards."""
    return done > 0 and done % GROUP ** decision_level(done) == 0
