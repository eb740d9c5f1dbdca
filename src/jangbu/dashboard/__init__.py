"""Pages for people: what every token was spent on, and what there is to do about it."""
