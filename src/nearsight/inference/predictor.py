"""`predict_density`: the electron density of a structure on a grid, in blocks of bounded memory.

Many models on one grid: `describe_grid` once, `predict_described` for each.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from nearsight.atomic.radial import RadialDensity
from nearsight.atomic.superposition import superpose
from nearsight.descriptors.evaluator import evaluate
from nearsight.descriptors.protocol import Descriptor
from nearsight.errors import GridMismatchError, InputError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.model.density_model import DensityModel
from nearsight.networks.precision import Precision
from nearsight.progress import Progress, silent
from nearsight.structure import Structure


@dataclass(frozen=True, eq=False)
class Prediction:
    """A predicted density and what it took.

    Attributes
    ----------
    density : ScalarField
        Clipped at zero and scaled to the electron count, e/bohr³.
    clipped_charge : float
        Charge of the negative values that were clipped, electrons, ≥ 0.
    factor : float
        Factor applied after clipping; near one for a good model.
    n_electrons : float
        The count that the density integrates to.
    seconds : float
        Wall time.
    """

    density: ScalarField
    clipped_charge: float
    factor: float
    n_electrons: float
    seconds: float

    @property
    def points_per_second(self) -> float:
        """Grid points predicted a second."""
        return self.density.grid.n_points / max(self.seconds, 1e-9)


def predict_density(
    model: DensityModel,
    structure: Structure,
    grid: UniformGrid,
    *,
    block: int = 16_384,
    precision: Precision = "auto",
    threads: int | None = None,
    progress: Progress = silent,
) -> Prediction:
    """Density of `structure` on `grid`.

    Memory is that of the density itself (twice, with superposed atoms) and of one block.

    Parameters
    ----------
    model : DensityModel
    structure : Structure
    grid : UniformGrid
        Of the structure's cell.
    block : int
        Points described and predicted at a time.
    precision : {"auto", "float32", "bfloat16"}
        Of the network's hidden products.
    threads : int, optional
        CPU threads for descriptor and superposition; as many as PyTorch uses unless given.
    progress : Progress

    Raises
    ------
    UnknownElementError
        An element that the model never saw.
    GridMismatchError
        The grid's cell is not the structure's.
    ChargeError
        The model predicts nothing positive anywhere.
    """
    began = time.perf_counter()
    n_electrons = model.n_electrons(structure)
    _require_cell(structure, grid)
    threads = threads or torch.get_num_threads()
    blocks = _blocks(model, structure, grid, block, precision, threads)
    return _collected(blocks, grid, n_electrons, began, progress)


@dataclass(frozen=True, eq=False)
class DescribedGrid:
    """A grid with all that models of one descriptor need at its points.

    Attributes
    ----------
    structure : Structure
    grid : UniformGrid
    descriptor : Descriptor
    features : ndarray (n, n_features), float32
        In the order of the grid's points; a memory map where it is large.
    rho_saed : ndarray (n,), e/bohr³, or None
        Superposed atomic densities.
    """

    structure: Structure
    grid: UniformGrid
    descriptor: Descriptor
    features: np.ndarray
    rho_saed: np.ndarray | None


def describe_grid(
    descriptor: Descriptor,
    structure: Structure,
    grid: UniformGrid,
    radial: Mapping[int, RadialDensity],
    *,
    block: int = 16_384,
    out: np.ndarray | None = None,
    threads: int | None = None,
) -> DescribedGrid:
    """Describe all points of a grid once, for many models.

    Parameters
    ----------
    descriptor : Descriptor
    structure : Structure
    grid : UniformGrid
        Of the structure's cell.
    radial : mapping of int to RadialDensity
        Free-atom densities; without any there are no superposed atoms.
    block : int
        Points described at a time.
    out : ndarray (n, n_features), float32, optional
        Where the features go, such as a memory map.
    threads : int, optional

    Raises
    ------
    GridMismatchError
        The grid's cell is not the structure's.
    """
    _require_cell(structure, grid)
    threads = threads or torch.get_num_threads()
    evaluator = descriptor.prepare(structure)
    features = np.empty((grid.n_points, descriptor.n_features), np.float32) if out is None else out
    for start in range(0, grid.n_points, block):
        stop = min(start + block, grid.n_points)
        features[start:stop] = evaluate(evaluator, grid.points(start, stop), threads)
    saed = superpose(structure, grid, radial, threads=threads).values.ravel() if radial else None
    return DescribedGrid(structure, grid, descriptor, features, saed)


def predict_described(
    model: DensityModel, described: DescribedGrid, *, block: int = 16_384, precision: Precision = "auto"
) -> Prediction:
    """`predict_density` on a grid that was described before; the same density, `block` being the same.

    Raises
    ------
    UnknownElementError
        An element that the model never saw.
    InputError
        The model has another descriptor, or needs superposed atoms that were not made.
    ChargeError
        The model predicts nothing positive anywhere.
    """
    began = time.perf_counter()
    n_electrons = model.n_electrons(described.structure)
    if model.descriptor.settings() != described.descriptor.settings():
        raise InputError("the grid was described for models of another descriptor; describe it again")
    if model.target.needs_atoms and described.rho_saed is None:
        raise InputError("the model needs superposed atoms; describe the grid with its atomic densities")
    blocks = _described_blocks(model, described, block, precision)
    return _collected(blocks, described.grid, n_electrons, began, silent)


def _require_cell(structure: Structure, grid: UniformGrid) -> None:
    if not np.allclose(grid.cell, structure.cell, rtol=0, atol=1e-4):
        raise GridMismatchError("the grid's cell differs from the structure's cell; make it from that cell")


def _collected(
    blocks: Iterator[tuple[int, np.ndarray]],
    grid: UniformGrid,
    n_electrons: float,
    began: float,
    progress: Progress,
) -> Prediction:
    """The density of raw blocks, clipped and brought to its electron count."""
    density = np.empty(grid.n_points)
    progress("predicting", 0, grid.n_points)
    for start, values in blocks:
        density[start : start + len(values)] = values
        progress("predicting", start + len(values), grid.n_points)
    scaled = ScalarField(grid, density.reshape(grid.shape)).rescaled(n_electrons)
    return Prediction(
        density=scaled.field,
        clipped_charge=scaled.clipped_charge,
        factor=scaled.factor,
        n_electrons=n_electrons,
        seconds=time.perf_counter() - began,
    )


def _described_blocks(
    model: DensityModel, described: DescribedGrid, block: int, precision: Precision
) -> Iterator[tuple[int, np.ndarray]]:
    atoms = described.rho_saed if model.target.needs_atoms else None
    for start in range(0, described.grid.n_points, block):
        rows = slice(start, min(start + block, described.grid.n_points))
        rho_saed = None if atoms is None else atoms[rows]
        yield start, model.predict_points(described.features[rows], rho_saed, precision=precision)


def _blocks(
    model: DensityModel,
    structure: Structure,
    grid: UniformGrid,
    block: int,
    precision: Precision,
    threads: int,
) -> Iterator[tuple[int, np.ndarray]]:
    """First flat index and raw density of each block of grid points."""
    evaluator = model.descriptor.prepare(structure)
    atoms = None
    if model.target.needs_atoms:
        atoms = superpose(structure, grid, model.radial, threads=threads).values.ravel()
    for start in range(0, grid.n_points, block):
        stop = min(start + block, grid.n_points)
        features = evaluate(evaluator, grid.points(start, stop), threads)
        rho_saed = None if atoms is None else atoms[start:stop]
        yield start, model.predict_points(features, rho_saed, precision=precision)
