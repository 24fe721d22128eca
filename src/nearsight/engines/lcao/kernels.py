"""Compiled kernels: contracted periodic Gaussians on a uniform grid, and their gradients.

One call treats one atom on a slab of grid planes. Lines along the third cell vector are the unit of
work: for every image of the atom that reaches a line, e^{−αr²} follows from its neighbour by two
multiplications (the exponent is quadratic along the line), outwards from the nearest point so that
values only fall; shells with common exponents share them. Images are summed in a Cartesian line
buffer over unwrapped indices, then folded into the cell and turned into spherical components once.

Every kernel releases the interpreter lock, so threads run it for several atoms at a time.
"""

import numpy as np
from numba import njit

#: below this a Gaussian is zero: keeps the recurrence out of slow denormal numbers
_TINY = 1e-200


@njit(nogil=True, fastmath=True, cache=True)
def _nearest_and_reach(start, step, cutoff2):  # type: ignore[no-untyped-def]
    """Offset of the point of a line nearest to the atom, and the half length inside the cut-off.

    Returns (−1 for the reach, in units of steps, if the line misses the sphere).
    """
    hh = step[0] ** 2 + step[1] ** 2 + step[2] ** 2
    rh = start[0] * step[0] + start[1] * step[1] + start[2] * step[2]
    rr = start[0] ** 2 + start[1] ** 2 + start[2] ** 2
    left = cutoff2 - (rr - rh * rh / hh)
    if left <= 0.0:
        return 0.0, -1.0
    return -rh / hh, np.sqrt(left / hh)


@njit(nogil=True, fastmath=True, cache=True)
def _gaussians(start, step, k_first, k_last, k_near, exponents, values):  # type: ignore[no-untyped-def]
    """values[p, k − k_first] = exp(−α_p |start + k step|²) for k_first ≤ k ≤ k_last, by recurrence."""
    hh = step[0] ** 2 + step[1] ** 2 + step[2] ** 2
    middle = min(max(k_near, k_first), k_last)
    x, y, z = start[0] + middle * step[0], start[1] + middle * step[1], start[2] + middle * step[2]
    b = x * step[0] + y * step[1] + z * step[2]
    rr = x * x + y * y + z * z
    for p in range(exponents.shape[0]):
        a = exponents[p]
        centre = np.exp(-a * rr)
        curvature = np.exp(-2.0 * a * hh)
        for direction in (1, -1):
            count = k_last - middle if direction == 1 else middle - k_first
            ratio = np.exp(-a * (direction * 2.0 * b + hh))
            e = centre
            at = middle - k_first
            values[p, at] = e
            for done in range(count):
                at += direction
                e *= ratio
                ratio *= curvature
                if e < _TINY:
                    for rest in range(count - done):
                        values[p, at + direction * rest] = 0.0
                    break
                values[p, at] = e


@njit(nogil=True, fastmath=True, cache=True)
def _monomials(start, step, k_first, n, parent, axis, values):  # type: ignore[no-untyped-def]
    """values[m, k] = x^a y^b z^c on a line, each from its parent of one degree less."""
    values[0, :n] = 1.0
    for m in range(1, parent.shape[0]):
        q, s, h = parent[m], start[axis[m]] + k_first * step[axis[m]], step[axis[m]]
        for k in range(n):
            values[m, k] = values[q, k] * (s + k * h)


@njit(nogil=True, fastmath=True, cache=True)
def _contract(coefficients, gaussians, n, values):  # type: ignore[no-untyped-def]
    """values[s, k] = Σ_p coefficients[s, p] gaussians[p, k]."""
    for s in range(coefficients.shape[0]):
        values[s, :n] = 0.0
        for p in range(coefficients.shape[1]):
            c = coefficients[s, p]
            if c != 0.0:
                for k in range(n):
                    values[s, k] += c * gaussians[p, k]


@njit(nogil=True, fastmath=True, cache=True)
def _first_image(index, low, n):  # type: ignore[no-untyped-def]
    """Smallest number ≥ low that is equal to index modulo n."""
    return low + (index - low) % n


