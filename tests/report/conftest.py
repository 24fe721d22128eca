"""A synthetic study: no physics, but numbers and densities of the right size and shape."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

FRACTIONS = (0.01, 0.001)
#: error as a multiple of the full-data error at 1 % and at 0.1 %
PENALTY = {
    "random": (1.03, 1.16),
    "grand": (2.4, 5.5),
    "ccs": (1.05, 1.22),
    "importance": (1.01, 1.13),
}


def al_cell(skewed: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """fcc Al: 32 atoms in a cube, or 8 in a skewed cell; bohr."""
    a = 7.65
    if skewed:
        cell = a * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]], dtype=float)
        grid = np.stack(np.meshgrid(*[[0, 0.5]] * 3, indexing="ij"), -1).reshape(-1, 3)
        return cell, grid @ cell
    basis = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    shifts = np.stack(np.meshgrid(*[[0, 1]] * 3, indexing="ij"), -1).reshape(-1, 3)
    return 2 * a * np.eye(3), a * (shifts[:, None] + basis).reshape(-1, 3)


def atoms_density(
    cell: np.ndarray, positions: np.ndarray, shape: tuple[int, ...], width: float
) -> np.ndarray:
    """Three electrons an atom in a shell with a hollow core, added up by Fourier series; e/bohr³."""
    n = [np.fft.fftfreq(m, 1 / m) for m in shape]
    k = np.stack(np.meshgrid(*n, indexing="ij"), -1).reshape(-1, 3)
    g = 2 * np.pi * k @ np.linalg.inv(cell).T
    g2 = (g**2).sum(1) * width**2
    form = 3 * (1 - 0.45 * g2 / 3) * np.exp(-g2 / 4)
    phase = np.exp(-1j * g @ positions.T).sum(1)
    volume = abs(np.linalg.det(cell))
    density = np.fft.ifftn((form * phase).reshape(shape)).real * np.prod(shape) / volume
    return np.maximum(density, 1e-4)


def smooth_noise(cell: np.ndarray, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Noise of unit size without short waves."""
    n = [np.fft.fftfreq(m, 1 / m) for m in shape]
    k = np.stack(np.meshgrid(*n, indexing="ij"), -1)
    g2 = ((2 * np.pi * k @ np.linalg.inv(cell).T) ** 2).sum(-1)
    noise = np.fft.ifftn(np.fft.fftn(rng.standard_normal(shape)) * np.exp(-g2 / 2.5)).real
    return np.asarray(noise / noise.std())


def result(label: str, n_atoms: int, factor: float, energy: float | None) -> dict[str, Any]:
    return {
        "label": label,
        "trajectory": label.rsplit("-", 1)[0],
        "formula": f"Al{n_atoms}",
        "n_atoms": n_atoms,
        "nrmse_percent": 1.1034 * factor,
        "nmae_percent": 1.5112 * factor,
        "h1_seminorm": 0.0213 * factor,
        "hartree_error_ha_per_atom": 4.1e-5 * factor**2,
        "energy_error_ha_per_atom": energy,
    }


def mean(results: list[dict[str, Any]]) -> dict[str, float]:
    names = ("nrmse_percent", "nmae_percent", "h1_seminorm", "hartree_error_ha_per_atom")
    found = {name: float(np.mean([r[name] for r in results])) for name in names}
    found["energy_error_ha_per_atom"] = float(np.mean([abs(r["energy_error_ha_per_atom"]) for r in results]))
    return found


