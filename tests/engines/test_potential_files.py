"""Fingerprints of engines with pseudopotential files: what lies at a path counts, not its name."""

import shutil

import pytest

from nearsight.engines import ENGINES
from nearsight.engines.gth import gth_potential
from nearsight.engines.psp8_writer import write_psp8
from nearsight.errors import CompatibilityError, InputError
from nearsight.workflows.compatibility import require_same_physics

ENGINE_NAMES = ["planewave", "quantum_espresso", "sparc"]


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "potentials"
    place.mkdir()
    for number, symbol in ((13, "Al"), (14, "Si")):
        write_psp8(place / f"{symbol}.psp8", gth_potential("gth-pbe", number))
    return place


def engine(name, place):
    return ENGINES[name].from_settings({"pseudopotential": str(place)})


@pytest.mark.parametrize("name", ENGINE_NAMES)
def test_a_family_needs_no_hashes(name):
    assert "pseudopotential_files" not in engine(name, "gth-pbe").fingerprint()


@pytest.mark.parametrize("name", ENGINE_NAMES)
def test_a_changed_file_is_noticed(name, folder):
    fingerprint = engine(name, folder).fingerprint()
    assert sorted(fingerprint["pseudopotential_files"]) == ["Al", "Si"]
    assert ENGINES[name].from_fingerprint(fingerprint).fingerprint() == fingerprint
    with (folder / "Al.psp8").open("a") as file:
        file.write("\n")
    with pytest.raises(InputError, match=r"files for Al in .* are not those"):
        ENGINES[name].from_fingerprint(fingerprint)
    with pytest.raises(CompatibilityError, match="pseudopotentials"):
        require_same_physics(fingerprint, engine(name, folder).fingerprint())


def test_a_missing_file_is_noticed(folder):
    fingerprint = engine("planewave", folder).fingerprint()
    shutil.rmtree(folder)
    with pytest.raises(InputError, match=r"files for Al, Si in .*bring them back"):
        ENGINES["planewave"].from_fingerprint(fingerprint)


def test_the_same_files_elsewhere_are_the_same_physics(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "elsewhere")
    (copy / "Si.psp8").unlink()
    require_same_physics(engine("planewave", folder).fingerprint(), engine("planewave", copy).fingerprint())
