"""Properties of a density through an engine."""
