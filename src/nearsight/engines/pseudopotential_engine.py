"""`PseudopotentialEngine`: what engines share whose atoms are norm-conserving pseudopotentials."""

from collections.abc import Mapping
from typing import Any, Generic, Protocol, TypeVar

from nearsight.atomic.radial import RadialDensity
from nearsight.engines.norm_conserving import NormConserving
from nearsight.engines.potential_resolution import potential_spacing
from nearsight.engines.potential_sources import file_digests, free_atom, load
from nearsight.errors import InputError
from nearsight.structure import Structure

#: fingerprint key of the hashes of pseudopotential files, by symbol; absent for families
FILES_KEY = "pseudopotential_files"


def recorded_source(fingerprint: Mapping[str, Any]) -> str:
    """The family, folder or file of a fingerprint, its files still what they were.

    Raises
    ------
    InputError
        A file is gone or has changed.
    """
    source = str(fingerprint["pseudopotentials"])
    recorded = fingerprint.get(FILES_KEY) or {}
    present = file_digests(source) if recorded else {}
    if changed := sorted(symbol for symbol in recorded if present.get(symbol) != recorded[symbol]):
        raise InputError(
            f"the pseudopotential files for {', '.join(changed)} in {source} are not those that the data was "
            "made with; bring them back, or name the engine and its settings"
        )
    return source


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

    def potentials_fingerprint(self) -> dict[str, Any]:
        """What a fingerprint says of pseudopotentials: a family, or a place and what lies there."""
        source = self.settings.pseudopotential
        files = file_digests(source)
        return {"pseudopotentials": source} | ({FILES_KEY: files} if files else {})

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
