"""The progress of a pass: a bar on a terminal, an occasional line elsewhere."""

import sys

from tqdm import tqdm

from reverse_correlation.texts import printable


def progress_bar(total, description, initial=0, disable=False):
    """Return a tqdm bar that counts images; without a terminal, it prints an occasional line."""
    terminal = sys.stderr.isatty()
    stream = getattr(sys.stderr, "stream", sys.stderr)  # itself, as a bar moves the cursor back
    return tqdm(
        total=total,
        initial=initial,
        desc=printable(description),
        unit=" img",
        unit_scale=True,
        disable=disable,
        file=stream if terminal else _Log,
        mininterval=0.1 if terminal else 20,
        delay=0 if terminal else 1,
        leave=terminal,  # otherwise the last line would be printed twice
        bar_format=None if terminal else "{desc}: {n_fmt} of {total_fmt}, {rate_fmt}{postfix}",
    )


class _Log:
    """A stand-in for a terminal that prints each state of a progress bar as a line."""

    @staticmethod
    def write(text):
        if text.strip():
            print(text.strip(), file=sys.stderr, flush=True)

    @staticmethod
    def flush():
        pass
