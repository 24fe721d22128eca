"""Numbers out of large text files at the speed of the disk.

A compiled loop reads the usual spelling of a number; the rare others (``nan``, Fortran's exponents,
more than 18 digits) are left to Python, word by word.
"""

import re
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numba
import numpy as np

#: powers of ten that a double holds exactly; mantissa and power exact means one correct rounding
_EXACT_POWERS = 10.0 ** np.arange(23)
#: Fortran writes 1.0D-3, and 1.0-103 where the exponent needs the letter's place
_FORTRAN = re.compile(r"([+-]?[0-9.]+)[dD]?([+-][0-9]+|[0-9]*)")


#: bytes that one thread takes at a time
_PIECE = 4 * 2**20


class Parsed(NamedTuple):
    """What `parse_floats` found."""

    #: the numbers, shape (n_expected,); only the first `found` are set
    values: np.ndarray
    #: how many were found; n_expected + 1 stands for "more than expected"
    found: int
    #: offset of the first word that is no number, or −1
    bad: int
    #: offset where reading stopped: of the word behind the last value, or of the end
    end: int


def parse_floats(text: bytes, start: int, n_expected: int) -> Parsed:
    """Parse whitespace-separated numbers from `text[start:]`, with as many threads as Numba may use.

    Understands Fortran's exponents (``1.0D-3`` and ``1.0-103``); overflown fields (``****``) become
    NaN. Values of up to 15 digits and a decimal exponent within ±22 are correctly rounded, others
    are right to a few units of the last place.
    """
    values = np.empty(n_expected)
    buffer = np.frombuffer(text, dtype=np.uint8)
    found, at = _parse_pieces(text, start, values)
    found, at = _parse(buffer, at, values, found, _EXACT_POWERS)
    while at < len(text) and found < n_expected:
        word = text[at : at + 80].split(None, 1)[0]
        value = _unusual(word.decode("ascii", "replace"))
        if value is None:
            return Parsed(values, int(found), int(at), int(at))
        values[found] = value
        found, at = _parse(buffer, at + len(word), values, found + 1, _EXACT_POWERS)
    return Parsed(values, n_expected + 1 if at < len(text) else int(found), -1, int(at))


def _parse_pieces(text: bytes, start: int, values: np.ndarray) -> tuple[int, int]:
    """Fill `values` from whole pieces, several at a time; returns (found, offset) to go on from.

    Stops before a piece that holds more than is wanted, and at a word that is not spelled as usual.
    """
    n_threads = numba.get_num_threads()
    found, at = 0, start
    if n_threads < 2 or len(text) - start < 2 * _PIECE:
        return found, at
    buffer = np.frombuffer(text, dtype=np.uint8)

    def parse(piece: tuple[int, int]) -> tuple[np.ndarray, int]:
        begin, end = piece
        own = np.empty((end - begin) // 2 + 1)
        n, stopped = _parse(buffer[:end], begin, own, 0, _EXACT_POWERS)
        return own[:n], stopped

    with ThreadPoolExecutor(n_threads) as pool:
        while found < len(values) and at < len(text):
            pieces = _pieces(text, at, n_threads)
            for (begin, end), (own, stopped) in zip(pieces, pool.map(parse, pieces), strict=True):
                if found + len(own) > len(values):
                    return found, begin
                values[found : found + len(own)] = own
                found, at = found + len(own), stopped
                if stopped < end:
                    return found, at
    return found, at


def _pieces(text: bytes, start: int, n: int) -> list[tuple[int, int]]:
    """Up to `n` pieces from `start` on, each to the end of a line."""
    pieces: list[tuple[int, int]] = []
    while start < len(text) and len(pieces) < n:
        stop = text.find(b"\n", start + _PIECE) + 1 or len(text)
        pieces.append((start, stop))
        start = stop
    return pieces


def _unusual(word: str) -> float | None:
    """A word that the compiled loop left: a number, or None."""
    if "_" in word:  # which only Python would read
        return None
    if set(word) == {"*"}:
        return float("nan")
    match = _FORTRAN.fullmatch(word)
    try:
        return float(f"{match[1]}e{match[2] or 0}" if match else word)
    except ValueError:
        return None


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _parse(text, at, out, found, powers):  # type: ignore[no-untyped-def]
    """Fill `out` from `found` on; returns (found, offset of the word or end where it stopped).

    One flat loop: passing arrays to functions costs more here than the work itself.
    """
    n = len(text)
    while True:
        while at < n and text[at] <= 32:
            at += 1
        if at >= n or found == len(out):
            return found, at
        word = at
        negative = text[at] == 45
        if negative or text[at] == 43:
            at += 1
        mantissa, point, first = np.int64(0), np.int64(-1), at
        while at < n:
            digit = np.int64(text[at]) - 48
            if 0 <= digit <= 9:
                mantissa = mantissa * 10 + digit
            elif digit == -2 and point < 0:
                point = at
            else:
                break
            at += 1
        n_digits = at - first - (point >= 0)
        exponent = np.int64(0) if point < 0 else point + 1 - at
        if at + 1 < n and (text[at] == 69 or text[at] == 101):
            at += 1
            minus = text[at] == 45
            if minus or text[at] == 43:
                at += 1
            first, power = at, np.int64(0)
            while at < n and at < first + 5 and 48 <= text[at] <= 57:
                power = power * 10 + np.int64(text[at]) - 48
                at += 1
            exponent += -power if minus else power
            n_digits = n_digits if at > first else 0
        if n_digits < 1 or n_digits > 18 or abs(exponent) > 290 or (at < n and text[at] > 32):
            return found, word
        value = float(mantissa)
        if abs(exponent) > 22:
            value *= 10.0**exponent
        elif exponent < 0:
            value /= powers[-exponent]
        else:
            value *= powers[exponent]
        out[found] = -value if negative else value
        found += 1
