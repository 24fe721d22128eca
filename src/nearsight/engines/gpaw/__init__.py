"""GPAW as a source of data: projector augmented waves, run by a Python that has it."""

from nearsight.engines.gpaw.engine import GpawEngine
from nearsight.engines.gpaw.settings import GpawSettings

__all__ = ["GpawEngine", "GpawSettings"]
