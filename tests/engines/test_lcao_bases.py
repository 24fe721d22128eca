"""Basis sets by name and by file, and what is said where there is none."""

from pathlib import Path

import numpy as np
import pytest
from pyscf.gto.basis import load
from pyscf.pbc import gto

from nearsight.engines import LcaoEngine, LcaoSettings
from nearsight.engines.lcao.bases import element_basis
from nearsight.errors import FileFormatError, InputError, UnknownElementError
from nearsight.grid import UniformGrid
from nearsight.structure import Structure

TABLES = Path(gto.__file__).parent / "basis"
needs_uzh = pytest.mark.skipif(
    not (TABLES / "BASIS_MOLOPT_UZH").is_file(), reason="this PySCF has no copy of BASIS_MOLOPT_UZH"
)
#: a made-up basis of aluminium for three electrons, one for eleven, and one of silicon
FILE = """# a comment
 Al MINE-q3 OTHER-NAME
 2
 3 0 1 3 2 1
   1.20  0.3 -0.2  0.4   # more comments
   0.40 -0.5  0.6  0.7
   0.12  0.4  0.9  0.2
 3 2 2 1 1
   0.35  1.0
Al MINE-q11
 1
 2 0 0 1 1
   0.9 1.0
Si MINE
 1
 2 0 0 1 1
   0.8 1.0
"""
CELL = np.array([[5.4, 0.0, 0.0], [2.7, 4.8, 0.0], [0.3, 0.2, 8.9]])
AL2 = Structure(CELL, np.array([[0.1, 0.0, 0.2], [2.9, 1.8, 4.3]]), [13, 13])


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "BASIS"
    path.write_text(FILE)
    return str(path)


def test_a_block_is_read_with_all_its_shells(file):
    s, p, d = element_basis("mine", 13, 3, file)
    assert s == [0, [1.2, 0.3, -0.2], [0.4, -0.5, 0.6], [0.12, 0.4, 0.9]]
    assert p == [1, [1.2, 0.4], [0.4, 0.7], [0.12, 0.2]]
    assert d == [2, [0.35, 1.0]]


def test_the_one_for_the_pseudopotentials_electrons_is_taken(file):
    assert element_basis("MINE", 13, 11, file) == [[0, [0.9, 1.0]]]
    assert element_basis("MINE", 14, 4, file) == [[0, [0.8, 1.0]]]
    with pytest.raises(UnknownElementError, match=r"'MINE' for Al with 5 .* MINE-q11, MINE-q3, OTHER-NAME"):
        element_basis("MINE", 13, 5, file)


@needs_uzh
@pytest.mark.parametrize(("number", "charge"), [(13, 3), (26, 16), (32, 4), (50, 4)])
@pytest.mark.parametrize("name", ["DZVP-MOLOPT-PBE-GTH", "TZVP-MOLOPT-PBE-GTH"])
def test_cp2k_names_equal_what_pyscf_reads(name, number, charge):
    from ase.data import chemical_symbols

    theirs = load(f"{name}-q{charge}", chemical_symbols[number])
    for ours, shell in zip(element_basis(name, number, charge), theirs, strict=True):
        assert ours[0] == shell[0]
        # PySCF leaves out exponents that no shell uses
        np.testing.assert_allclose([row for row in ours[1:] if any(row[1:])], shell[1:])


def test_a_missing_element_is_told_what_it_has():
    with pytest.raises(UnknownElementError, match=r"no basis 'gth-tzvp-molopt' for Al .* gth-dzvp-molopt-sr"):
        element_basis("gth-tzvp-molopt", 13, 3)
    with pytest.raises(UnknownElementError, match="there is none for Og"):
        element_basis("gth-dzvp-molopt-sr", 118, 8)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (FILE.replace("   0.35  1.0\n", ""), FileFormatError, "Al MINE-q3 in .* incomplete"),
        (FILE.replace("0.6", "six"), FileFormatError, "not in CP2K's format"),
        (FILE.replace("-0.5  0.6", "-0.5"), FileFormatError, "Al MINE-q3"),
        ("nothing of the kind", FileFormatError, "no basis"),
    ],
)
def test_broken_files_are_refused(tmp_path, text, error, message):
    path = tmp_path / "BASIS"
    path.write_text(text)
    with pytest.raises(error, match=message):
        element_basis("MINE", 13, 3, str(path))


def test_a_missing_file_is_refused(tmp_path):
    settings = LcaoSettings(basis="MINE", basis_file=str(tmp_path / "none"))
    with pytest.raises(InputError, match="cannot read the basis file"):
        LcaoEngine(settings).ground_state(AL2)


@needs_uzh
def test_a_basis_by_file_is_the_one_by_name_and_its_text_is_in_the_fingerprint(tmp_path):
    grid = UniformGrid(CELL, (18, 16, 30))
    name = "TZVP-MOLOPT-PBE-GTH"
    path = tmp_path / "BASIS"
    path.write_text((TABLES / "BASIS_MOLOPT_UZH").read_text())
    by_name = LcaoEngine(LcaoSettings(basis=name))
    by_file = LcaoEngine(LcaoSettings(basis=name, basis_file=str(path)))
    one, other = (e.ground_state(AL2, grid, forces=False) for e in (by_name, by_file))
    assert other.free_energy == pytest.approx(one.free_energy, abs=1e-10)
    smaller = LcaoEngine(LcaoSettings(basis="DZVP-MOLOPT-PBE-GTH")).ground_state(AL2, grid, forces=False)
    assert 1e-4 < smaller.free_energy - one.free_energy < 1e-2
    assert "basis_file" not in by_name.fingerprint()
    fingerprint = by_file.fingerprint()
    assert LcaoEngine.from_fingerprint(fingerprint).settings == by_file.settings
    path.write_text(path.read_text() + "\n# changed\n")
    with pytest.raises(InputError, match="no longer the one"):
        LcaoEngine.from_fingerprint(fingerprint)
