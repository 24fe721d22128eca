"""import, predict, energy and info with the files of other programs."""

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import bulk

from nearsight.io import read_snapshot, write_snapshot
from nearsight.store import Dataset


@pytest.mark.parametrize("name", ["CHGCAR", "rho.vasp.gz", "rho.xsf", "rho.cube"])
def test_predict_then_energy_of_the_file(pipeline: Path, nearsight, tmp_path: Path, name: str) -> None:
    structure = tmp_path / "s.xyz"
    ase.io.write(structure, Dataset.open(pipeline / "data.zarr").structure(0).to_ase(), format="extxyz")
    ran = nearsight(
        "predict", pipeline / "model.nst", structure, "-o", tmp_path / name, "--shape", "16,16,16"
    )
    assert ran.code == 0, ran.err
    assert read_snapshot(tmp_path / name).n_electrons == pytest.approx(12.0)
    told = nearsight("info", tmp_path / name, "--json", "-").json
    assert (told["grid"], told["electron count from"]) == ("16 x 16 x 16", "file")
    ran = nearsight("energy", "--density", tmp_path / name, structure, "--json", "-")
    assert ran.code == 0, ran.err
    assert ran.json["free_energy_ha_per_atom"] == pytest.approx(-2.1, abs=0.3)


def test_energy_whatever_the_order_of_atoms_and_vectors(pipeline: Path, nearsight, tmp_path: Path) -> None:
    data = Dataset.open(pipeline / "data.zarr")
    atoms = data.structure(0).to_ase()
    write_snapshot(tmp_path / "CHGCAR", data.snapshot(0))
    turned = atoms[[2, 0, 3, 1]]
    turned.set_cell(atoms.cell[[1, 2, 0]])
    energies = []
    for i, image in enumerate((atoms, turned)):
        ase.io.write(tmp_path / f"{i}.xyz", image, format="extxyz")
        ran = nearsight("energy", "--density", tmp_path / "CHGCAR", tmp_path / f"{i}.xyz", "--json", "-")
        assert ran.code == 0, ran.err
        energies.append(ran.json["free_energy_ha"])
    assert energies[0] == pytest.approx(energies[1], abs=1e-6)
    ran = nearsight("energy", "--density", tmp_path / "CHGCAR", tmp_path / "CHGCAR", "--json", "-")
    assert ran.json["free_energy_ha"] == pytest.approx(energies[0], abs=1e-6)
    squeezed = atoms.copy()
    squeezed.set_cell(atoms.cell * 0.99, scale_atoms=True)
    ase.io.write(tmp_path / "q.xyz", squeezed, format="extxyz")
    assert "cell" in nearsight("energy", "--density", tmp_path / "CHGCAR", tmp_path / "q.xyz").error


def test_import_of_files_that_share_a_name(pipeline: Path, nearsight, tmp_path: Path) -> None:
    data = Dataset.open(pipeline / "data.zarr")
    files = []
    for number in (0, 1):
        (tmp_path / f"run{number}").mkdir()
        snapshot = data.snapshot(number)
        files.append(tmp_path / f"run{number}" / "CHGCAR")
        write_snapshot(files[-1], snapshot)
        text = files[-1].read_text()
        grid = text[text.index("   16   16   16") :]
        files[-1].write_text(text.replace("n_electrons = 12,", "") + grid)  # a magnetisation, as VASP adds it
    ran = nearsight("import", *files, "-o", tmp_path / "d.zarr", "--json", "-")
    assert ran.code == 0, ran.err
    ((note, noted),) = ran.json["notes"].items()
    assert "spin-polarised" in note
    assert noted == ran.json["counted"] == [str(file) for file in files]
    made = Dataset.open(tmp_path / "d.zarr")
    assert [made.info(n).label for n in made.numbers()] == ["run0/CHGCAR", "run1/CHGCAR"]
    np.testing.assert_allclose(made.density(1).values, data.density(1).values, rtol=1e-10)


def test_augmentation_survives_the_data_set(nearsight, pipeline: Path, tmp_path: Path) -> None:
    write_snapshot(tmp_path / "CHGCAR", Dataset.open(pipeline / "data.zarr").snapshot(0))
    blocks = "".join(f"augmentation occupancies{a:4d}   2\n  0.{a}E+00 -0.5E-01\n" for a in range(1, 5))
    (tmp_path / "CHGCAR").write_text((tmp_path / "CHGCAR").read_text() + blocks)
    assert nearsight("import", tmp_path / "CHGCAR", "-o", tmp_path / "d.zarr").code == 0
    write_snapshot(tmp_path / "CHGCAR.again", Dataset.open(tmp_path / "d.zarr").snapshot(0))
    assert (tmp_path / "CHGCAR.again").read_text().endswith(blocks)


def test_formats_and_grids_are_refused_before_anything_is_computed(
    pipeline: Path, nearsight, tmp_path: Path
) -> None:
    structure, model = tmp_path / "s.xyz", pipeline / "model.nst"
    ase.io.write(structure, bulk("Al", cubic=True, a=4.05), format="extxyz")
    for options, says in (
        (("-o", tmp_path / "rho.gpw"), "can only be read; written are"),
        (("-o", tmp_path / "rho.txt"), "no density format"),
        (("-o", tmp_path / "rho.cube", "--shape", "1,1,1"), "spacing of 7.65 bohr"),
        (("-o", tmp_path / "rho.cube", "--spacing", "2"), "cannot be integrated"),
    ):
        assert says in nearsight("predict", model, structure, *options).error
    assert [p.name for p in tmp_path.iterdir()] == ["s.xyz"]


def test_structure_errors_name_their_file(pipeline: Path, nearsight, tmp_path: Path) -> None:
    flat = bulk("Al", cubic=True, a=4.05)
    flat.cell[2] = 0
    near = bulk("Al", cubic=True, a=4.05)
    near.positions[1] = near.positions[0] + 0.1
    for atoms, says in ((flat, "volume"), (near, "apart")):
        ase.io.write(tmp_path / "odd.extxyz", atoms, format="extxyz")
        for command in (
            ("predict", pipeline / "model.nst", tmp_path / "odd.extxyz", "-o", tmp_path / "rho.cube"),
            ("energy", pipeline / "model.nst", tmp_path / "odd.extxyz"),
        ):
            error = nearsight(*command).error
            assert "odd.extxyz" in error
            assert says in error
