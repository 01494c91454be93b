"""Commands for a GAN of one's own: ``import``, ``init``, ``layers``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gantandem.cli.frame import Device, Overrides, Run, Seed, Trust, hint, noting, out
from gantandem.cli.make import Overwrite


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("import")(import_)
    app.command()(init)
    app.command()(layers)


Architecture = Annotated[
    str | None,
    typer.Option(
        help="Name of a built-in architecture, or module:Class.",
        show_default="found from the weights",
    ),
]
Weights = Annotated[
    Path | None, typer.Option(help=".safetensors, .pt or .pth.", show_default=False)
]
Adapters = Annotated[
    list[str] | None,
    typer.Option(
        help="Adapter around the network, such as item=0 (repeatable).", show_default=False
    ),
]


def import_(
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="Run folder.", show_default=False)],
    overrides: Overrides = None,
    generator: Architecture = None,
    weights_g: Weights = None,
    discriminator: Architecture = None,
    weights_d: Weights = None,
    latent: Annotated[
        str | None,
        typer.Option(
            help="normal:100x1x1, normal:128, uniform:62, uniform:62:0,1, or images:FOLDER for a "
            "translator.",
            show_default="a normal of the size that the generator takes",
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Real data: a folder of images or Parquet files, OWNER/NAME on the hub, .npy, "
            ".npz or .parquet.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        str, typer.Option(help="What the discriminator returns: logit, prob or critic.")
    ] = "logit",
    condition: Annotated[
        str | None,
        typer.Option(
            help="The condition of the GAN: labels (the labels of the data), 7, or labels.csv.",
            show_default=False,
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            help="The entry of the weight files that holds the weights.", show_default="found"
        ),
    ] = None,
    strip_prefix: Annotated[
        str | None,
        typer.Option(
            help="The prefix of the names of weights, which is removed.", show_default="found"
        ),
    ] = None,
    layout: Annotated[
        str,
        typer.Option(
            help="The layout of the weight files: auto, state-dict, mimicry, rosinality, "
            "pgan-zoo, hifi-gan or lightning."
        ),
    ] = "auto",
    adapt_g: Adapters = None,
    adapt_d: Adapters = None,
    bounds: Annotated[
        str | None,
        typer.Option(
            "--range",
            help="Values of black and white in images, such as -1,1.",
            show_default="found",
        ),
    ] = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    device: Device = None,
    trust: Trust = False,
) -> None:
    """Make a run of weight files and data of your own; a module that you name is imported."""
    from gantandem.data.ranges import check_range
    from gantandem.errors import imports
    from gantandem.runs.importing import import_run

    with noting(folder, first=True):
        work = import_run(
            folder,
            data=data,
            output=output,  # type: ignore[arg-type]
            condition=condition,
            range=None if bounds is None else check_range(bounds, "--range"),
            seed=seed,
            overrides=overrides or (),
            overwrite=overwrite,
            device=device,
            trust=trust,
            generator=generator,
            weights_g=weights_g,
            discriminator=discriminator,
            weights_d=weights_d,
            latent=latent,
            key=key,
            strip_prefix=strip_prefix,
            layout=layout,
            adapt_g=adapt_g or (),
            adapt_d=adapt_d or (),
        )
    out.print(str(work.gan), markup=False)
    out.print(f"imported: {folder}", markup=False)
    again = " --trust" if imports(generator) or imports(discriminator) else ""
    step = "fit-ratio" if data is not None else "sample"
    hint(f"next: gantandem {step} {folder}{' --sampler direct' * (data is None)}{again}")


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
    from gantandem.networks import layers as own

    work = runs.Workspace(run, device=device, trust=trust)
    found = own.layers(work.gan)
    if json_file is not None:
        runs.write_json(json_file, {"layers": [one._asdict() for one in found]})
    out.print(layers_table(found))
    layer = work.refinement().layer
    hint(f"the run refines {layer!r}; to change it: gantandem shape {run} shape.refine.layer=NAME")
