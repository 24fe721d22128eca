"""Numbers into large text files at the speed of the disk: what `floats` reads, written.

A compiled loop writes the exponential form of C's ``%E``. The last digit is correctly rounded but
for values within about 1e-4 units of a tie, where it may fall on either side.
"""

import numba
import numpy as np

#: powers of ten that a double holds exactly
_EXACT_POWERS = 10.0 ** np.arange(23)
#: below this a value is written as zero; files of other codes know no such exponents
_SMALLEST = 1e-300


def format_floats(values: np.ndarray, decimals: int, columns: int, row: int | None = None) -> bytes:
    """Lines of numbers as ``%.{decimals}E``, right-aligned, with a space before each.

    Parameters
    ----------
    values : ndarray of any shape
        Finite numbers, written in C order.
    decimals : int
        Digits after the point, 1 to 15. A field has room for an unsigned number with a two-digit
        exponent, and grows where more is needed: the space before it always stays.
    columns : int
        Numbers a line.
    row : int, optional
        A line also ends after each so many numbers, as cube files want it after each run of the last axis.

    Returns
    -------
    bytes
        ASCII, with a line end behind the last number.
    """
    flat = np.ascontiguousarray(values, dtype=np.float64).ravel()
    out = np.empty(len(flat) * (decimals + 10) + 1, dtype=np.uint8)
    end = _format(flat, decimals, columns, len(flat) if row is None else row, out, _EXACT_POWERS)
    return out[:end].tobytes()


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _format(values, decimals, columns, row, out, powers):  # type: ignore[no-untyped-def]
    """Fill `out` and return how much of it; one flat loop, as in `floats`."""
    at, in_line, in_row = 0, 0, 0
    low = np.int64(powers[decimals])
    for value in values:
        size = abs(value)
        mantissa, exponent = np.int64(0), np.int64(0)
        if size >= _SMALLEST:
            exponent = np.int64(np.floor(np.log10(size)))
            while True:
                shift = decimals - exponent
                if 0 <= shift <= 22:
                    scaled = size * powers[shift]
                elif -22 <= shift < 0:
                    scaled = size / powers[-shift]
                else:  # in two steps: 10^shift alone may overflow
                    scaled = size * 10.0 ** (shift // 2) * 10.0 ** (shift - shift // 2)
                mantissa = np.int64(np.rint(scaled))
                if mantissa >= low:
                    break
                exponent -= 1  # the logarithm was rounded up to a whole number
            if mantissa >= 10 * low:
                mantissa //= 10
                exponent += 1
        out[at] = 32
        at += 1
        if value < 0:
            out[at] = 45
            at += 1
        for place in range(at + decimals + 1, at + 1, -1):
            out[place] = 48 + mantissa % 10
            mantissa //= 10
        out[at] = 48 + mantissa
        out[at + 1] = 46
        at += decimals + 2
        out[at] = 69
        out[at + 1] = 45 if exponent < 0 else 43
        exponent = abs(exponent)
        at += 2
        if exponent >= 100:
            out[at] = 48 + exponent // 100
            at += 1
        out[at] = 48 + exponent // 10 % 10
        out[at + 1] = 48 + exponent % 10
        at += 2
        in_line += 1
        in_row += 1
        if in_line == columns or in_row == row:
            out[at] = 10
            at += 1
            in_line = 0
        if in_row == row:
            in_row = 0
    if in_line:
        out[at] = 10
        at += 1
    return at
