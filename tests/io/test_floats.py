import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearsight.io import floats
from nearsight.io.floats import parse_floats


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_any_double_comes_back_to_the_last_digits(numbers: list[float]) -> None:
    text = " ".join(repr(x) for x in numbers).encode()
    parsed = parse_floats(text, 0, len(numbers))
    assert parsed.found == len(numbers)
    assert parsed.bad == -1
    np.testing.assert_allclose(parsed.values, numbers, rtol=1e-15, atol=5e-324)


@given(st.lists(st.floats(min_value=-1e6, max_value=1e6), min_size=1, max_size=20))
def test_six_digits_are_correctly_rounded(numbers: list[float]) -> None:
    words = [w for w in (f"{x:12.5E}" for x in numbers) if abs(float(w)) > 1e-16 or float(w) == 0]
    parsed = parse_floats("\n".join(words).encode(), 0, len(words))
    assert parsed.values.tolist() == [float(w) for w in words]


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("1.5D-3", 1.5e-3),
        ("1.0-103", 1e-103),
        ("-2.5+02", -250.0),
        ("+.5", 0.5),
        ("5.", 5.0),
        ("1e-310", 1e-310),
        ("1e-400", 0.0),
        ("123456789012345678901234567890", 1.2345678901234568e29),
    ],
)
def test_unusual_spellings(word: str, value: float) -> None:
    parsed = parse_floats(f"7 {word} 8".encode(), 0, 3)
    assert parsed.found == 3
    np.testing.assert_allclose(parsed.values, [7.0, value, 8.0], rtol=1e-14)


@pytest.mark.parametrize("word", ["nan", "-NaN", "****", "*************"])
def test_not_a_number(word: str) -> None:
    parsed = parse_floats(f"1 {word} 2".encode(), 0, 3)
    assert parsed.found == 3
    assert np.isnan(parsed.values[1])
    assert parsed.values[2] == 2.0


@pytest.mark.parametrize("word", ["abc", "1e", "-", "2x", ".", "2.5.3", "2e5.", "--2", "1+", "1_0", "1,2"])
def test_what_is_no_number_is_pointed_at(word: str) -> None:
    parsed = parse_floats(f"1 {word} 2".encode(), 0, 3)
    assert parsed.found == 1
    assert parsed.bad == 2


def test_counts_short_and_long() -> None:
    assert parse_floats(b"", 0, 3).found == 0
    assert parse_floats(b" 1 2 \n", 0, 3).found == 2
    assert parse_floats(b"1 2 3 4 5", 0, 3).found == 4
    assert parse_floats(b"1 2 3 \n\n", 0, 3).found == 3
    assert parse_floats(b"1 2 3 nan", 0, 3).found == 4


@pytest.mark.parametrize("tail", [b"", b"\n \n", b"augmentation 1\n", b"7 8 9\n", b"abc"])
@pytest.mark.parametrize("strange", [b"", b" nan ", b" 1.0D-3 ", b" x "])
def test_pieces_give_what_one_pass_gives(
    tail: bytes, strange: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = np.random.default_rng(0).normal(size=4001)
    words = [f"{x:.7E}" for x in numbers]
    text = "\n".join(" ".join(words[i : i + 5]) for i in range(0, len(words), 5)).encode() + b"\n"
    text = text[:20000] + text[20000:].replace(b"\n", strange + b"\n", 1) + tail
    for n in (3000, 4001, 4002, 5000):
        monkeypatch.setattr(floats.numba, "get_num_threads", lambda: 1)
        one = parse_floats(text, 5, n)
        monkeypatch.setattr(floats.numba, "get_num_threads", lambda: 3)
        monkeypatch.setattr(floats, "_PIECE", 700)
        many = parse_floats(text, 5, n)
        assert many[1:] == one[1:]
        found = min(one.found, n)
        assert found > 1000
        np.testing.assert_array_equal(many.values[:found], one.values[:found])
