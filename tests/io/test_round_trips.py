"""Every format that is written comes back as it was, whatever the cell, the grid and the atoms."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nearsight.errors import FileFormatError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.io import FORMATS, read_snapshot, write_snapshot
from nearsight.io.formats import format_of, writable_format_of
from nearsight.snapshot import Snapshot
from nearsight.structure import Structure

#: file name, relative precision of its values, and of its lengths (bohr)
WRITTEN = [
    ("x.cube", 6e-6, 1e-9),
    ("x.cube.gz", 6e-6, 1e-9),
    ("CHGCAR", 6e-12, 1e-12),
    ("x.vasp.gz", 6e-12, 1e-12),
    ("x.xsf", 6e-8, 1e-12),
    ("x.xsf.gz", 6e-8, 1e-12),
    ("x.npz", 1e-15, 1e-12),
]


@pytest.mark.parametrize(("name", "values", "lengths"), WRITTEN)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(structure=st.from_type(Structure), field=st.from_type(ScalarField), electrons=st.floats(0.5, 400))
def test_round_trip(
    tmp_path: Path,
    name: str,
    values: float,
    lengths: float,
    structure: Structure,
    field: ScalarField,
    electrons: float,
) -> None:
    numbers = np.sort(structure.numbers)  # in groups, so that no format changes the order
    cell = structure.cell * np.sign(np.linalg.det(structure.cell))  # and no vectors either
    structure = Structure(cell, structure.positions, numbers)
    grid = UniformGrid(structure.cell, field.grid.shape)
    density = ScalarField(grid, np.abs(field.values) + 0.01).rescaled(electrons).field
    notes = write_snapshot(tmp_path / name, Snapshot(structure, density, electrons))
    back = read_snapshot(tmp_path / name)
    assert notes == ()
    assert back.provenance["electron_count_from"] == "file"
    np.testing.assert_allclose(back.n_electrons, electrons, rtol=1e-8)
    np.testing.assert_allclose(back.density.values, density.values, rtol=values)
    np.testing.assert_allclose(back.structure.cell, structure.cell, atol=lengths)
    np.testing.assert_allclose(back.structure.positions, structure.positions, atol=lengths * 100)
    np.testing.assert_array_equal(back.structure.numbers, numbers)


@pytest.mark.parametrize("name", [name for name, _, _ in WRITTEN])
def test_atoms_stay_in_their_density(tmp_path: Path, blobs: Snapshot, name: str) -> None:
    write_snapshot(tmp_path / name, blobs)
    back = read_snapshot(tmp_path / name)
    values = back.density.resampled((72, 72, 72)).values
    peak = np.array(np.unravel_index(values.argmax(), values.shape)) / 72
    oxygen = back.structure.fractional[back.structure.numbers == 8][0]
    apart = peak - oxygen
    assert np.abs(apart - np.round(apart)).max() < 1.01 / 72
    assert np.abs(back.structure.fractional[back.structure.numbers == 3] - peak).max() > 0.2


@pytest.mark.parametrize("source", ["x.cube", "CHGCAR", "x.xsf", "x.npz"])
@pytest.mark.parametrize("target", ["y.cube", "AECCAR2", "y.xsf", "y.npz", "y.zarr"])
def test_any_format_into_any_other(tmp_path: Path, blobs: Snapshot, source: str, target: str) -> None:
    write_snapshot(tmp_path / source, blobs)
    write_snapshot(tmp_path / target, read_snapshot(tmp_path / source))
    back = read_snapshot(tmp_path / target)
    np.testing.assert_allclose(back.density.values, blobs.density.values, rtol=1.2e-5, atol=1e-12)
    assert back.n_electrons == pytest.approx(9.0, rel=1e-8)


def test_an_extension_counts_more_than_a_name() -> None:
    for name, expected in {
        "CHGCAR": "chgcar",
        "chgcar_sum.gz": "chgcar",
        "mp-134_CHGCAR": "chgcar",
        "CHG": "chgcar",
        "AECCAR2.gz": "chgcar",
        "x.vasp": "chgcar",
        "CHGCAR.cube": "cube",
        "chgcar-run.xsf": "xsf",
        "CHG.npz": "npz",
        "a.dens": "sparc",
        "a.dens_02.gz": "sparc",
        "charge-density.hdf5": "espresso",
        "charge-density.dat": "espresso",
        "run/si.save": "espresso",
        "a.gpw": "gpaw",
    }.items():
        assert format_of(Path(name)).name == expected, name
    for name in ("a.densUp", "chgcars.txt.bak2/..", "x.hdf5", "charges"):
        with pytest.raises(FileFormatError, match="no density format"):
            format_of(Path(name))


def test_what_can_only_be_read_says_what_can_be_written() -> None:
    assert {"chgcar", "cube", "espresso", "gpaw", "npz", "sparc", "xsf", "zarr"} <= set(FORMATS)
    with pytest.raises(FileFormatError, match=r"'gpaw' can only be read; written are .*\*\.cube"):
        writable_format_of(Path("x.gpw"))
