"""What a run says at its end: the page of an observer, and the closing table."""
