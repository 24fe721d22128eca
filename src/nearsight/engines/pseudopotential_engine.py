"""`PseudopotentialEngine`: what engines share whose atoms are norm-conserving pseudopotentials."""

from typing import Generic, Protocol, TypeVar

from nearsight.atomic.radial import RadialDensity
from nearsight.engines.norm_conserving import NormConserving
from nearsight.engines.potential_resolution import potential_spacing
from nearsight.engines.potential_sources import free_atom, load
from nearsight.structure import Structure


class _HasPotentials(Protocol):
    """Settings that say where pseudopotentials come from."""

    @property
    def pseudopotential(self) -> str:
        """A family, or a folder or file, as `load` takes it."""
        ...

    @property
    def functional(self) -> str:
        """By its PySCF name."""
        ...


Settings = TypeVar("Settings", bound=_HasPotentials)


class PseudopotentialEngine(Generic[Settings]):
    """Elements and electrons of an engine that is set with ``pseudopotential`` and ``functional``."""

    settings: Settings

    def potential(self, number: int) -> NormConserving:
        """The pseudopotential of an element; raises `UnknownElementError`."""
        return load(self.settings.pseudopotential, number)

    def n_electrons(self, structure: Structure) -> float:
        """Valence electrons of the neutral cell; raises `UnknownElementError`."""
        return float(sum(self.potential(int(z)).charge for z in structure.numbers))

    def atomic_density(self, number: int) -> RadialDensity:
        """Density of the free atom: the pseudopotential file's, or solved for a family.

        Raises
        ------
        UnknownElementError
            No pseudopotential for the element, or a file without the atom's density.
        """
        return free_atom(self.settings.pseudopotential, number, self.settings.functional)

    def _required_spacing(self, structure: Structure) -> float:
        """Grid spacing in bohr that the hardest element needs."""
        return min(potential_spacing(self.potential(z), self.atomic_density(z)) for z in structure.species)
