"""From a source to the store, and from the store to a reduction: one datum's walk, one way."""
