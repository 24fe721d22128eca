"""Spherical atomic densities fitted to density fields, for data whose code supplies none.

The field is modelled as ρ(r) = Σ_atoms f_Z(|r − R|) over all periodic images. Each f_Z is a cubic
B-spline with non-negative coefficients, hence non-negative, flat at the nucleus and zero with two
derivatives at the cut-off. Least squares on a random part of the grid points, with a light penalty on
jumps of curvature (P-splines: Eilers and Marx, Statist. Sci. 11, 89 (1996)), solved by NNLS.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ase.data import chemical_symbols
from scipy.interpolate import BSpline
from scipy.optimize import nnls
from scipy.sparse import csr_array
from scipy.spatial import cKDTree

from nearsight.atomic.radial import RadialDensity
from nearsight.errors import GridMismatchError, InputError, UnknownElementError
from nearsight.field import ScalarField
from nearsight.neighbours import CellList
from nearsight.structure import Structure

_DEGREE = 3
#: share of the knots' spacing that is uniform; the rest grows from the nucleus outwards
_UNIFORM_SHARE = 0.25
#: weight of the electron counts against the data: they are met to about its inverse squared
_COUNT_WEIGHT = 1e4
_TABLE_STEP = 0.01


@dataclass(frozen=True)
class FitSettings:
    """How radial densities are fitted.

    Parameters
    ----------
    cutoff : float
        Radius in bohr beyond which an atom has no density.
    n_intervals : int
        Knot intervals from the nucleus to the cut-off.
    points_per_field : int
        Grid points drawn from each field (all of them if it has fewer).
    smoothness : float
        Weight of the penalty relative to the data.
    """

    cutoff: float = 8.0
    n_intervals: int = 32
    points_per_field: int = 20_000
    smoothness: float = 1e-4

    def __post_init__(self) -> None:
        if not (self.cutoff > 0 and self.n_intervals >= 4 and self.points_per_field > 0):
            raise InputError("a fit needs a positive cut-off, at least 4 intervals and some points")


@dataclass(frozen=True, eq=False)
class _Basis:
    """Cubic B-splines on [0, cutoff], flat at zero and vanishing smoothly at the end."""

    settings: FitSettings

    @cached_property
    def knots(self) -> np.ndarray:
        """Knots with repeated ends, closest to each other at the nucleus."""
        t = np.linspace(0.0, 1.0, self.settings.n_intervals + 1)
        inner = self.settings.cutoff * (_UNIFORM_SHARE * t + (1 - _UNIFORM_SHARE) * t**2)
        return np.concatenate([np.zeros(_DEGREE), inner, np.full(_DEGREE, self.settings.cutoff)])

    def __len__(self) -> int:
        return self.settings.n_intervals + _DEGREE - 4

    def fold(self, full: np.ndarray) -> np.ndarray:
        """Columns of the plain B-splines to ours: the first two share a coefficient, the last three
        have none.
        """
        return np.column_stack([full[:, 0] + full[:, 1], full[:, 2:-3]])

    def unfold(self, coefficients: np.ndarray) -> BSpline:
        """The radial function with our coefficients."""
        return BSpline(self.knots, np.concatenate([coefficients[:1], coefficients, np.zeros(3)]), _DEGREE)

    def charges(self) -> np.ndarray:
        """4π∫r² of each function in electrons, exact by Gauss–Legendre in every interval."""
        edges = np.unique(self.knots)
        x, w = np.polynomial.legendre.leggauss(4)
        half = 0.5 * np.diff(edges)[:, None]
        r = ((edges[:-1, None] + half) + half * x).ravel()
        full = BSpline.design_matrix(r, self.knots, _DEGREE).toarray()
        return np.asarray((4 * np.pi * r**2 * (half * w).ravel()) @ self.fold(full))

    def rows(self, structure: Structure, points: np.ndarray, species: Sequence[int]) -> np.ndarray:
        """Design matrix (n_points, n_species · n_basis): every function summed over the images."""
        cells = CellList.build(structure, self.settings.cutoff)
        wrapped = cells.wrap(points)
        pairs = cKDTree(wrapped).sparse_distance_matrix(
            cKDTree(cells.positions), self.settings.cutoff, output_type="ndarray"
        )
        numbers = structure.numbers[cells.atom[pairs["j"]]]
        blocks = []
        for z in species:
            mine = pairs[numbers == z]
            values = BSpline.design_matrix(mine["v"], self.knots, _DEGREE)
            collect = csr_array(
                (np.ones(len(mine)), (mine["i"], np.arange(len(mine)))), shape=(len(points), len(mine))
            )
            blocks.append(self.fold((collect @ values).toarray()))
        return np.hstack(blocks)


def fit_radial(
    structures: Sequence[Structure],
    fields: Sequence[ScalarField],
    n_electrons: Mapping[int, float] | None = None,
    *,
    rng: np.random.Generator,
    settings: FitSettings | None = None,
) -> dict[int, RadialDensity]:
    """Fit one radial density for each element to densities, or to given superpositions.

    Parameters
    ----------
    structures : sequence of Structure
    fields : sequence of ScalarField
        One a structure, on grids of their cells, e/bohr³.
    n_electrons : mapping from atomic number to float, optional
        Valence electrons of each neutral atom, which the tables then hold exactly. Without it the
        counts come out of the fit; in a compound they need not be those of neutral atoms.
    rng : numpy.random.Generator
        Draws the grid points.
    settings : FitSettings, optional

    Returns
    -------
    dict
        From atomic number to `RadialDensity`.

    Raises
    ------
    InputError
        No data, unequal numbers of structures and fields, or a count that is not positive.
    GridMismatchError
        A field whose cell is not its structure's.
    UnknownElementError
        An element without an entry in `n_electrons`.

    Notes
    -----
    The fit is the best superposition of spherical atoms, not free atoms: bonding that is spherical
    about an atom goes into its table.
    """
    settings = settings or FitSettings()
    _check(structures, fields, n_electrons)
    species = sorted({z for structure in structures for z in structure.species})
    basis = _Basis(settings)
    triangle = np.empty((0, len(species) * len(basis) + 1))
    n_points = 0
    for structure, values in zip(structures, fields, strict=True):
        rows = _equations(basis, structure, values, species, rng)
        n_points += len(rows)
        # the triangle of a QR factorisation holds all that least squares needs of the rows so far
        triangle = np.asarray(np.linalg.qr(np.vstack([triangle, rows]), mode="r"))
    solution = _solve(basis, triangle, species, n_electrons)
    residual = np.linalg.norm(triangle[:, :-1] @ solution - triangle[:, -1]) / np.sqrt(n_points)
    source = {"solver": "fit_radial", "n_points": n_points, "rms_residual": float(residual)}
    tables = {}
    for z, part in zip(species, np.split(solution, len(species)), strict=True):
        count = None if n_electrons is None else n_electrons[z]
        tables[z] = _table(z, basis.unfold(part), settings.cutoff, count, source)
    return tables


def _check(
    structures: Sequence[Structure], fields: Sequence[ScalarField], n_electrons: Mapping[int, float] | None
) -> None:
    if not structures or len(structures) != len(fields):
        raise InputError(f"a fit needs one field a structure, not {len(fields)} for {len(structures)}")
    for structure, values in zip(structures, fields, strict=True):
        if not np.allclose(values.grid.cell, structure.cell, rtol=0, atol=1e-4):
            raise GridMismatchError(f"the field's cell differs from the cell of {structure.formula}")
    if n_electrons is None:
        return
    for z in sorted({z for structure in structures for z in structure.species}):
        if z not in n_electrons:
            raise UnknownElementError(f"no electron count for {chemical_symbols[z]}; state it")
        if not n_electrons[z] > 0:
            raise InputError(f"{n_electrons[z]} electrons for {chemical_symbols[z]}: a count is positive")


def _equations(
    basis: _Basis,
    structure: Structure,
    values: ScalarField,
    species: Sequence[int],
    rng: np.random.Generator,
) -> np.ndarray:
    """Rows (design | value) at random grid points of one field."""
    grid = values.grid
    n = min(basis.settings.points_per_field, grid.n_points)
    index = np.sort(rng.choice(grid.n_points, n, replace=False))
    design = basis.rows(structure, grid.points_at(index), species)
    return np.column_stack([design, values.values.ravel()[index]])


def _solve(
    basis: _Basis, triangle: np.ndarray, species: Sequence[int], n_electrons: Mapping[int, float] | None
) -> np.ndarray:
    """Non-negative coefficients (n_species · n_basis,) of the penalised, constrained least squares."""
    design, target = triangle[:, :-1], triangle[:, -1]
    each = np.eye(len(species))
    scale = np.linalg.norm(design) / np.sqrt(design.shape[1])
    penalty = np.kron(each, np.diff(np.eye(len(basis)), n=3, axis=0)) * basis.settings.smoothness * scale
    rows, values = [design, penalty], [target, np.zeros(len(penalty))]
    if n_electrons is not None:
        counts = np.kron(each, basis.charges())
        weight = _COUNT_WEIGHT * scale / np.abs(counts).max()
        rows.append(counts * weight)
        values.append(np.array([n_electrons[z] for z in species]) * weight)
    return np.asarray(nnls(np.vstack(rows), np.concatenate(values))[0])


def _table(
    number: int, spline: BSpline, cutoff: float, n_electrons: float | None, source: dict[str, object]
) -> RadialDensity:
    """Tabulate a fitted function; with a stated count the last rounding is scaled away."""
    r = np.linspace(0.0, cutoff, int(np.ceil(cutoff / _TABLE_STEP)) + 1)
    rho = np.maximum(spline(r), 0.0)
    rho[-1] = 0.0
    charge = RadialDensity(number, r, rho, 0.0, source).integrate()
    if n_electrons is None:
        return RadialDensity(number, r, rho, charge, source)
    return RadialDensity(number, r, rho * (n_electrons / charge), n_electrons, source)
