"""`predict_density`: the electron density of a structure on a grid, in blocks of bounded memory.

With ``uncertainty=True`` the same pass gives two more fields, the standard deviations σ of the density at
each point: aleatoric, what the features cannot tell, and epistemic, what the training data does not settle.
They hold point by point. Errors of neighbouring points go together, so that neither σ nor σ² summed over a
cell says anything of the cell's charge or energy.

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

    The standard deviations carry the density's own factor; they are not clipped where the density is.

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
    aleatoric, epistemic : ScalarField or None
        Standard deviations of the density, e/bohr³; None unless they were asked for.
    """

    density: ScalarField
    clipped_charge: float
    factor: float
    n_electrons: float
    seconds: float
    aleatoric: ScalarField | None = None
    epistemic: ScalarField | None = None

    @property
    def points_per_second(self) -> float:
        """Grid points predicted a second."""
        return self.density.grid.n_points / max(self.seconds, 1e-9)


def predict_density(
    model: DensityModel,
    structure: Structure,
    grid: UniformGrid,
    *,
    uncertainty: bool = False,
    block: int = 16_384,
    precision: Precision = "auto",
    threads: int | None = None,
    progress: Progress = silent,
) -> Prediction:
    """Density of `structure` on `grid`.

    Memory is that of the density itself (twice, with superposed atoms), of the two fields of its uncertainty
    where they are asked for, and of one block.

    Parameters
    ----------
    model : DensityModel
    structure : Structure
    grid : UniformGrid
        Of the structure's cell.
    uncertainty : bool
        Give the two standard deviations too.
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
    InputError
        `uncertainty` is asked of a model that states none.
    """
    began = time.perf_counter()
    n_electrons = model.n_electrons(structure)
    _require_cell(structure, grid)
    at_points = _PointPredictor(model, precision, uncertainty)
    blocks = _blocks(at_points, structure, grid, block, threads or torch.get_num_threads())
    return _collected(blocks, grid, at_points.n_fields, n_electrons, began, progress)


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
    model: DensityModel,
    described: DescribedGrid,
    *,
    uncertainty: bool = False,
    block: int = 16_384,
    precision: Precision = "auto",
) -> Prediction:
    """`predict_density` on a grid that was described before; the same density, `block` being the same.

    Raises
    ------
    UnknownElementError
        An element that the model never saw.
    InputError
        The model has another descriptor, needs superposed atoms that were not made, or states no
        `uncertainty` where that is asked for.
    ChargeError
        The model predicts nothing positive anywhere.
    """
    began = time.perf_counter()
    n_electrons = model.n_electrons(described.structure)
    if model.descriptor.settings() != described.descriptor.settings():
        raise InputError("the grid was described for models of another descriptor; describe it again")
    if model.target.needs_atoms and described.rho_saed is None:
        raise InputError("the model needs superposed atoms; describe the grid with its atomic densities")
    at_points = _PointPredictor(model, precision, uncertainty)
    blocks = _described_blocks(at_points, described, block)
    return _collected(blocks, described.grid, at_points.n_fields, n_electrons, began, silent)


def _require_cell(structure: Structure, grid: UniformGrid) -> None:
    if not np.allclose(grid.cell, structure.cell, rtol=0, atol=1e-4):
        raise GridMismatchError("the grid's cell differs from the structure's cell; make it from that cell")


@dataclass(frozen=True, eq=False)
class _PointPredictor:
    """What a model says of a block of points."""

    model: DensityModel
    precision: Precision
    uncertainty: bool

    @property
    def n_fields(self) -> int:
        """The density, and with its uncertainty two standard deviations."""
        return 3 if self.uncertainty else 1

    def __call__(self, features: np.ndarray, rho_saed: np.ndarray | None) -> tuple[np.ndarray, ...]:
        """As many arrays (m,), raw."""
        if self.uncertainty:
            return self.model.predict_uncertain_points(features, rho_saed, precision=self.precision)
        return (self.model.predict_points(features, rho_saed, precision=self.precision),)


def _collected(
    blocks: Iterator[tuple[int, tuple[np.ndarray, ...]]],
    grid: UniformGrid,
    n_fields: int,
    n_electrons: float,
    began: float,
    progress: Progress,
) -> Prediction:
    """The density of raw blocks, clipped and brought to its electron count, with its uncertainty."""
    fields = [np.empty(grid.n_points) for _ in range(n_fields)]
    progress("predicting", 0, grid.n_points)
    for start, parts in blocks:
        for values, part in zip(fields, parts, strict=True):
            values[start : start + len(part)] = part
        progress("predicting", start + len(parts[0]), grid.n_points)
    density, *deviations = fields
    scaled = ScalarField(grid, density.reshape(grid.shape)).rescaled(n_electrons)
    for values in deviations:
        values *= scaled.factor
    uncertain = [ScalarField(grid, values.reshape(grid.shape)) for values in deviations]
    aleatoric, epistemic = uncertain or (None, None)
    return Prediction(
        density=scaled.field,
        clipped_charge=scaled.clipped_charge,
        factor=scaled.factor,
        n_electrons=n_electrons,
        seconds=time.perf_counter() - began,
        aleatoric=aleatoric,
        epistemic=epistemic,
    )


def _described_blocks(
    at_points: _PointPredictor, described: DescribedGrid, block: int
) -> Iterator[tuple[int, tuple[np.ndarray, ...]]]:
    atoms = described.rho_saed if at_points.model.target.needs_atoms else None
    for start in range(0, described.grid.n_points, block):
        rows = slice(start, min(start + block, described.grid.n_points))
        yield start, at_points(described.features[rows], None if atoms is None else atoms[rows])


def _blocks(
    at_points: _PointPredictor, structure: Structure, grid: UniformGrid, block: int, threads: int
) -> Iterator[tuple[int, tuple[np.ndarray, ...]]]:
    """First flat index of each block of grid points, and what is said of it."""
    model = at_points.model
    evaluator = model.descriptor.prepare(structure)
    atoms = None
    if model.target.needs_atoms:
        atoms = superpose(structure, grid, model.radial, threads=threads).values.ravel()
    for start in range(0, grid.n_points, block):
        stop = min(start + block, grid.n_points)
        features = evaluate(evaluator, grid.points(start, stop), threads)
        yield start, at_points(features, None if atoms is None else atoms[start:stop])
