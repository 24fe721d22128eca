"""What a model of small cells is worth on large ones, and how few large snapshots bring it there.

On the large cells' test snapshots, NRMSE of

    small     trained on all small training snapshots
    tuned     that model, fine-tuned on n large snapshots (with --freeze k … its first k layers frozen)
    scratch   trained on the same n large snapshots alone
    joint     trained on the small snapshots and those n together
    pool      trained on all large training snapshots: the floor

with the seconds of the Kohn–Sham calculations behind each. The n snapshots are the first in a random order
that the seed settles, one of every trajectory before a second of any. The large validation snapshots decide
which weights are kept (of `small`: the small ones) and are charged to every run that uses them. "DFT saved"
is against `scratch` or `pool`, whichever needs fewer seconds for at most the same error; where neither
reaches it, against `pool`, and then it is more than what is printed; "of pool" is against `pool` whatever the
errors.

    python benchmarks/transfer.py SMALL.zarr LARGE.zarr OUT --counts 1 2 3 5 --networks mlp bayesian --seeds 3

Interrupted, it carries on: every run leaves a JSON in OUT/runs. --seconds-small and --seconds-large stand in
for the seconds that the snapshots record, which older data sets do not and a busy machine inflates.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

import nearsight as ns
from nearsight.model.file import load_model
from nearsight.points import PointSet
from nearsight.provenance import digest, generator, to_plain
from nearsight.training import PointTable, describe_points
from nearsight.workflows.config import Config, read_yaml
from nearsight.workflows.evaluate import evaluate
from nearsight.workflows.finetune import FINE_TUNING, finetune_plan
from nearsight.workflows.finetune_data import require_same_kind
from nearsight.workflows.material import (
    Material,
    describe_validation,
    from_dataset,
    species_of,
    training_points,
)
from nearsight.workflows.plan import Plan, make_plan
from nearsight.workflows.records import read_json, write_json
from nearsight.workflows.train import fit

#: added to the numbers of large snapshots where they stand beside small ones
_LARGE = 1_000_000


@dataclass(frozen=True)
class Run:
    """One training: its kind, network, how many large snapshots, layers frozen, and seed."""

    kind: str
    network: str
    n: int
    freeze: int
    seed: int

    @property
    def id(self) -> str:
        """Name of its files."""
        frozen = f"-f{self.freeze}" if self.kind == "tuned" else ""
        return f"{self.kind}-{self.network}-n{self.n}{frozen}-s{self.seed}"


class Bench:
    """Two data sets, described once."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.small, self.large = ns.Dataset.open(arguments.small), ns.Dataset.open(arguments.large)
        self.arguments = arguments
        self.out: Path = arguments.out
        self.config = read_yaml(arguments.config, Config)
        threads = {"threads": 1, **self.config.training}
        self.config = self.config.model_copy(update={"training": threads})

    def plan(self, network: str) -> Plan:
        """The default plan with a network of that name, for both kinds of cells."""
        given = {"name": network, **self.arguments.settings.get(network, {})}
        config = self.config.model_copy(update={"network": given})
        species = sorted({*species_of(self.small), *species_of(self.large)})
        return make_plan(config, species, has_atoms=True)

    @cached_property
    def _small(self) -> Material:
        return self._described(self.small)

    @cached_property
    def _large(self) -> Material:
        return self._described(self.large)

    def _described(self, data: ns.Dataset) -> Material:
        plan = self.plan("mlp")
        table = describe_points(data, plan.descriptor, training_points(data))
        return from_dataset(
            data, table, describe_validation(data, plan.descriptor, plan.validation_points, 0)
        )

    def chosen(self, n: int, seed: int) -> list[int]:
        """The first n training snapshots of the seed's order, trajectories taking turns."""
        numbers = generator(seed, "large snapshots").permutation(self.large.snapshots("train"))
        seen: dict[str, int] = {}
        turn = {}
        for number in numbers.tolist():
            trajectory = self.large.info(number).trajectory
            turn[number] = seen.get(trajectory, 0)
            seen[trajectory] = turn[number] + 1
        return sorted(turn, key=lambda number: turn[number])[:n]  # sorted is stable

    def material(self, run: Run) -> Material:
        """What a run learns from."""
        if run.kind == "small":
            return self._small
        if run.kind == "pool":
            return self._large
        table = self._large.training
        rows = np.flatnonzero(np.isin(table.points.snapshot, self.chosen(run.n, run.seed)))
        some = replace(self._large, training=table.take(rows))
        if run.kind != "joint":
            return some
        volumes = {n + _LARGE: v for n, v in self._large.volumes.items()}
        return replace(
            some,
            training=_joined(self._small.training, some.training),
            volumes={**self._small.volumes, **volumes},
            valence={**self._small.valence, **some.valence},
            radial={**self._small.radial, **some.radial},
        )

    def dft_seconds(self, run: Run) -> float:
        """Of the calculations behind a run's training and validation snapshots."""
        small, large = self.small, self.large
        total = 0.0
        if run.kind in ("small", "tuned", "joint"):
            total += self._seconds(small, small.snapshots("train"), self.arguments.seconds_small)
        if run.kind in ("small", "tuned"):
            total += self._seconds(small, small.snapshots("validation"), self.arguments.seconds_small)
        if run.kind != "small":
            numbers = large.snapshots("train") if run.kind == "pool" else self.chosen(run.n, run.seed)
            numbers = [*numbers, *large.snapshots("validation")]
            total += self._seconds(large, numbers, self.arguments.seconds_large)
        return total

    @staticmethod
    def _seconds(data: ns.Dataset, numbers: list[int], otherwise: float | None) -> float:
        if otherwise is not None:
            return otherwise * len(numbers)
        recorded = [data.snapshot(n).provenance.get("seconds") for n in numbers]
        if None in recorded:
            option = "--seconds-small or --seconds-large"
            raise SystemExit(f"{data.path} does not record the seconds of every snapshot; give {option}")
        return float(sum(float(seconds) for seconds in recorded if seconds is not None))

    def record(self, run: Run) -> dict[str, Any]:
        """The result of a run, made now unless it is there, with its means and what its data cost."""
        path = self.out / "runs" / f"{run.id}.json"
        plan = self.plan(run.network)
        how = [to_plain(plan.as_dict()), *([FINE_TUNING] if run.kind == "tuned" else [])]
        key = digest(self.small.digest(), self.large.digest(), how)
        found = read_json(path, key)
        if found is None or (run.kind == "small" and not self._model(run).exists()):
            found = {"key": key, "id": run.id, **vars(run), **self._made(run, plan)}
            write_json(path, found)
        result = {**found, **self._means(found["per_snapshot"]), "dft_seconds": self.dft_seconds(run)}
        print(f"  {run.id}: test {result['nrmse_percent']:.4f} %, {result['seconds']:.0f} s", flush=True)
        return result

    def _means(self, tested: list[dict[str, Any]]) -> dict[str, float]:
        """Over the test snapshots whose trajectory begins as --test says."""
        some = [r for r in tested if r["trajectory"].startswith(self.arguments.test)]
        return {name: float(np.mean([r[name] for r in some])) for name in ("nrmse_percent", "nmae_percent")}

    def _made(self, run: Run, plan: Plan) -> dict[str, Any]:
        material, base = self.material(run), None
        if run.kind == "tuned":
            base = load_model(self._model(replace(run, kind="small", n=0, freeze=0)))
            require_same_kind(base, self.large, force=False)
            plan = finetune_plan(base, self.config.model_copy(update={"training": {"threads": 1}}), "auto")
            material = replace(material, radial=dict(base.radial), valence=dict(base.valence))
        model = self._model(run) if run.kind == "small" else None
        if model is not None:
            model.parent.mkdir(parents=True, exist_ok=True)
        result = fit(material, plan, seed=run.seed, output=model, base=base, frozen_layers=run.freeze)
        tested = evaluate(result.model, self.large, split="test")["per_snapshot"]
        return {
            "seconds": result.seconds,
            "steps": result.steps,
            "validation_nrmse_percent": result.validation_nrmse_percent,
            "per_snapshot": to_plain(tested),
            "snapshots": [] if run.kind in ("small", "pool") else self.chosen(run.n, run.seed),
        }

    def _model(self, run: Run) -> Path:
        return self.out / "models" / f"{run.id}.nst"

    def runs(self) -> Iterator[Run]:
        """All of them, bases first."""
        a = self.arguments
        most = len(self.large.snapshots("train"))
        for network in a.networks:
            for seed in range(a.seeds):
                yield Run("small", network, 0, 0, seed)
                yield Run("pool", network, most, 0, seed)
                for n in a.counts:
                    if n > most:
                        continue
                    yield from (Run("tuned", network, n, freeze, seed) for freeze in a.freeze)
                    if n < most:
                        yield Run("scratch", network, n, 0, seed)
                    yield Run("joint", network, n, 0, seed)


