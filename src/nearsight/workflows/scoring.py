"""Scores and fields of one test snapshot of a study: every model's density of it, compared.

The snapshot is described once, and all models read those features; what is scored already is kept.
"""

import tempfile
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from nearsight.atomic.superposition import superpose
from nearsight.descriptors.protocol import Descriptor
from nearsight.engines.protocol import Engine
from nearsight.errors import InputError, NearsightError
from nearsight.field import ScalarField
from nearsight.inference.predictor import DescribedGrid, describe_grid, predict_described
from nearsight.io.atomic import atomic_file
from nearsight.metrics.correlation import error_correlation
from nearsight.model.file import load_model
from nearsight.provenance import digest, software
from nearsight.store import Dataset
from nearsight.training.trainer import torch_threads
from nearsight.workflows.judge import Judge
from nearsight.workflows.outcome import Outcome, failure
from nearsight.workflows.parallel import Item
from nearsight.workflows.records import read_json, write_json

#: name of the densities that need no learning
BASELINE = "superposed atoms"
#: energies of a score
_ENERGIES = ("energy_error_ha_per_atom", "corrected_energy_error_ha_per_atom")
#: bytes of features above which they go to a mapped file
_IN_MEMORY = 2 << 30


@dataclass(frozen=True)
class Scored:
    """A model that is to be scored."""

    id: str
    digest: str
    energy: bool
    shown: bool


@dataclass(frozen=True, eq=False)
class Scoring:
    """Scores test snapshots and writes ``scores/`` and ``fields/``; may be sent to other processes.

    Parameters
    ----------
    folder : Path
        The study's, absolute.
    dataset : Dataset
    descriptor : Descriptor
        Of all models.
    models : tuple of Scored
    engine : Engine, optional
        Takes energies of the runs that ask for them.
    with_fields : frozenset of int
        Snapshots whose densities are kept to look at.
    facts_of : str
        Run whose error's correlation is measured; empty for none.
    threads : int, optional
    """

    folder: Path
    dataset: Dataset
    descriptor: Descriptor
    models: tuple[Scored, ...]
    engine: Engine | None
    with_fields: frozenset[int]
    facts_of: str
    threads: int | None

    def __call__(self, item: Item[Any]) -> Outcome:
        """Score one snapshot; ``item`` is a count and the snapshot's number."""
        count, number = item
        try:
            with torch_threads(self.threads):
                self.score(number)
        except NearsightError as error:
            return failure(count, error)
        return Outcome(count)

    def score(self, number: int) -> None:
        """Write what is missing of the scores and the field of a snapshot."""
        with tempfile.TemporaryDirectory(prefix="nearsight-grid-") as scratch:
            self._score_with(_Snapshot(self, number, Path(scratch)))

    def _score_with(self, judged: "_Snapshot") -> None:
        number = judged.number
        known = self._known(number)
        scores = {model.id: known["scores"].get(model.id) for model in self.models}
        field = self._field_path(number)
        drawn = {} if field is None or field.exists() else judged.references()
        facts = known["facts"]
        for model in self.models:
            usable = self._is_usable(scores[model.id], model)
            measure = model.id == self.facts_of and (facts or {}).get("model_digest") != model.digest
            if usable and not measure and not (drawn and model.shown):
                continue
            density = judged.density(model)
            if not usable:
                scores[model.id] = self._score(judged, density, model)
            if measure:
                facts = _facts(density - judged.judge.reference, model)
            if drawn and model.shown:
                drawn[model.id] = density.values
        if self.dataset.radial:
            scores[BASELINE] = self._baseline(judged, known["scores"].get(BASELINE))
        write_json(self._path(number), {"key": self._key(number), "scores": scores, "facts": facts})
        if drawn and field is not None:
            judged.write_field(field, drawn)

    def results(self, number: int) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """Scores of a snapshot by run id, with energies where they are asked for, and facts of an error."""
        known = self._known(number)
        asked = {model.id: model.energy for model in self.models} | {BASELINE: self.engine is not None}
        scores = {}
        for name, score in known["scores"].items():
            if name in asked:
                kept = {key: value for key, value in score.items() if key != "physics"}
                scores[name] = kept if asked[name] else kept | dict.fromkeys(_ENERGIES)
        return scores, known["facts"]

    def field_entry(self, number: int, generality: bool) -> dict[str, Any] | None:
        """What ``study.json`` says of the densities of a snapshot; None where none are kept."""
        path, info = self._field_path(number), self.dataset.info(number)
        if path is None:
            return None
        return {
            "label": info.label,
            "title": f"{info.formula}, {info.label}",
            "file": f"fields/{path.name}",
            "predictions": {model.id: model.id for model in self.models if model.shown},
            "generality": generality,
        }

    @cached_property
    def _physics(self) -> str | None:
        return None if self.engine is None else digest(self.engine.fingerprint())

    def _key(self, number: int) -> str:
        return digest(self.dataset.info(number).digest, software()["nearsight"])

    def _path(self, number: int) -> Path:
        return self.folder / "scores" / f"{number:06d}.json"

    def _known(self, number: int) -> dict[str, Any]:
        return read_json(self._path(number), self._key(number)) or {"scores": {}, "facts": None}

    def _field_path(self, number: int) -> Path | None:
        if number not in self.with_fields:
            return None
        shown = [model.digest for model in self.models if model.shown]
        name = f"{number:06d}-{digest(self.dataset.info(number).digest, shown)}.npz"
        return self.folder / "fields" / name

    def _is_usable(self, score: dict[str, Any] | None, model: Scored) -> bool:
        if score is None or score["model_digest"] != model.digest:
            return False
        return not (model.energy and self.engine) or score["physics"] == self._physics

    def _score(self, judged: "_Snapshot", density: ScalarField, model: Scored) -> dict[str, Any]:
        origin = {"model_digest": model.digest, "physics": self._physics if model.energy else None}
        return judged.judge.score(density, energy=model.energy) | origin

    def _baseline(self, judged: "_Snapshot", known: dict[str, Any] | None) -> dict[str, Any]:
        if known is not None and known["physics"] == self._physics:
            return known
        return judged.judge.score(judged.superposed) | {"physics": self._physics}


