"""Commands that draw and show samples: ``sample``, ``compare``, ``report``."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from gantandem.cli.frame import Count, Overrides, Run, Seed, out
from gantandem.cli.improve import split_names


class Format(str, Enum):
    """How samples are written."""

    npz = "npz"
    png = "png"
    parquet = "parquet"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(sample)
    app.command()(compare)
    app.command()(report)


def sample(
    run: Run,
    overrides: Overrides = None,
    sampler: Annotated[
        str, typer.Option("--sampler", help="Name of the sampler.")
    ] = "collaborative",
    n: Count = 1_000,
    seed: Seed = 0,
    folder: Annotated[
        Path | None, typer.Option("--out", "-o", help="Default RUN/drawn/SAMPLER-SEED.")
    ] = None,
    kind: Annotated[Format, typer.Option("--format", help="How to write them.")] = Format.npz,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace samples that are there already.")
    ] = False,
    strict: Annotated[
        bool, typer.Option(help="Refuse a ratio that was fitted on another law.")
    ] = True,
) -> None:
    """Draw samples to files; settings of the sampler as key=value, for example `expected=4`."""
    from gantandem import pipeline

    work = pipeline.Workspace(run)
    folder = folder or run / "drawn" / f"{sampler.replace(':', '.')}-{seed}"
    manifest = pipeline.sample_run(
        work,
        sampler,
        n,
        folder,
        seed=seed,
        kind=kind.value,
        strict=strict,
        overwrite=overwrite,
        overrides=overrides or (),
    )
    per_sample = manifest["passes"] / manifest["returned"]
    cost = f"{manifest['seconds']:.1f} s, {per_sample:,.1f} passes each"
    out.print(f"{manifest['returned']:,} samples in {cost}: {folder}", markup=False)


def compare(
    run: Run,
    overrides: Overrides = None,
    samplers: Annotated[
        str, typer.Option("--samplers", help="Names, separated by commas.")
    ] = "direct,drs,metropolis,refine,collaborative",
    n: Count = 10_000,
    seed: Annotated[
        int | None, typer.Option("--seed", "-s", min=0, help="Default: the run's.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the numbers to this file.")
    ] = None,
) -> None:
    """Measure samplers side by side: quality, passes, seconds; writes RUN/metrics.json."""
    from gantandem import pipeline
    from gantandem.cli.show import comparison_table

    work = pipeline.Workspace(run, overrides or ())
    metrics = pipeline.compare_run(work, split_names(samplers), n, seed=seed)
    if json_file is not None:
        pipeline.write_json(json_file, metrics)
    out.print(comparison_table(metrics))
    out.print(f"next: gantandem report {run}", style="dim", markup=False)


def report(
    run: Run,
    picture: Annotated[
        Path | None, typer.Option("--summary", help="Also draw a small summary to this PNG.")
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the report in a browser.")] = False,
) -> None:
    """Write RUN/report.html, one self-contained file."""
    from gantandem.report import summary_figure, write_report

    path = write_report(run)
    if picture is not None:
        out.print(f"summary: {summary_figure(run, picture)}", markup=False)
    out.print(f"report: {path}", markup=False)
    if show:
        typer.launch(path.resolve().as_uri())
