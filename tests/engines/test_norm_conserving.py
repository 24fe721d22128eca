"""Norm-conserving pseudopotentials: transforms against closed forms, files against what was written."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import erf, spherical_jn

from nearsight.engines.gth import gth_potential
from nearsight.engines.norm_conserving import NormConserving, Projectors
from nearsight.engines.potential_resolution import cutoff_of_spacing, potential_spacing
from nearsight.engines.potential_sources import elements, load
from nearsight.engines.pseudopotential import load_gth
from nearsight.engines.radial_function import GaussianFunction, TabulatedFunction
from nearsight.engines.upf_writer import write_upf
from nearsight.errors import FileFormatError, InputError, UnknownElementError

Q = np.linspace(0.0, 24.0, 241)


def write_psp8(
    path: Path, potential: NormConserving, *, step: float = 0.01, reach: float = 6.0, core: bool = False
) -> None:
    """A psp8 file of a potential whose matrices are diagonal, with a Gaussian core and valence density."""
    r = np.arange(0.0, reach, step)
    lmax = max((channel.ell for channel in potential.projectors), default=0)
    counts = [0] * 5
    for channel in potential.projectors:
        counts[channel.ell] = len(channel)
    lines = [
        "X  written by a test",
        f"{potential.number}.0 {potential.charge} 261120  zatom,zion,pspd",
        f"8 11 {lmax} 4 {len(r)} 0  pspcod,pspxc,lmax,lloc,mmax,r2well",
        f"{r[-1]:.8f} {4.0 if core else 0.0} 0.0  rchrg fchrg qchrg",
        " ".join(str(n) for n in counts) + "  nproj",
        "1 1  extension_switch",
    ]

    def block(*columns: np.ndarray) -> None:
        for i, row in enumerate(zip(r, *columns, strict=True)):
            lines.append(f"{i + 1} " + " ".join(f"{x:.16E}".replace("E", "D") for x in row))

    for channel in potential.projectors:
        lines.append(f"{channel.ell} " + " ".join(f"{d:.16E}" for d in np.diag(channel.matrix)))
        block(*(r * function(r) for function in channel.functions))
    lines.append("4")
    block(potential.local_potential(r))
    if core:
        block(4 * np.pi * 0.3 * np.exp(-2 * r**2), *np.zeros((4, len(r))))
    valence = potential.charge * np.pi**-1.5 * np.exp(-(r**2))
    block(4 * np.pi * valence, valence, valence)
    path.write_text("\n".join([*lines, "<INPUT>", "of the generator", "</INPUT>"]))


@pytest.fixture
def oxygen() -> NormConserving:
    """GTH oxygen: one s projector, so that its matrix is diagonal."""
    return gth_potential("gth-pbe", 8)


# -- transforms ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ell", "n"), [(0, 0), (0, 2), (1, 0), (1, 1), (2, 1), (3, 0)])
def test_gaussian_transform_is_the_integral(ell, n):
    function = GaussianFunction(ell, 0.7, (0.0,) * n + (1.3,))
    for q in (0.3, 2.0, 5.0):
        exact, _ = quad(
            lambda r, q=q: 4 * np.pi * r**2 * spherical_jn(ell, q * r) * function(r), 0, 12, epsabs=1e-12
        )
        assert abs(exact) > 1e-6
        assert function.fourier(np.array(q)) == pytest.approx(exact, abs=1e-9)


@settings(derandomize=True, deadline=None, max_examples=20)
@given(st.integers(0, 3), st.floats(0.25, 0.8), st.floats(-2, 2))
def test_table_of_a_gaussian_has_its_transform(ell, width, second):
    exact = GaussianFunction(ell, width, (1.0, second))
    r = np.arange(0, 8, 0.01)
    table = TabulatedFunction(ell, r, r * exact(r))
    np.testing.assert_allclose(table.fourier(Q), exact.fourier(Q), rtol=0, atol=2e-9)
    between = r[1:-1] + 0.003
    np.testing.assert_allclose(table(between), exact(between), rtol=0, atol=1e-7)


def test_logarithmic_table_that_begins_after_zero():
    exact = GaussianFunction(0, 0.5, (1.0, 0.4))
    r = np.exp(np.linspace(np.log(1e-5), np.log(10.0), 1200))
    table = TabulatedFunction(0, r, r * exact(r))
    np.testing.assert_allclose(table.fourier(Q), exact.fourier(Q), rtol=0, atol=1e-9)


def test_transforms_vanish_as_a_power_of_q():
    for ell in (1, 2):
        r = np.arange(0, 6, 0.01)
        table = TabulatedFunction(ell, r, r * GaussianFunction(ell, 0.6, (1.0,))(r))
        low = table.fourier(np.array([0.0, 0.01, 0.02]))
        assert abs(low[0]) < 1e-12
        assert low[2] / low[1] == pytest.approx(2.0**ell, rel=1e-3)


def test_table_in_q_is_the_quadrature():
    r = np.arange(0, 6, 0.01)
    table = TabulatedFunction(2, r, r * GaussianFunction(2, 0.3, (1.0, -0.5))(r))
    q = np.random.default_rng(0).uniform(0, 60, 50)
    np.testing.assert_allclose(table.fourier(q), table.transform(q), rtol=0, atol=1e-11)
    assert table.fourier(q.reshape(5, 10)).shape == (5, 10)


def test_tables_are_checked():
    with pytest.raises(InputError, match="ascending"):
        TabulatedFunction(0, np.zeros(10), np.zeros(10))
    with pytest.raises(InputError, match="not finite"):
        TabulatedFunction(0, np.arange(10), np.full(10, np.nan))
    with pytest.raises(InputError, match="symmetric"):
        Projectors(0, (GaussianFunction(0, 1.0, (1.0,)),), np.eye(2))


# -- GTH ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 8, 13, 26])
def test_gth_local_part_is_the_grids(number):
    found, known = gth_potential("gth-pbe", number), load_gth("gth-pbe", number)
    np.testing.assert_allclose(found.local(Q**2), known.fourier(Q**2), rtol=0, atol=1e-12)
    assert found.charge == known.charge


def test_gth_projectors_are_normalised():
    for channel in gth_potential("gth-pbe", 26).projectors:
        for function in channel.functions:
            norm, _ = quad(lambda r, f=function: float(r**2 * f(np.array(r)) ** 2), 0, 8, epsabs=1e-12)
            assert norm == pytest.approx(1.0, abs=1e-9)


def test_projector_norm_is_the_same_in_both_spaces():
    """Parseval: ∫q² F² dq = (2π)³ ∫r² p² dr."""
    q = np.linspace(0, 60, 6001)
    for channel in gth_potential("gth-pbe", 13).projectors:
        waves = channel.fourier(q)
        np.testing.assert_allclose(np.trapezoid(q**2 * waves**2, q, axis=1), (2 * np.pi) ** 3, rtol=1e-6)


def test_split_of_the_local_part_settles_nothing():
    narrow, wide = (_model_ion(split) for split in (0.3, 0.5))
    np.testing.assert_allclose(narrow.local(Q**2), wide.local(Q**2), rtol=0, atol=1e-7)
    assert abs(narrow.local(np.zeros(1))[0]) > 1


def _model_ion(split):
    """−Z erf(r/0.6)/r with two different splits, tabulated."""
    r = np.arange(0, 8, 0.01)
    u = 4.0 * (erf(r / (np.sqrt(2) * split)) - erf(r / 0.6))
    return NormConserving(14, 4.0, split, TabulatedFunction(0, r, u))


# -- files -------------------------------------------------------------------------------------------


def test_psp8_is_what_was_written(tmp_path, oxygen):
    write_psp8(tmp_path / "any-name.psp8", oxygen, core=True)
    found = load(tmp_path, 8)
    _same_potential(found, oxygen, 1e-8)
    assert (found.number, found.charge, found.functional) == (8, 6.0, "PBE")
    core = found.core_density(Q**2)
    assert core is not None
    np.testing.assert_allclose(core, 0.3 * (np.pi / 2) ** 1.5 * np.exp(-(Q**2) / 8), atol=1e-9)
    assert found.valence_density is not None
    assert found.valence_density.integrate() == pytest.approx(6.0, abs=1e-6)
    assert found.valence_density(np.array([0.5])) == pytest.approx(6 * np.pi**-1.5 * np.exp(-0.25), rel=1e-4)


def test_psp8_without_core(tmp_path, oxygen):
    write_psp8(tmp_path / "o.psp8", oxygen)
    found = load(tmp_path / "o.psp8", 8)
    assert found.core is None
    assert found.core_density(Q) is None


def test_a_short_table_of_the_atom_gets_its_missing_charge_as_a_tail(tmp_path, oxygen):
    write_psp8(tmp_path / "o.psp8", oxygen, reach=1.5)
    atom = load(tmp_path, 8).valence_density
    assert atom is not None
    assert atom.cutoff > 2.0
    assert atom.integrate() == pytest.approx(6.0, abs=1e-6)
    inside = np.linspace(0, 1.4, 20)
    np.testing.assert_allclose(atom(inside), 6 * np.pi**-1.5 * np.exp(-(inside**2)), rtol=5e-3)


@pytest.mark.parametrize("number", [1, 8, 13, 26])
def test_upf_holds_what_was_written(tmp_path, number):
    """Off-diagonal matrices included (iron's p projectors)."""
    potential = gth_potential("gth-pbe", number)
    write_upf(tmp_path / "one.UPF", potential)
    found = load(tmp_path, number)
    _same_potential(found, potential, 1e-9)
    assert found.functional == "PBE"
    assert found.digest != potential.digest
    assert found.digest == load(tmp_path / "one.UPF", number).digest


def test_core_survives_psp8_to_upf(tmp_path, oxygen):
    write_psp8(tmp_path / "o.psp8", oxygen, core=True)
    first = load(tmp_path / "o.psp8", 8)
    write_upf(tmp_path / "o.upf", first)
    second = load(tmp_path / "o.upf", 8)
    np.testing.assert_allclose(second.core_density(Q**2), first.core_density(Q**2), atol=1e-9)
    assert abs(first.core_density(np.zeros(1))[0]) > 0.1


def _same_potential(found: NormConserving, wanted: NormConserving, tolerance: float) -> None:
    assert found.charge == wanted.charge
    np.testing.assert_allclose(found.local(Q**2), wanted.local(Q**2), rtol=0, atol=tolerance)
    assert [c.ell for c in found.projectors] == [c.ell for c in wanted.projectors]
    for mine, theirs in zip(found.projectors, wanted.projectors, strict=True):
        np.testing.assert_allclose(mine.matrix, theirs.matrix, rtol=0, atol=1e-12)
        np.testing.assert_allclose(mine.fourier(Q), theirs.fourier(Q), rtol=0, atol=tolerance)


# -- refusals ----------------------------------------------------------------------------------------


def test_what_the_folder_does_not_have(tmp_path, oxygen):
    write_psp8(tmp_path / "o.psp8", oxygen)
    assert elements(tmp_path) == (8,)
    with pytest.raises(UnknownElementError, match="no pseudopotential for Al"):
        load(tmp_path, 13)
    write_upf(tmp_path / "o.upf", oxygen)
    with pytest.raises(InputError, match="2 pseudopotentials for O"):
        load(tmp_path, 8)
    with pytest.raises(InputError, match="there is no pseudopotential file"):
        load(tmp_path / "absent", 8)
    with pytest.raises(UnknownElementError):
        load("gth-nonsense", 8)


def test_a_file_that_is_written_anew_is_read_anew(tmp_path, oxygen):
    file = tmp_path / "o.psp8"
    write_psp8(file, oxygen)
    first = load(file, 8)
    write_psp8(file, oxygen, core=True)
    assert load(file, 8).digest != first.digest


@pytest.mark.parametrize("keep", [2, 40, 700, 1500])
def test_truncated_files_are_told(tmp_path, oxygen, keep):
    file = tmp_path / "o.psp8"
    write_psp8(file, oxygen)
    file.write_text("\n".join(file.read_text().splitlines()[:keep]))
    with pytest.raises(FileFormatError) as told:
        load(file, 8)
    assert "\n" not in str(told.value)


def test_a_truncated_upf_is_told(tmp_path, oxygen):
    file = tmp_path / "o.upf"
    write_upf(file, oxygen)
    file.write_text(file.read_text()[:30000])
    with pytest.raises(FileFormatError, match="truncated"):
        load(file, 8)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('is_ultrasoft="F"', 'is_ultrasoft="T"', "ultrasoft"),
        ('pseudo_type="NC"', 'pseudo_type="PAW"', "PAW"),
        ('has_so="F"', 'has_so="true"', "spin-orbit"),
        ('is_coulomb="F"', 'is_coulomb=".true."', "separable"),
        ("<UPF version", "<NOT version", "no UPF file"),
        ('element="O"', 'element=""', "element"),
    ],
)
def test_foreign_upf_files_are_refused(tmp_path, oxygen, old, new, reason):
    file = tmp_path / "o.upf"
    write_upf(file, oxygen)
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    with pytest.raises(InputError, match=reason) as told:
        load(file, 8)
    assert "\n" not in str(told.value)


def test_spin_orbit_psp8_is_refused(tmp_path, oxygen):
    file = tmp_path / "o.psp8"
    write_psp8(file, oxygen)
    file.write_text(file.read_text().replace("1 1  extension_switch", "2 1  extension_switch"))
    with pytest.raises(InputError, match="spin-orbit"):
        load(file, 8)


# -- how fine a grid ---------------------------------------------------------------------------------


def test_a_core_asks_for_a_finer_grid(tmp_path, oxygen):
    write_psp8(tmp_path / "o.psp8", oxygen)
    without = potential_spacing(load(tmp_path / "o.psp8", 8))
    assert 0.08 <= without <= 0.32
    hard = replace(load(tmp_path / "o.psp8", 8), core=GaussianFunction(0, 0.15, (50.0,)))
    assert potential_spacing(hard) < without
    assert cutoff_of_spacing(0.2) == pytest.approx(30.84, abs=0.01)
