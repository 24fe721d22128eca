"""Physical constants and the conversions used at the package's edges.

Inside nearsight everything is in Hartree atomic units (bohr, hartree, e/bohr³). Values are
CODATA 2018. Multiply by a constant to go from the named unit to atomic units.
"""

from typing import Final

#: one bohr in ångström
BOHR_IN_ANGSTROM: Final = 0.529177210903
#: one ångström in bohr
ANGSTROM: Final = 1.0 / BOHR_IN_ANGSTROM
#: one electronvolt in hartree
EV: Final = 1.0 / 27.211386245988
#: one hartree in electronvolt
HARTREE_IN_EV: Final = 27.211386245988
#: Boltzmann's constant: one kelvin in hartree
KELVIN: Final = 3.166811563455546e-6
#: chemical accuracy of the papers, 1.6 mHa per atom, in hartree
CHEMICAL_ACCURACY: Final = 1.6e-3
