"""Kohn–Sham engines behind one protocol, and the physical terms they are built from."""

from nearsight.engines.lcao import LcaoEngine, LcaoSettings
from nearsight.engines.protocol import Engine, GroundState, NonSelfConsistent
from nearsight.engines.registered import ENGINES

__all__ = ["ENGINES", "Engine", "GroundState", "LcaoEngine", "LcaoSettings", "NonSelfConsistent"]
