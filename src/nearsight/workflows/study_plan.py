"""Which runs a study has: methods × kept fractions × seeds × models × schedules, stage by stage."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from nearsight.errors import InputError
from nearsight.networks.protocol import DirectFit, NetworkSettings
from nearsight.workflows.building import build_selection, network_settings
from nearsight.workflows.candidates import score_kinds
from nearsight.workflows.config import StudyConfig
from nearsight.workflows.plan import Plan
from nearsight.workflows.study_choices import best_labels
from nearsight.workflows.study_parts import FULL, StageConfig, slug
from nearsight.workflows.study_run import Run, Trial


class StudyPlan:
    """Turns the settings of a study into runs.

    Parameters
    ----------
    config : StudyConfig
    plan : Plan
    seed : int
        The first; run k uses seed + k.
    n_points : int
        Training points, which settle the epochs that equal the steps.
    """

    def __init__(self, config: StudyConfig, plan: Plan, seed: int, n_points: int) -> None:
        self.config = config
        self.plan = plan
        self.seed = seed
        self.methods = {
            variant.label: build_selection(variant.name, config.method_settings(variant))
            for variant in config.methods
        }
        self.networks = {
            label: network_settings(settings, f"models.{label}")
            for label, settings in config.networks.items()
        }
        training = replace(plan.training, epochs=None)
        epochs = config.epochs or training.steps * min(training.batch, n_points) / n_points
        self._training = {
            "steps": training,
            "epochs": replace(training, epochs=epochs),
            "direct": training,
        }

    @property
    def kinds(self) -> frozenset[str]:
        """Every score that a method of the study needs: they are made together."""
        return frozenset().union(*(score_kinds(method.needs) for method in self.methods.values()))

    @property
    def stages(self) -> tuple[StageConfig, ...]:
        """The stages, one of everything unless the settings say otherwise."""
        return self.config.stages or (StageConfig(),)

    def full(self) -> list[Run]:
        """Trainings on all points."""
        asked = self.config.full
        if asked is None:
            return self._runs([FULL], (1.0,), self.config.full_seeds, None, None, 0)
        return self._runs([FULL], (1.0,), asked.seeds, asked.models, asked.schedules, 0)

    def stage(self, number: int, earlier: Sequence[Run], errors: Mapping[str, float | None]) -> list[Run]:
        """The runs of stage `number`, counted from one.

        Parameters
        ----------
        number : int
        earlier : sequence of Run
            Of earlier stages: they are not repeated, and ``best`` chooses among their methods.
        errors : mapping of str to float or None
            Validation NRMSE by run id.
        """
        stage = self.stages[number - 1]
        runs = self._runs(
            self._labels_of(stage, earlier, errors),
            stage.keep or self.config.keep,
            stage.seeds or self.config.seeds,
            stage.models,
            stage.schedules,
            number,
        )
        known = {run.id for run in earlier}
        return [run for run in runs if run.id not in known]

    def describe_stage(
        self, number: int, earlier: Sequence[Run], errors: Mapping[str, float | None]
    ) -> dict[str, Any]:
        """What a stage is, JSON-ready, the methods of ``best`` named."""
        stage = self.stages[number - 1]
        models = list(stage.models or self.networks)
        schedules = {name for model in models for name in self._schedules_of(model, stage.schedules)}
        return {
            "methods": self._labels_of(stage, earlier, errors),
            "best": stage.best,
            "keep": list(stage.keep or self.config.keep),
            "seeds": stage.seeds or self.config.seeds,
            "models": models,
            "schedules": [name for name in self._training if name in schedules],
        }

    def _labels_of(
        self, stage: StageConfig, earlier: Sequence[Run], errors: Mapping[str, float | None]
    ) -> list[str]:
        if stage.best is not None:
            return best_labels(earlier, errors, stage.best)
        return list(stage.methods or self.methods)

    def trials(self) -> list[Trial]:
        """The runs of the sensitivity, with the first model and the first schedule."""
        asked = self.config.sensitivity
        if asked is None:
            return []
        return [
            self._trial(parameter, value, label, keep, asked.seeds)
            for parameter, values in asked.parameters.items()
            for label in self._varied(parameter)
            for keep in asked.keep
            for value in values
        ]

    def _varied(self, parameter: str) -> list[str]:
        """Labels whose runs a parameter changes: one method's, or all that need scores."""
        where = parameter.rsplit(".", 1)[0]
        if where in self.methods:
            return [where]
        if where != "scoring":
            return [next(label for label, method in self.methods.items() if method.name == where)]
        asked = None if self.config.sensitivity is None else self.config.sensitivity.labels
        scored = [label for label, method in self.methods.items() if score_kinds(method.needs)]
        return scored if asked is None else [label for label in asked if label in scored]

    def _trial(self, parameter: str, value: Any, label: str, keep: float, seeds: int) -> Trial:
        where, setting = parameter.rsplit(".", 1)
        method, scoring, text = self.methods[label], self.plan.scoring, f"sensitivity.{parameter}"
        try:
            if where == "scoring":
                scoring = replace(scoring, **{setting: value})
            else:
                method = replace(method, **{setting: value})  # type: ignore[type-var]
        except TypeError:
            known = ", ".join(getattr(scoring if where == "scoring" else method, "__dataclass_fields__", {}))
            raise InputError(f"'{text}': unknown setting '{setting}'; known: {known}") from None
        base = self._runs([label], (keep,), seeds, list(self.networks)[:1], self.config.schedules[:1], 0)
        name = f"{label} {parameter}={value}"
        varied = [replace(run, method=method, scoring=scoring, label=f"sensitivity {name}") for run in base]
        runs = tuple(replace(run, id=run.selection_id, is_trial=True) for run in varied)
        return Trial(parameter, value, label, keep, runs)

    def _runs(
        self,
        labels: Sequence[str],
        keep: Sequence[float],
        seeds: int,
        models: Sequence[str] | None,
        schedules: Sequence[str] | None,
        stage: int,
    ) -> list[Run]:
        return [
            self._run(label, fraction, self.seed + k, model, schedule, stage)
            for fraction in keep
            for label in labels
            for model in models or self.networks
            for schedule in self._schedules_of(model, schedules)
            for k in range(seeds)
        ]

    def _schedules_of(self, model: str, schedules: Sequence[str] | None) -> list[str]:
        """Schedules of a model; one that fits directly has none."""
        return ["direct"] if fits_directly(self.networks[model]) else list(schedules or self.config.schedules)

    def _run(self, label: str, keep: float, seed: int, model: str, schedule: str, stage: int) -> Run:
        usual = model == next(iter(self.networks))
        parts = [
            slug(label),
            f"{keep:g}",
            "" if usual else slug(model),
            schedule if schedule == "epochs" else "",
        ]
        return Run(
            label=label,
            method=None if label == FULL else self.methods[label],
            keep=keep,
            seed=seed,
            model=model,
            schedule=schedule,
            stage=stage,
            network=self.networks[model],
            training=self._training[schedule],
            scoring=self.plan.scoring,
            id="-".join([part for part in parts if part] + [f"s{seed}"]),
        )


def fits_directly(network: NetworkSettings) -> bool:
    """Whether a model is fitted at once, without steps or epochs; an ensemble is what its members are."""
    return isinstance(getattr(network, "each", network), DirectFit)
