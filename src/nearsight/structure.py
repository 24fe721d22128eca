"""`Structure`: a periodic arrangement of atoms in atomic units."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from nearsight.errors import StructureError
from nearsight.provenance import digest
from nearsight.units import ANGSTROM, BOHR_IN_ANGSTROM

#: cell volume (bohr³) below which a cell is called degenerate
_SMALLEST_VOLUME = 1e-3


@dataclass(frozen=True, eq=False)
class Structure:
    """Atoms in a periodic cell; a molecule is given a box.

    Parameters
    ----------
    cell : ndarray (3, 3), float64
        Cell vectors in bohr, one a row. Any right- or left-handed cell of non-zero volume.
    positions : ndarray (n_atoms, 3), float64
        Cartesian positions in bohr; they may lie outside the cell.
    numbers : ndarray (n_atoms,), int64
        Atomic numbers.

    Raises
    ------
    StructureError
        Wrong shapes, no atoms, values that are not finite, a cell without volume, or an atomic
        number that is no element.
    """

    cell: np.ndarray
    positions: np.ndarray
    numbers: np.ndarray

    def __post_init__(self) -> None:
        cell = np.array(self.cell, dtype=np.float64)
        positions = np.array(self.positions, dtype=np.float64)
        given = np.asarray(self.numbers)
        if not (np.issubdtype(given.dtype, np.number) and np.array_equal(given, np.round(given))):
            raise StructureError("atomic numbers must be whole numbers")
        numbers = given.astype(np.int64)
        if cell.shape != (3, 3):
            raise StructureError(f"a cell has shape (3, 3), not {cell.shape}")
        if positions.ndim != 2 or positions.shape[1] != 3 or numbers.shape != positions.shape[:1]:
            raise StructureError(
                f"positions {positions.shape} and numbers {numbers.shape} must be (n, 3) and (n,)"
            )
        if len(numbers) == 0:
            raise StructureError("a structure needs at least one atom")
        if not (np.isfinite(cell).all() and np.isfinite(positions).all()):
            raise StructureError("cell and positions must be finite numbers (found NaN or inf)")
        if abs(np.linalg.det(cell)) < _SMALLEST_VOLUME:
            raise StructureError(
                "the cell has no volume; give three independent cell vectors "
                "(for a molecule: atoms.center(vacuum=5))"
            )
        if numbers.min() < 1 or numbers.max() >= len(chemical_symbols):
            raise StructureError(f"unknown atomic number in {sorted(set(numbers.tolist()))}")
        for name, array in (("cell", cell), ("positions", positions), ("numbers", numbers)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @classmethod
    def from_ase(cls, atoms: Atoms) -> "Structure":
        """From `ase.Atoms` (Å); periodicity flags are ignored, the cell is always periodic."""
        return cls(atoms.cell.array * ANGSTROM, atoms.positions * ANGSTROM, atoms.numbers)

    def to_ase(self) -> Atoms:
        """To `ase.Atoms` (Å), periodic along all three vectors."""
        return Atoms(
            numbers=self.numbers,
            positions=self.positions * BOHR_IN_ANGSTROM,
            cell=self.cell * BOHR_IN_ANGSTROM,
            pbc=True,
        )

    @property
    def n_atoms(self) -> int:
        """Number of atoms in the cell."""
        return len(self.numbers)

    @cached_property
    def volume(self) -> float:
        """Cell volume in bohr³."""
        return float(abs(np.linalg.det(self.cell)))

    @cached_property
    def species(self) -> tuple[int, ...]:
        """The distinct atomic numbers, ascending."""
        return tuple(sorted({int(z) for z in self.numbers}))

    @cached_property
    def fractional(self) -> np.ndarray:
        """Positions in units of the cell vectors, shape (n_atoms, 3), not wrapped."""
        return np.linalg.solve(self.cell.T, self.positions.T).T

    @cached_property
    def heights(self) -> np.ndarray:
        """Distances between opposite faces of the cell in bohr, shape (3,)."""
        return 1.0 / np.linalg.norm(np.linalg.inv(self.cell), axis=0)

    @property
    def formula(self) -> str:
        """Hill formula, such as ``Al32``."""
        return str(self.to_ase().get_chemical_formula())

    def digest(self) -> str:
        """Hash of cell, positions and numbers."""
        return digest(self.cell, self.positions, self.numbers)

    def __repr__(self) -> str:
        return f"Structure({self.formula}, {self.volume:.1f} bohr³)"
