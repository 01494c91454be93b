"""Commands that make a run: ``demo`` and ``train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gantandem.cli.frame import Count, Device, Overrides, Seed, Trust, hint, noting, out

Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite", help="Replace the run in the folder; a message lists what is lost."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(demo)
    app.command()(train)


def demo(
    overrides: Overrides = None,
    folder: Annotated[Path, typer.Option("--out", "-o", help="Run folder.")] = Path("runs/demo"),
    seed: Seed = 0,
    n: Count = 10_000,
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="Use the shipped weights instead of training.")
    ] = False,
    show: Annotated[bool, typer.Option("--open", help="Open the report in a browser.")] = False,
    overwrite: Overwrite = False,
    device: Device = None,
) -> None:
    """Run the main job on the built-in 2D task: train, shape, fit, compare, report."""
    from gantandem import runs
    from gantandem.cli.show import comparison_table
    from gantandem.errors import IncompleteError
    from gantandem.reporting import write_report

    incomplete = None
    with noting(folder, first=True):
        try:
            metrics = runs.demo(
                folder,
                seed=seed,
                n=n,
                pretrained=pretrained,
                overrides=overrides or (),
                overwrite=overwrite,
                device=device,
            )
        except IncompleteError as error:  # told after the rows that there are
            metrics, incomplete = error.metrics, error
    write_report(folder)  # with the command, which is noted of what was done
    out.print(comparison_table(metrics))
    if (verdict := runs.verdict_of(folder)) is not None:
        out.print(verdict, markup=False, soft_wrap=True)
    _say_report(folder / "report.html", show)
    if incomplete is not None:
        raise incomplete


def train(
    recipe: Annotated[str, typer.Argument(help="A recipe file (YAML) or the name of a task.")],
    overrides: Overrides = None,
    folder: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run folder; default runs/TASK-SEED.")
    ] = None,
    resume: Annotated[
        bool, typer.Option(help="Continue from the last checkpoint in the folder.")
    ] = True,
    overwrite: Overwrite = False,
    device: Device = None,
    trust: Trust = False,
) -> None:
    """Train the baseline GAN of a task, for example `train mnist train.iterations=781`."""
    from gantandem import runs
    from gantandem.files import file_name
    from gantandem.runs.reading import load_recipe

    settings = load_recipe(recipe, overrides or (), trust=trust)
    folder = folder or Path("runs") / file_name(
        f"{settings.task.replace(':', '.')}-{settings.seed}"
    )
    how = {"overwrite": overwrite, "device": device, "trust": trust}
    with noting(folder):
        runs.train_run(settings, folder, resume=resume, **how)
    out.print(f"trained: {folder}", markup=False)
    hint(f"next: gantandem shape {folder}")


def _say_report(path: Path, show: bool) -> None:
    out.print(f"report: {path}", markup=False)
    if show:
        typer.launch(path.resolve().as_uri())
