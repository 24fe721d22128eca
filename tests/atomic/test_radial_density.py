"""The table of an atom's density."""

import numpy as np
import pytest

from nearsight.atomic.radial import RadialDensity
from nearsight.errors import InputError

R = np.linspace(0, 8, 401)
RHO = 3 * (1 / np.pi) ** 1.5 * np.exp(-(R**2))


def test_gaussian_is_reproduced_and_integrates() -> None:
    rho = RHO.copy()
    rho[-1] = 0
    table = RadialDensity(3, R, rho, 3.0, {})
    at = np.linspace(0, 6, 777)
    np.testing.assert_allclose(table(at), 3 / np.pi**1.5 * np.exp(-(at**2)), atol=1e-7)
    assert table.integrate() == pytest.approx(3.0, abs=1e-6)
    assert table(np.array([8.0, 9.0, 100.0])).tolist() == [0, 0, 0]
    assert table.spline(0.0, 1) == pytest.approx(0, abs=1e-12)


def test_digest_tells_tables_apart() -> None:
    one, two = RadialDensity(3, R, RHO, 3.0, {}), RadialDensity(3, R, 1.001 * RHO, 3.0, {})
    assert one.digest() == RadialDensity(3, R, RHO, 3.0, {"other": "source"}).digest() != two.digest()


NO_TABLES = {
    "starts late": (R[1:], RHO[1:]),
    "descending": (R[::-1], RHO),
    "unequal": (R, RHO[:-1]),
    "negative": (R, -RHO),
    "not a number": (R, np.where(R > 7, np.nan, RHO)),
    "too short": (R[:2], RHO[:2]),
}


@pytest.mark.parametrize(("r", "rho"), NO_TABLES.values(), ids=NO_TABLES.keys())
def test_what_is_no_table_is_refused(r: np.ndarray, rho: np.ndarray) -> None:
    with pytest.raises(InputError, match="radial"):
        RadialDensity(3, r, rho, 3.0, {})


def test_table_cannot_be_changed() -> None:
    table = RadialDensity(3, R, RHO, 3.0, {})
    with pytest.raises(ValueError, match="read-only"):
        table.rho[0] = 1.0
