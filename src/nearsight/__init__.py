"""nearsight learns the ground-state electron density of materials from a small part of the data."""

from importlib.metadata import version

__version__ = version("nearsight")
