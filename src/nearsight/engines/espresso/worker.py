"""Run by the Python of an environment that has QEpy: one diagonalisation in the potential of a density.

    python worker.py FOLDER

FOLDER holds ``pw.in`` and ``density.npy`` (n1, n2, n3; e/bohr³); ``harris.json`` and ``output.npz`` are
written into it, in rydberg. Nothing of nearsight is imported here.
"""

import json
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

#: diagonalisations at most, and the change of the energy (rydberg) at which they end
_CALLS, _SETTLED = 30, 2e-9
#: occupation, times its k-point's weight, of a band that is not empty
_OCCUPIED = 1e-5


def main(folder: Path) -> None:
    """Diagonalise, and write what came of it."""
    qepy = import_module("qepy.driver")
    os.chdir(folder)
    density = np.load("density.npy")
    driver = qepy.Driver(inputfile="pw.in", iterative=True, logfile="harris.out")
    shape = tuple(int(n) for n in driver.get_number_of_grid_points())
    if shape != density.shape:
        raise SystemExit(f"Quantum ESPRESSO chose the grid {shape} in place of {density.shape}")
    _diagonalise(driver, density.ravel(order="F")[:, None])
    _write(driver, shape)


def _diagonalise(driver: Any, density: np.ndarray) -> None:
    """Diagonalise in the same potential until the energy stands: one call may leave states unconverged.

    Where the highest band is occupied it need not stand: the engine asks again with more bands.
    """
    last = np.inf
    for _ in range(_CALLS):
        driver.set_density(density)
        driver.diagonalize()
        energy = float(driver.qepy_pw.ener.get_hwf_energy())
        highest = np.array(driver.qepy_pw.wvfct.get_array_wg())[-1].max()
        if abs(energy - last) < _SETTLED or highest > _OCCUPIED:
            return
        last = energy
    raise SystemExit(f"the bands did not converge in {_CALLS} diagonalisations; give another cutoff or grid")


def _write(driver: Any, shape: tuple[int, ...]) -> None:
    energies, points = driver.qepy_pw.ener, driver.qepy_pw.klist
    n_k = int(points.get_nks())
    summary = {
        "harris": float(energies.get_hwf_energy()),
        "ewald": float(energies.get_ewld()),
        "entropy": float(energies.get_demet()),
        "fermi_level": float(energies.get_ef()),
        "alat": float(driver.qepy_modules.cell_base.get_alat()),
    }
    np.savez(
        "output.npz",
        density=driver.get_density()[:, 0].reshape(shape, order="F"),
        eigenvalues=np.array(driver.qepy_pw.wvfct.get_array_et()).T[:n_k],
        occupations=np.array(driver.qepy_pw.wvfct.get_array_wg()).T[:n_k],
        k_points=np.array(points.get_array_xk()).T[:n_k],
        weights=np.array(points.get_array_wk())[:n_k],
    )
    Path("harris.json").write_text(json.dumps(summary))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
