"""Shards of a pass: their sums, added in a fixed tree, and where a pass may end."""

from reverse_correlation.estimates.sums import added_up

GROUP = 8  # shards, or groups of them, that are added one after another


class SumTree:
    """The sums of shards, added in a fixed order that allows for groups to be added elsewhere.

    Eight shards, one after another, make a group; eight groups one of the next level; and so on.
    `levels[k]` holds the groups of 8**k shards that are complete, up to seven of them, as one sum.
    Whoever adds a group, here or on another machine, adds the same numbers in the same order.
    """

    def __init__(self, levels=(), done=0):
        self._state = list(levels), done  # in one place, so that an interrupt finds it whole

    @property
    def levels(self):
        """The sums of complete groups, the smallest first; {} where there are none."""
        return self._state[0]

    @property
    def done(self):
        """How many shards have been added."""
        return self._state[1]

    def add(self, sums, level=0):
        """Add the sums of the next 8**level shards.

        Raises:
            ValueError: if the shards before them do not end where a group of that level begins.
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


def decision_level(done):
    """Return k such that a pass of `done` shards may next be ended after 8**k more.

    That is after each of the first eight shards, each eighth of the first 64, and so on: wherever
    the work is done and however often it is interrupted, the decision falls on the same sums.
    """
    level = 0
    while done >= GROUP ** (level + 1):
        level += 1
    return level


def is_decision_place(done):
    """Say whether a pass may end after so many shards."""
    return done > 0 and done % GROUP ** decision_level(done) == 0
