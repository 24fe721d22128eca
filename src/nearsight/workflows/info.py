"""`describe`: what an artefact holds and where it comes from."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ase.data import atomic_numbers, chemical_symbols
from ase.formula import Formula

from nearsight.engines.kpoints import k_points_text
from nearsight.engines.spin import spin_notes
from nearsight.errors import InputError
from nearsight.io.density import read_snapshot
from nearsight.io.extxyz import Frame, read_frames
from nearsight.io.formats import is_density_name
from nearsight.model.calibration import Calibration
from nearsight.model.density_model import DensityModel
from nearsight.model.file import load_model
from nearsight.report.reading import read_study
from nearsight.store import Dataset, read_coreset, store_kind
from nearsight.workflows.recipe_engine import recipe_engine


def describe(artefact: Path) -> dict[str, Any]:
    """Facts about a data set, coreset, model, study or density.

    Raises
    ------
    InputError
        Nothing is there; or what is there is damaged or of no known kind.
    """
    if not artefact.exists():
        raise InputError(f"{artefact} does not exist")
    kind = store_kind(artefact) if artefact.is_dir() else None
    if kind == "dataset":
        return _dataset(Dataset.open(artefact))
    if kind == "coreset":
        return _coreset(artefact)
    if (artefact / "study.json").exists():
        return _study(artefact)
    if artefact.suffix == ".nst":
        return _model(artefact)
    return _density(artefact) if is_density_name(artefact) else _structures(artefact)


def _dataset(data: Dataset) -> dict[str, Any]:
    infos = [data.info(n) for n in data.numbers()]
    return {
        "kind": "data set",
        "snapshots": len(infos),
        **{split: len(data.snapshots(split)) for split in ("train", "validation", "test")},
        "formulas": ", ".join(sorted({i.formula for i in infos})),
        "grid points": sum(i.shape[0] * i.shape[1] * i.shape[2] for i in infos),
        "failures": len(data.failures()),
        "engine": "from files" if data.engine is None else data.engine["engine"],
        "k-points": "unknown" if data.engine is None else k_points_text(data.engine.get("k_points")),
        "spin": "unknown" if data.engine is None else data.engine.get("spin", "unknown"),
        **_notes({atomic_numbers[s] for f in {i.formula for i in infos} for s in Formula(f).count()}),
        "digest": data.digest(),
        "engine_fingerprint": data.engine or {},
        "trajectories": data.trajectories(),
        "failed": [f"{f.number} {f.label}: {f.message}" for f in data.failures()],
        "per_snapshot": [
            {
                "number": i.number,
                "label": i.label,
                "trajectory": i.trajectory,
                "split": i.split,
                "formula": i.formula,
                "shape": list(i.shape),
                "n_electrons": i.n_electrons,
                "energy_ha": i.energy,
            }
            for i in infos
        ],
    }


def _notes(species: Iterable[int]) -> dict[str, str]:
    notes = spin_notes(species)
    return {"note": "; ".join(notes)} if notes else {}


def _coreset(path: Path) -> dict[str, Any]:
    coreset = read_coreset(path)
    method = coreset.method
    return {
        "kind": "coreset",
        "method": method["name"],
        "training points": len(coreset.training),
        "of": method["n_available"],
        "validation points": len(coreset.validation),
        "features": coreset.features.shape[1],
        "descriptor": coreset.descriptor["name"],
        "data set digest": coreset.dataset_digest,
        "method_record": method,
        "descriptor_settings": coreset.descriptor,
        "provenance": coreset.provenance,
    }


def _error_bars(model: DensityModel) -> str:
    """Whether it states uncertainties, and the factors of their variances."""
    if not model.knows_uncertainty:
        return "none"
    factors = Calibration.from_dict(model.calibration)
    if not factors.n_points:
        return "not calibrated"
    return (
        f"calibrated on {factors.n_snapshots} snapshots: variance = {factors.aleatoric:.3g} aleatoric + "
        f"{factors.epistemic:.3g} epistemic + {factors.noise:.3g}"
    )


def _model(path: Path) -> dict[str, Any]:
    model = load_model(path)
    training = model.provenance.get("training", {})
    return {
        "kind": "model",
        "elements": ", ".join(chemical_symbols[z] for z in model.elements),
        **_notes(model.elements),
        "descriptor": model.descriptor.name,
        "features": model.descriptor.n_features,
        "network": str(model.network.settings.as_dict()["network"]),
        "error bars": _error_bars(model),
        "target": model.target.kind,
        "spacing (bohr)": model.spacing,
        "training points": training.get("points"),
        "digest": model.digest(),
        "descriptor_settings": model.descriptor.settings(),
        "network_settings": model.network.settings.as_dict(),
        "engine_fingerprint": dict(model.engine),
        "provenance": model.provenance,
    }


def _study(folder: Path) -> dict[str, Any]:
    study = read_study(folder)
    return {
        "kind": "study",
        "title": study.title,
        "runs": len(study.runs),
        "methods": ", ".join(sorted({run.method for run in study.runs})),
        "created": study.created,
        "dataset": study.dataset.model_dump(),
    }


def _structures(path: Path) -> dict[str, Any]:
    frames = read_frames(path)
    chosen = _chosen_engine(frames)
    splits = Counter(frame.split for frame in frames)
    return {
        "kind": "structures",
        "structures": len(frames),
        **splits,
        "formulas": ", ".join(sorted({frame.structure.formula for frame in frames})),
        "trajectories": len({frame.trajectory for frame in frames}),
        "recipe": ", ".join(
            sorted({str(frame.info["recipe"]) for frame in frames if "recipe" in frame.info})
        ),
        "label with": "what you choose" if chosen is None else chosen[0],
        "k-points": "what you choose" if chosen is None else k_points_text(chosen[1].get("k_points")),
        "engine_settings": {} if chosen is None else chosen[1],
    }


def _chosen_engine(frames: list[Frame]) -> tuple[str, dict[str, Any]] | None:
    """What the recipe asks for; a file of several recipes that disagree asks for nothing."""
    try:
        return recipe_engine(frames)
    except InputError:
        return None


def _density(path: Path) -> dict[str, Any]:
    snapshot = read_snapshot(path)
    facts = {
        "kind": "density",
        "formula": snapshot.structure.formula,
        "grid": " x ".join(str(n) for n in snapshot.density.grid.shape),
        "electrons": snapshot.n_electrons,
        "electron count from": snapshot.provenance.get("electron_count_from"),
        "integral": snapshot.density.integrate(),
        "lowest value (e/bohr³)": float(snapshot.density.values.min()),
        "highest value (e/bohr³)": float(snapshot.density.values.max()),
        "energy (Ha)": snapshot.energy,
        "note": "; ".join(snapshot.provenance.get("notes", [])),
    }
    return {name: value for name, value in facts.items() if value not in (None, "")}
