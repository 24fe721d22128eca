"""Selection: which points to keep, from arrays of scores alone, one method a module."""

from nearsight.coreset.ccs import CoverageCentric, default_beta
from nearsight.coreset.grand import TopScore
from nearsight.coreset.importance import Importance, inclusion_probabilities
from nearsight.coreset.protocol import METHODS, Selection, SelectionMethod
from nearsight.coreset.random import Uniform

__all__ = [
    "METHODS",
    "CoverageCentric",
    "Importance",
    "Selection",
    "SelectionMethod",
    "TopScore",
    "Uniform",
    "default_beta",
    "inclusion_probabilities",
]
