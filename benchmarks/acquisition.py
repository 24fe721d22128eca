"""How many snapshots a model needs if they are chosen: rules of acquisition against random choice.

A pool that is labelled already plays the candidates. Every repeat starts all rules from the same few random
snapshots; in each round a rule chooses more of them without seeing their densities, and a new model is
trained on all chosen so far. Errors are NRMSE in per cent at random points of the test snapshots, which
decide nothing.

    python benchmarks/acquisition.py POOL.zarr OUT                carries on where it stopped
    python benchmarks/acquisition.py POOL.zarr OUT --develop 12   judged by 12 trajectories kept out of it
    python benchmarks/acquisition.py POOL.zarr OUT --tables       only the tables of what is done
"""

import argparse
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

import nearsight as ns
from nearsight.points import PointSet
from nearsight.provenance import digest, generator, machine
from nearsight.training import PointTable, describe_points
from nearsight.workflows.acquisition_rules import choose, offered, require_rule
from nearsight.workflows.acquisition_scores import uncertainty_at
from nearsight.workflows.config import Config
from nearsight.workflows.material import Material, from_dataset, species_of
from nearsight.workflows.plan import Plan, make_plan
from nearsight.workflows.records import read_json, write_json
from nearsight.workflows.train import fit

SPLITS = ("train", "validation", "test")
#: errors compared: those that random choice has come to on average with so many snapshots
COUNTS = (4, 6, 8, 10, 12, 16, 20, 24, 28, 32)


@dataclass(frozen=True, eq=False)
class Pool:
    """A data set whose snapshots are described once, by random points."""

    dataset: ns.Dataset
    plan: Plan
    tables: dict[str, PointTable]
    #: points of a snapshot that a rule looks at
    n_looked_at: int

    @cached_property
    def trajectories(self) -> dict[int, str]:
        """The trajectory of each snapshot."""
        return {n: self.dataset.info(n).trajectory for n in self.dataset.numbers()}

    @cached_property
    def ranges(self) -> dict[int, float]:
        """Max − min of each density, e/bohr³."""
        return {n: float(np.ptp(self.dataset.density(n).values)) for n in self.dataset.numbers()}

    @cached_property
    def volumes(self) -> dict[int, float]:
        """Of each cell, bohr³."""
        return {n: self.dataset.structure(n).volume for n in self.dataset.numbers()}

    def of(self, split: str, numbers: Sequence[int]) -> PointTable:
        """The points of some snapshots of a split."""
        table = self.tables[split]
        return table.take(np.flatnonzero(np.isin(table.points.snapshot, numbers)))

    def looked_at(self, numbers: Sequence[int]) -> np.ndarray:
        """Features (n, m, d) of the first points of snapshots for training; they are in random order."""
        table = self.tables["train"]
        rows = [np.flatnonzero(table.points.snapshot == n)[: self.n_looked_at] for n in numbers]
        width = table.features.shape[1]
        return np.stack([table.features[r] for r in rows]) if rows else np.empty((0, 1, width), np.float32)

    def material(self, numbers: Sequence[int]) -> Material:
        """What a model is trained from: these snapshots, and validation."""
        return from_dataset(self.dataset, self.of("train", numbers), self.tables["validation"])

    def errors(self, model: ns.DensityModel, table: PointTable) -> dict[int, float]:
        """NRMSE of each snapshot of a table, per cent, at its points."""
        density = model.predict_points(table.features, table.rho_saed)
        return {
            n: 100 * float(np.sqrt(np.mean((density[r] - table.density[r]) ** 2))) / self.ranges[n]
            for n, r in table.points.by_snapshot()
        }


def described(dataset: ns.Dataset, plan: Plan, counts: dict[str, int], cache: Path) -> dict[str, PointTable]:
    """Random points of every snapshot, in random order, described once and kept in a file."""
    key = digest(dataset.digest(), plan.descriptor.settings(), counts)
    if cache.exists():
        stored = np.load(cache)
        if str(stored["key"]) == key:
            return {split: _unpacked(stored, split) for split in SPLITS}
    tables = {}
    for split in SPLITS:
        parts = [(n, int(np.prod(dataset.info(n).shape))) for n in dataset.snapshots(split)]
        drawn = [
            generator(0, "points", n).choice(size, min(counts[split], size), replace=False)
            for n, size in parts
        ]
        snapshot = np.repeat([n for n, _ in parts], [len(d) for d in drawn])
        index = np.concatenate(drawn)
        points = PointSet(snapshot, index, np.ones(len(index), np.float32))
        tables[split] = describe_points(dataset, plan.descriptor, points)
    columns = {f"{s}.{name}": array for s, t in tables.items() for name, array in _packed(t).items()}
    temporary = cache.with_suffix(".tmp.npz")
    np.savez(temporary, key=key, **columns)
    temporary.replace(cache)
    return tables


def _packed(table: PointTable) -> dict[str, np.ndarray]:
    saed = np.empty(0) if table.rho_saed is None else table.rho_saed
    own = {"features": table.features, "density": table.density, "rho_saed": saed}
    return own | {"snapshot": table.points.snapshot, "index": table.points.index}


