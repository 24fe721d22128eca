"""Descriptors: features of the atomic neighbourhood of a point."""
