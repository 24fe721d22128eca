"""The plane-wave engine: complete basis, any cell, norm-conserving pseudopotentials."""

from nearsight.engines.planewave.engine import PlanewaveEngine
from nearsight.engines.planewave.settings import PlanewaveSettings

__all__ = ["PlanewaveEngine", "PlanewaveSettings"]
