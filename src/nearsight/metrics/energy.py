"""Errors of energies."""

from nearsight.errors import InputError


def energy_error_per_atom(energy: float, reference: float, n_atoms: int) -> float:
    """(E − E_ref) / atoms in hartree, with its sign.

    For a predicted density both are Harris–Foulkes free energies by the same engine on the same grid.

    Raises
    ------
    InputError
        No atoms.
    """
    if n_atoms < 1:
        raise InputError(f"an error per atom needs at least one atom, not {n_atoms}")
    return (energy - reference) / n_atoms
