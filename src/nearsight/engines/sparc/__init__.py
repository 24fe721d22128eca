"""SPARC, a finite-difference code, behind the engine protocol."""

from nearsight.engines.sparc.engine import SparcEngine
from nearsight.engines.sparc.settings import SparcSettings

__all__ = ["SparcEngine", "SparcSettings"]