def _unpacked(stored: Any, split: str) -> PointTable:
    column = {
        name: stored[f"{split}.{name}"] for name in ("features", "density", "rho_saed", "snapshot", "index")
    }
    points = PointSet(column["snapshot"], column["index"], np.ones(len(column["index"]), np.float32))
    saed = column["rho_saed"] if len(column["rho_saed"]) else None
    return PointTable(points, column["features"], column["density"], saed)


@dataclass(frozen=True)
class Course:
    """How large the steps are, and how far they go."""

    start: int
    add: int
    stop: int
    develop: int


def run(pool: Pool, rule: str, repeat: int, course: Course, path: Path) -> dict[str, Any]:
    """One rule in one repeat, round after round; each is kept as it is done."""
    key = digest(pool.plan.as_dict(), pool.dataset.digest(), rule, repeat, course, pool.n_looked_at)
    record = read_json(path, key) or {"key": key, "rule": rule, "repeat": repeat, "rounds": []}
    rng = generator(repeat, "repeat")
    free = pool.dataset.snapshots("train")
    judged_by = pool.tables["test"]
    if course.develop:
        names = sorted({pool.trajectories[n] for n in free})
        out = set(rng.choice(names, course.develop, replace=False).tolist())
        judged_by = pool.of("train", [n for n in free if pool.trajectories[n] in out])
        free = [n for n in free if pool.trajectories[n] not in out]
    chosen = sorted(rng.choice(free, course.start, replace=False).tolist())
    rounds = record["rounds"]
    stop = min(course.stop, len(free))
    while not rounds or rounds[-1]["snapshots"] < stop:
        chosen = rounds[-1]["next"] if rounds else chosen
        began = time.perf_counter()
        result = fit(pool.material(chosen), pool.plan, seed=repeat)
        trained = time.perf_counter()
        found = pool.errors(result.model, judged_by)
        checked = pool.errors(result.model, pool.tables["validation"])
        rest = [n for n in free if n not in chosen]
        more = min(course.add, stop - len(chosen))
        following = chosen + (take(pool, rule, result.model, chosen, rest, more, repeat) if more > 0 else [])
        rounds.append(
            {
                "snapshots": len(chosen),
                "mean": float(np.mean(list(found.values()))),
                "worst": max(found.values()),
                "validation": float(np.mean(list(checked.values()))),
                "errors": {str(n): error for n, error in found.items()},
                "train_seconds": trained - began,
                "choose_seconds": time.perf_counter() - trained,
                "next": following,
            }
        )
        write_json(path, record)
    return record


def take(
    pool: Pool, rule: str, model: ns.DensityModel, chosen: list[int], rest: list[int], n: int, repeat: int
) -> list[int]:
    """What a rule chooses next."""
    by, rng = require_rule(rule), generator(repeat, "choice", rule, len(chosen))
    if by == "random":
        return [int(k) for k in rng.choice(rest, n, replace=False)]
    features, known = pool.looked_at(rest), pool.looked_at(chosen)
    volumes = np.array([pool.volumes[k] for k in rest])
    uncertainty = uncertainty_at(model, features, volumes) if model.knows_uncertainty else None
    design = choose(by, offered(features, known, uncertainty), n, rng)
    return [rest[k] for k in design.order]


def needed(rounds: Sequence[dict[str, Any]], level: float, what: str = "mean") -> float:
    """Snapshots at which the error first falls to a level, interpolated; infinite where it does not."""
    if rounds[0][what] <= level:
        return float(rounds[0]["snapshots"])
    for before, after in pairwise(rounds):
        if after[what] <= level:
            done = (before[what] - level) / (before[what] - after[what])
            return float(before["snapshots"] + done * (after["snapshots"] - before["snapshots"]))
    return float("inf")