def _joined(small: PointTable, large: PointTable) -> PointTable:
    """Both tables as one, each point with the same weight."""
    points = PointSet(
        np.concatenate([small.points.snapshot, large.points.snapshot + _LARGE]),
        np.concatenate([small.points.index, large.points.index]),
        np.ones(len(small) + len(large)),
    )
    features = np.concatenate([small.features, large.features])
    density = np.concatenate([small.density, large.density])
    if small.rho_saed is None or large.rho_saed is None:
        return PointTable(points, features, density)
    return PointTable(points, features, density, np.concatenate([small.rho_saed, large.rho_saed]))


def summarise(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each kind, network, count and frozen layers: means over seeds, and the DFT time saved."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for r in records:
        groups.setdefault((r["network"], r["kind"], r["n"], r["freeze"]), []).append(r)
    rows = []
    for (network, kind, n, freeze), members in groups.items():
        mean = {
            name: float(np.mean([np.nan if r[name] is None else r[name] for r in members]))
            for name in (
                "nrmse_percent", "nmae_percent", "validation_nrmse_percent", "dft_seconds", "seconds", "steps"
            )
        }  # fmt: skip
        spread = float(np.std([r["nrmse_percent"] for r in members]))
        own = {"network": network, "kind": kind, "n": n, "freeze": freeze, "seeds": len(members)}
        rows.append({**own, **mean, "nrmse_spread": spread})
    return [{**row, **_against_large_alone(row, rows)} for row in rows]


def _against_large_alone(row: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Error against the small-cell model's and the floor; DFT time saved at no higher error."""
    same = [r for r in rows if r["network"] == row["network"]]
    small = next(r for r in same if r["kind"] == "small")
    pool = next(r for r in same if r["kind"] == "pool")
    alone = [r for r in same if r["kind"] in ("scratch", "pool")]
    reached = [r for r in alone if r["nrmse_percent"] <= row["nrmse_percent"]]
    against = min(reached or [pool], key=lambda r: r["dft_seconds"])
    return {
        "below_small_percent": 100 * (1 - row["nrmse_percent"] / small["nrmse_percent"]),
        "over_floor": row["nrmse_percent"] / pool["nrmse_percent"],
        "dft_saved_percent": 100 * (1 - row["dft_seconds"] / against["dft_seconds"]),
        "dft_saved_of_pool_percent": 100 * (1 - row["dft_seconds"] / pool["dft_seconds"]),
        "large_alone_needs": against["n"],
        "large_alone_reaches": bool(reached),
    }


def print_table(rows: list[dict[str, Any]]) -> None:
    """As Markdown."""
    print(
        "| network | trained on | n | frozen | test NRMSE % | ± seeds | NMAE % | validation % | below small "
        "| of the floor | DFT s | DFT saved | large alone needs | of pool | training s |\n"
        + "|---" * 15
        + "|"
    )
    order = {"small": 0, "tuned": 1, "scratch": 2, "joint": 3, "pool": 4}
    for r in sorted(rows, key=lambda r: (r["network"], order[r["kind"]], r["n"], r["freeze"])):
        alone = r["kind"] in ("small", "scratch", "pool")
        saved = "–" if alone else f"{'' if r['large_alone_reaches'] else '> '}{r['dft_saved_percent']:.0f} %"
        needs = "–" if alone else f"{'' if r['large_alone_reaches'] else '> '}{r['large_alone_needs']}"
        frozen = r["freeze"] if r["kind"] == "tuned" else "–"
        print(
            f"| {r['network']} | {r['kind']} | {r['n']} | {frozen} | {r['nrmse_percent']:.3f} | "
            f"{r['nrmse_spread']:.3f} | {r['nmae_percent']:.3f} | {r['validation_nrmse_percent']:.3f} | "
            f"{r['below_small_percent']:.0f} % | {r['over_floor']:.2f} | {r['dft_seconds']:.0f} | {saved} | "
            f"{needs} | {r['dft_saved_of_pool_percent']:.0f} % | {r['seconds']:.0f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("small", type=Path)
    parser.add_argument("large", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 2, 3, 5])
    parser.add_argument("--networks", nargs="+", default=["mlp"])
    parser.add_argument("--freeze", type=int, nargs="+", default=[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--test", default="", help="only test trajectories that begin so count in the means")
    parser.add_argument("--seconds-small", type=float, help="of a small snapshot, in place of those recorded")
    parser.add_argument("--seconds-large", type=float, help="of a large snapshot, in place of those recorded")
    parser.add_argument("--config", type=Path, help="training settings (YAML) of all but fine-tuning")
    parser.add_argument(
        "--settings", type=json.loads, default={}, help='of networks, as JSON: {"mlp": {"width": 64}}'
    )
    bench = Bench(parser.parse_args())
    records = [bench.record(run) for run in bench.runs()]
    rows = summarise(records)
    (bench.out / "transfer.json").write_text(json.dumps(rows, indent=1))
    print_table(rows)


if __name__ == "__main__":
    main()
