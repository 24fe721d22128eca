"""`run_demo`: the whole pipeline on 32-atom aluminium, from molecular dynamics to a report."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearsight.engines.protocol import Engine
from nearsight.errors import NearsightError
from nearsight.io.extxyz import read_frames
from nearsight.progress import Progress, silent
from nearsight.report import write_report
from nearsight.store import Dataset
from nearsight.workflows.config import Config, StudyConfig
from nearsight.workflows.evaluate import EngineFor
from nearsight.workflows.label import label
from nearsight.workflows.sample import sample
from nearsight.workflows.study import run_study

#: recipes of the demo: the crystal in eight trajectories, and the vacancy that training never sees
RECIPES = ("al32-demo", "al31-vacancy")
#: the trajectory that tests generality
VACANCY = "vacancy-0600K"
#: what is trained: everything twice, and 1 % and 0.1 % by each method
STUDY = StudyConfig(
    title="32-atom aluminium: how little the other 99 % mattered",
    keep=(0.01, 0.001),
    seeds=2,
    full_seeds=2,
    generality=(VACANCY,),
    train=Config(descriptor={"name": "power_spectrum", "cutoff": 11.0}, scoring={"initialisations": 3}),
)


@dataclass(frozen=True)
class DemoResult:
    """Where the demo left things, and its figures.

    Attributes
    ----------
    folder, report : Path
    study : dict
        Content of ``study.json``.
    label_seconds, seconds : float
        Labelling now, and everything now; a second run reuses what exists.
    """

    folder: Path
    report: Path
    study: Mapping[str, Any]
    label_seconds: float
    seconds: float

    def best(self, keep: float) -> tuple[str, dict[str, float]]:
        """The method that did best on the validation snapshots, and its means over seeds on test ones."""
        methods = sorted({r["method"] for r in self.study["runs"] if r["kept"] == keep})
        name = min(methods, key=lambda m: self.mean(m, keep)["validation_nrmse_percent"])
        return name, self.mean(name, keep)

    def mean(self, method: str, keep: float) -> dict[str, float]:
        """Means over seeds of a method's figures."""
        runs = [r for r in self.study["runs"] if r["method"] == method and r["kept"] == keep]
        names = (
            "validation_nrmse_percent",
            "nrmse_percent",
            "nmae_percent",
            "energy_error_ha_per_atom",
            "corrected_energy_error_ha_per_atom",
        )
        means = {name: sum(float(r[name]) for r in runs) / len(runs) for name in names}
        vacancy = [abs(s["energy_error_ha_per_atom"]) for r in runs for s in r["generality"]]
        return means | {"vacancy_energy_error_ha_per_atom": sum(vacancy) / len(vacancy)}

    def as_json(self) -> dict[str, Any]:
        """Machine-readable figures."""
        name, best = self.best(0.01)
        return {
            "report": str(self.report),
            "all_points": self.mean("all", 1.0),
            "best_method_at_1_percent": name,
            "one_percent": best,
            "ratio_nrmse": best["nrmse_percent"] / self.mean("all", 1.0)["nrmse_percent"],
            "ratio_nmae": best["nmae_percent"] / self.mean("all", 1.0)["nmae_percent"],
            "superposed_atoms": self.study["baseline"]["mean"],
            "label_seconds": self.label_seconds,
            "seconds": self.seconds,
        }

    def summary(self) -> dict[str, str]:
        """The figures for a person."""
        facts = self.as_json()
        rows = {}
        for title, key in (
            ("all points", "all_points"),
            (f"1 % ({facts['best_method_at_1_percent']})", "one_percent"),
        ):
            found = facts[key]
            rows[title] = (
                f"NRMSE {found['nrmse_percent']:.3f} %, NMAE {found['nmae_percent']:.3f} %, energy "
                f"{1e3 * found['energy_error_ha_per_atom']:.3f} mHa/atom "
                f"({1e3 * found['corrected_energy_error_ha_per_atom']:.3f} corrected), vacancy "
                f"{1e3 * found['vacancy_energy_error_ha_per_atom']:.3f} mHa/atom"
            )
        base = facts["superposed_atoms"]
        rows["superposed atoms"] = (
            f"NRMSE {base['nrmse_percent']:.2f} %, NMAE {base['nmae_percent']:.2f} %, energy "
            f"{1e3 * base['energy_error_ha_per_atom']:.2f} mHa/atom"
        )
        rows["1 % against all"] = f"{facts['ratio_nrmse']:.3f} times the NRMSE"
        rows["time"] = f"{self.seconds:.0f} s, of which labelling {self.label_seconds:.0f} s"
        rows["report"] = str(self.report)
        return rows


def run_demo(
    folder: Path,
    *,
    engine: Engine,
    engine_for: EngineFor,
    config: StudyConfig = STUDY,
    recipes: tuple[str, ...] = RECIPES,
    seed: int = 0,
    command: str = "",
    progress: Progress = silent,
) -> DemoResult:
    """Sample, label, study, report; what exists in `folder` is reused.

    Parameters
    ----------
    folder : Path
    engine : Engine
        Labels.
    engine_for : callable
        Makes the engine for energies from the data's fingerprint.
    config : StudyConfig
    recipes : tuple of str
        Recipes whose structures are labelled.
    seed : int
    command : str
        Recorded in the study.
    progress : Progress

    Raises
    ------
    NearsightError
        A snapshot could not be labelled.
    """
    began = time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    frames = []
    for recipe in recipes:
        structures = folder / f"{recipe}.extxyz"
        if not structures.exists():
            sample(recipe, structures, seed=seed, progress=progress)
        frames += read_frames(structures)
    data = folder / "data.zarr"
    labelled = label(frames, data, engine, progress=progress)
    if labelled.failed:
        number, message = next(iter(labelled.failed.items()))
        raise NearsightError(f"snapshot {number} could not be labelled: {message}; run the demo again")
    dataset = Dataset.open(data)
    study = run_study(
        dataset,
        folder / "study",
        config,
        engine_for=engine_for,
        seed=seed,
        command=command,
        label_seconds=_label_seconds(dataset),
        progress=progress,
    )
    report = write_report(folder / "study", folder / "report.html")
    return DemoResult(folder, report, study, labelled.seconds, time.perf_counter() - began)


def _label_seconds(dataset: Dataset) -> float:
    """What labelling took in all, also in earlier runs."""
    return float(sum(dataset.snapshot(n).provenance["seconds"] for n in dataset.numbers()))
