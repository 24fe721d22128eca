"""The loop, point tables and per-point scores."""
