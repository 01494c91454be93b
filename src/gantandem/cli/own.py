"""Commands for a GAN of one's own: ``init``, ``layers``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gantandem.cli.frame import Device, Run, Trust, hint, out


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(init)
    app.command()(layers)


def init(
    file: Annotated[Path, typer.Argument(help="The recipe to write.")] = Path("recipe.yaml"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
) -> None:
    """Write a commented recipe for networks and data of your own, which `train` takes."""
    from gantandem.runs.starting import write_recipe

    write_recipe(file, overwrite=overwrite)
    out.print(f"recipe: {file}", markup=False)
    hint(f"next: change its names, then gantandem train {file} --trust")


def layers(
    run: Run,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the numbers to this file.")
    ] = None,
    device: Device = None,
    trust: Trust = False,
) -> None:
    """Show the layers that can be refined, and what a step at each costs."""
    from gantandem import runs
    from gantandem.cli.show import layers_table
    from gantandem.networks.layers import find_layers

    work = runs.Workspace(run, device=device, trust=trust)
    found = find_layers(work.gan)
    if json_file is not None:
        runs.write_json(json_file, {"layers": [one._asdict() for one in found]})
    out.print(layers_table(found))
    layer = work.refinement().layer
    hint(f"the run refines {layer!r}: gantandem shape {run} shape.refine.layer=NAME takes another")
