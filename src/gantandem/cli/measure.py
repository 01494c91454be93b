"""Commands that measure: ``bench``, ``reproduce``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from gantandem.cli.frame import out as console


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(bench)
    app.command()(reproduce)


def bench(
    names: Annotated[
        list[str] | None, typer.Argument(help="Benchmarks; all by default.", show_default=False)
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--json", help="Write the result there.", show_default=False)
    ] = None,
    runs: Annotated[int, typer.Option("--runs", min=1, help="Interleaved runs of each.")] = 5,
) -> None:
    """Time the engine: ratios within one run, medians of interleaved runs."""
    from gantandem.bench import run_benchmarks
    from gantandem.runs import write_json

    result = run_benchmarks(names, runs)
    if file is not None:
        write_json(file, result)
    console.print_json(json.dumps(result["results"]))


def reproduce(
    figures: Annotated[
        list[str] | None,
        typer.Argument(
            help="fig3, fig4, table1, agreement, budget, wlgan, mnist; all by default.",
            show_default=False,
        ),
    ] = None,
    folder: Annotated[Path, typer.Option("--out", "-o", help="Runs and results.")] = Path(
        "runs/reproduce"
    ),
    seeds: Annotated[
        str,
        typer.Option("--seeds", help="Seeds, comma-separated; by default 0 to 4 for fig3, else 0."),
    ] = "",
    paper: Annotated[
        str,
        typer.Option(
            "--paper", help="Seeds of fig3 and fig4 to run the published methods on too (slow)."
        ),
    ] = "",
    stages: Annotated[
        str,
        typer.Option(
            "--stages", help="Iterations of the generator in fig4 (or 'all' nine) and mnist."
        ),
    ] = "",
    n: Annotated[int, typer.Option("-n", "--n", min=1, help="Samples of each sampler.")] = 10_000,
) -> None:
    """Make the papers' figures again, ours beside the published values.

    Only what is missing runs: what an earlier call left in the folder is kept.
    """
    from gantandem.reproduce import ALL_STAGES, run_figures

    for page in run_figures(
        figures or [],
        folder,
        seeds=_numbers(seeds) or None,
        paper_seeds=_numbers(paper),
        stages=ALL_STAGES if stages == "all" else _numbers(stages) or None,
        n=n,
    ):
        console.print(f"written: {page}", markup=False)


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a list of numbers such as 0,1,2") from None
