"""Training: tables of described points, the loop, and scores of points."""

from nearsight.store.table import PointTable
from nearsight.training.fit import TrainResult, train_model
from nearsight.training.scores import PointScores, ScoreSettings, gradient_norms, score_points
from nearsight.training.settings import TrainSettings
from nearsight.training.tables import describe_points

__all__ = [
    "PointScores",
    "PointTable",
    "ScoreSettings",
    "TrainResult",
    "TrainSettings",
    "describe_points",
    "gradient_norms",
    "score_points",
    "train_model",
]
