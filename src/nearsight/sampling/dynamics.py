"""Molecular dynamics at constant temperature (NVT) by Langevin's equation, through ASE."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.constraints import FixCom
from ase.md.langevin import Langevin
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from nearsight.errors import NearsightError
from nearsight.sampling.strict import Strict


class Dynamics(Strict):
    """Settings of a trajectory.

    Attributes
    ----------
    calculator : str
        Name of an ASE calculator.
    calculator_settings : dict
        Its keyword arguments.
    temperature_kelvin : float
        Of the thermostat.
    timestep_fs : float
    friction_per_fs : float
        Langevin friction; momenta forget within its inverse.
    equilibration : int
        Steps before the first frame.
    interval : int
        Steps between frames.
    """

    calculator: str = "emt"
    calculator_settings: dict[str, Any] = Field(default_factory=dict)
    temperature_kelvin: PositiveFloat
    timestep_fs: PositiveFloat = 2.0
    friction_per_fs: PositiveFloat = 0.02
    equilibration: NonNegativeInt = 300
    interval: PositiveInt = 100


@dataclass(frozen=True, eq=False)
class Sampled:
    """One frame of dynamics.

    Attributes
    ----------
    atoms : Atoms
        Positions and cell; no calculator, no constraint.
    kinetic_kelvin : float
        Temperature of the momenta at this frame.
    equilibration_kelvin : float
        Mean temperature of the momenta over the second half of the equilibration: near the
        thermostat's where that was long enough.
    """

    atoms: Atoms
    kinetic_kelvin: float
    equilibration_kelvin: float


def run_langevin(
    atoms: Atoms, settings: Dynamics, n_frames: int, rng: np.random.Generator
) -> Iterator[Sampled]:
    """Yield frames of NVT dynamics, the centre of mass at rest.

    Parameters
    ----------
    atoms : Atoms
        With a calculator attached; changed in place.
    settings : Dynamics
    n_frames : int
    rng : Generator
        Momenta and noise come from it.

    Raises
    ------
    NearsightError
        Positions that are no longer finite.

    Notes
    -----
    The integrator is that of Vanden-Eijnden and Ciccotti, Chem. Phys. Lett. 429, 310 (2006), in ASE.
    """
    atoms.set_constraint(FixCom())
    draw_momenta(atoms, settings.temperature_kelvin, rng)
    motion = Langevin(
        atoms,
        settings.timestep_fs * units.fs,
        temperature_K=settings.temperature_kelvin,
        friction=settings.friction_per_fs / units.fs,
        fixcm=False,
        rng=rng,
    )
    equilibration_kelvin = _equilibrate(atoms, motion, settings.equilibration)
    for frame in range(n_frames):
        if frame:
            motion.run(settings.interval)
        if not np.isfinite(atoms.positions).all():
            raise NearsightError(
                f"the dynamics at {settings.temperature_kelvin} K blew up; a shorter timestep_fs than "
                f"{settings.timestep_fs} is needed"
            )
        yield Sampled(_bare(atoms), float(atoms.get_temperature()), equilibration_kelvin)


def draw_momenta(atoms: Atoms, temperature_kelvin: float, rng: np.random.Generator) -> None:
    """Give the atoms momenta of the Maxwell–Boltzmann distribution; constraints are respected."""
    width = np.sqrt(atoms.get_masses() * units.kB * temperature_kelvin)
    atoms.set_momenta(width[:, None] * rng.standard_normal((len(atoms), 3)))


def _equilibrate(atoms: Atoms, motion: Langevin, steps: int) -> float:
    """Run `steps` steps; mean temperature over the second half."""
    motion.run(steps // 2)
    temperatures = [float(atoms.get_temperature())]
    for _ in range(steps - steps // 2):
        motion.run(1)
        temperatures.append(float(atoms.get_temperature()))
    return float(np.mean(temperatures))


def _bare(atoms: Atoms) -> Atoms:
    """A copy with what a structure is: elements, positions, cell."""
    return Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True)
