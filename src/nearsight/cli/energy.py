"""``nearsight energy``."""

from pathlib import Path
from typing import Annotated

import typer

from nearsight.cli.console import Device, Json, Quiet, Seed, Session
from nearsight.errors import InputError


def energy(
    arguments: Annotated[
        list[Path], typer.Argument(metavar="[MODEL] STRUCTURE", help="A model and a structure.")
    ],
    density: Annotated[
        Path | None, typer.Option("--density", help="A density file, in place of the model.")
    ] = None,
    engine: Annotated[
        str | None, typer.Option("--engine", help="Kohn–Sham engine; that of the model's data if unset.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="Engine settings (YAML), over those of the model's data.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Go on where model and engine differ in their physics.")
    ] = False,
    device: Device = "auto",
    seed: Seed = 0,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Harris–Foulkes energy of a predicted density, or of one from a file (--density)."""
    from nearsight.cli.resolve import engine_for_energy
    from nearsight.engines.kpoints import k_points_text
    from nearsight.workflows.energy import energy_of_file, energy_of_model

    if len(arguments) != (1 if density else 2):
        raise InputError("energy takes MODEL STRUCTURE, or --density FILE STRUCTURE")
    session = Session(json, quiet)
    ks = engine_for_energy(engine, config, None if density else arguments[0])
    with session.progress() as progress:
        if density is not None:
            result = energy_of_file(density, arguments[0], ks)
        else:
            result = energy_of_model(
                arguments[0], arguments[1], ks, force=force, device=device, progress=progress
            )
    correction = result["second_order_correction_ha"]
    session.table(
        str(arguments[-1]),
        {
            "free energy (Harris–Foulkes)": f"{result['free_energy_ha']:.6f} Ha",
            "per atom": f"{result['free_energy_ha_per_atom']:.6f} Ha",
            "self-consistency would add": "unknown (no metal)"
            if correction is None
            else f"{1e3 * correction / result['n_atoms']:+.3f} mHa/atom by estimate",
            "engine": f"{ks.name}, k-points {k_points_text(ks.fingerprint().get('k_points'))}",
        },
    )
    session.notes(density or arguments[-1], result["notes"])
    session.result(result)
