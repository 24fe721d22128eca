"""Settings of the loop sample → acquire → label → train, as a person writes them in a YAML file."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from nearsight.networks.protocol import UncertainNetwork
from nearsight.provenance import digest
from nearsight.workflows.acquire import DEFAULT_RULE
from nearsight.workflows.acquisition_rules import By, needs_uncertainty
from nearsight.workflows.building import network_settings
from nearsight.workflows.config import Config
from nearsight.workflows.study_parts import Strict

#: settings that may change between two runs of a loop: when to stop, and where to work
_FREE = frozenset(
    {"rounds", "until_error", "until_sigma", "dft_seconds", "jobs", "threads", "retries", "timeout"}
)


class LoopConfig(Strict):
    """Settings of `active_learning`.

    Parameters
    ----------
    initial : int
        Structures labelled before the first model; those for validation and test come on top.
    initial_by : {"coverage", "random"}
    per_round : int
        Structures a round.
    by : {"coverage", "both", "epistemic", "random"}
    points : int
        Random points that stand for a structure when it is judged.
    rounds : int, optional
        Rounds after the first model; until another limit, or the end of the candidates, if None.
    until_error : float, optional
        Validation NRMSE in per cent that is good enough.
    until_sigma : float, optional
        Epistemic σ (root of its mean square over a structure, e/bohr³) that the most uncertain candidate left
        may have.
    dft_seconds : float, optional
        Budget for calculations; no round begins beyond it.
    engine : dict
        ``name`` and settings, over the recipe's own.
    jobs, threads, retries, timeout
        As in `nearsight.workflows.label.label`.
    train : Config
        The network is ``last_layer`` unless given.
    """

    initial: int = Field(5, ge=1)
    initial_by: Literal["coverage", "random"] = "coverage"
    per_round: int = Field(5, ge=1)
    by: By = DEFAULT_RULE
    points: int = Field(200, ge=2)
    rounds: int | None = Field(10, ge=0)
    until_error: float | None = Field(None, gt=0)
    until_sigma: float | None = Field(None, gt=0)
    dft_seconds: float | None = Field(None, gt=0)
    engine: dict[str, Any] = Field(default_factory=dict)
    jobs: int = Field(1, ge=1)
    threads: int | None = Field(None, ge=1)
    retries: int = Field(1, ge=0)
    timeout: float | None = Field(None, gt=0)
    train: Config = Field(default_factory=lambda: Config(network={"name": "last_layer"}))

    @field_validator("train", mode="before")
    @classmethod
    def _uncertain(cls, value: Any) -> Any:
        """A network that knows its uncertainty, unless another was asked for."""
        return {"network": {"name": "last_layer"}, **value} if isinstance(value, Mapping) else value

    @model_validator(mode="after")
    def _can_rank(self) -> "LoopConfig":
        network = network_settings(self.train.network, "train.network")
        if needs_uncertainty(self.by) and not isinstance(network.build(1), UncertainNetwork):
            raise ValueError(
                f"by: {self.by} ranks by uncertainty, and the network '{network.name}' states none; "
                "use by: coverage, or train.network: {name: last_layer}"
            )
        return self

    def binding(self) -> dict[str, str]:
        """Hashes of the settings that have to stay as they are while a loop goes on, by name."""
        fields = self.model_dump(exclude=set(_FREE))
        return {name: digest(value) for name, value in fields.items()}
