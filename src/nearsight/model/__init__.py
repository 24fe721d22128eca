"""The density model: descriptor, network, target and atomic densities in one object and one file."""

from nearsight.model.density_model import DensityModel
from nearsight.model.file import load_model, save_model
from nearsight.model.scaler import FeatureScaler
from nearsight.model.target import Target

__all__ = ["DensityModel", "FeatureScaler", "Target", "load_model", "save_model"]
