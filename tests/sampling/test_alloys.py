import numpy as np
import pytest
from ase.neighborlist import neighbor_list
from pydantic import ValidationError

from nearsight.sampling import Alloy


def _alloy(**more: object) -> Alloy:
    plain = {
        "lattice": "diamond",
        "constants": {"Si": 5.431, "Ge": 5.658},
        "repeat": [2, 2, 2],
        "cubic": True,
    }
    return Alloy.model_validate(plain | more)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


@pytest.mark.parametrize("order", ["random", "quasi-random"])
def test_composition_and_lattice_constant(order: str, rng: np.random.Generator) -> None:
    if order == "quasi-random":
        pytest.importorskip("sqsgenerator", reason="sqsgenerator is not installed")
    atoms = _alloy(composition={"Si": 0.6, "Ge": 0.4}, order=order).build(rng)
    assert atoms.get_chemical_formula() == "Ge26Si38"
    vegard = (38 * 5.431 + 26 * 5.658) / 64
    np.testing.assert_allclose(atoms.cell.array, 2 * vegard * np.eye(3), atol=1e-9)
    assert atoms.get_all_distances(mic=True)[0][1:].min() == pytest.approx(vegard * np.sqrt(3) / 4)


def test_drawn_compositions_fill_the_simplex(rng: np.random.Generator) -> None:
    spec = _alloy(constants={"Si": 5.431, "Ge": 5.658, "Sn": 6.489})
    shares = np.array(
        [[np.mean(spec.build(rng).symbols == e) for e in ("Si", "Ge", "Sn")] for _ in range(60)]
    )
    np.testing.assert_allclose(shares.mean(axis=0), 1 / 3, atol=0.08)
    assert shares.std(axis=0).min() > 0.15  # uniform over the simplex: √(1/18) = 0.24


def test_quasi_random_is_less_ordered_than_random(rng: np.random.Generator) -> None:
    """The pairs of unlike neighbours come nearer to what an infinite random alloy has."""
    pytest.importorskip("sqsgenerator", reason="sqsgenerator is not installed")
    fcc = {"lattice": "fcc", "constants": {"Cr": 3.57, "Ni": 3.57}, "composition": {"Cr": 0.5, "Ni": 0.5}}

    def excess(order: str) -> float:
        found = []
        for _ in range(5):
            atoms = _alloy(**fcc, order=order).build(rng)
            i, j = neighbor_list("ij", atoms, 3.57 * 0.8)
            found.append(abs(np.mean(atoms.numbers[i] != atoms.numbers[j]) - 0.5))
        return float(np.mean(found))

    assert excess("quasi-random") < 0.2 * excess("random")
    assert excess("random") > 0.0


@pytest.mark.parametrize("order", ["random", "quasi-random"])
def test_the_seed_settles_it(order: str) -> None:
    if order == "quasi-random":
        pytest.importorskip("sqsgenerator", reason="sqsgenerator is not installed")
    spec = _alloy(order=order, vacancies=1, rattle=0.01)
    first, *again = (spec.build(np.random.default_rng(1)) for _ in range(5))
    for other in again:
        np.testing.assert_array_equal(first.positions, other.positions)
        np.testing.assert_array_equal(first.numbers, other.numbers)
    drawn = {tuple(spec.build(np.random.default_rng(seed)).numbers) for seed in range(2, 8)}
    assert len(drawn) > 1


def test_unknown_elements() -> None:
    with pytest.raises(ValidationError, match="composition has Sn, which 'constants' lacks"):
        _alloy(composition={"Si": 0.5, "Sn": 0.5})
