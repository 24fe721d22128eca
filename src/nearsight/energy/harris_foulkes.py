"""Harris–Foulkes energies of densities, and the energy error of a predicted density.

J. Harris, Phys. Rev. B 31, 1770 (1985); W. M. C. Foulkes and R. Haydock, Phys. Rev. B 39, 12520 (1989).
The functional needs one diagonalisation in the potential of the given density and is stationary at the
ground state: its error is second order in the density's error, of no fixed sign, and follows the
Hartree norm of the error rather than its L1 norm.
"""

from nearsight.engines.protocol import Engine
from nearsight.errors import GridMismatchError
from nearsight.field import ScalarField
from nearsight.structure import Structure


def harris_energy(engine: Engine, structure: Structure, density: ScalarField) -> float:
    """Harris–Foulkes free energy (E − TS) of a density in hartree per cell.

    Parameters
    ----------
    engine : Engine
        Settles pseudopotentials, functional, basis and smearing.
    structure : Structure
    density : ScalarField
        Valence density in e/bohr³ on a grid of the structure's cell.

    Raises
    ------
    GridMismatchError
        The density's cell is not the structure's.
    """
    return float(engine.harris(structure, density).free_energy)


def energy_error_per_atom(
    engine: Engine, structure: Structure, density: ScalarField, reference: ScalarField
) -> float:
    """Harris–Foulkes free energy of `density` minus that of `reference`, hartree per atom.

    Same engine, same grid: what is left is the density's error alone, not that of the grid.

    Parameters
    ----------
    engine : Engine
    structure : Structure
    density, reference : ScalarField
        Predicted and reference valence density in e/bohr³ on one grid.

    Raises
    ------
    GridMismatchError
        The two densities, or a density and the structure, do not share their cell and grid.
    """
    if not density.grid.matches(reference.grid):
        raise GridMismatchError(
            f"energy error of densities on different grids: {density.grid!r} and {reference.grid!r}; "
            "predict on the reference's grid"
        )
    difference = harris_energy(engine, structure, density) - harris_energy(engine, structure, reference)
    return difference / structure.n_atoms
