"""Errors of a density, one definition everywhere."""
