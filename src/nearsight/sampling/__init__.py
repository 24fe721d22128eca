"""Structures and dynamics to label."""

from nearsight.sampling.calculators import make_calculator
from nearsight.sampling.crystals import Crystal, FromFile
from nearsight.sampling.dynamics import Dynamics, run_langevin
from nearsight.sampling.recipe import Recipe, Trajectory, read_recipe, shipped_recipes
from nearsight.sampling.trajectory import sample_trajectory
from nearsight.sampling.water import Water

__all__ = [
    "Crystal",
    "Dynamics",
    "FromFile",
    "Recipe",
    "Trajectory",
    "Water",
    "make_calculator",
    "read_recipe",
    "run_langevin",
    "sample_trajectory",
    "shipped_recipes",
]
