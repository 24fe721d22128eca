"""`Run`: one training of a study, settled in everything."""

from dataclasses import dataclass
from typing import Any

from nearsight.coreset.protocol import SelectionMethod
from nearsight.networks.protocol import NetworkSettings
from nearsight.training import ScoreSettings, TrainSettings
from nearsight.workflows.candidates import score_kinds
from nearsight.workflows.study_parts import FULL, slug


@dataclass(frozen=True)
class Run:
    """One training.

    Attributes
    ----------
    label : str
        Of the method's variant; ``all`` for the full data.
    method : SelectionMethod or None
        None keeps everything.
    keep : float
    seed : int
    model : str
        Label of the model.
    schedule : {"steps", "epochs", "direct"}
    stage : int
        Counted from one; zero for the full data and for the sensitivity.
    network : NetworkSettings
    training : TrainSettings
    scoring : ScoreSettings
    id : str
        Its name in files and reports.
    is_trial : bool
        Of the sensitivity: judged on validation points while it trains, its model not kept.
    """

    label: str
    method: SelectionMethod | None
    keep: float
    seed: int
    model: str
    schedule: str
    stage: int
    network: NetworkSettings
    training: TrainSettings
    scoring: ScoreSettings
    id: str
    is_trial: bool = False

    @property
    def name(self) -> str:
        """Registered name of the method, ``all`` for the full data."""
        return FULL if self.method is None else self.method.name

    @property
    def needs(self) -> frozenset[str]:
        """What the method must be given."""
        return frozenset() if self.method is None else self.method.needs

    @property
    def kinds(self) -> frozenset[str]:
        """The scores among what it must be given."""
        return score_kinds(self.needs)

    @property
    def selection_id(self) -> str:
        """Name of its points: runs that differ in model or schedule alone share them."""
        return f"{slug(self.label)}-{self.keep:g}-s{self.seed}"

    @property
    def cell(self) -> tuple[float, str, str]:
        """What methods are compared at: fraction, model and schedule."""
        return self.keep, self.model, self.schedule


@dataclass(frozen=True)
class Trial:
    """Runs at one value of a parameter that is varied beside the study."""

    parameter: str
    value: Any
    label: str
    keep: float
    runs: tuple[Run, ...]
