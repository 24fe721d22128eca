"""What every command shares: its options, its progress bar, its JSON result, its one-line errors."""

import json
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.table import Table

from nearsight.errors import InputError, NearsightError
from nearsight.io.atomic import atomic_file
from nearsight.progress import Progress, silent
from nearsight.provenance import to_plain

Seed = Annotated[
    int, typer.Option("--seed", min=0, help="Seed of everything random; the same seed repeats a run.")
]
Json = Annotated[
    str | None, typer.Option("--json", metavar="FILE|-", help="Write the result as JSON; - for stdout.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress, no summary; errors still show.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]


#: exit code after Ctrl-C
INTERRUPTED = 130


class Session:
    """One command's conversation with the person or script that runs it.

    Messages and progress go to stderr, results to stdout, so that ``--json -`` stands alone there.
    """

    def __init__(self, json_target: str | None, quiet: bool) -> None:
        self._json_target = json_target
        self._quiet = quiet
        self._out = Console(highlight=False)
        self._err = Console(stderr=True, highlight=False)

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """Show bars with an estimate while the block runs; nothing when quiet or in a log file."""
        if self._quiet or not self._err.is_terminal:
            yield silent
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with RichProgress(*columns, console=self._err) as bars:
            tasks: dict[str, Any] = {}

            def report(stage: str, done: int, total: int) -> None:
                if stage not in tasks:
                    tasks[stage] = bars.add_task(stage, total=total)
                bars.update(tasks[stage], completed=done, total=total)

            yield report

    def say(self, message: str) -> None:
        """A line for a person."""
        if not self._quiet:
            self._err.print(message, soft_wrap=True)

    def notes(self, what: object, notes: Sequence[str]) -> None:
        """Lines that a person should not miss, each with the name of what it is about."""
        for note in notes:
            self.say(f"[yellow]{escape(str(what))}:[/yellow] {escape(note)}")

    def table(self, title: str, rows: Mapping[str, Any]) -> None:
        """A two-column table for a person, on stdout unless that carries the JSON."""
        if self._quiet:
            return
        table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
        for name, value in rows.items():
            table.add_row(f"[dim]{name}[/dim]", str(value))
        where = self._err if self._json_target == "-" else self._out
        # not as the table's own title, which wraps at the table's width
        where.print(f"[italic]{escape(title)}[/italic]", soft_wrap=True)
        where.print(table)

    def listing(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """A table with a row a thing for a person, where `table` goes; nothing without rows."""
        if self._quiet or not rows:
            return
        table = Table(*columns, title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
        for row in rows:
            table.add_row(*(escape(str(cell)) for cell in row))
        (self._err if self._json_target == "-" else self._out).print(table)

    def result(self, value: Mapping[str, Any]) -> None:
        """Write the machine-readable result where ``--json`` asks for it."""
        if self._json_target is None:
            return
        text = json.dumps(_without_nan(to_plain(value)), indent=2, allow_nan=False, default=str) + "\n"
        if self._json_target == "-":
            sys.stdout.write(text)
            return
        with atomic_file(Path(self._json_target)) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _without_nan(value: Any) -> Any:
    """JSON has no NaN or infinity: null says that there is no such number."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {k: _without_nan(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_without_nan(v) for v in value]
    return value


def parse_shape(text: str | None) -> tuple[int, int, int] | None:
    """``48,48,48`` as three numbers."""
    if text is None:
        return None
    parts = text.replace("x", ",").split(",")
    try:
        shape = tuple(int(p) for p in parts)
    except ValueError:
        shape = ()
    if len(shape) != 3 or min(shape) < 1:
        raise InputError(f"--shape takes three positive whole numbers such as 48,48,48, not '{text}'")
    return (shape[0], shape[1], shape[2])


def fail(error: BaseException) -> int:
    """Print an error as one line and return the exit code it deserves."""
    if os.environ.get("NEARSIGHT_DEBUG"):
        raise error
    console = Console(stderr=True, highlight=False)

    def line(text: str) -> None:
        console.print(f"nearsight: error: {' '.join(text.split())}", soft_wrap=True, markup=False)

    usage = getattr(error, "format_message", None)
    if callable(usage):  # what typer raises for options and arguments it cannot take
        command = " ".join(["nearsight", *sys.argv[1:2]])
        line(f"{usage()}; '{command} --help' lists what it takes")
        return 2
    if isinstance(error, NearsightError):
        line(str(error))
        return error.exit_code
    if isinstance(error, KeyboardInterrupt):
        line("interrupted; what was finished is kept, run the same command again")
        return INTERRUPTED
    if isinstance(error, OSError) and error.strerror:
        where = f" ({error.filename})" if error.filename else ""
        line(f"{error.strerror}{where}")
        return 1
    if isinstance(error, MemoryError):
        line("out of memory; use a coarser --spacing or a smaller memory_limit_mb in the configuration")
        return 1
    line(f"unexpected {type(error).__name__}: {error} — a bug; NEARSIGHT_DEBUG=1 shows the traceback")
    return 70
