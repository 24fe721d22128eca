"""Physical constants and the conversions used at the package's edges.

Inside nearsight everything is in Hartree atomic units (bohr, hartree, e/bohr³). Values are
CODATA 2018. Multiply by a constant to go from the named unit to atomic units.
"""

from typing import Final

BOHR_IN_ANGSTROM: Final = 0.529177210903
"""One bohr in ångström."""
ANGSTROM: Final = 1.0 / BOHR_IN_ANGSTROM
"""One ångström in bohr."""
EV: Final = 1.0 / 27.211386245988
"""One electronvolt in hartree."""
HARTREE_IN_EV: Final = 27.211386245988
"""One hartree in electronvolt."""
KELVIN: Final = 3.166811563455546e-6
"""Boltzmann's constant: one kelvin in hartree."""
CHEMICAL_ACCURACY: Final = 1.6e-3
"""Chemical accuracy of the papers, 1.6 mHa per atom, in hartree."""
