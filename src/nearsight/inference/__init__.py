"""Inference: densities of whole structures, block by block."""

from nearsight.inference.predictor import Prediction, predict_density

__all__ = ["Prediction", "predict_density"]
