"""Fields made small enough for a page: three slices (as they are, unless very fine) and a volume.

Numbers travel as 16-bit fractions of the range between the lowest and highest value (an error below
1e-5 of the range), base64 of little-endian bytes.
"""

import base64
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.report.reading import FieldData

#: planes of a slice: the two cell vectors that span it; the third is the one it is cut across
PLANES = ((0, 1), (0, 2), (1, 2))
#: a volume has at most this many points along an edge of a cube (bytes go with its third power)
MOST_POINTS, FEWEST_POINTS = 40, 16
#: a grid is thinned to this before slices are cut; ordinary training grids are smaller
VIEW_POINTS = 80
#: bytes of base64 that all volumes of a page may take together
VOLUME_BUDGET = 4_500_000
_BYTES_PER_POINT = 2 * 4 / 3


def volume_edge(n_densities: int) -> int:
    """Points along the edge of a volume, so that `n_densities` of them keep to the budget."""
    edge = int((VOLUME_BUDGET / (_BYTES_PER_POINT * max(1, n_densities))) ** (1 / 3))
    return max(FEWEST_POINTS, min(MOST_POINTS, edge))


def pack(values: np.ndarray) -> dict[str, Any]:
    """Quantise an array to 16 bits; views.js holds the inverse."""
    low, high = float(values.min()), float(values.max())
    step = (high - low) / 65535 or 1.0
    whole = np.round((values - low) / step).astype("<u2")
    data = base64.b64encode(whole.tobytes()).decode("ascii")
    return {"shape": list(values.shape), "low": low, "step": step, "data": data}


def unpack(packed: dict[str, Any]) -> np.ndarray:
    """The inverse of `pack`, to half a step."""
    whole = np.frombuffer(base64.b64decode(packed["data"]), dtype="<u2").reshape(packed["shape"])
    return packed["low"] + packed["step"] * whole


def coarse(grid: UniformGrid, values: np.ndarray, edge: int) -> np.ndarray:
    """Fourier-resample to at most edge³ points, with the same spacing ratio along all vectors."""
    factor = min(1.0, edge / grid.n_points ** (1 / 3))
    n = [max(4, min(size, int(factor * size))) for size in grid.shape]
    shape = (n[0], n[1], n[2])
    return values if shape == grid.shape else ScalarField(grid, values).resampled(shape).values


def anchor(data: FieldData, grid: UniformGrid) -> tuple[tuple[int, int, int], str]:
    """The grid point that all slices pass through, and what is there.

    For an ordinary snapshot the atom nearest to the middle of the cell; for one that is unlike the
    training data the point farthest from any atom, which is where a vacancy is.
    """
    inverse = np.linalg.inv(data.cell)
    fractional = (data.positions @ inverse) % 1.0
    if data.entry.generality:
        point, name = _largest_void(fractional, grid), "the point farthest from any atom"
    else:
        middle = int(np.argmin(np.linalg.norm((fractional - 0.5) @ data.cell, axis=1)))
        point, name = fractional[middle], "the atom nearest to the middle of the cell"
    index = np.round(point * grid.shape).astype(int) % grid.shape
    return (int(index[0]), int(index[1]), int(index[2])), name


def centred(
    fields: dict[str, np.ndarray], fractional: np.ndarray, index: tuple[int, int, int]
) -> tuple[dict[str, np.ndarray], np.ndarray, tuple[int, int, int]]:
    """Periodic fields and atoms moved together, so that the grid point `index` is in the middle."""
    shape = next(iter(fields.values())).shape
    middle = (shape[0] // 2, shape[1] // 2, shape[2] // 2)
    shift = tuple(m - i for m, i in zip(middle, index, strict=True))
    moved = {name: np.roll(values, shift, axis=(0, 1, 2)) for name, values in fields.items()}
    return moved, fractional + np.array(shift) / shape, middle


def _largest_void(fractional: np.ndarray, grid: UniformGrid) -> np.ndarray:
    shifts = np.array(np.meshgrid(*[(-1, 0, 1)] * 3, indexing="ij")).reshape(3, -1).T
    images = (fractional[None] + shifts[:, None]).reshape(-1, 3)
    near = images[((images > -0.6) & (images < 1.6)).all(axis=1)]
    counts = np.minimum(grid.shape, 24)
    points = np.stack(np.meshgrid(*(np.arange(n) / n for n in counts), indexing="ij"), -1).reshape(-1, 3)
    distance, _ = cKDTree(near @ grid.cell).query(points @ grid.cell)
    return np.asarray(points[int(np.argmax(distance))])


def slices(values: np.ndarray, index: tuple[int, int, int]) -> list[dict[str, Any]]:
    """The three packed planes through a grid point, at the field's own resolution."""
    across = [({0, 1, 2} - set(plane)).pop() for plane in PLANES]
    return [pack(np.take(values, index[axis], axis=axis)) for axis in across]
