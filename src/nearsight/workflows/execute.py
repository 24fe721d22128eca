"""`Executor`: gets the runs of a study done, here or side by side, and skips what is there."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from nearsight.progress import Progress
from nearsight.training.trainer import torch_threads
from nearsight.workflows.outcome import KINDS
from nearsight.workflows.parallel import Execution, Item, Work, outcomes
from nearsight.workflows.prune import points_to_keep
from nearsight.workflows.runs import Bench, Step
from nearsight.workflows.study_run import Run
from nearsight.workflows.workspace import ScoreJob

#: MB of a process before it holds any data
_PROCESS_MB = 600.0


@dataclass(frozen=True, eq=False)
class Executor:
    """Scores, selects and trains, in this order, each on all runs that need it.

    Parameters
    ----------
    bench : Bench
    execution : Execution
    covered : frozenset of str
        Ids of the selections whose coverage is measured.
    progress : Progress
    """

    bench: Bench
    execution: Execution
    covered: frozenset[str]
    progress: Progress

    def records(self, runs: Sequence[Run]) -> dict[str, dict[str, Any]]:
        """The record of every run by its id, after training what is not there yet.

        Raises
        ------
        NearsightError
            A run failed; what the others gave is kept.
        """
        bench = self.bench
        pending = [run for run in runs if bench.record_of(run) is None]
        choices = self._choices(runs, {run.selection_id for run in pending})
        if choices or pending:
            self._prepare(choices)
        jobs = dict.fromkeys(job for run in choices for job in bench.score_jobs(run))
        self._work(
            "scoring training points", "score", [job for job in jobs if not bench.space.has_scores(job)]
        )
        self._work("selecting points", "choose", choices)
        self._work("training models", "train", pending)
        found = {run.id: bench.record_of(run) for run in runs}
        return {name: record for name, record in found.items() if record is not None}

    def _choices(self, runs: Sequence[Run], pending: set[str]) -> list[Run]:
        """A run for each selection that is still to be made or measured."""
        choices: dict[str, Run] = {}
        for run in runs:
            name = run.selection_id
            wanted, trained = name in self.covered, name in pending
            if (wanted or trained) and not self.bench.is_chosen(run, wanted, trained):
                choices.setdefault(name, run)
        return list(choices.values())

    def _prepare(self, choices: Sequence[Run]) -> None:
        """Make the files that several runs share, before there are several processes."""
        space, needs = self.bench.space, {need for run in choices for need in run.needs}
        with torch_threads(self.bench.threads):
            space.table(self.progress)
            space.validation()
            covered = any(run.selection_id in self.covered for run in choices)
            if "features" in needs or covered:
                space.standardised()
            if covered:
                space.held_out_features()
            if "gradient" in needs:
                space.gradient()

    def _work(self, stage: str, kind: str, items: Sequence[Any]) -> None:
        run_all(
            Step(self.bench, kind, self.covered), stage, items, self.execution, self._megabytes, self.progress
        )

    def _megabytes(self, item: Item[Any]) -> float:
        """Memory of one piece of work; features of all points are mapped, and not counted."""
        n_points, n_features = self.bench.space.table_shape
        what = item[1]
        if isinstance(what, ScoreJob) or what.method is None:
            return _PROCESS_MB + 80 * n_points / 2**20
        kept = points_to_keep(what.keep, n_points)
        kernel = 16 * min(kept, 10_000) ** 2 if what.schedule == "direct" else 0
        return _PROCESS_MB + (80 * n_points + 12 * n_features * kept + kernel) / 2**20


def run_all(
    work: Work,
    stage: str,
    items: Sequence[Any],
    execution: Execution,
    megabytes: Callable[[Item[Any]], float],
    progress: Progress,
) -> None:
    """Do a piece of work on every item; failures are told when all are through.

    Raises
    ------
    NearsightError
        The first failure, of its own kind.
    """
    if not items:
        return
    failed, numbered = [], list(enumerate(items))
    progress(stage, 0, len(items))
    with closing(outcomes(work, numbered, execution, megabytes, progress)) as results:
        for done, outcome in enumerate(results):
            progress(stage, done + 1, len(items))
            if outcome.kind is not None:
                failed.append(outcome)
    if failed:
        first = min(failed, key=lambda outcome: outcome.number)
        what = items[first.number]
        name = what.id if isinstance(what, Run) else stage
        others = f" (and {len(failed) - 1} more failed)" if len(failed) > 1 else ""
        raise KINDS[first.kind or "error"](f"{name}: {first.message}{others}")
