"""Pictures of docs/uncertainty.md: density ± 3σ along a line through a defect, and the surface of its σ.

python benchmarks/uncertainty_figure.py MODEL.nst DATA.zarr NUMBER -o docs/uncertainty

The defect is where the epistemic uncertainty, averaged over a sphere, is largest: the script is not told
where it is. Writes FILE-line.svg and FILE-surface.png.
"""

import argparse
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from ase.data import covalent_radii
from ase.data.colors import jmol_colors

import nearsight as ns
from nearsight.descriptors.evaluator import evaluate
from nearsight.inference.predictor import Prediction, predict_density
from nearsight.units import BOHR_IN_ANGSTROM

mpl.use("agg")
from matplotlib import pyplot as plt
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

#: bohr; the sphere over which the uncertainty is averaged when the defect is looked for
_SPHERE = 2.5


def smoothed(field: ns.ScalarField, radius: float) -> np.ndarray:
    """The field averaged with a Gaussian of standard deviation `radius` (bohr), on its grid."""
    axes = [np.fft.fftfreq(n) * n for n in field.grid.shape]
    reciprocal = 2 * np.pi * np.linalg.inv(field.grid.cell).T
    vectors = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1) @ reciprocal
    factor = np.exp(-0.5 * radius**2 * (vectors**2).sum(axis=-1))
    return np.fft.ifftn(np.fft.fftn(field.values) * factor).real


def line_figure(
    model: ns.DensityModel, structure: ns.Structure, centre: np.ndarray, truth: ns.ScalarField, path: Path
) -> None:
    """Density along the first lattice vector through `centre`, with both uncertainties as bands."""
    shape, cell = truth.grid.shape, truth.grid.cell
    rest = np.round(centre @ np.linalg.inv(cell) * shape).astype(int) % shape
    along = np.arange(shape[0])
    points = np.stack([along, np.full_like(along, rest[1]), np.full_like(along, rest[2])], axis=1)
    positions = points / np.array(shape) @ cell
    saed = None
    if model.target.needs_atoms:
        from nearsight.atomic.superposition import superpose

        saed = superpose(structure, truth.grid, model.radial).values[:, rest[1], rest[2]]
    found = model.predict_uncertain_points(evaluate(model.descriptor.prepare(structure), positions), saed)
    both = np.hypot(found.aleatoric, found.epistemic)
    x = along / shape[0] * np.linalg.norm(cell[0]) * BOHR_IN_ANGSTROM
    figure, axes = plt.subplots(2, 1, figsize=(6.4, 5.2), sharex=True, layout="constrained")
    upper, lower = axes
    upper.fill_between(
        x,
        found.density - 3 * both,
        found.density + 3 * both,
        color="#56b4e9",
        alpha=0.45,
        lw=0,
        label="prediction ± 3σ",
    )
    upper.plot(x, found.density, color="#0072b2", lw=1.4, label="prediction")
    upper.plot(x, truth.values[:, rest[1], rest[2]], color="black", lw=1.0, ls="--", label="Kohn–Sham DFT")
    upper.set_ylabel("density (e/bohr³)")
    upper.legend(frameon=False, ncols=3, loc="upper center", bbox_to_anchor=(0.5, 1.18))
    error = np.abs(truth.values[:, rest[1], rest[2]] - found.density)
    lower.plot(x, 1e3 * found.aleatoric, color="#009e73", lw=1.4, label="aleatoric σ")
    lower.plot(x, 1e3 * found.epistemic, color="#d55e00", lw=1.4, label="epistemic σ")
    lower.plot(x, 1e3 * error, color="black", lw=0.9, ls=":", label="|error|")
    here = rest[0] / shape[0] * np.linalg.norm(cell[0]) * BOHR_IN_ANGSTROM
    for axis in axes:
        axis.axvline(here, color="0.7", lw=0.8, zorder=0)
        axis.margins(x=0)
    lower.set_ylim(bottom=0)
    lower.set_xlabel("position along a line through the vacancy (Å); grey: its centre")
    lower.set_ylabel("10⁻³ e/bohr³")
    lower.legend(frameon=False, ncols=3)
    figure.savefig(path)
    plt.close(figure)