@njit(nogil=True, fastmath=True, cache=True)
def evaluate_atom(  # type: ignore[no-untyped-def]
    out, first_plane, n1, steps, centre, lower, upper, cutoff2, exponents, coefficients, shell_l,
    parent, axis, transform,
):  # fmt: skip
    """Values of one atom's orbitals on planes first_plane … of the grid.

    Parameters
    ----------
    out : float64[n_orbitals, n_planes, n2, n3]
        Overwritten.
    first_plane, n1 : int
        Number of the first plane, and planes in the whole cell.
    steps : float64[3, 3]
        Vectors between neighbouring grid points (rows), bohr.
    centre : float64[3]
        The atom, bohr.
    lower, upper : int64[3]
        Unwrapped grid indices that the cut-off sphere spans along each axis, inclusive.
    cutoff2 : float
        Squared cut-off, bohr².
    exponents, coefficients : float64[n_exponents], float64[n_shells, n_exponents]
    shell_l : int64[n_shells]
    parent, axis : int64[n_monomials]
        How each monomial follows from another.
    transform : float64[n_orbitals, n_cartesian]
        Cartesian to spherical components, all shells.
    """
    _, n_planes, n2, _ = out.shape
    n_line = upper[2] - lower[2] + 1
    buffer = np.empty((transform.shape[1], n_line))
    gaussians = np.empty((exponents.shape[0], n_line))
    radial = np.empty((coefficients.shape[0], n_line))
    powers = np.empty((parent.shape[0], n_line))
    start = np.empty(3)
    for plane in range(n_planes):
        for j in range(n2):
            touched = False
            for iu in range(_first_image(first_plane + plane, lower[0], n1), upper[0] + 1, n1):
                for ju in range(_first_image(j, lower[1], n2), upper[1] + 1, n2):
                    for x in range(3):
                        start[x] = iu * steps[0, x] + ju * steps[1, x] - centre[x]
                    nearest, reach = _nearest_and_reach(start, steps[2], cutoff2)
                    k_first = int(np.ceil(nearest - reach))
                    k_last = int(np.floor(nearest + reach))
                    if reach < 0.0 or k_last < k_first:
                        continue
                    if not touched:
                        buffer[:] = 0.0
                        touched = True
                    n = k_last - k_first + 1
                    _gaussians(start, steps[2], k_first, k_last, int(np.rint(nearest)), exponents, gaussians)
                    _monomials(start, steps[2], k_first, n, parent, axis, powers)
                    _contract(coefficients, gaussians, n, radial)
                    _add_shells(buffer, k_first - lower[2], n, shell_l, radial, powers)
            out[:, plane, j, :] = 0.0
            if touched:
                _fold(buffer, lower[2], transform, out[:, plane, j, :])