def mean_course(courses: Sequence[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Means over repeats, as far as all of them are done."""
    length = min(len(rounds) for rounds in courses)
    names = ("snapshots", "mean", "worst", "validation")
    return [
        {name: float(np.mean([rounds[k][name] for rounds in courses])) for name in names}
        for k in range(length)
    ]


def summary(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Curves by rule, and the snapshots that random choice needs over those of each rule."""
    rules = list(dict.fromkeys(r["rule"] for r in records))
    by = {rule: {r["repeat"]: r["rounds"] for r in records if r["rule"] == rule} for rule in rules}
    repeats = sorted(set.intersection(*(set(found) for found in by.values())))
    courses = {rule: [by[rule][k] for k in repeats] for rule in rules}
    curves = {rule: mean_course(found) for rule, found in courses.items()}
    spread = {
        rule: [float(np.std([rounds[j]["mean"] for rounds in found])) for j in range(len(curves[rule]))]
        for rule, found in courses.items()
    }
    ratios = [
        ratio(courses, curves, rule, what, point[what])
        for what in ("mean", "worst")
        for point in curves["random"]
        if point["snapshots"] in COUNTS
        for rule in rules
        if rule != "random"
    ]
    return {"repeats": repeats, "curves": curves, "spread": spread, "ratios": ratios}


def ratio(
    courses: dict[str, list[Any]], curves: dict[str, list[Any]], rule: str, what: str, level: float
) -> dict[str, Any]:
    """Snapshots that random choice and a rule need for an error."""
    last = float(min(rounds[-1]["snapshots"] for rounds in courses["random"]))
    ours, random = (needed(curves[name], level, what) for name in (rule, "random"))
    # where random choice never came as low it needs more than it had: the ratio is larger than stated
    each = [
        min(last, needed(them, level, what)) / needed(us, level, what)
        for us, them in zip(courses[rule], courses["random"], strict=True)
    ]
    return {
        "of": what,
        "error": level,
        "rule": rule,
        "snapshots": ours if np.isfinite(ours) else None,
        "random": random,
        "ratio": random / ours,
        "by_repeat": each,  # 0 where the rule never came as low
    }


def tables(found: dict[str, Any]) -> Iterable[str]:
    """The summary as Markdown."""
    curves, rules = found["curves"], list(found["curves"])
    for what in ("mean", "worst"):
        yield f"\nNRMSE %, {what} over the snapshots judged by; mean of {len(found['repeats'])} repeats"
        yield "| snapshots | " + " | ".join(rules) + " |\n|" + "---|" * (len(rules) + 1)
        for k, point in enumerate(curves[rules[0]]):
            cells = [f"{curves[rule][k][what]:.3f}" if k < len(curves[rule]) else "–" for rule in rules]
            if what == "mean":
                cells = [
                    f"{c} ± {found['spread'][rule][k]:.3f}" for c, rule in zip(cells, rules, strict=True)
                ]
            yield f"| {point['snapshots']:.0f} | " + " | ".join(cells) + " |"
    yield "\nsnapshots that random choice needs over those of the rule"
    yield "| of | error % | rule | random | rule's | ratio | ratio by repeat |\n|---|---|---|---|---|---|---|"
    for row in found["ratios"]:
        each = ", ".join(f"{value:.2f}" for value in row["by_repeat"])
        own = "–" if row["snapshots"] is None else f"{row['snapshots']:.1f}"
        yield (
            f"| {row['of']} | {row['error']:.3f} | {row['rule']} | {row['random']:.1f} | {own} | "
            f"{row['ratio']:.2f} | {each} |"
        )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rules", nargs="+", default=["random", "epistemic", "coverage", "both"])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--first-repeat", type=int, default=0)
    parser.add_argument("--start", type=int, default=2, help="random snapshots at the start")
    parser.add_argument("--add", type=int, default=2, help="snapshots a round")
    parser.add_argument("--stop", type=int, default=40)
    parser.add_argument(
        "--develop", type=int, default=0, help="trajectories held out to judge by, not the test's"
    )
    parser.add_argument("--points", type=int, default=3000, help="of a snapshot for training")
    parser.add_argument("--judged", type=int, default=2000, help="of a snapshot for validation or test")
    parser.add_argument("--looked-at", type=int, default=150, help="of a snapshot for the rules")
    parser.add_argument("--network", default='{"name": "last_layer"}', help="settings, JSON")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--learning-rate", type=float, default=6e-3)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--tables", action="store_true")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    torch.set_num_threads(1)
    given.out.mkdir(parents=True, exist_ok=True)
    if not given.tables:
        work(given)
    records = [json.loads(path.read_text()) for path in sorted((given.out / "runs").glob("*.json"))]
    records = [r for r in records if r["rule"] in given.rules]
    records.sort(key=lambda r: (given.rules.index(r["rule"]), r["repeat"]))
    found = summary(records)
    write_json(given.out / "summary.json", {**found, "machine": machine()})
    print("\n".join(tables(found)))


def work(given: argparse.Namespace) -> None:
    """All runs that are not done; repeats one after the other, so that rules can be compared early."""
    dataset = ns.Dataset.open(given.data)
    training = {"steps": given.steps, "batch": given.batch, "learning_rate": given.learning_rate}
    training |= {"checks": 20, "threads": 1, "device": "cpu"}
    config = Config(network=json.loads(given.network), training=training)
    plan = make_plan(config, species_of(dataset), has_atoms=bool(dataset.radial), device="cpu")
    counts = {"train": given.points, "validation": given.judged, "test": given.judged}
    pool = Pool(dataset, plan, described(dataset, plan, counts, given.out / "points.npz"), given.looked_at)
    course = Course(given.start, given.add, given.stop, given.develop)
    for repeat in range(given.first_repeat, given.first_repeat + given.repeats):
        for rule in given.rules:
            path = given.out / "runs" / f"{repeat:02d}-{rule}.json"
            record = run(pool, rule, repeat, course, path)
            curve = " ".join(f"{r['snapshots']}:{r['mean']:.3f}" for r in record["rounds"])
            print(f"repeat {repeat}, {rule}: {curve}", flush=True)


if __name__ == "__main__":
    main()
