import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearsight.io.digits import format_floats
from nearsight.io.floats import parse_floats

_SIZES = st.floats(min_value=1e-290, max_value=1e290)


@given(st.lists(st.one_of(_SIZES, _SIZES.map(lambda x: -x), st.just(0.0)), min_size=1, max_size=30))
def test_what_is_written_is_read(numbers: list[float]) -> None:
    text = format_floats(np.array(numbers), 11, 5)
    parsed = parse_floats(text, 0, len(numbers))
    assert parsed.found == len(numbers)
    np.testing.assert_allclose(parsed.values, numbers, rtol=5.01e-12)


@pytest.mark.parametrize("decimals", [1, 5, 7, 11, 15])
def test_as_c_prints_it(decimals: int) -> None:
    rng = np.random.default_rng(0)
    numbers = rng.uniform(-10, 10, 2000) * 10.0 ** rng.integers(-120, 120, 2000)
    words = format_floats(numbers, decimals, 3).decode().split()
    expected = [f"{x:.{decimals}E}" for x in numbers]
    same = sum(a == b for a, b in zip(words, expected, strict=True))
    assert same >= 0.99 * len(words) if decimals < 15 else same >= 0.5 * len(words)
    np.testing.assert_allclose([float(w) for w in words], numbers, rtol=0.51 * 10.0**-decimals + 1e-15)


@pytest.mark.parametrize(
    "number",
    [0.0, 1.0, -1.0, 9.999996, 1e5, 123456.5, 1e22, 1e23, 9.99999999999999e22, -1.5e-120, 1.7976e308],
)
def test_edges(number: float) -> None:
    assert format_floats(np.array([number]), 5, 5).decode() == f" {number:.5E}\n"


def test_lines_end_after_columns_and_rows() -> None:
    def widths(n: int, **kwargs: int) -> list[int]:
        return [len(line.split()) for line in format_floats(np.ones(n), 3, **kwargs).decode().splitlines()]

    assert widths(12, columns=5) == [5, 5, 2]
    assert widths(10, columns=5) == [5, 5]
    assert widths(14, columns=3, row=7) == [3, 3, 1, 3, 3, 1]
    assert format_floats(np.ones((2, 2)), 3, columns=5).endswith(b"\n")
