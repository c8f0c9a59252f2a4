"""A prompt of the user's own over any dataset: `map` and `judge`."""
