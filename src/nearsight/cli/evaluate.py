"""``nearsight evaluate``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from nearsight.cli.console import Device, Json, Quiet, Seed, Session


def evaluate(
    model: Annotated[Path, typer.Argument(help="Model (.nst).")],
    data: Annotated[Path, typer.Argument(help="Data set (.zarr): every snapshot is scored.")],
    split: Annotated[
        str | None, typer.Option("--split", help="Score only train, validation or test snapshots.")
    ] = None,
    energies: Annotated[
        bool, typer.Option("--energies", help="Also the Harris–Foulkes energy errors (runs the engine).")
    ] = False,
    figure: Annotated[
        Path | None,
        typer.Option("--figure", help="Draw how well the uncertainties hold, .svg or .html."),
    ] = None,
    device: Device = "auto",
    seed: Seed = 0,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Score a model on every snapshot of a data set."""
    from nearsight.cli.resolve import engine_of
    from nearsight.workflows.evaluate import evaluate as run

    session = Session(json, quiet)
    with session.progress() as progress:
        result = run(
            model,
            data,
            split=split,
            engine_for=engine_of if energies else None,
            figure=figure,
            device=device,
            seed=seed,
            progress=progress,
        )
    session.table(
        f"{model} on {data}",
        {
            "snapshots": len(result["per_snapshot"]),
            "NRMSE": f"{result['nrmse_percent']:.3f} %",
            "NMAE": f"{result['nmae_percent']:.3f} %",
            "Hartree error": f"{1e3 * result['hartree_error_ha_per_atom']:.4f} mHa/atom",
            **(
                {"energy error": f"{1e3 * result['energy_error_ha_per_atom']:.4f} mHa/atom"}
                if energies
                else {}
            ),
            **_uncertainty(result["calibration"]),
        },
    )
    _trajectories(session, result["per_trajectory"])
    session.notes(data, result["notes"])
    session.result(result)


def _uncertainty(found: Mapping[str, Any] | None) -> dict[str, str]:
    """Rows of the table on the uncertainty; none for a model that states none."""
    if found is None:
        return {}
    rows = {
        "within 1, 2, 3 σ": f"{_shares(found)} % (normal: 68.3, 95.4, 99.7)",
        "mean σ": f"{found['mean_sigma']:.3e} e/bohr³",
        "aleatoric, epistemic": f"{found['mean_aleatoric']:.3e}, {found['mean_epistemic']:.3e} e/bohr³",
        "negative log-likelihood": f"{found['nll']:.3f}",
        "CRPS": f"{found['crps']:.3e} e/bohr³",
        "rank correlation of σ and |e|": f"{found['rank_correlation']:.3f}, "
        f"{100 * found['rank_correlation_ratio']:.0f} % of a perfect σ's",
    }
    if found["points_without_sigma"]:
        rows["points with σ = 0"] = str(found["points_without_sigma"])
    if found["recalibration"] is None:
        rows["calibrated"] = "no: trained without validation snapshots"
    return rows


def _shares(found: Mapping[str, Any]) -> str:
    return ", ".join(f"{100 * found[f'coverage_{k}']:.1f}" for k in (1, 2, 3))


def _trajectories(session: Session, groups: Sequence[Mapping[str, Any]]) -> None:
    """Trajectories apart, where there are several and uncertainties to tell them apart by."""
    known = [group for group in groups if group["calibration"] is not None]
    if len(known) < 2:
        return
    columns = ("trajectory", "snapshots", "NRMSE %", "within 1, 2, 3 σ %", "aleatoric σ", "epistemic σ")
    rows = [
        (
            group["trajectory"],
            group["n_snapshots"],
            f"{group['nrmse_percent']:.3f}",
            _shares(group["calibration"]),
            f"{group['calibration']['mean_aleatoric']:.2e}",
            f"{group['calibration']['mean_epistemic']:.2e}",
        )
        for group in known
    ]
    session.listing("By trajectory (σ in e/bohr³)", columns, rows)
