"""Inference: densities of whole structures, block by block."""

from nearsight.inference.predictor import (
    DescribedGrid,
    Prediction,
    describe_grid,
    predict_density,
    predict_described,
)

__all__ = ["DescribedGrid", "Prediction", "describe_grid", "predict_density", "predict_described"]
