from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nearsight.errors import ChargeError, FileFormatError, GridMismatchError, InputError, NearsightError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.io import read_snapshot, write_snapshot
from nearsight.snapshot import Snapshot
from nearsight.structure import Structure


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shear=st.tuples(*[st.floats(-2, 2)] * 3),
    shape=st.tuples(*[st.integers(1, 6)] * 3),
    packed=st.booleans(),
    seed=st.integers(0, 99),
)
def test_round_trip_in_skewed_cells(
    tmp_path: Path, shear: tuple[float, ...], shape: tuple[int, int, int], packed: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    cell = np.array([[6.0, 0, 0], [shear[0], 7.0, 0], [shear[1], shear[2], 5.0]])
    structure = Structure(cell, rng.uniform(-3, 9, (4, 3)), rng.integers(1, 90, 4))
    density = ScalarField(UniformGrid(cell, shape), rng.uniform(0.01, 1, shape)).rescaled(9.5).field
    path = tmp_path / ("x.npz.gz" if packed else "x.npz")
    write_snapshot(path, Snapshot(structure, density, 9.5))
    back = read_snapshot(path)
    assert back.n_electrons == 9.5
    assert back.energy is None
    np.testing.assert_array_equal(back.density.values, density.values)
    np.testing.assert_allclose(back.structure.positions, structure.positions, atol=1e-13)
    np.testing.assert_allclose(back.structure.cell, cell, atol=1e-13)


def test_everything_known_comes_back(tmp_path: Path, snapshot: Snapshot) -> None:
    write_snapshot(tmp_path / "x.npz", snapshot)
    back = read_snapshot(tmp_path / "x.npz")
    assert back.energy == snapshot.energy
    assert back.forces is not None
    assert back.rho_saed is not None
    assert snapshot.rho_saed is not None
    np.testing.assert_array_equal(back.forces, snapshot.forces)
    np.testing.assert_array_equal(back.rho_saed.values, snapshot.rho_saed.values)
    assert back.provenance == {
        "file": "x.npz",
        "format": "npz",
        "electron_count_from": "file",
        "integral": pytest.approx(8.0),
    }


def _keys(**changes: Any) -> dict[str, Any]:
    """The keys of the contract, units and all: 3 electrons in a cube of 4 Å."""
    bohr = 0.529177210903
    content: dict[str, Any] = {
        "positions": np.array([[1.0, 1.0, 1.0]]),
        "cell": np.eye(3) * 4.0,
        "numbers": np.array([13]),
        "density": np.full((3, 4, 5), 3.0 * bohr**3 / 64, dtype=np.float32),
        "comment": np.array("ignored"),
    }
    content |= changes
    return {name: value for name, value in content.items() if value is not None}


def test_the_contract_of_the_design(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", **_keys(n_electrons=3, energy=-2.5))
    found = read_snapshot(tmp_path / "x.npz")
    assert found.n_electrons == 3.0
    assert found.energy == -2.5
    np.testing.assert_allclose(found.structure.positions, 1.0 / 0.529177210903)
    np.savez(tmp_path / "y.npz", **_keys())
    assert read_snapshot(tmp_path / "y.npz").provenance["electron_count_from"] == "integral"


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"cell": None}, FileFormatError, "lacks cell"),
        ({"density": np.ones((3, 4))}, FileFormatError, r"\(n1, n2, n3\)"),
        (
            {"density": np.full((2, 2, 2), np.nan)},
            FileFormatError,
            r"8 of 8 values of 'density'.*\(0, 0, 0\)",
        ),
        ({"density": np.array(["a"])}, FileFormatError, "numbers are needed"),
        ({"density": np.array([{}])}, FileFormatError, "damaged|pickle|allow_pickle"),
        ({"forces": np.zeros((2, 3))}, InputError, "forces of shape"),
        ({"forces": np.full((1, 3), np.inf)}, FileFormatError, "3 of 3 values of 'forces'"),
        ({"rho_saed": np.ones((2, 2, 2))}, GridMismatchError, "rho_saed"),
        ({"energy": np.nan}, FileFormatError, "'energy' is nan"),
        ({"energy": np.zeros(2)}, FileFormatError, "one number"),
        ({"n_electrons": 4}, ChargeError, "where 4 are stated"),
        ({"n_electrons": -3}, InputError, "positive number"),
        ({"cell": np.zeros((3, 3))}, NearsightError, "no volume"),
        ({"numbers": np.array([130])}, NearsightError, "unknown atomic number"),
        ({"numbers": np.array([13.5])}, FileFormatError, "atomic numbers"),
        ({"positions": np.zeros((2, 3))}, NearsightError, "positions"),
    ],
)
def test_what_is_wrong_in_one_line(
    tmp_path: Path, changes: dict[str, Any], error: type[NearsightError], message: str
) -> None:
    np.savez(tmp_path / "x.npz", **_keys(**changes))
    with pytest.raises(error, match=message) as caught:
        read_snapshot(tmp_path / "x.npz")
    assert str(tmp_path / "x.npz") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_truncated_and_foreign(tmp_path: Path, snapshot: Snapshot) -> None:
    path = tmp_path / "x.npz"
    write_snapshot(path, snapshot)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:10], b"rubbish", b""):
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=r"x\.npz"):
            read_snapshot(path)
    damaged = bytearray(whole)
    damaged[len(whole) // 2 : len(whole) // 2 + 40] = bytes(40)
    path.write_bytes(bytes(damaged))
    with pytest.raises(FileFormatError, match=r"x\.npz"):
        read_snapshot(path)
    with path.open("wb") as stream:
        np.save(stream, np.zeros(3))
    with pytest.raises(FileFormatError, match="single array"):
        read_snapshot(path)
