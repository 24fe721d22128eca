"""Densities of new structures, streamed."""
