"""Compiled kernels: contracted Bloch sums of Gaussians on a uniform grid, and their gradients.

A Bloch orbital φ_k(r) = Σ_T e^{ik·T} φ(r − R − T) is one real component where k can be chosen real, and
two otherwise, its real and its imaginary part. One call treats one atom on a block of grid lines, for
all components asked for. Lines along the third cell vector are the unit of work: for every image of the
atom that reaches a line, e^{−αr²} follows from its neighbour by two multiplications (the exponent is
quadratic along the line), outwards from the nearest point so that values only fall; shells with common
exponents share them, and so do all components. Images are summed with their phases in a Cartesian line
buffer, which is turned into spherical components once.

Every kernel releases the interpreter lock, so threads run it for several blocks at a time.
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
def _component_weights(t1, t2, t3, first_image, phases, wave_of, imaginary, weights):  # type: ignore[no-untyped-def]
    """weights[m] = the real or imaginary part of e^{−ik·T} for each component, T = t1 a1 + t2 a2 + t3 a3."""
    for m in range(weights.shape[0]):
        q = wave_of[m]
        z = (
            phases[0, q, t1 - first_image[0]]
            * phases[1, q, t2 - first_image[1]]
            * phases[2, q, t3 - first_image[2]]
        )
        weights[m] = z.imag if imaginary[m] else z.real


@njit(nogil=True, fastmath=True, cache=True)
def evaluate_atom(  # type: ignore[no-untyped-def]
    out, orbital, first, shape, steps, centre, lower, upper, cutoff2, exponents, coefficients, shell_l,
    parent, axis, transform, first_image, phases, wave_of, imaginary,
):  # fmt: skip
    """Values of one atom's orbitals on a block of the grid.

    Parameters
    ----------
    out : float64[n_components, n_orbitals, n_planes, n_columns, n3]
        The atom's orbitals are overwritten.
    orbital : int
        Number of the atom's first orbital.
    first : int64[2]
        Number of the block's first plane and column in the whole cell.
    shape : int64[3]
        Points of the whole cell.
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
    first_image : int64[3]
        Image of the cell in which `lower` lies, along each axis.
    phases : complex128[3, n_waves, n_images]
        e^{−ik·T} of every wave vector and translation along each axis, from `first_image` on.
    wave_of, imaginary : int64[n_components], bool[n_components]
        The wave vector of each component, and whether it is its imaginary part.
    """
    n_components, _, n_planes, n_columns, n3 = out.shape
    n_line = upper[2] - lower[2] + 1
    buffer = np.empty((n_components, transform.shape[1], n3))
    gaussians = np.empty((exponents.shape[0], n_line))
    radial = np.empty((coefficients.shape[0], n_line))
    powers = np.empty((parent.shape[0], n_line))
    product = np.empty(n_line)
    line = np.empty(n3)
    weights = np.empty(n_components)
    start = np.empty(3)
    for plane in range(n_planes):
        for column in range(n_columns):
            touched = False
            for iu in range(_first_image(first[0] + plane, lower[0], shape[0]), upper[0] + 1, shape[0]):
                for ju in range(_first_image(first[1] + column, lower[1], shape[1]), upper[1] + 1, shape[1]):
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
                    done = 0
                    while done < n:
                        at = (k_first + done) % n3
                        m = min(n3 - at, n - done)
                        _component_weights(
                            iu // shape[0], ju // shape[1], (k_first + done) // n3,
                            first_image, phases, wave_of, imaginary, weights,
                        )  # fmt: skip
                        _add_shells(buffer, at, done, m, shell_l, radial, powers, weights, product)
                        done += m
            for component in range(n_components):
                for a in range(transform.shape[0]):
                    line[:] = 0.0
                    if touched:
                        _combine(buffer[component], transform[a], line)
                    row = out[component, orbital + a, plane, column]
                    for k in range(n3):
                        row[k] = line[k]


@njit(nogil=True, fastmath=True, cache=True)
def _add_shells(buffer, at, offset, n, shell_l, radial, powers, weights, product):  # type: ignore[no-untyped-def]
    """buffer[:, c, at + k] += weights · monomial · radial for every Cartesian component of every shell."""
    c = 0
    for s in range(shell_l.shape[0]):
        ell = shell_l[s]
        first = ell * (ell + 1) * (ell + 2) // 6
        for m in range(first, first + (ell + 1) * (ell + 2) // 2):
            for k in range(n):
                product[k] = powers[m, offset + k] * radial[s, offset + k]
            for component in range(weights.shape[0]):
                w = weights[component]
                for k in range(n):
                    buffer[component, c, at + k] += w * product[k]
            c += 1


@njit(nogil=True, fastmath=True, cache=True)
def _combine(cartesian, coefficients, row):  # type: ignore[no-untyped-def]
    """row[k] += Σ_c coefficients[c] cartesian[c, k]."""
    for c in range(coefficients.shape[0]):
        t = coefficients[c]
        if t != 0.0:
            for k in range(row.shape[0]):
                row[k] += t * cartesian[c, k]


@njit(nogil=True, fastmath=True, cache=True)
def _spread(row, coefficients, cartesian):  # type: ignore[no-untyped-def]
    """cartesian[c, k] += coefficients[c] row[k]: the adjoint of `_combine`."""
    for c in range(coefficients.shape[0]):
        t = coefficients[c]
        if t != 0.0:
            for k in range(row.shape[0]):
                cartesian[c, k] += t * row[k]


@njit(nogil=True, fastmath=True, cache=True)
def contract_gradient(  # type: ignore[no-untyped-def]
    values, orbital, first, shape, steps, centre, lower, upper, cutoff2, exponents, coefficients, shell_l,
    parent, axis, lowered, power, transform, first_image, phases, wave_of, imaginary,
):  # fmt: skip
    """Σ_g Σ_a values[a, g] ∇φ_a(g) of one atom's orbitals, without storing the gradients.

    Parameters are those of `evaluate_atom`, and

    values : float64[n_components, n_orbitals, n_planes, n_columns, n3]
    lowered, power : int64[n_monomials, 3], float64[n_monomials, 3]
        ∂M/∂x = power · (the monomial `lowered`).

    Returns
    -------
    float64[3]
    """
    n_components, _, n_planes, n_columns, n3 = values.shape
    n_line = upper[2] - lower[2] + 1
    cartesian = np.empty((n_components, transform.shape[1], n3))
    buffer = np.empty((transform.shape[1], n_line))
    gaussians = np.empty((exponents.shape[0], n_line))
    radial = np.empty((coefficients.shape[0], n_line))
    slope = np.empty((coefficients.shape[0], n_line))
    slopes = -2.0 * coefficients * exponents
    powers = np.empty((parent.shape[0], n_line))
    weights = np.empty(n_components)
    start = np.empty(3)
    total = np.zeros(3)
    for plane in range(n_planes):
        for column in range(n_columns):
            ready = False
            for iu in range(_first_image(first[0] + plane, lower[0], shape[0]), upper[0] + 1, shape[0]):
                for ju in range(_first_image(first[1] + column, lower[1], shape[1]), upper[1] + 1, shape[1]):
                    for x in range(3):
                        start[x] = iu * steps[0, x] + ju * steps[1, x] - centre[x]
                    nearest, reach = _nearest_and_reach(start, steps[2], cutoff2)
                    k_first = int(np.ceil(nearest - reach))
                    k_last = int(np.floor(nearest + reach))
                    if reach < 0.0 or k_last < k_first:
                        continue
                    if not ready:
                        cartesian[:] = 0.0
                        for component in range(n_components):
                            for a in range(transform.shape[0]):
                                row = values[component, orbital + a, plane, column]
                                _spread(row, transform[a], cartesian[component])
                        ready = True
                    n = k_last - k_first + 1
                    _gaussians(start, steps[2], k_first, k_last, int(np.rint(nearest)), exponents, gaussians)
                    _monomials(start, steps[2], k_first, n, parent, axis, powers)
                    _contract(coefficients, gaussians, n, radial)
                    _contract(slopes, gaussians, n, slope)
                    done = 0
                    while done < n:
                        at = (k_first + done) % n3
                        m = min(n3 - at, n - done)
                        _component_weights(
                            iu // shape[0], ju // shape[1], (k_first + done) // n3,
                            first_image, phases, wave_of, imaginary, weights,
                        )  # fmt: skip
                        _sum_components(cartesian, at, weights, buffer, done, m)
                        done += m
                    _add_gradient(total, buffer, n, shell_l, radial, slope, powers, lowered, power)
    return total


@njit(nogil=True, fastmath=True, cache=True)
def _sum_components(cartesian, at, weights, buffer, offset, n):  # type: ignore[no-untyped-def]
    """buffer[c, offset + k] = Σ_m weights[m] cartesian[m, c, at + k]."""
    for c in range(cartesian.shape[1]):
        buffer[c, offset : offset + n] = 0.0
        for component in range(weights.shape[0]):
            w = weights[component]
            for k in range(n):
                buffer[c, offset + k] += w * cartesian[component, c, at + k]


@njit(nogil=True, fastmath=True, cache=True)
def _add_gradient(total, buffer, n, shell_l, radial, slope, powers, lowered, power):  # type: ignore[no-untyped-def]
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
                    t += buffer[c, k] * powers[m, k] * slope[s, k] * powers[1 + x, k]
                if power[m, x] != 0.0:
                    low = lowered[m, x]
                    for k in range(n):
                        t += power[m, x] * buffer[c, k] * powers[low, k] * radial[s, k]
                total[x] += t
            c += 1
