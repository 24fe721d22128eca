"""Scores and fields of one test snapshot of a study: every model's density of it, compared."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nearsight.atomic.superposition import superpose
from nearsight.engines.protocol import Engine
from nearsight.field import ScalarField
from nearsight.inference.predictor import predict_density
from nearsight.io.atomic import atomic_file
from nearsight.model.file import load_model
from nearsight.provenance import digest
from nearsight.store import Dataset
from nearsight.workflows.judge import Judge
from nearsight.workflows.records import read_json, write_json
from nearsight.workflows.runs import Run

#: name of the densities that need no learning
BASELINE = "superposed atoms"


def score_snapshot(
    dataset: Dataset,
    number: int,
    runs: Sequence[Run],
    records: dict[str, dict[str, Any]],
    folder: Path,
    engine: Engine | None,
) -> dict[str, Any]:
    """Errors of every run's density of a snapshot, by run id, and of superposed atoms.

    Scores that are there and belong to the same models are kept.
    """
    path = folder / "scores" / f"{number:06d}.json"
    physics = None if engine is None else engine.fingerprint()
    key = digest(dataset.info(number).digest, physics)
    known = (read_json(path, key) or {}).get("scores", {})
    judge = Judge(dataset, number, engine)
    scores = {}
    for run in runs:
        found = known.get(run.id)
        if found is None or found["model_digest"] != records[run.id]["model_digest"]:
            found = judge.score(_predict(folder, run, judge)) | {
                "model_digest": records[run.id]["model_digest"]
            }
        scores[run.id] = found
    if dataset.radial:
        scores[BASELINE] = known.get(BASELINE) or judge.score(superposed(dataset, judge))
    write_json(path, {"key": key, "scores": scores})
    return scores


def write_field(
    dataset: Dataset, number: int, runs: Sequence[Run], records: dict[str, dict[str, Any]], folder: Path
) -> dict[str, Any]:
    """Write truth, superposed atoms and the runs' densities of a snapshot; returns the entry of it."""
    info = dataset.info(number)
    name = f"fields/{number:06d}-{digest(info.digest, [records[r.id]['model_digest'] for r in runs])}.npz"
    entry = {
        "label": info.label,
        "title": f"{info.formula}, {info.label}",
        "file": name,
        "predictions": {run.id: run.id for run in runs},
    }
    path = folder / name
    if path.exists():
        return entry
    for stale in path.parent.glob(f"{number:06d}-*.npz"):
        stale.unlink()
    judge = Judge(dataset, number)
    fields = {run.id: _predict(folder, run, judge) for run in runs} | {"truth": judge.reference}
    if dataset.radial:
        fields["saed"] = superposed(dataset, judge)
    arrays = {key: field.values.astype(np.float32) for key, field in fields.items()}
    arrays |= {"cell": judge.structure.cell, "positions": judge.structure.positions}
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, numbers=judge.structure.numbers, **arrays)
    return entry


def superposed(dataset: Dataset, judge: Judge) -> ScalarField:
    """Superposed atomic densities of the judged snapshot, scaled to its electrons."""
    field = superpose(judge.structure, judge.reference.grid, dataset.radial)
    return field.rescaled(judge.info.n_electrons).field


def _predict(folder: Path, run: Run, judge: Judge) -> ScalarField:
    model = load_model(folder / "models" / f"{run.id}.nst")
    return predict_density(model, judge.structure, judge.reference.grid).density
