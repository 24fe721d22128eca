"""The embedded engine: Γ-point Kohn–Sham with Gaussian orbitals on the uniform grid."""

from nearsight.engines.lcao.engine import LcaoEngine
from nearsight.engines.lcao.settings import LcaoSettings

__all__ = ["LcaoEngine", "LcaoSettings"]
