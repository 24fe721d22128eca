"""Selection: which points to keep, from columns of numbers about them, one method a module."""

from nearsight.coreset.ccs import CoverageCentric, default_beta
from nearsight.coreset.d_optimal import DOptimal, ridge_leverage
from nearsight.coreset.density import DensityWeighted
from nearsight.coreset.draws import inclusion_probabilities, systematic_sample
from nearsight.coreset.dual import Dual
from nearsight.coreset.facility import FacilityLocation
from nearsight.coreset.grand import TopResidual, TopScore
from nearsight.coreset.herding import Herding
from nearsight.coreset.importance import Importance
from nearsight.coreset.k_centre import KCentre
from nearsight.coreset.protocol import METHODS, SCORES, Candidates, Selection, SelectionMethod
from nearsight.coreset.random import Uniform
from nearsight.coreset.shards import Pools
from nearsight.coreset.snapshots import WholeSnapshots
from nearsight.coreset.strata import DensityStrata

__all__ = [
    "METHODS",
    "SCORES",
    "Candidates",
    "CoverageCentric",
    "DOptimal",
    "DensityStrata",
    "DensityWeighted",
    "Dual",
    "FacilityLocation",
    "Herding",
    "Importance",
    "KCentre",
    "Pools",
    "Selection",
    "SelectionMethod",
    "TopResidual",
    "TopScore",
    "Uniform",
    "WholeSnapshots",
    "default_beta",
    "inclusion_probabilities",
    "ridge_leverage",
    "systematic_sample",
]
