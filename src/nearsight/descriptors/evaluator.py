"""What every descriptor built on a cell list does before and after its kernel."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from ase.data import chemical_symbols

from nearsight.descriptors.kernels import LANES, count_blocks
from nearsight.descriptors.protocol import Evaluator
from nearsight.errors import InputError, UnknownElementError
from nearsight.neighbours import CellList
from nearsight.structure import Structure


def check_species(species: object) -> tuple[int, ...]:
    """Atomic numbers as an ascending tuple without repeats.

    Raises
    ------
    InputError
        Not a list of at least one atomic number, or a number that is no element.
    """
    if not isinstance(species, list | tuple | set | frozenset | np.ndarray) or len(species) == 0:
        raise InputError(f"species is a list of at least one atomic number, not {species!r}")
    if not all(
        isinstance(z, int | np.integer) and not isinstance(z, bool) and 0 < z < len(chemical_symbols)
        for z in species
    ):
        raise InputError(f"species holds whole atomic numbers from 1 to 118, not {species!r}")
    return tuple(sorted({int(z) for z in species}))


def species_index(structure: Structure, species: tuple[int, ...]) -> np.ndarray:
    """Which entry of `species` each atom is, shape (n_atoms,), int64.

    Raises
    ------
    UnknownElementError
        An atom is of none of them.
    """
    strangers = set(structure.species) - set(species)
    if strangers:
        raise UnknownElementError(
            f"{structure.formula} holds {_symbols(strangers)}, which a descriptor for {_symbols(species)} "
            "cannot describe; make the descriptor (and train the model) with every element"
        )
    return np.searchsorted(np.array(species), structure.numbers).astype(np.int64)


def _symbols(numbers: set[int] | tuple[int, ...]) -> str:
    return ", ".join(chemical_symbols[z] for z in sorted(numbers))


def check_points(points: np.ndarray) -> np.ndarray:
    """Points as float64 (m, 3).

    Raises
    ------
    InputError
        Another shape, or values that are not finite.
    """
    points = np.ascontiguousarray(points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3:
        raise InputError(f"points have shape (m, 3), not {points.shape}")
    if not np.isfinite(points).all():
        raise InputError("points must be finite numbers (found NaN or inf)")
    return points


@dataclass(frozen=True, eq=False)
class BlockEvaluator:
    """An `Evaluator` that hands wrapped points, near ones together, to a kernel.

    Attributes
    ----------
    cells : CellList
    n_features : int
    kernel : callable
        ``kernel(points, out)`` fills out (m, n_features), float32, for wrapped points (m, 3).
    """

    cells: CellList
    n_features: int
    kernel: Callable[[np.ndarray, np.ndarray], None]

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Features at Cartesian points (m, 3) in bohr: (m, n_features), float32."""
        wrapped = self.cells.wrap(check_points(points))
        out = np.empty((len(wrapped), self.n_features), dtype=np.float32)
        if count_blocks(wrapped, self.cells.cutoff) <= 2 * (len(wrapped) // LANES) + 2:
            self.kernel(wrapped, out)
            return out
        order = self._nearest_together(wrapped)
        self.kernel(np.ascontiguousarray(wrapped[order]), out)
        scattered = np.empty_like(out)
        scattered[order] = out
        return scattered

    def _nearest_together(self, wrapped: np.ndarray) -> np.ndarray:
        """An order of the points by the bin of the cell list they lie in."""
        ijk = (wrapped @ self.cells.inverse / self.cells.bin_width).astype(np.int64)
        ijk = np.clip(ijk, 0, self.cells.n_bins - 1)
        return np.argsort(np.ravel_multi_index(tuple(ijk.T), tuple(self.cells.n_bins)), kind="stable")


def evaluate(evaluator: Evaluator, points: np.ndarray, threads: int = 1) -> np.ndarray:
    """Features at points (m, 3), the points cut evenly among `threads` threads.

    The compiled kernels release the GIL, so that plain threads run side by side. The result differs
    from that of one thread by rounding at most.
    """
    if threads < 1:
        raise InputError(f"a thread count is at least 1, not {threads}")
    if threads == 1 or len(points) < 2 * threads * LANES:
        return evaluator(points)
    size = -(-len(points) // (threads * LANES)) * LANES
    parts = [points[i : i + size] for i in range(0, len(points), size)]
    with ThreadPoolExecutor(threads) as pool:
        return np.concatenate(list(pool.map(evaluator, parts)))