class _Snapshot:
    """One test snapshot; what is made of it is made once, when it is first needed."""

    def __init__(self, scoring: Scoring, number: int, scratch: Path) -> None:
        self._scoring = scoring
        self.number = number
        self._scratch = scratch

    @cached_property
    def judge(self) -> Judge:
        """Compares densities with the reference."""
        return Judge(self._scoring.dataset, self.number, self._scoring.engine)

    @cached_property
    def described(self) -> DescribedGrid:
        """The snapshot's grid with its features, for all models."""
        judge, scoring = self.judge, self._scoring
        shape = judge.reference.grid.n_points, scoring.descriptor.n_features
        out = None
        if 4 * shape[0] * shape[1] > _IN_MEMORY:
            out = np.memmap(self._scratch / "features.f32", np.float32, "w+", shape=shape)
        radial = scoring.dataset.radial
        return describe_grid(scoring.descriptor, judge.structure, judge.reference.grid, radial, out=out)

    @cached_property
    def superposed(self) -> ScalarField:
        """Superposed atomic densities, scaled to the electrons."""
        judge, radial = self.judge, self._scoring.dataset.radial
        saed = superpose(judge.structure, judge.reference.grid, radial)
        return saed.rescaled(judge.info.n_electrons).field

    def density(self, model: Scored) -> ScalarField:
        """What a model predicts."""
        loaded = load_model(self._scoring.folder / "models" / f"{model.id}.nst")
        return predict_described(loaded, self.described).density

    def references(self) -> dict[str, np.ndarray]:
        """The densities that stand beside the predictions."""
        found = {"truth": self.judge.reference.values}
        return found | ({"saed": self.superposed.values} if self._scoring.dataset.radial else {})

    def write_field(self, path: Path, fields: dict[str, np.ndarray]) -> None:
        """Write densities, and remove those of earlier models."""
        path.parent.mkdir(parents=True, exist_ok=True)
        for stale in path.parent.glob(f"{self.number:06d}-*.npz"):
            stale.unlink()
        structure = self.judge.structure
        arrays = {name: values.astype(np.float32) for name, values in fields.items()}
        arrays |= {"cell": structure.cell, "positions": structure.positions}
        with atomic_file(path) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(stream, allow_pickle=False, numbers=structure.numbers, **arrays)


def _facts(error: ScalarField, model: Scored) -> dict[str, Any] | None:
    """Correlation of an error; None of one without any."""
    try:
        found = asdict(error_correlation(error))
    except InputError:
        return None
    return {**found, "n_points": error.grid.n_points, "model_digest": model.digest}
