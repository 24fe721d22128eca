"""The suite that every engine must pass, on the embedded one, kept and recomputed orbitals alike."""

import numpy as np

from nearsight.engines import ENGINES, LcaoEngine, LcaoSettings
from nearsight.engines.conformance import EngineConformance
from nearsight.structure import Structure


class TestAluminium(EngineConformance):
    @classmethod
    def make_engine(cls):
        return ENGINES["lcao"]()


class TestTwoElementsWithoutMemory(EngineConformance):
    """An odd number of electrons, two elements, orbitals made anew for every pass."""

    @classmethod
    def make_engine(cls):
        return LcaoEngine(LcaoSettings(memory_limit_mb=0.1, spacing=0.35))

    @classmethod
    def make_structure(cls):
        cell = np.array([[6.0, 0.0, 0.0], [0.0, 6.1, 0.0], [-1.2, 0.4, 7.9]])
        return Structure(cell, np.array([[0.1, 0.0, 0.2], [2.9, 2.8, 4.3]]), np.array([13, 14]))
