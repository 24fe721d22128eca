"""What every result with possibly magnetic elements must say: all engines treat electrons without spin."""

from collections.abc import Iterable

from ase.data import chemical_symbols

#: elements whose solids are magnetic, or nearly so: 3d from Cr to Ni, and the lanthanides from Ce to Tm
MAGNETIC = frozenset([*range(24, 29), *range(58, 70)])


def spin_notes(species: Iterable[int]) -> list[str]:
    """A line for results with such elements; nothing where there are none.

    Parameters
    ----------
    species : iterable of int
        Atomic numbers.
    """
    found = sorted(MAGNETIC.intersection(int(z) for z in species))
    if not found:
        return []
    names = ", ".join(chemical_symbols[z] for z in found)
    return [f"{names} treated without spin: magnetic moments and what they do to the density are left out"]
