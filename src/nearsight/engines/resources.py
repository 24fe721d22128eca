"""What one calculation takes of the machine: memory and threads, as far as an engine tells.

Both are optional parts of the `Engine` protocol, asked for here so that no caller needs to know.
"""

import math
from dataclasses import is_dataclass, replace
from typing import Any, Protocol, runtime_checkable

from nearsight.engines.protocol import Engine
from nearsight.grid import UniformGrid
from nearsight.structure import Structure

#: MB of a process that has imported an engine and compiled kernels (measured: 250 for ``lcao``)
_PROCESS_MB = 300.0
#: float64 arrays on the grid that a self-consistent cycle keeps: densities, potentials, gradients, and
#: twice the usual mixing history
_GRID_ARRAYS = 64
#: basis functions of an atom, generously: a table of their values is the largest thing that an engine keeps
_FUNCTIONS = 32


@runtime_checkable
class EstimatesMemory(Protocol):
    """An engine that knows how much memory a structure will take."""

    def memory_estimate_mb(self, structure: Structure, grid: UniformGrid) -> float:
        """Peak memory of one ground state in MB, the process itself included."""
        ...


def memory_estimate_mb(engine: Engine, structure: Structure, grid: UniformGrid) -> float:
    """Peak memory of one ground state in MB: the engine's word, or a guess from the grid.

    The guess is a process of 300 MB, 64 arrays on the grid, and 32 more an atom, as far as the engine's
    ``settings.memory_limit_mb`` allows for those, where it has one.
    """
    if isinstance(engine, EstimatesMemory):
        return float(engine.memory_estimate_mb(structure, grid))
    array = 8 * math.prod(grid.shape) / 2**20
    limit = getattr(getattr(engine, "settings", None), "memory_limit_mb", None)
    table = min(_FUNCTIONS * structure.n_atoms * array, math.inf if limit is None else float(limit))
    return _PROCESS_MB + _GRID_ARRAYS * array + table


def with_threads(engine: Engine, limit: int) -> Engine:
    """The same engine, its own ``settings.threads`` held to `limit` where it has them.

    An engine without that setting, or with None in it, takes what BLAS and OpenMP are held to.
    """
    settings: Any = getattr(engine, "settings", None)
    wanted = getattr(settings, "threads", None)
    if not is_dataclass(settings) or isinstance(settings, type) or wanted is None or wanted <= limit:
        return engine
    return type(engine)(replace(settings, threads=limit))  # type: ignore[call-arg]
