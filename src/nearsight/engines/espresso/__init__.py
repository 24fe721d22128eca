"""Quantum ESPRESSO behind the engine protocol: `pw.x`, or QEpy in an environment of its own."""

from nearsight.engines.espresso.engine import EspressoEngine
from nearsight.engines.espresso.settings import EspressoSettings

__all__ = ["EspressoEngine", "EspressoSettings"]
