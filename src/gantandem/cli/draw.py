"""Commands that draw and show samples: ``sample``, ``compare``, ``report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gantandem.cli.frame import (
    Backbone,
    BackboneWeights,
    Device,
    Overrides,
    Run,
    Seed,
    SweepCommand,
    Trust,
    hint,
    note,
    out,
)
from gantandem.cli.improve import split_names


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(sample)
    app.command()(verify)
    app.command(cls=SweepCommand)(compare)
    app.command()(report)


def sample(
    run: Run,
    overrides: Overrides = None,
    sampler: Annotated[
        str | None,
        typer.Option(
            "--sampler",
            help="Name of the sampler.",
            show_default="the recommended one; else collaborative, drs if not shaped, refine for a "
            "translator",
        ),
    ] = None,
    n: Annotated[
        int | None,
        typer.Option(
            "-n", "--n", help="Number of samples.", show_default="1000; a translator's inputs"
        ),
    ] = None,
    seed: Seed = 0,
    folder: Annotated[
        Path | None, typer.Option("--out", "-o", help="Default RUN/drawn/SAMPLER-SEED.")
    ] = None,
    kind: Annotated[
        str, typer.Option("--format", help="npz, png, parquet, webdataset or module:Name.")
    ] = "npz",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the samples in the folder.")
    ] = False,
    bounds: Annotated[
        str | None,
        typer.Option(
            "--range",
            help="Values of black and white in images, for example 0,1.",
            show_default="the run's, or found from samples",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Continue: draw only samples that are missing or damaged."),
    ] = False,
    start: Annotated[int, typer.Option("--start", min=0, help="First id.")] = 0,
    ids: Annotated[
        str | None,
        typer.Option(
            "--ids",
            help="Draw the samples with these ids instead of -n: 3,17,100-120.",
            show_default=False,
        ),
    ] = None,
    condition: Annotated[
        str | None,
        typer.Option(
            help="For a conditional GAN: a label such as 7, several such as 3,5, or a .csv, .txt "
            "or .npy file with one row for each sample.",
            show_default="the run's",
        ),
    ] = None,
    inputs: Annotated[
        Path | None,
        typer.Option(
            help="For a translator: another folder of input images.", show_default="the run's"
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option(help="Refuse a ratio that was fitted on another law.")
    ] = True,
    device: Device = None,
    trust: Trust = False,
) -> None:
    """Draw samples to files; settings of the sampler as key=value, for example `expected=4`."""
    from gantandem import runs
    from gantandem.data.ranges import check_range
    from gantandem.files import file_name

    work = runs.Workspace(run, device=device, trust=trust)
    if condition is not None:
        work.ask(condition)
    if inputs is not None:
        work.translate(inputs)
    sampler = runs.default_sampler(work) if sampler is None else sampler
    asked = "".join(f"-{one}" for one in (condition, inputs and inputs.name) if one is not None)
    folder = folder or run / "drawn" / file_name(f"{sampler.replace(':', '.')}-{seed}{asked}")
    manifest = runs.sample_run(
        work,
        sampler,
        n,
        folder,
        seed=seed,
        kind=kind,
        strict=strict,
        overwrite=overwrite,
        resume=resume,
        start=start,
        ids=ids,
        overrides=overrides or (),
        range=None if bounds is None else check_range(bounds, "--range"),
    )
    drawn, there = manifest["drawn"], manifest["returned"]
    if drawn:
        cost = f"{manifest['seconds']:.1f} s, {manifest['passes'] / drawn:,.1f} passes each"
        setup = manifest.get("setup_passes") or 0
        pilot = f" (and {setup:,} passes of a pilot)" if setup else ""
        out.print(f"{drawn:,} samples of {sampler} in {cost}{pilot}: {folder}", markup=False)
    if drawn < there:
        out.print(f"{there:,} samples are in {folder}", markup=False)


def verify(
    folder: Annotated[Path, typer.Argument(help="Samples.", show_default=False)],
    run: Annotated[
        Path | None,
        typer.Option("--repair", help="Draw damaged samples again, with this run.", metavar="RUN"),
    ] = None,
    condition: Annotated[
        str | None,
        typer.Option(
            help="With --repair: the --condition that the samples were drawn with.",
            show_default="the run's",
        ),
    ] = None,
    inputs: Annotated[
        Path | None,
        typer.Option(
            help="With --repair: the input images of a translator.", show_default="the run's"
        ),
    ] = None,
    device: Device = None,
    trust: Trust = False,
) -> None:
    """Check files of samples against their manifests; a line for each fault, and exit code 1."""
    from gantandem import runs
    from gantandem.errors import ConfigError

    if run is None:
        if condition is not None or inputs is not None:
            raise ConfigError("--condition and --inputs are only used with --repair RUN")
        found = runs.verify_folder(folder)
    else:
        work = runs.Workspace(run, device=device, trust=trust)
        if condition is not None:
            work.ask(condition)
        if inputs is not None:
            work.translate(inputs)
        found = runs.repair_folder(folder, work, trust=trust)
    for line in found.faults:
        out.print(line, markup=False)
    out.print(f"{found.whole:,} samples are whole: {folder}", markup=False)
    if run is None and (command := runs.repairing(folder, found.damaged)) is not None:
        out.print(f"what is damaged is drawn again by: {command}", markup=False)
    if found.faults:
        raise typer.Exit(1)


def compare(
    run: Run,
    overrides: Overrides = None,
    samplers: Annotated[
        str | None,
        typer.Option(
            "--samplers",
            help="Names, separated by commas.",
            show_default="direct,drs,metropolis; on a shaped run also refine,collaborative",
        ),
    ] = None,
    n: Annotated[
        int | None,
        typer.Option("-n", "--n", help="Number of samples.", show_default="10000; sweep: 4000"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", "-s", min=0, help="Default: the run's.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the results to this JSON file.")
    ] = None,
    sweep: Annotated[
        list[str] | None,
        typer.Option(
            "--sweep",
            help="Vary a setting instead, for example `obrs.expected=2,4,8` (repeatable); without "
            "a value: the usual setting of every sampler. Writes RUN/sweep.json and "
            "sweep.png.",
            show_default=False,
        ),
    ] = None,
    fit: Annotated[
        bool, typer.Option("--fit", help="With --sweep: fit the ratios that are missing.")
    ] = False,
    again: Annotated[
        bool,
        typer.Option(
            "--again", help="Measure again what was measured before with the same settings."
        ),
    ] = False,
    page: Annotated[bool, typer.Option("--report", help="Write RUN/report.html as well.")] = False,
    backbone: Backbone = None,
    backbone_weights: BackboneWeights = None,
    device: Device = None,
    trust: Trust = False,
) -> None:
    """Measure samplers side by side: quality, passes, seconds; writes RUN/metrics.json."""
    from gantandem import runs
    from gantandem.cli.show import comparison_table, sweep_table
    from gantandem.errors import ConfigError, IncompleteError
    from gantandem.files import check_place

    incomplete = None
    if json_file is not None:
        check_place(json_file)
    if fit and not sweep:
        raise ConfigError(
            "--fit is only used with --sweep; to fit ratios, run 'gantandem fit-ratio'"
        )
    if sweep and backbone is not None:
        raise ConfigError("--backbone measures samplers side by side: leave --sweep out")
    step = "compare --sweep --fit" if fit else "compare"
    work = runs.Workspace(run, overrides or (), device, step, trust=trust)
    names = None if samplers is None else split_names(samplers)
    if sweep:
        count = 4_000 if n is None else n
        found = runs.sweep_run(work, sweep, names or (), count, seed=seed, fit=fit, again=again)
        table = sweep_table(found)
    else:
        count = 10_000 if n is None else n
        names = runs.default_samplers(work) if names is None else names
        try:
            eyes = {"backbone": backbone, "backbone_weights": backbone_weights}
            found = runs.compare_run(work, names, count, seed=seed, again=again, **eyes)
        except IncompleteError as error:  # told after the rows that there are
            found, incomplete = error.metrics, error
        table = comparison_table(found)
    note(run)
    if json_file is not None:
        runs.write_json(json_file, found)
    out.print(table)
    if sweep:
        out.print(f"picture: {run / 'sweep.png'}", markup=False)
    if page:
        report(run)
    else:
        step = "report" if (run / "metrics.json").is_file() else "compare"
        hint(f"next: gantandem {step} {run}")
    if incomplete is not None:
        raise incomplete


def report(
    run: Run,
    picture: Annotated[
        Path | None,
        typer.Option("--summary", help="Also write a small summary picture to this PNG file."),
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the report in a browser.")] = False,
) -> None:
    """Write RUN/report.html, one self-contained file."""
    from gantandem.reporting import summary_figure, write_report

    path = write_report(run)
    if picture is not None:
        out.print(f"summary: {summary_figure(run, picture)}", markup=False)
    out.print(f"report: {path}", markup=False)
    if show:
        typer.launch(path.resolve().as_uri())
