"""Kohn–Sham engines behind one protocol, and the physical terms they are built from."""

from nearsight.engines.espresso import EspressoEngine, EspressoSettings
from nearsight.engines.gpaw import GpawEngine, GpawSettings
from nearsight.engines.lcao import LcaoEngine, LcaoSettings
from nearsight.engines.planewave import PlanewaveEngine, PlanewaveSettings
from nearsight.engines.protocol import Engine, GroundState, NonSelfConsistent
from nearsight.engines.registered import ENGINES
from nearsight.engines.sparc import SparcEngine, SparcSettings

__all__ = [
    "ENGINES",
    "Engine",
    "EspressoEngine",
    "EspressoSettings",
    "GpawEngine",
    "GpawSettings",
    "GroundState",
    "LcaoEngine",
    "LcaoSettings",
    "NonSelfConsistent",
    "PlanewaveEngine",
    "PlanewaveSettings",
    "SparcEngine",
    "SparcSettings",
]
