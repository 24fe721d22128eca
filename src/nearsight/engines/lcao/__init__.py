"""The embedded engine: Kohn–Sham with Gaussian Bloch orbitals on the uniform grid."""

from nearsight.engines.lcao.engine import LcaoEngine
from nearsight.engines.lcao.settings import LcaoSettings

__all__ = ["LcaoEngine", "LcaoSettings"]
