"""The suite that every engine must pass, on the plane-wave engine: Γ, and wave vectors with symmetry."""

import numpy as np

from nearsight.engines import ENGINES
from nearsight.engines.conformance import EngineConformance
from nearsight.engines.planewave import PlanewaveEngine, PlanewaveSettings
from nearsight.structure import Structure


class TestAluminium(EngineConformance):
    @classmethod
    def make_engine(cls):
        return ENGINES["planewave"]()


class TestTwoElementsAtWaveVectors(EngineConformance):
    """An odd number of electrons, complex orbitals, projectors made anew for every product."""

    @classmethod
    def make_engine(cls):
        return PlanewaveEngine(PlanewaveSettings(k_points=[1, 2, 1], ecut=8.0, memory_limit_mb=1e-3))

    @classmethod
    def make_structure(cls):
        cell = np.array([[6.0, 0.0, 0.0], [0.0, 6.1, 0.0], [-1.2, 0.4, 7.9]])
        return Structure(cell, np.array([[0.1, 0.0, 0.2], [2.9, 2.8, 4.3]]), np.array([13, 14]))
