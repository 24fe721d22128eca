"""Properties computed from a density by an engine, one a module."""

from nearsight.energy.harris_foulkes import energy_error_per_atom, harris_energy

__all__ = ["energy_error_per_atom", "harris_energy"]
