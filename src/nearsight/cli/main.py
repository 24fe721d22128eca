"""The ``nearsight`` command: its subcommands, and the one place where errors become exit codes."""

import sys

import typer

from nearsight import __version__
from nearsight.cli import (
    acquire,
    active_learn,
    compare_cells,
    converge,
    demo,
    energy,
    evaluate,
    finetune,
    import_,
    info,
    label,
    predict,
    prune,
    report,
    sample,
    study,
    train,
)
from nearsight.cli.console import INTERRUPTED, fail

app = typer.Typer(
    name="nearsight",
    help="Learn the ground-state electron density of materials from the essential part of the data.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _version(show: bool) -> None:
    if show:
        print(f"nearsight {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version."
    ),
) -> None:
    """Learn the ground-state electron density of materials from the essential part of the data."""


for _name, _command in (
    ("demo", demo.demo),
    ("sample", sample.sample),
    ("label", label.label),
    ("import", import_.import_),
    ("info", info.info),
    ("prune", prune.prune),
    ("train", train.train),
    ("finetune", finetune.finetune),
    ("evaluate", evaluate.evaluate),
    ("predict", predict.predict),
    ("energy", energy.energy),
    ("converge", converge.converge),
    ("compare-cells", compare_cells.compare_cells),
    ("acquire", acquire.acquire),
    ("active-learn", active_learn.active_learn),
    ("study", study.study),
    ("report", report.report),
):
    app.command(_name)(_command)


def run() -> None:
    """Entry point of the console script."""
    if len(sys.argv) == 1:
        sys.argv.append("--help")
    try:
        code = app(standalone_mode=False)
    except (Exception, KeyboardInterrupt) as error:
        sys.exit(fail(error))
    if code == INTERRUPTED:
        sys.exit(fail(KeyboardInterrupt()))
    sys.exit(code or 0)
