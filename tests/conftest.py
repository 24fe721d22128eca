"""What all tests share: hypothesis settings, and strategies for any cell, grid, field and structure.

The strategies are registered by type: ``@given(field=...)`` with ``field: ScalarField`` draws one.
"""

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.structure import Structure

# no deadline: a first call may compile a kernel, and a loaded machine is no failure
settings.register_profile(
    "nearsight",
    max_examples=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("nearsight")


@st.composite
def cells(draw: st.DrawFn) -> np.ndarray:
    """Cells of 3 to 9 bohr along the diagonal, skewed by up to 3, right- or left-handed."""
    diagonal = [draw(st.floats(3.0, 9.0)) for _ in range(3)]
    skew = [draw(st.sampled_from([0.0, 1.0])) * draw(st.floats(-3.0, 3.0)) for _ in range(3)]
    cell = np.diag(diagonal)
    cell[np.tril_indices(3, -1)] = skew
    return cell[draw(st.permutations([0, 1, 2]))]


@st.composite
def grids(draw: st.DrawFn) -> UniformGrid:
    """Grids of 3 to 9 points along each vector of any cell, odd and even."""
    n1, n2, n3 = (draw(st.integers(3, 9)) for _ in range(3))
    return UniformGrid(draw(cells()), (n1, n2, n3))


@st.composite
def fields(draw: st.DrawFn) -> ScalarField:
    """White noise: every Fourier component is there, the Nyquist ones included."""
    grid = draw(grids())
    rng = np.random.default_rng([1, draw(st.integers(0, 2**16))])
    return ScalarField(grid, rng.normal(size=grid.shape) + 0.3)


@st.composite
def structures(draw: st.DrawFn) -> Structure:
    """One to five atoms anywhere, inside the cell or not, at whatever distance."""
    cell = draw(cells())
    n_atoms = draw(st.integers(1, 5))
    rng = np.random.default_rng([2, draw(st.integers(0, 2**16))])
    positions = rng.uniform(-1.5, 1.5, size=(n_atoms, 3)) @ cell
    return Structure(cell, positions, rng.choice([1, 8, 13], size=n_atoms))


st.register_type_strategy(UniformGrid, grids())
st.register_type_strategy(ScalarField, fields())
st.register_type_strategy(Structure, structures())
