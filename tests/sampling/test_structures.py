import numpy as np
import pytest
from ase.build import bulk

from nearsight.errors import InputError
from nearsight.sampling import Crystal, FromFile, Water
from nearsight.sampling.modified import deformation, random_occupation
from nearsight.sampling.water import random_rotation


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def _al(**more: object) -> Crystal:
    return Crystal.model_validate(
        {"formula": "Al", "lattice": "fcc", "a": 4.05, "cubic": True, "repeat": [2, 2, 2]} | more
    )


def test_a_perfect_crystal(rng: np.random.Generator) -> None:
    atoms = _al().build(rng)
    assert len(atoms) == 32
    np.testing.assert_allclose(atoms.cell.array, np.eye(3) * 8.1)
    distances = atoms.get_all_distances(mic=True)
    np.testing.assert_allclose(np.sort(distances, axis=1)[:, 1:13], 4.05 / np.sqrt(2))


@pytest.mark.parametrize(
    ("lattice", "formula", "extra", "n"),
    [
        ("bcc", "Fe", {}, 1),
        ("hcp", "Mg", {"c": 5.2}, 2),
        ("diamond", "Si", {"cubic": True}, 8),
        ("rocksalt", "NaCl", {}, 2),
    ],
)
def test_other_lattices(
    rng: np.random.Generator, lattice: str, formula: str, extra: dict[str, object], n: int
) -> None:
    spec = Crystal.model_validate({"formula": formula, "lattice": lattice, "a": 3.2} | extra)
    assert len(spec.build(rng)) == n


def test_what_cannot_be_built(rng: np.random.Generator) -> None:
    with pytest.raises(InputError, match="no rocksalt crystal of Al"):
        Crystal(formula="Al", lattice="rocksalt", a=4.0).build(rng)
    for vacancies in (32, -1, (0, 32), (-1,)):
        with pytest.raises(InputError, match="vacancies"):
            _al(vacancies=vacancies).build(rng)


def test_vacancies(rng: np.random.Generator) -> None:
    perfect = _al().build(rng).positions
    stated = _al(vacancies=(3, 7)).build(rng).positions
    np.testing.assert_array_equal(stated, np.delete(perfect, [3, 7], axis=0))
    drawn = [_al(vacancies=1).build(rng).positions for _ in range(6)]
    assert all(len(p) == 31 for p in drawn)
    assert len({p.tobytes() for p in drawn}) > 1


def test_a_divacancy_takes_two_neighbours(rng: np.random.Generator) -> None:
    perfect = _al().build(rng)
    pairs = set()
    for _ in range(8):
        kept = {tuple(p) for p in _al(vacancies="divacancy").build(rng).positions.round(6)}
        gone = [i for i, p in enumerate(perfect.positions.round(6)) if tuple(p) not in kept]
        assert len(gone) == 2
        assert perfect.get_distance(*gone, mic=True) == pytest.approx(4.05 / np.sqrt(2))
        pairs.add(tuple(gone))
    assert len(pairs) > 1
    with pytest.raises(InputError, match="a divacancy in 1 atoms"):
        _al(cubic=False, repeat=[1, 1, 1], vacancies="divacancy").build(rng)


def test_strain_of_volume_and_of_shear(rng: np.random.Generator) -> None:
    atoms = _al(strain=(0.01, 0.02, 0.03, 0, 0, 0)).build(rng)
    assert atoms.get_volume() == pytest.approx(8.1**3 * 1.01 * 1.02 * 1.03)
    np.testing.assert_allclose(
        atoms.get_scaled_positions(), _al().build(rng).get_scaled_positions(), atol=1e-12
    )
    shear = deformation((0, 0, 0, 0, 0, 0.1))
    np.testing.assert_allclose(shear, [[1, 0.05, 0], [0.05, 1, 0], [0, 0, 1]])


def test_rattle_has_its_width(rng: np.random.Generator) -> None:
    moved = (
        _al(repeat=(5, 5, 5), rattle=0.1).build(rng).positions - _al(repeat=(5, 5, 5)).build(rng).positions
    )
    assert moved.std() == pytest.approx(0.1, rel=0.05)


def test_random_alloy_has_exact_counts(rng: np.random.Generator) -> None:
    mixed = [random_occupation({"Cr": 1, "Fe": 1, "Co": 1, "Ni": 1}, 34, rng) for _ in range(3)]
    for symbols in mixed:
        assert sorted(symbols.count(e) for e in ("Cr", "Fe", "Co", "Ni")) == [8, 8, 9, 9]
    assert mixed[0] != mixed[1]
    atoms = _al(composition={"Al": 0.75, "Mg": 0.25}).build(rng)
    assert atoms.get_chemical_formula() == "Al24Mg8"


def test_from_a_file(tmp_path, rng: np.random.Generator) -> None:  # type: ignore[no-untyped-def]
    bulk("Cu", cubic=True).write(tmp_path / "cu.vasp")
    atoms = FromFile(path=tmp_path / "cu.vasp", repeat=(1, 1, 2), vacancies=1).build(rng)
    assert len(atoms) == 7
    assert atoms.calc is None
    with pytest.raises(InputError, match="has 1 structures, no number 4"):
        FromFile(path=tmp_path / "cu.vasp", index=4).build(rng)


def test_water_has_its_density_and_shape(rng: np.random.Generator) -> None:
    atoms = Water(molecules=20, density=0.9).build(rng)
    grams = 20 * 18.01528 / 6.02214076e23
    assert grams / (atoms.get_volume() * 1e-24) == pytest.approx(0.9, rel=1e-6)
    molecule = np.repeat(np.arange(20), 3)
    distances = atoms.get_all_distances(mic=True)
    assert distances[molecule[:, None] != molecule].min() >= 1.6
    np.testing.assert_allclose([atoms.get_distance(0, 1), atoms.get_distance(0, 2)], 0.9572)
    assert atoms.get_angle(1, 0, 2) == pytest.approx(104.52)


def test_water_without_room(rng: np.random.Generator) -> None:
    with pytest.raises(InputError, match="no room for molecule"):
        Water(molecules=8, density=4.0, closest=2.5).build(rng)


def test_rotations_are_proper_and_uniform(rng: np.random.Generator) -> None:
    rotations = np.array([random_rotation(rng) for _ in range(2000)])
    np.testing.assert_allclose(
        rotations @ rotations.transpose(0, 2, 1), np.eye(3)[None].repeat(2000, 0), atol=1e-12
    )
    np.testing.assert_allclose(np.linalg.det(rotations), 1.0)
    np.testing.assert_allclose(rotations.mean(axis=0), 0.0, atol=0.06)
    np.testing.assert_allclose((rotations**2).mean(axis=0), 1 / 3, atol=0.03)
