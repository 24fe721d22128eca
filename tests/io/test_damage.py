"""No file, cut anywhere or with any byte changed, gives a traceback; none that is cut, a wrong density."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nearsight.errors import NearsightError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.io import read_snapshot, write_snapshot
from nearsight.snapshot import Snapshot
from nearsight.structure import Structure

TEXT = ["x.cube", "CHGCAR", "x.xsf", "x.dens", "CHGCAR.spin", "CHG.bare"]
BINARY = ["x.npz", "x.cube.gz", "charge-density.dat", "charge-density.hdf5"]


@pytest.fixture(scope="module")
def small() -> Snapshot:
    """Two atoms and 2 × 3 × 3 points."""
    cell = np.array([[5.0, 0, 0], [1.0, 6.0, 0], [0.5, -0.3, 7.0]])
    structure = Structure(cell, np.array([[0.1, 0.2, 0.3], [2.9, 3.1, 3.3]]), np.array([3, 1]))
    values = np.random.default_rng(0).uniform(0.01, 0.05, (2, 3, 3)) * np.array([1.0, 1.0, 1e-3])
    return Snapshot(structure, ScalarField(UniformGrid(cell, (2, 3, 3)), values).rescaled(2.0).field, 2.0)


def _schema(path: Path, snapshot: Snapshot) -> None:
    """Just what the reader needs."""
    rows = [" ".join(map(str, v)) for v in (*snapshot.structure.cell, *snapshot.structure.positions)]
    path.write_text(
        "<e><output><atomic_structure><atomic_positions>"
        f'<atom name="Li">{rows[3]}</atom><atom name="H">{rows[4]}</atom></atomic_positions>'
        f"<cell><a1>{rows[0]}</a1><a2>{rows[1]}</a2><a3>{rows[2]}</a3></cell></atomic_structure>"
        '<basis_set><fft_grid nr1="2" nr2="3" nr3="3"/></basis_set>'
        "<band_structure><nelec>2.0</nelec></band_structure></output></e>"
    )


def _espresso(path: Path, snapshot: Snapshot) -> None:
    _schema(path.with_name("data-file-schema.xml"), snapshot)
    index = np.stack(np.meshgrid([0, 1], [-1, 0, 1], [-1, 0, 1], indexing="ij"), axis=-1).reshape(-1, 3)
    rho = np.fft.fftn(snapshot.density.values, norm="forward")[tuple((index % (2, 3, 3)).T)]
    if path.suffix == ".hdf5":
        with h5py.File(path, "w") as file:
            file.attrs["gamma_only"], file.attrs["nspin"] = ".FALSE.", 1
            file["MillerIndices"], file["rhotot_g"] = index, rho.view(np.float64)
        return
    records = (np.array([0, len(index), 1], dtype="<i4"), np.eye(3), index.astype("<i4"), rho)
    packed = [(len(r.tobytes()).to_bytes(4, "little"), r.tobytes()) for r in records]
    path.write_bytes(b"".join(size + content + size for size, content in packed))


def _content(folder: Path, name: str, snapshot: Snapshot) -> bytes:
    """A complete file of that name, and what it needs beside it."""
    path = folder / name
    if name.startswith("charge-density"):
        _espresso(path, snapshot)
    elif name == "x.dens":
        write_snapshot(path, snapshot, file_format="cube")
        lengths = " ".join(f"{x:.6f}" for x in np.linalg.norm(snapshot.structure.cell, axis=1))
        comment = f"Cell length: {lengths}, boundary condition: P P P."
        lines = path.read_text().splitlines()
        path.write_text("\n".join([lines[0], comment, *lines[2:]]) + "\n")
    else:
        write_snapshot(path, snapshot)
    if name.startswith("CHGCAR"):
        augmentation = "".join(
            f"augmentation occupancies   {a}   3\n  0.1E+00 -0.2E-01 0.31E-01\n" for a in (1, 2)
        )
        grid = path.read_text()[path.read_text().index("    2    3    3") :]
        more = f"{augmentation} 0.5E+00 -0.5E+00\n{grid}{augmentation}" if "spin" in name else augmentation
        path.write_text(path.read_text() + more)
    return path.read_bytes()


def _outcome(path: Path) -> np.ndarray | None:
    """The density, or None for an error in one line that names a file."""
    message = ""
    try:
        return read_snapshot(path, 2.0).density.values
    except NearsightError as error:
        message = str(error)
    assert "\n" not in message
    assert str(path.parent) in message
    return None


@pytest.fixture(scope="module")
def complete(
    tmp_path_factory: pytest.TempPathFactory, small: Snapshot
) -> Callable[[str], tuple[Path, bytes]]:
    made: dict[str, tuple[Path, bytes]] = {}

    def make(name: str) -> tuple[Path, bytes]:
        if name not in made:
            folder = tmp_path_factory.mktemp("damage")
            made[name] = (folder / name, _content(folder, name, small))
        return made[name]

    return make


@pytest.mark.parametrize("name", TEXT)
def test_cut_after_any_byte(name: str, complete, small: Snapshot) -> None:
    path, content = complete(name)
    path.write_bytes(content)
    whole = _outcome(path)
    assert whole is not None
    np.testing.assert_allclose(whole, small.density.values, rtol=6e-6)
    refused = 0
    cuts = sorted({*range(0, len(content), 4), *range(len(content) - 200, len(content))})
    for cut in cuts:
        path.write_bytes(content[:cut])
        found = _outcome(path)
        if found is None:
            refused += 1
        else:
            np.testing.assert_array_equal(found, whole)
    assert refused > 0.4 * len(cuts)


@pytest.mark.parametrize("name", BINARY)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 0.9999))
def test_binary_files_cut_anywhere(name: str, complete, small: Snapshot, share: float) -> None:
    path, content = complete(name)
    path.write_bytes(content[: int(share * len(content))])
    found = _outcome(path)
    if found is not None:
        np.testing.assert_allclose(found, small.density.values, rtol=6e-6)


@pytest.mark.parametrize("name", [*TEXT, *BINARY])
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 0.9999), byte=st.integers(0, 255), n=st.sampled_from([1, 1, 1, 4]))
def test_any_byte_changed(name: str, complete, share: float, byte: int, n: int) -> None:
    path, content = complete(name)
    at = int(share * len(content))
    path.write_bytes(content[:at] + n * bytes([byte]) + content[at + n :])
    _outcome(path)


@pytest.mark.parametrize("name", ["data-file-schema.xml"])
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 0.9999), byte=st.integers(0, 255))
def test_the_schema_damaged(name: str, complete, small: Snapshot, share: float, byte: int) -> None:
    path, content = complete("charge-density.dat")
    path.write_bytes(content)
    schema = path.with_name(name)
    _schema(schema, small)
    text = schema.read_bytes()
    at = int(share * len(text))
    schema.write_bytes(text[:at])
    assert _outcome(path) is None
    schema.write_bytes(text[:at] + bytes([byte]) + text[at + 1 :])
    _outcome(path)
    _schema(schema, small)
