"""GPAW's ``.gpw``: the pseudo-density of its PAW method, read without GPAW through ASE's ``ulm``.

Inside the augmentation spheres a pseudo-density is not the density: it does not integrate to the
valence electrons (Mortensen et al., PRB 71, 035109, 2005), and cannot be compared with densities of
norm-conserving pseudopotentials. It is read all the same, for models of pseudo-densities, and says
so: ``provenance["pseudo_density"]`` is set, and its integral is its electron count. Densities are in
1/Å³; finite-difference and LCAO runs leave out the face of zeros of a direction that is not periodic.
"""

from pathlib import Path
from typing import Any

import numpy as np
from ase.io.ulm import InvalidULMFileError
from ase.io.ulm import open as open_ulm

from nearsight.errors import ChargeError, FileFormatError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.io.checks import checked_snapshot, require_finite, structure_of
from nearsight.io.formats import FORMATS, Format
from nearsight.snapshot import CHARGE_TOLERANCE, Snapshot
from nearsight.units import ANGSTROM, BOHR_IN_ANGSTROM, EV

#: what ASE and NumPy raise on a file that is cut or damaged
_DAMAGE = (OSError, KeyError, ValueError, AttributeError, TypeError, IndexError, EOFError, OverflowError)
#: from this version of the format on, occupations are between 0 and 1 and without the weights of k
_PLAIN_OCCUPATIONS = 7


def read_gpw(path: Path, n_electrons: float | None = None) -> Snapshot:
    """Read the pseudo-density of a GPAW calculation, and its forces if they are there.

    Energies are left out: GPAW's are relative to its reference atoms.

    Parameters
    ----------
    path : Path
    n_electrons : float, optional
        What the pseudo-density integrates to; the number of valence electrons is refused.

    Raises
    ------
    FileFormatError
        Missing, truncated, damaged, or without a density.
    ChargeError
        A count that is not the integral of the pseudo-density.
    """
    try:
        with open_ulm(path) as file:
            atoms = file.atoms.asdict()
            density = _padded(np.asarray(file.density.density, dtype=np.float64), atoms["pbc"], _mode(file))
            valence, forces = _valence(file), file.results.asdict().get("forces")
    except FileNotFoundError:
        raise FileFormatError(f"there is no file {path}") from None
    except (*_DAMAGE, InvalidULMFileError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise FileFormatError(f"{path} is no .gpw file with a density, or damaged: {reason}") from error
    require_finite(path, density, "density")
    structure = structure_of(
        path, np.array(atoms["cell"]) * ANGSTROM, np.array(atoms["positions"]) * ANGSTROM, atoms["numbers"]
    )
    density = density * BOHR_IN_ANGSTROM**3
    integral = ScalarField(UniformGrid(structure.cell, density.shape), density).integrate()
    electrons = "the valence electrons" if valence is None else f"{valence:.6g} valence electrons"
    if n_electrons is not None and not abs(integral - n_electrons) <= CHARGE_TOLERANCE * n_electrons:
        raise ChargeError(
            f"{path} holds a pseudo-density, which integrates to {integral:.6g} and not to {n_electrons:.6g} "
            f"electrons (there are {electrons}); it cannot stand for the density of another method"
        )
    return checked_snapshot(
        path,
        structure,
        density,
        stated=integral,
        given=n_electrons,
        forces=None if forces is None else np.array(forces) * EV * BOHR_IN_ANGSTROM,
        file_format="gpaw",
        notes=[f"a pseudo-density (PAW): it integrates to {integral:.6g} where there are {electrons}"],
        extras={
            "electron_count_from": "pseudo-density",
            "pseudo_density": True,
            "valence_electrons": valence,
        },
    )


def _mode(file: Any) -> str:
    """``pw``, ``fd`` or ``lcao``."""
    mode = file.parameters.asdict().get("mode", "fd")
    return str(mode["name"] if isinstance(mode, dict) else mode)


def _padded(density: np.ndarray, periodic: np.ndarray, mode: str) -> np.ndarray:
    """The sum over spins, with the faces of zeros put back, shape (n1, n2, n3)."""
    if density.ndim != 4 or density.size == 0:
        raise ValueError(f"a density of shape {density.shape}")
    total = density.sum(axis=0) if len(density) <= 2 else density[0]
    if mode == "pw":
        return np.asarray(total)
    return np.pad(total, [(0, 0) if along else (1, 0) for along in np.broadcast_to(periodic, 3)])


def _valence(file: Any) -> float | None:
    """Number of valence electrons, where the format says what its occupations are."""
    if file.version < _PLAIN_OCCUPATIONS:
        return None
    waves = file.wave_functions
    occupations = np.asarray(waves.occupations)
    if occupations.ndim != 3:
        return None
    degeneracy = 2.0 / len(occupations)
    return float(np.einsum("skn,k->", occupations, np.asarray(waves.kpts.weights)) * degeneracy)


FORMATS.register("gpaw")(Format("gpaw", ("*.gpw",), read_gpw))