def make_run(method: str, kept: float, penalty: float, seed: int, labels: list[str]) -> dict[str, Any]:
    rng = np.random.default_rng([seed, len(method), int(1e4 * kept)])
    factor = penalty * (1 + 0.012 * rng.standard_normal())
    tests = [
        result(la, 32, factor * f, -7e-5 * factor * rng.uniform(0.4, 1.6))
        for la, f in zip(labels, (0.93, 0.99, 1.08), strict=True)
    ]
    points = max(20, int(kept * 884_736))
    steps = np.linspace(0, 3000, 21)[1:]
    return {
        "id": f"{method}-s{seed}" if method == "all" else f"{method}-{kept:g}-s{seed}",
        "method": method,
        "kept": kept,
        "n_points": points,
        "n_points_asked": points,
        "points_per_atom": points / 256,
        "seed": seed,
        "seconds": {
            "describe": 4.1 if method == "all" else 0.06,
            "scoring": 0.0 if method in ("all", "random") else 9.4,
            "selection": 0.0 if method == "all" else 0.2,
            "training": 21.7 if method == "all" else 12.0,
        },
        "steps": 3000,
        **mean(tests),
        "per_snapshot": tests,
        "generality": [result("al-vacancy", 31, 1.35 * factor, 2.1e-4 * factor)],
        "history": {
            "step": steps.tolist(),
            "validation_nrmse_percent": (1.1 * factor * (1 + 3 * np.exp(-steps / 400))).tolist(),
            "loss": (0.01 * np.exp(-steps / 900)).tolist(),
        },
        "notes": [] if method != "ccs" else ["β = 0.1, chosen on validation data"],
    }


def study_content(
    fractions: tuple[float, ...] = FRACTIONS, seeds: tuple[int, ...] = (0, 1)
) -> dict[str, Any]:
    """What ``study.json`` holds, without fields."""
    labels = [f"al-{t}K-test-0" for t in (300, 900, 1500)]
    runs = [make_run("all", 1.0, 1.0, seed, labels) for seed in seeds]
    for method, penalties in PENALTY.items():
        for kept, penalty in zip(FRACTIONS, penalties, strict=True):
            if kept in fractions:
                runs += [make_run(method, kept, penalty, seed, labels) for seed in seeds]
    base = [result(la, 32, 6.2 * f, -1.9e-3 * f) for la, f in zip(labels, (0.9, 1, 1.1), strict=True)]
    return {
        "format": "nearsight-study",
        "version": 1,
        "title": "Aluminium, 32 atoms, 300 to 1500 K",
        "created": "2026-11-20T10:00:00+00:00",
        "command": "nearsight demo --out demo",
        "seed": 0,
        "machine": {"processor": "a processor", "cores": 2, "system": "Linux"},
        "software": {"python": "3.11.9", "nearsight": "0.1.0", "numpy": "2.4.6"},
        "engine": {
            "name": "lcao",
            "functional": "PBE",
            "basis": "DZVP-MOLOPT-SR-GTH",
            "smearing_kelvin": 1000.0,
        },
        "chemical_accuracy_ha": 0.0016,
        "dataset": {
            "path": "demo/data.zarr",
            "digest": "0123456789abcdef",
            "formula": "Al32",
            "spacing_bohr": 0.31875,
            "n_snapshots": {"train": 8, "validation": 2, "test": 3},
            "n_points_train": 884_736,
            "trajectories": {"al-300K-a": "train", "al-900K-b": "validation", "al-900K-test": "test"},
            "label_seconds": 131.0,
        },
        "settings": {
            "network": {"widths": [128, 128, 128], "activation": "gelu"},
            "steps": 3000,
            "batch": 2048,
        },
        "baseline": {
            "name": "superposed atoms",
            "per_snapshot": base,
            "generality": [result("al-vacancy", 31, 6.6, -2.6e-3)],
            "mean": mean(base),
        },
        "runs": runs,
        "fields": [],
    }


#: error at 10, 1 and 0.1 % as a multiple of the full-data error, by (method, label)
BENCHMARK = {
    ("random", "random"): (1.004, 1.03, 1.16),
    ("grand", "grand"): (1.25, 2.4, 5.5),
    ("el2n", "el2n"): (1.2, 2.1, 4.9),
    ("ccs", "ccs"): (1.003, 1.02, 1.14),
    ("ccs", "ccs β=0.3"): (1.006, 1.05, 1.15),
    ("ccs", "ccs (residual)"): (1.004, 1.025, 1.15),
    ("importance", "importance"): (1.001, 1.006, 1.131),
    ("importance", "importance (leverage)"): (1.001, 1.004, 1.08),
    ("density", "density"): (1.01, 1.06, 1.2),
    ("k_centre", "k_centre"): (1.05, 1.3, 1.7),
    ("facility", "facility"): (1.01, 1.04, 1.13),
    ("herding", "herding"): (1.01, 1.07, 1.25),
    ("dual", "dual"): (1.008, 1.05, 1.18),
    ("strata", "strata"): (1.004, 1.02, 1.1),
    ("snapshots", "snapshots"): (1.1, 1.5, 2.2),
    ("d_optimal", "d_optimal"): (1.02, 1.03, 1.12),
}
#: (model, schedule) to what multiplies its errors
SETUPS = {("mlp", "steps"): 1.0, ("mlp", "epochs"): 1.04, ("gaussian_process", "direct"): 0.97}
KEPT = (0.1, 0.01, 0.001)


