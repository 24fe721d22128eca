from collections.abc import Callable

import numpy as np
import pytest

from nearsight.structure import Structure


def make_random(n: int, species: tuple[int, ...], seed: int, *, skewed: bool = True) -> Structure:
    """Atoms at random, at least 2.5 bohr apart, in a cell of about 10 bohr."""
    rng = np.random.default_rng(seed)
    cell = np.diag(rng.uniform(9.0, 12.0, 3))
    if skewed:
        cell = cell + rng.uniform(-2.5, 2.5, (3, 3))
    shifts = np.array(np.meshgrid(*[(-1, 0, 1)] * 3)).reshape(3, -1).T @ cell
    placed: list[np.ndarray] = []
    while len(placed) < n:
        trial = rng.random(3) @ cell
        if all(np.linalg.norm(trial - other + shifts, axis=1).min() > 2.5 for other in placed):
            placed.append(trial)
    return Structure(cell, np.array(placed), rng.permutation(np.resize(species, n)))


@pytest.fixture(name="random_structure")
def random_structure_fixture() -> Callable[..., Structure]:
    return make_random


@pytest.fixture(name="isolated")
def isolated_fixture() -> Callable[..., Structure]:
    """Atoms around the middle of a box so large that no image is near."""

    def make(vectors: np.ndarray, numbers: np.ndarray | int = 13, box: float = 80.0) -> Structure:
        vectors = np.atleast_2d(vectors)
        return Structure(np.eye(3) * box, vectors + box / 2, np.broadcast_to(numbers, len(vectors)))

    return make
