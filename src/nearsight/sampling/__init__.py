"""Structures and dynamics to label."""

from nearsight.sampling.allotropes import Allotrope
from nearsight.sampling.alloys import Alloy
from nearsight.sampling.calculators import CalculatorFactory, make_calculator
from nearsight.sampling.crystals import Crystal, FromFile
from nearsight.sampling.decorrelation import Decorrelation, decorrelation, rms_displacement
from nearsight.sampling.dislocations import Dislocation
from nearsight.sampling.dynamics import Dynamics, run_dynamics
from nearsight.sampling.elements import ElementalCrystal
from nearsight.sampling.equilibration import Equilibration, judge_equilibration
from nearsight.sampling.grain_boundaries import GrainBoundary
from nearsight.sampling.molecules import Molecule, closed_shell_molecules
from nearsight.sampling.recipe import Recipe, Trajectory, engine_settings, read_recipe, shipped_recipes
from nearsight.sampling.trajectory import sample_trajectory
from nearsight.sampling.water import Water

__all__ = [
    "Allotrope",
    "Alloy",
    "CalculatorFactory",
    "Crystal",
    "Decorrelation",
    "Dislocation",
    "Dynamics",
    "ElementalCrystal",
    "Equilibration",
    "FromFile",
    "GrainBoundary",
    "Molecule",
    "Recipe",
    "Trajectory",
    "Water",
    "closed_shell_molecules",
    "decorrelation",
    "engine_settings",
    "judge_equilibration",
    "make_calculator",
    "read_recipe",
    "rms_displacement",
    "run_dynamics",
    "sample_trajectory",
    "shipped_recipes",
]
