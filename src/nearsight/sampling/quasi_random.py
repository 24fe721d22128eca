"""Special quasi-random structures, through sqsgenerator."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms

from nearsight.errors import InputError
from nearsight.sampling.optional import optional

#: weights of the first and second neighbour shells in the objective
_SHELLS = {1: 1.0, 2: 0.5}
_ITERATIONS = 20_000


def quasi_random_occupation(atoms: Atoms, counts: Mapping[str, int], rng: np.random.Generator) -> list[str]:
    """Elements for the sites of `atoms`, as little ordered as the cell allows.

    Minimises the Warren–Cowley parameters of the first two shells (Zunger et al., Phys. Rev. Lett. 65,
    353 (1990)) by Monte Carlo, on one thread, so that the same `rng` gives the same structure.

    Parameters
    ----------
    atoms : Atoms
        All of one element.
    counts : mapping of element to int
        They add up to the number of atoms.
    rng : Generator

    Raises
    ------
    InputError
        sqsgenerator is not installed, or refuses the cell.
    """
    sqs = optional("sqsgenerator", "quasi-random alloys")
    site = atoms.get_chemical_symbols()[0]
    settings: dict[str, Any] = {
        "structure": {
            "lattice": atoms.cell.array.tolist(),
            "coords": atoms.get_scaled_positions().tolist(),
            "species": [site] * len(atoms),
        },
        "composition": [{"sites": site, **counts}],
        "shell_weights": _SHELLS,
        "iterations": _ITERATIONS,
        "seed": int(rng.integers(2**31)),
        "thread_config": 1,
    }
    config = sqs.parse_config(settings)
    if message := getattr(config, "msg", None):
        raise InputError(f"no quasi-random structure of {len(atoms)} atoms: {message}")
    results = sqs.optimize(config)  # a name of its own: what is taken out of it does not keep it alive
    _, equals = next(iter(results))
    # the order in which equally good structures are returned changes from run to run
    occupations = sorted(sqs.to_ase(one.structure()).get_chemical_symbols() for one in equals)
    return list(occupations[rng.integers(len(occupations))])