def benchmark_run(
    method: str, label: str, kept: float, penalty: float, seed: int, setup: tuple[str, str], labels: list[str]
) -> dict[str, Any]:
    """A run of version 2."""
    run = make_run(method, kept, penalty * SETUPS[setup], seed, labels)
    model, schedule = setup
    run["id"] = f"{run['id']}-{label}-{model}-{schedule}"
    run |= {"label": label, "model": model, "schedule": schedule, "stage": 0 if method == "all" else 1}
    run["validation_nrmse_percent"] = run["nrmse_percent"] * (1.01 + 0.001 * seed)
    run["scoring_steps"] = None if method in ("all", "random") else 300
    run["coverage"] = None
    if method != "all":
        mean = 2.0 * kept**-0.15 * penalty**0.2
        run["coverage"] = {"mean": mean, "standard_error": 0.02 * mean, "n_held_out": 2000}
    return run


def compare(content: dict[str, Any]) -> None:
    """The lists that compare methods, from the runs of `content`."""
    cells: dict[tuple[Any, ...], list[float]] = {}
    for run in content["runs"]:
        key = (run["label"], run["kept"], run["model"], run["schedule"])
        cells.setdefault(key, []).append(run["nrmse_percent"])
    for (label, kept, model, schedule), errors in cells.items():
        f = np.mean(cells.get(("all", 1.0, model, schedule), [1.1]))
        if label == "all":
            continue
        shared = {"kept": kept, "model": model, "schedule": schedule, "label": label}
        e = np.mean(errors)
        content["excess"].append(
            shared | {"x_over_f": float(np.sqrt(max(0, e**2 - f**2)) / f), "e_over_f": float(e / f)}
        )
        for against in ("random", "ccs"):
            if label == against:
                continue
            difference = 100 * (e - np.mean(cells[against, kept, model, schedule])) / f
            content["paired"].append(
                shared
                | {
                    "against": against,
                    "n_pairs": 3,
                    "mean_difference_percent": float(difference),
                    "standard_error_percent": 0.15 + 0.1 * abs(float(difference)),
                    "wins": 3 if difference < 0 else 1,
                }
            )


def benchmark_content(seeds: tuple[int, ...] = (0, 1)) -> dict[str, Any]:
    """A study of version 2: sixteen labels of fourteen methods, three fractions, three models."""
    content = study_content(seeds=(0,))
    labels = [f"al-{t}K-test-0" for t in (300, 900, 1500)]
    runs = []
    for setup in SETUPS:
        if setup[0] == "mlp":
            runs += [benchmark_run("all", "all", 1.0, 1.0, seed, setup, labels) for seed in seeds]
        for (method, label), penalties in BENCHMARK.items():
            for kept, penalty in zip(KEPT, penalties, strict=True):
                if setup == ("mlp", "steps") or (kept < 0.1 and method in ("random", "ccs", "importance")):
                    runs += [benchmark_run(method, label, kept, penalty, s, setup, labels) for s in seeds]
    content |= {
        "version": 2,
        "runs": runs,
        "paired": [],
        "excess": [],
        "data_facts": {
            "intrinsic_dimension": {"value": 6.21, "standard_error": 0.07, "n": 8192},
            "error_correlation": {"length_bohr": 2.31, "n_effective": 412.3, "n_points": 110_592},
        },
        "sensitivity": [
            {
                "parameter": parameter,
                "values": values,
                "kept": kept,
                "label": label,
                "nrmse_percent": [
                    1.15 + 0.02 * abs(i - 1.3) + 0.3 * (kept < 0.01) for i in range(len(values))
                ],
                "validation": True,
            }
            for parameter, label, values in (
                ("ccs.beta", "ccs", [0.0, 0.05, 0.1, 0.3]),
                ("ccs.n_strata", "ccs", [10, 50, 100, 1000]),
                ("scoring.steps", "importance", [30, 100, 300, 3000]),
                ("scoring.proxy", "importance", [0.01, 0.1, None]),
            )
            for kept in (0.01, 0.001)
        ],
        "stages": [
            {"methods": ["random"], "keep": [0.01], "seeds": 2, "models": ["mlp"], "schedules": ["steps"]}
        ],
    }
    content["machine"]["threads"] = 1
    compare(content)
    return content


