"""nearsight learns the ground-state electron density of materials from a small part of the data.

The names below are the public interface for scripts; each is loaded when first used, so that
``import nearsight`` costs nothing.
"""

from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearsight.kernel_cache import ensure_writable_cache, home_folder

if TYPE_CHECKING:
    from nearsight.calculator import NearsightCalculator
    from nearsight.engines import LcaoEngine, LcaoSettings, PlanewaveEngine, PlanewaveSettings
    from nearsight.field import ScalarField
    from nearsight.grid import UniformGrid
    from nearsight.inference.predictor import predict_density
    from nearsight.io.density import read_snapshot, write_density
    from nearsight.metrics.density import density_errors
    from nearsight.model.density_model import DensityModel
    from nearsight.model.file import load_model, save_model
    from nearsight.points import PointSet
    from nearsight.report import write_report
    from nearsight.snapshot import Snapshot
    from nearsight.store import Coreset, Dataset, read_coreset
    from nearsight.structure import Structure
    from nearsight.workflows.config import Config, StudyConfig
    from nearsight.workflows.evaluate import evaluate
    from nearsight.workflows.import_files import import_files
    from nearsight.workflows.label import label
    from nearsight.workflows.prune import prune
    from nearsight.workflows.sample import sample
    from nearsight.workflows.study import run_study
    from nearsight.workflows.train import train

__version__ = version("nearsight")

# before any kernel is compiled: numba reads the variable once
ensure_writable_cache(Path(__file__).parent, home_folder())

#: public name to the module that holds it
_WHERE = {
    "Config": "workflows.config",
    "Coreset": "store",
    "Dataset": "store",
    "DensityModel": "model.density_model",
    "LcaoEngine": "engines",
    "LcaoSettings": "engines",
    "NearsightCalculator": "calculator",
    "PlanewaveEngine": "engines",
    "PlanewaveSettings": "engines",
    "PointSet": "points",
    "ScalarField": "field",
    "Snapshot": "snapshot",
    "Structure": "structure",
    "StudyConfig": "workflows.config",
    "UniformGrid": "grid",
    "density_errors": "metrics.density",
    "evaluate": "workflows.evaluate",
    "import_files": "workflows.import_files",
    "label": "workflows.label",
    "load_model": "model.file",
    "predict_density": "inference.predictor",
    "prune": "workflows.prune",
    "read_coreset": "store",
    "read_snapshot": "io.density",
    "run_study": "workflows.study",
    "sample": "workflows.sample",
    "save_model": "model.file",
    "train": "workflows.train",
    "write_density": "io.density",
    "write_report": "report",
}

__all__ = [
    "Config",
    "Coreset",
    "Dataset",
    "DensityModel",
    "LcaoEngine",
    "LcaoSettings",
    "NearsightCalculator",
    "PlanewaveEngine",
    "PlanewaveSettings",
    "PointSet",
    "ScalarField",
    "Snapshot",
    "Structure",
    "StudyConfig",
    "UniformGrid",
    "density_errors",
    "evaluate",
    "import_files",
    "label",
    "load_model",
    "predict_density",
    "prune",
    "read_coreset",
    "read_snapshot",
    "run_study",
    "sample",
    "save_model",
    "train",
    "write_density",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'nearsight' has no attribute '{name}'")
    return getattr(import_module(f"nearsight.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_WHERE])
