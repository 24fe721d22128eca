"""Molecular dynamics at constant temperature (NVT), through ASE."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from ase import Atoms, units
from ase.constraints import FixCom
from ase.md.langevin import Langevin
from ase.md.md import MolecularDynamics
from ase.md.nose_hoover_chain import NoseHooverChainNVT
from ase.optimize import FIRE
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from nearsight.errors import NearsightError
from nearsight.sampling.equilibration import Equilibration, judge_equilibration
from nearsight.sampling.strict import Strict

#: relaxation ends at this largest force, eV/Å: overlaps are gone, thermal motion will do the rest
_RELAXED = 0.05


class Dynamics(Strict):
    """Settings of a trajectory.

    Attributes
    ----------
    calculator : str
        Its name, as `nearsight.sampling.make_calculator` knows it.
    calculator_settings : dict
        Its keyword arguments.
    temperature_kelvin : float
        Of the thermostat.
    thermostat : str
        ``langevin`` (stochastic), or ``nose-hoover`` (a chain of three, deterministic but for the first
        momenta).
    timestep_fs : float
    friction_per_fs : float
        Langevin friction; momenta forget within its inverse.
    damping_fs : float
        Characteristic time of the Nosé–Hoover thermostat.
    relaxation : int
        Steps of energy minimisation (FIRE) before the dynamics, at most.
    equilibration : int
        Steps before the first frame.
    interval : int
        Steps between frames.
    """

    calculator: str = "emt"
    calculator_settings: dict[str, Any] = Field(default_factory=dict)
    temperature_kelvin: PositiveFloat
    thermostat: Literal["langevin", "nose-hoover"] = "langevin"
    timestep_fs: PositiveFloat = 2.0
    friction_per_fs: PositiveFloat = 0.02
    damping_fs: PositiveFloat = 100.0
    relaxation: NonNegativeInt = 0
    equilibration: NonNegativeInt = 300
    interval: PositiveInt = 100

    @property
    def memory(self) -> float:
        """Steps within which the thermostat forgets."""
        time = 1 / self.friction_per_fs if self.thermostat == "langevin" else self.damping_fs
        return time / self.timestep_fs


@dataclass(frozen=True, eq=False)
class Sampled:
    """One frame of dynamics.

    Attributes
    ----------
    atoms : Atoms
        Positions and cell; no calculator, no constraint.
    kinetic_kelvin : float
        Temperature of the momenta at this frame.
    equilibration : Equilibration
        Of the trajectory: its temperature, and whether it had come to rest.
    """

    atoms: Atoms
    kinetic_kelvin: float
    equilibration: Equilibration


def run_dynamics(
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
    Langevin: Vanden-Eijnden and Ciccotti, Chem. Phys. Lett. 429, 310 (2006). Nosé–Hoover chains: Martyna,
    Klein, Tuckerman, J. Chem. Phys. 97, 2635 (1992). Both are ASE's.
    """
    if settings.relaxation:
        FIRE(atoms, logfile=None).run(fmax=_RELAXED, steps=settings.relaxation)
    atoms.set_constraint(FixCom())
    draw_momenta(atoms, settings.temperature_kelvin, rng)
    motion = _motion(atoms, settings, rng)
    equilibration = _equilibrate(atoms, motion, settings)
    for frame in range(n_frames):
        if frame:
            motion.run(settings.interval)
        if not np.isfinite(atoms.positions).all():
            raise NearsightError(
                f"the dynamics at {settings.temperature_kelvin} K blew up; a shorter timestep_fs than "
                f"{settings.timestep_fs} is needed"
            )
        yield Sampled(_bare(atoms), float(atoms.get_temperature()), equilibration)


def draw_momenta(atoms: Atoms, temperature_kelvin: float, rng: np.random.Generator) -> None:
    """Give the atoms momenta of the Maxwell–Boltzmann distribution; constraints are respected."""
    width = np.sqrt(atoms.get_masses() * units.kB * temperature_kelvin)
    atoms.set_momenta(width[:, None] * rng.standard_normal((len(atoms), 3)))


def _motion(atoms: Atoms, settings: Dynamics, rng: np.random.Generator) -> MolecularDynamics:
    """The integrator with its thermostat."""
    timestep = settings.timestep_fs * units.fs
    if settings.thermostat == "langevin":
        return Langevin(
            atoms,
            timestep,
            temperature_K=settings.temperature_kelvin,
            friction=settings.friction_per_fs / units.fs,
            fixcm=False,
            rng=rng,
        )
    # ASE's chain counts 3N degrees of freedom; with the centre of mass at rest there are 3N − 3
    share = (len(atoms) - 1) / len(atoms)
    return NoseHooverChainNVT(
        atoms,
        timestep,
        temperature_K=settings.temperature_kelvin * share,
        tdamp=settings.damping_fs * units.fs,
    )


def _equilibrate(atoms: Atoms, motion: MolecularDynamics, settings: Dynamics) -> Equilibration:
    """Run the steps before the first frame, and judge their second half."""
    steps = settings.equilibration
    motion.run(steps // 2)
    temperatures, energies = [float(atoms.get_temperature())], [float(atoms.get_potential_energy())]
    for _ in range(steps - steps // 2):
        motion.run(1)
        temperatures.append(float(atoms.get_temperature()))
        energies.append(float(atoms.get_potential_energy()))
    return judge_equilibration(
        np.array(temperatures), np.array(energies), settings.temperature_kelvin, len(atoms), settings.memory
    )


def _bare(atoms: Atoms) -> Atoms:
    """A copy with what a structure is: elements, positions, cell."""
    return Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True)
