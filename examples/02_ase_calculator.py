"""A trained model as an ASE calculator: the energy of a strained cell without self-consistency.

Needs ``al.nst`` from 01_quickstart.py in the same folder.
"""

from ase.build import bulk

import nearsight as ns

calculator = ns.NearsightCalculator("al.nst", ns.LcaoEngine())
for scale in (0.99, 1.0, 1.01):
    atoms = bulk("Al", cubic=True, a=4.05 * scale)
    atoms.calc = calculator
    print(f"a = {4.05 * scale:.4f} Å: {atoms.get_potential_energy():.4f} eV")
