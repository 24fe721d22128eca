"""Run by a Python that has GPAW; nothing of nearsight is imported here.

    python worker.py atoms | solve

works in the current folder: ``input.json`` (and ``arrays.npz``) say what to do, ``result.json`` and
``output.npz`` hold what came of it, in GPAW's units (eV, Å) unless a name says otherwise.
"""

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

#: how far a density's integral may be off its electron count, relative to that
_TOLERANCE = 1e-3


def atoms(task: dict[str, Any]) -> dict[str, Any]:
    """Valence electrons and radial densities (bohr, e/bohr³) of free atoms, from their setups."""
    result: dict[str, Any] = {"missing": [], "valence": {}}
    arrays: dict[str, Any] = {}
    for symbol in task["symbols"]:
        try:
            setup = import_module("gpaw.setup_data").SetupData(symbol, task["functional"])
        except (FileNotFoundError, RuntimeError, KeyError):
            result["missing"].append(symbol)
            continue
        result["valence"][symbol] = float(setup.Nv)
        arrays[f"r_{symbol}"], arrays[f"rho_{symbol}"] = _radial_density(setup)
    np.savez("output.npz", **arrays)
    return result


def _radial_density(setup: Any) -> tuple[np.ndarray, np.ndarray]:
    """Pseudo-density of the setup's atom with its compensation charge, which is a Gaussian."""
    if setup.shape_function["type"] != "gauss":
        raise SystemExit(f"the setup of {setup.symbol} has no Gaussian compensation charges")
    r, dr = setup.rgd.r_g, setup.rgd.dr_g
    filled = [(f, u) for f, u in zip(setup.f_j, setup.phit_jg, strict=True) if f > 0]
    rho = sum(f * u**2 for f, u in filled) / (4 * np.pi)
    missing = setup.Nv - 4 * np.pi * float(np.sum(rho * r**2 * dr))
    rc = setup.shape_function["rc"]
    return r, rho + missing * np.exp(-((r / rc) ** 2)) / (np.sqrt(np.pi) * rc) ** 3


def solve(task: dict[str, Any]) -> dict[str, Any]:
    """One self-consistent calculation."""
    gpaw = import_module("gpaw")
    with np.load("arrays.npz") as file:
        system = import_module("ase").Atoms(
            numbers=file["numbers"], positions=file["positions"], cell=file["cell"], pbc=True
        )
    system.calc = gpaw.GPAW(
        mode={"name": "pw", "ecut": task["ecut"]},
        xc=task["functional"],
        gpts=tuple(task["shape"]),
        kpts={"size": tuple(task["mesh"]), "gamma": True},
        symmetry={"point_group": False},
        occupations={"name": "fermi-dirac", "width": task["width"]},
        convergence={"density": task["density_tolerance"]},
        maxiter=task["max_iterations"],
        txt="gpaw.txt",
    )
    try:
        free = float(system.get_potential_energy(force_consistent=True))
    except Exception as error:
        if type(error).__name__ != "KohnShamConvergenceError":
            raise
        return {"converged": False}
    extrapolated = float(system.get_potential_energy())
    forces = system.get_forces() if task["forces"] else None
    return _collect(system, free, extrapolated, forces)


def _collect(system: Any, free: float, extrapolated: float, forces: np.ndarray | None) -> dict[str, Any]:
    calc = system.calc
    density = calc.get_pseudo_density()
    n_electrons = float(calc.get_number_of_electrons())
    integral = float(density.sum()) * system.get_volume() / density.size
    if abs(integral - n_electrons) > _TOLERANCE * n_electrons:
        raise SystemExit(
            f"the pseudo-density integrates to {integral:.6g}, not to {n_electrons:g}: this GPAW leaves the "
            "compensation charges out; use GPAW 26.7 or newer"
        )
    points = calc.get_ibz_k_points()
    arrays = {
        "density": density,
        "k_points": points,
        "weights": calc.get_k_point_weights(),
        "eigenvalues": np.array([calc.get_eigenvalues(k) for k in range(len(points))]),
        "occupations": np.array([calc.get_occupation_numbers(k) for k in range(len(points))]),
    }
    if forces is not None:
        arrays["forces"] = forces
    np.savez("output.npz", **arrays)
    return {
        "converged": True,
        "free": free,
        # GPAW extrapolates to zero width as the mean of E and E − TS
        "entropy": 2 * (free - extrapolated),
        "fermi_level": float(calc.get_fermi_level()),
        "iterations": int(calc.get_number_of_iterations()),
    }


if __name__ == "__main__":
    work = {"atoms": atoms, "solve": solve}[sys.argv[1]]
    Path("result.json").write_text(json.dumps(work(json.loads(Path("input.json").read_text()))))
