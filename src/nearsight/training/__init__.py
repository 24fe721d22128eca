"""Training: tables of described points, the loop, and scores of points."""

from nearsight.store.table import PointTable
from nearsight.training.candidates import Candidate, Choice, decay_candidates, select_by_validation
from nearsight.training.distil import distil
from nearsight.training.fit import TrainResult, train_model
from nearsight.training.scores import (
    PointScores,
    ScoreSettings,
    gradient_norms,
    score_dataset,
    score_points,
)
from nearsight.training.settings import TrainSettings
from nearsight.training.tables import describe_points

__all__ = [
    "Candidate",
    "Choice",
    "PointScores",
    "PointTable",
    "ScoreSettings",
    "TrainResult",
    "TrainSettings",
    "decay_candidates",
    "describe_points",
    "distil",
    "gradient_norms",
    "score_dataset",
    "score_points",
    "select_by_validation",
    "train_model",
]
