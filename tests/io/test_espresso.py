"""Quantum ESPRESSO's density files, written here record by record as `write_rhog` does."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from nearsight.errors import ChargeError, FileFormatError, NearsightError
from nearsight.io import read_snapshot
from nearsight.snapshot import Snapshot


def _schema(folder: Path, snapshot: Snapshot, n_electrons: float = 9.0) -> None:
    structure, shape = snapshot.structure, snapshot.density.grid.shape
    names = {3: "Li1", 8: "O_h"}
    atoms = "".join(
        f'<atom name="{names[int(z)]}" index="{i}">{" ".join(f"{x:.15E}" for x in r)}</atom>'
        for i, (z, r) in enumerate(zip(structure.numbers, structure.positions, strict=True), start=1)
    )
    cell = "".join(
        f"<a{i}>{' '.join(f'{x:.15E}' for x in v)}</a{i}>" for i, v in enumerate(structure.cell, 1)
    )
    forces = "\n".join("1.0E-01 2.0E-01 -3.0E-01" for _ in structure.numbers)
    old = "<atomic_structure><cell><a1>1 0 0</a1></cell></atomic_structure>"
    (folder / "data-file-schema.xml").write_text(
        '<?xml version="1.0" encoding="UTF-8"?><qes:espresso xmlns:qes="http://www.quantum-espresso.org/ns/qes">'
        f"<input>{old}</input><output><atomic_structure><atomic_positions>{atoms}</atomic_positions>"
        f"<cell>{cell}</cell></atomic_structure>"
        f'<basis_set><fft_grid nr1="{shape[0]}" nr2="{shape[1]}" nr3="{shape[2]}"/></basis_set>'
        "<total_energy><etot>-7.5E+00</etot></total_energy>"
        f"<band_structure><nelec>{n_electrons:.15E}</nelec></band_structure>"
        f'<forces rank="2" dims="3 4">{forces}</forces></output></qes:espresso>'
    )


def _waves(snapshot: Snapshot, half: bool) -> tuple[np.ndarray, np.ndarray]:
    """Miller indices and ρ(G) inside a sphere that the grid holds, one of ±G if `half`."""
    values = snapshot.density.values
    spectrum = np.fft.fftn(values) / values.size
    index = np.stack(np.meshgrid(*(np.arange(-8, 9),) * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    if half:
        index = index[(index @ np.array([1, 100, 10000])) >= 0]
    return index, spectrum[tuple((index % np.array(values.shape)).T)]


def _hdf5(folder: Path, snapshot: Snapshot, half: bool = False, nspin: int = 1) -> Path:
    index, rho = _waves(snapshot, half)
    with h5py.File(folder / "charge-density.hdf5", "w") as file:
        file.attrs["gamma_only"] = np.bytes_(".TRUE." if half else ".FALSE.")
        file.attrs["ngm_g"], file.attrs["nspin"] = len(index), nspin
        file["MillerIndices"] = index.astype(np.int32)
        file["rhotot_g"] = rho.view(np.float64)
        if nspin == 2:
            file["rhodiff_g"] = 0.1 * rho.view(np.float64)
    return folder / "charge-density.hdf5"


def _records(folder: Path, snapshot: Snapshot, half: bool = False, nspin: int = 1) -> Path:
    index, rho = _waves(snapshot, half)
    records = [
        np.array([half, len(index), nspin], dtype="<i4"),
        np.eye(3),
        index.astype("<i4"),
        *(rho.astype("<c16") * 0.1**s for s in range(nspin)),
    ]
    packed = b""
    for record in records:
        size = record.nbytes.to_bytes(4, "little")
        packed += size + record.tobytes() + size
    (folder / "charge-density.dat").write_bytes(packed)
    return folder / "charge-density.dat"


@pytest.fixture
def smooth(blobs: Snapshot) -> Snapshot:
    """`blobs` without its waves beyond the sphere that the files hold."""
    folder = blobs.density.resampled((17, 17, 17)).resampled(blobs.density.grid.shape)
    return Snapshot(blobs.structure, folder, 9.0)


@pytest.mark.parametrize("write", [_hdf5, _records])
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("nspin", [1, 2])
def test_density_structure_energy_and_forces(
    tmp_path: Path, smooth: Snapshot, write, half: bool, nspin: int
) -> None:
    folder = tmp_path / "li.save"
    folder.mkdir()
    _schema(folder, smooth)
    path = write(folder, smooth, half, nspin)
    for place in (path, folder):
        found = read_snapshot(place)
        np.testing.assert_allclose(found.density.values, smooth.density.values, atol=1e-14)
        np.testing.assert_allclose(found.structure.cell, smooth.structure.cell, atol=1e-14)
        np.testing.assert_allclose(found.structure.positions, smooth.structure.positions, atol=1e-14)
        assert found.structure.numbers.tolist() == [3, 3, 8, 3]
        assert (found.n_electrons, found.energy) == (9.0, -7.5)
        assert found.forces is not None
        np.testing.assert_array_equal(found.forces[2], [0.1, 0.2, -0.3])
        assert ("notes" in found.provenance) == (nspin == 2)
        assert found.provenance["file"] == path.name


def test_electron_counts(tmp_path: Path, smooth: Snapshot) -> None:
    _schema(tmp_path, smooth, 10.0)
    path = _records(tmp_path, smooth)
    with pytest.raises(ChargeError, match="integrates to 9 electrons where 10 are stated"):
        read_snapshot(path)
    assert read_snapshot(path, 9.0).provenance["electron_count_from"] == "caller"


def test_what_is_wrong_in_one_line(tmp_path: Path, smooth: Snapshot) -> None:
    hdf5 = _hdf5(tmp_path, smooth)
    with pytest.raises(FileFormatError, match=r"there is no .*data-file-schema\.xml: the density needs it"):
        read_snapshot(hdf5)
    _schema(tmp_path, smooth)
    with pytest.raises(FileFormatError, match=r"there is no file .*charge-density\.dat"):
        read_snapshot(tmp_path / "charge-density.dat")
    (tmp_path / "empty.save").mkdir()
    with pytest.raises(FileFormatError, match="holds neither charge-density"):
        read_snapshot(tmp_path / "empty.save")
    schema = tmp_path / "data-file-schema.xml"
    text = schema.read_text()
    for change, message in (
        (("</qes:espresso>", ""), "data-file-schema.xml is damaged"),
        (("nelec", "electrons"), "lacks what pw.x writes"),
        (('nr1="20"', 'nr1="12"'), "not of the same run"),
        (('name="O_h"', 'name="Qq"'), "lacks what pw.x writes"),
        (("<a1>9.0", "<a1>nine"), "lacks what pw.x writes"),
    ):
        assert change[0] in text
        schema.write_text(text.replace(*change))
        with pytest.raises(FileFormatError, match=message):
            read_snapshot(hdf5)
    schema.write_text(text)
    with h5py.File(hdf5, "a") as file:
        del file["rhotot_g"]
    with pytest.raises(FileFormatError, match="truncated or damaged"):
        read_snapshot(hdf5)


@pytest.mark.parametrize("write", [_hdf5, _records])
def test_waves_must_make_a_real_density(tmp_path: Path, smooth: Snapshot, write) -> None:
    _schema(tmp_path, smooth)
    values = smooth.density.values + 1e-3j * smooth.density.values
    lopsided = Snapshot(smooth.structure, smooth.density, 9.0)
    object.__setattr__(lopsided.density, "values", values)
    with pytest.raises(NearsightError, match="real density"):
        read_snapshot(write(tmp_path, lopsided))