def add_field(
    content: dict[str, Any],
    folder: Path,
    label: str,
    n: int,
    *,
    kind: str = "cubic",
    models: int = 5,
    runs: list[str] | None = None,
) -> None:
    """Write one ``.npz`` and name it in `content`; `kind` is cubic, skewed or vacancy."""
    rng = np.random.default_rng([len(label), n, len(kind)])
    cell, positions = al_cell(skewed=kind == "skewed")
    if kind == "vacancy":
        positions = np.delete(positions, 13, axis=0)
    positions = positions + 0.25 * rng.standard_normal(positions.shape)
    shape = (n, n, n)
    truth = atoms_density(cell, positions, shape, 1.9) + 4e-4 * smooth_noise(cell, shape, rng)
    firsts = {(r["method"], r["kept"]): r for r in reversed(content["runs"])}
    wanted = [r for key, r in firsts.items() if key[0] == "all" or key[1] == 0.01][:models]
    if runs is not None:
        wanted = [r for r in content["runs"] if r["id"] in runs]
    else:
        wanted.sort(key=lambda r: ["all", *PENALTY].index(r["method"]))
    arrays = {"truth": truth, "saed": atoms_density(cell, positions, shape, 1.75)}
    for run in wanted:
        arrays[f"prediction_{run['id']}"] = truth + 4e-4 * run["nrmse_percent"] * smooth_noise(
            cell, shape, rng
        )
    path = folder / "fields" / f"{label}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        cell=cell,
        positions=positions,
        numbers=np.full(len(positions), 13),
        **{k: v.astype(np.float32) for k, v in arrays.items()},
    )
    content["fields"].append(
        {
            "label": label,
            "title": label.replace("-", " "),
            "file": f"fields/{label}.npz",
            "predictions": {run["id"]: f"prediction_{run['id']}" for run in wanted},
            "generality": kind == "vacancy",
        }
    )


def save(content: dict[str, Any], folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.json").write_text(json.dumps(content))
    return folder


def add_correction(content: dict[str, Any], factor: float) -> dict[str, Any]:
    """Corrected energies beside all energies, `factor` times as large and of the other sign."""
    means = [*content["runs"], content["baseline"]["mean"]]
    parts = [*content["runs"], content["baseline"]]
    for mean_ in means:
        mean_["corrected_energy_error_ha_per_atom"] = factor * mean_["energy_error_ha_per_atom"]
    for result_ in (r for part in parts for r in (*part["per_snapshot"], *part["generality"])):
        result_["corrected_energy_error_ha_per_atom"] = -factor * result_["energy_error_ha_per_atom"]
    return content


@pytest.fixture
def corrected(content: dict[str, Any]) -> Callable[[float], dict[str, Any]]:
    """The content with corrected energies; call it with their size as a multiple of the others."""
    return lambda factor: add_correction(content, factor)


@pytest.fixture
def content() -> dict[str, Any]:
    return study_content()


@pytest.fixture
def benchmark() -> dict[str, Any]:
    return benchmark_content()


@pytest.fixture
def add_density() -> Callable[..., None]:
    return add_field


@pytest.fixture
def write() -> Callable[[dict[str, Any], Path], Path]:
    return save


@pytest.fixture
def with_fields(content: dict[str, Any], tmp_path: Path) -> tuple[dict[str, Any], Path]:
    """A study of two seeds and two fractions with a cubic, a skewed and a vacancy field."""
    folder = tmp_path / "study"
    add_field(content, folder, "al-300K-test-0", 12, models=2)
    add_field(content, folder, "al-skewed", 10, kind="skewed", models=2)
    add_field(content, folder, "al-vacancy", 12, kind="vacancy", models=2)
    return content, save(content, folder)