def surface(values: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (n, 3), in grid steps, and quadrilaterals (m, 4) where values cross the level.

    Naive surface nets (S. F. Gibson, MERL TR99-24, 1999) without periodic images: one vertex in every grid
    cell that the surface crosses, at the mean of its edge crossings.
    """
    corners = np.array([[(c >> a) & 1 for a in range(3)] for c in range(8)])
    shape = np.array(values.shape) - 1
    at = (
        np.stack([values[tuple(slice(o, o + n) for o, n in zip(c, shape, strict=True))] for c in corners])
        - level
    )
    total, count = np.zeros((*shape, 3)), np.zeros(tuple(shape))
    for a in range(8):
        for axis in range(3):
            if corners[a][axis]:
                continue
            b = a | (1 << axis)
            crossed = (at[a] > 0) != (at[b] > 0)
            share = np.where(crossed, at[a] / np.where(crossed, at[a] - at[b], 1.0), 0.0)
            where = corners[a] + share[..., None] * (corners[b] - corners[a])
            total += np.where(crossed[..., None], where, 0.0)
            count += crossed
    cells = np.argwhere(count > 0)
    number = np.full(tuple(shape), -1)
    number[tuple(cells.T)] = np.arange(len(cells))
    vertices = cells + total[tuple(cells.T)] / count[tuple(cells.T)][:, None]
    faces = []
    inside = values > level
    for axis in range(3):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        for edge in np.argwhere(np.diff(inside, axis=axis)):
            if edge[u] < 1 or edge[v] < 1 or edge[u] >= shape[u] or edge[v] >= shape[v]:
                continue
            around = []
            for du, dv in ((-1, -1), (0, -1), (0, 0), (-1, 0)):
                cell = edge.copy()
                cell[u] += du
                cell[v] += dv
                around.append(number[tuple(cell)])
            # counterclockwise as seen from outside
            faces.append(around if inside[tuple(edge)] else around[::-1])
    return vertices, np.array(faces, dtype=int).reshape(-1, 4)


def surface_figure(structure: ns.Structure, sigma: ns.ScalarField, centre: np.ndarray, path: Path) -> None:
    """Atoms, and where the epistemic uncertainty is high, the defect in the middle of the cell."""
    shape, cell = np.array(sigma.grid.shape), sigma.grid.cell
    shift = np.round(shape / 2 - centre @ np.linalg.inv(cell) * shape).astype(int)
    values = np.roll(smoothed(sigma, 0.6), shift, axis=(0, 1, 2))
    level = float(np.quantile(values, 0.985))
    vertices, faces = surface(values, level)
    place = vertices / shape @ cell * BOHR_IN_ANGSTROM
    figure = plt.figure(figsize=(6.0, 5.4), layout="constrained")
    axes: Any = figure.add_subplot(projection="3d", computed_zorder=True)
    mesh = Poly3DCollection(place[faces], facecolors="#d55e00", alpha=0.55, lw=0, shade=True)
    axes.add_collection3d(mesh)
    moved = (structure.positions @ np.linalg.inv(cell) + shift / shape) % 1.0
    atoms = moved @ cell * BOHR_IN_ANGSTROM
    for z in structure.species:
        these = atoms[structure.numbers == z]
        axes.scatter(
            *these.T, s=160 * covalent_radii[z], color=jmol_colors[z] * 0.8, edgecolor="0.3", depthshade=True
        )
    corners = np.array([[(c >> a) & 1 for a in range(3)] for c in range(8)]) @ cell * BOHR_IN_ANGSTROM
    for a in range(8):
        for axis in range(3):
            if not (a >> axis) & 1:
                axes.plot(*corners[[a, a | (1 << axis)]].T, color="0.5", lw=0.8)
    axes.set_xlabel("x (Å)")
    axes.set_ylabel("y (Å)")
    axes.set_zlabel("z (Å)")
    axes.set_title(f"epistemic σ = {1e3 * level:.2g}·10⁻³ e/bohr³", fontsize=10)
    axes.set_box_aspect(np.ptp(corners, axis=0))
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("number", type=int)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    model, data = ns.load_model(arguments.model), ns.Dataset.open(arguments.data)
    structure, truth = data.structure(arguments.number), data.density(arguments.number)
    found: Prediction = predict_density(model, structure, truth.grid, uncertainty=True)
    assert found.epistemic is not None
    averaged = smoothed(found.epistemic, _SPHERE)
    highest = np.unravel_index(np.argmax(averaged), averaged.shape)
    centre = np.array(highest) / np.array(averaged.shape) @ truth.grid.cell
    nearest = np.linalg.norm(structure.positions - centre, axis=1).min() * BOHR_IN_ANGSTROM
    print(f"largest uncertainty at {centre * BOHR_IN_ANGSTROM} Å, {nearest:.2f} Å from the nearest atom")
    out = arguments.output
    line_figure(model, structure, centre, truth, out.with_name(out.name + "-line.svg"))
    surface_figure(structure, found.epistemic, centre, out.with_name(out.name + "-surface.png"))


if __name__ == "__main__":
    main()