@njit(nogil=True, fastmath=True, cache=True)
def _add_shells(buffer, offset, n, shell_l, radial, powers):  # type: ignore[no-untyped-def]
    """buffer[c, offset + k] += monomial · radial for every Cartesian component of every shell."""
    c = 0
    for s in range(shell_l.shape[0]):
        ell = shell_l[s]
        first = ell * (ell + 1) * (ell + 2) // 6
        for m in range(first, first + (ell + 1) * (ell + 2) // 2):
            for k in range(n):
                buffer[c, offset + k] += powers[m, k] * radial[s, k]
            c += 1


@njit(nogil=True, fastmath=True, cache=True)
def _fold(buffer, low, transform, line):  # type: ignore[no-untyped-def]
    """line[a, k mod n3] += Σ_c transform[a, c] buffer[c, k]."""
    n3 = line.shape[1]
    n_line = buffer.shape[1]
    done = 0
    while done < n_line:
        at = (low + done) % n3
        n = min(n3 - at, n_line - done)
        for a in range(transform.shape[0]):
            for c in range(transform.shape[1]):
                t = transform[a, c]
                if t != 0.0:
                    for k in range(n):
                        line[a, at + k] += t * buffer[c, done + k]
        done += n


@njit(nogil=True, fastmath=True, cache=True)
def _unfold(line, low, transform, buffer):  # type: ignore[no-untyped-def]
    """buffer[c, k] = Σ_a transform[a, c] line[a, k mod n3]: the adjoint of `_fold`."""
    n3 = line.shape[1]
    n_line = buffer.shape[1]
    buffer[:] = 0.0
    done = 0
    while done < n_line:
        at = (low + done) % n3
        n = min(n3 - at, n_line - done)
        for a in range(transform.shape[0]):
            for c in range(transform.shape[1]):
                t = transform[a, c]
                if t != 0.0:
                    for k in range(n):
                        buffer[c, done + k] += t * line[a, at + k]
        done += n


@njit(nogil=True, fastmath=True, cache=True)
def contract_gradient(  # type: ignore[no-untyped-def]
    weights, first_plane, n1, steps, centre, lower, upper, cutoff2, exponents, coefficients, shell_l,
    parent, axis, lowered, power, transform,
):  # fmt: skip
    """Σ_g Σ_a weights[a, g] ∇φ_a(g) of one atom's orbitals, without storing the gradients.

    Parameters are those of `evaluate_atom`, and

    weights : float64[n_orbitals, n_planes, n2, n3]
    lowered, power : int64[n_monomials, 3], float64[n_monomials, 3]
        ∂M/∂x = power · (the monomial `lowered`).

    Returns
    -------
    float64[3]
    """
    _, n_planes, n2, _ = weights.shape
    n_line = upper[2] - lower[2] + 1
    buffer = np.empty((transform.shape[1], n_line))
    gaussians = np.empty((exponents.shape[0], n_line))
    radial = np.empty((coefficients.shape[0], n_line))
    slope = np.empty((coefficients.shape[0], n_line))
    slopes = -2.0 * coefficients * exponents
    powers = np.empty((parent.shape[0], n_line))
    start = np.empty(3)
    total = np.zeros(3)
    for plane in range(n_planes):
        for j in range(n2):
            ready = False
            for iu in range(_first_image(first_plane + plane, lower[0], n1), upper[0] + 1, n1):
                for ju in range(_first_image(j, lower[1], n2), upper[1] + 1, n2):
                    for x in range(3):
                        start[x] = iu * steps[0, x] + ju * steps[1, x] - centre[x]
                    nearest, reach = _nearest_and_reach(start, steps[2], cutoff2)
                    k_first = int(np.ceil(nearest - reach))
                    k_last = int(np.floor(nearest + reach))
                    if reach < 0.0 or k_last < k_first:
                        continue
                    if not ready:
                        _unfold(weights[:, plane, j, :], lower[2], transform, buffer)
                        ready = True
                    n = k_last - k_first + 1
                    _gaussians(start, steps[2], k_first, k_last, int(np.rint(nearest)), exponents, gaussians)
                    _monomials(start, steps[2], k_first, n, parent, axis, powers)
                    _contract(coefficients, gaussians, n, radial)
                    _contract(slopes, gaussians, n, slope)
                    _add_gradient(
                        total, buffer, k_first - lower[2], n, shell_l, radial, slope, powers, lowered, power
                    )
    return total


@njit(nogil=True, fastmath=True, cache=True)
def _add_gradient(total, buffer, offset, n, shell_l, radial, slope, powers, lowered, power):  # type: ignore[no-untyped-def]
    """∇(M f) = f ∇M + M r f'/r, summed with weights along a line; slope is f'/r."""
    c = 0
    for s in range(shell_l.shape[0]):
        ell = shell_l[s]
        first = ell * (ell + 1) * (ell + 2) // 6
        for m in range(first, first + (ell + 1) * (ell + 2) // 2):
            for x in range(3):
                t = 0.0
                # x is monomial 1 + x: the three of degree one follow the constant
                for k in range(n):
                    t += buffer[c, offset + k] * powers[m, k] * slope[s, k] * powers[1 + x, k]
                if power[m, x] != 0.0:
                    low = lowered[m, x]
                    for k in range(n):
                        t += power[m, x] * buffer[c, offset + k] * powers[low, k] * radial[s, k]
                total[x] += t
            c += 1
