"""Studies of people: the page that asks them, their answers, and what these say."""
