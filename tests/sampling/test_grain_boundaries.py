import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT
from ase.neighborlist import neighbor_list
from ase.optimize import FIRE

from nearsight.errors import InputError
from nearsight.sampling import GrainBoundary

pytest.importorskip("pymatgen", reason="pymatgen is not installed")
A = 4.05
RNG = np.random.default_rng(0)


def _boundary(sigma: int, **more: object) -> GrainBoundary:
    axes = {3: ([1, 1, 1], [1, 1, 1]), 5: ([1, 0, 0], [0, 1, 2])}[sigma]
    plain = {"element": "Al", "a": A, "sigma": sigma, "axis": axes[0], "plane": axes[1]}
    return GrainBoundary.model_validate(plain | more)


def test_the_angles_of_coincidence() -> None:
    interface = pytest.importorskip("pymatgen.core.interface", reason="pymatgen is not installed")
    assert _boundary(5).angle(interface.GrainBoundaryGenerator) == pytest.approx(np.degrees(np.arctan(3 / 4)))
    assert _boundary(3).angle(interface.GrainBoundaryGenerator) == pytest.approx(60.0)
    with pytest.raises(InputError, match="gives no Σ4"):
        _boundary(5).model_copy(update={"sigma": 4}).build(RNG)


def _coincidence(axis: list[int], degrees: float) -> float:
    """Share of the sites of one fcc lattice that are sites of the turned one too."""
    direction = np.array(axis) / np.linalg.norm(axis)
    turn = np.cross(np.eye(3), direction * np.sin(np.radians(degrees)))
    turn = np.eye(3) * np.cos(np.radians(degrees)) + turn
    turn += (1 - np.cos(np.radians(degrees))) * np.outer(direction, direction)
    n = np.array(np.meshgrid(*[np.arange(-7, 8)] * 3)).reshape(3, -1).T
    sites = n[n.sum(axis=1) % 2 == 0]  # fcc, in units of a/2
    back = sites @ turn
    whole = np.rint(back)
    common = (np.abs(back - whole).max(axis=1) < 1e-6) & (whole.sum(axis=1) % 2 == 0)
    return float(common.mean())


@pytest.mark.parametrize(("sigma", "axis", "degrees"), [(5, [1, 0, 0], 36.8699), (3, [1, 1, 1], 60.0)])
def test_one_site_in_sigma_is_common(sigma: int, axis: list[int], degrees: float) -> None:
    turned = np.degrees(np.arctan(3 / 4)) if sigma == 5 else degrees
    assert _coincidence(axis, turned) == pytest.approx(1 / sigma, rel=0.15)


def test_the_coherent_twin() -> None:
    """Every atom keeps twelve neighbours at the crystal's distance: only the stacking is turned."""
    atoms = _boundary(3, thickness=2).build(RNG)
    assert len(atoms) == 48
    distances = neighbor_list("d", atoms, A * 0.85)
    assert len(distances) == 12 * len(atoms)
    np.testing.assert_allclose(distances, A / np.sqrt(2), atol=1e-4)
    # the planes on both sides of a twin plane face each other, as in hcp, at two interplanar distances
    facing = np.bincount(neighbor_list("i", atoms, A * 1.17)) - np.bincount(
        neighbor_list("i", atoms, A * 1.02)
    )
    assert np.count_nonzero(facing) == 2 * 2 * 4  # two boundaries, four atoms in each plane


def _excess_energy(atoms: Atoms) -> float:
    """Energy of the boundaries in J/m²."""
    crystal = Atoms("Al", cell=A / 2 * (np.ones((3, 3)) - np.eye(3)), pbc=True, calculator=EMT())
    excess = atoms.get_potential_energy() - len(atoms) * crystal.get_potential_energy()
    area = np.linalg.norm(np.cross(*atoms.cell.array[:2]))
    return float(excess / (2 * area) * 16.0218)


def test_boundaries_cost_what_boundaries_cost() -> None:
    tilt, twin = _boundary(5).build(RNG), _boundary(3).build(RNG)
    assert neighbor_list("d", tilt, A).min() > 0.69 * A / np.sqrt(2)
    for atoms in (tilt, twin):
        atoms.calc = EMT()
        FIRE(atoms, logfile=None).run(fmax=0.05, steps=200)
    assert 0.2 < _excess_energy(tilt) < 1.2
    assert abs(_excess_energy(twin)) < 0.15


def test_merging_and_displacing() -> None:
    kept, merged = _boundary(5, merge=0.0).build(RNG), _boundary(5).build(RNG)
    assert len(kept) == 40
    assert len(merged) < 40
    np.testing.assert_allclose(kept.get_volume() / len(kept), A**3 / 4, rtol=1e-6)
    rattled = _boundary(5, rattle=0.05).build(RNG)
    assert np.abs(rattled.positions - merged.positions).max() > 0.05
