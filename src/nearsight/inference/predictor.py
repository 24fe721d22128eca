"""`predict_density`: the electron density of a structure on a grid, in blocks of bounded memory."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from nearsight.atomic.superposition import superpose
from nearsight.descriptors.evaluator import evaluate
from nearsight.errors import GridMismatchError
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
    if not np.allclose(grid.cell, structure.cell, rtol=0, atol=1e-4):
        raise GridMismatchError("the grid's cell differs from the structure's cell; make it from that cell")
    threads = threads or torch.get_num_threads()
    density = np.empty(grid.n_points)
    progress("predicting", 0, grid.n_points)
    for start, values in _blocks(model, structure, grid, block, precision, threads):
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
