"""Commands that improve a run's discriminators: ``shape``, ``fit-ratio``, ``calibrate``, ..."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from gantandem.cli.frame import (
    Backbone,
    BackboneWeights,
    Budget,
    Device,
    Overrides,
    Run,
    Trust,
    hint,
    noting,
    out,
)

Samplers = Annotated[
    str | None,
    typer.Option(
        "--samplers",
        help="Names, separated by commas.",
        show_default="direct,collaborative; only direct if the run was not shaped",
    ),
]
Sampler = Annotated[
    str, typer.Option("--sampler", help="The sampler whose proposals the ratio judges.")
]


class Method(str, Enum):
    """How to calibrate."""

    auto = "auto"
    isotonic = "isotonic"
    platt = "platt"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(shape)
    app.command("fit-ratio")(fit_ratio)
    app.command()(calibrate)
    app.command()(diagnose)
    app.command()(recommend)


def shape(
    run: Run,
    overrides: Overrides = None,
    budget: Budget = None,
    device: Device = None,
    trust: Trust = False,
) -> None:
    """Shape the guide for refinement, for example with `shape.updates=2000`."""
    from gantandem import runs
    from gantandem.cli.show import history_table

    work = runs.Workspace(run, overrides or (), device, "shape", trust=trust)
    with noting(run):
        shaped = runs.shape_run(work, budget)
    out.print(history_table(shaped.history))
    out.print(f"shaped: {run}", markup=False)
    hint(f"next: gantandem fit-ratio {run}")


def fit_ratio(
    run: Run,
    overrides: Overrides = None,
    samplers: Samplers = None,
    budget: Budget = None,
    device: Device = None,
    trust: Trust = False,
) -> None:
    """Fit the ratios that acceptance needs, on the law of each sampler's proposals."""
    from gantandem import runs
    from gantandem.cli.show import diagnosis_text

    work = runs.Workspace(run, overrides or (), device, "fit-ratio", trust=trust)
    names = [name for name in ("direct", "collaborative") if name in runs.default_samplers(work)]
    with noting(run):
        found = runs.fit_run(work, names if samplers is None else split_names(samplers), budget)
    out.print(diagnosis_text(found), markup=False)
    out.print(f"fitted: {run}", markup=False)
    hint(f"next: gantandem compare {run}")


def calibrate(
    run: Run,
    overrides: Overrides = None,
    sampler: Sampler = "collaborative",
    method: Annotated[Method, typer.Option(help="The kind of map.")] = Method.auto,
    device: Device = None,
    trust: Trust = False,
) -> None:
    """Calibrate a ratio on held-out data; it then enters acceptance calibrated."""
    from gantandem import runs
    from gantandem.cli.show import diagnosis_text

    work = runs.Workspace(run, overrides or (), device, "calibrate", trust=trust)
    with noting(run):
        found = runs.calibrate_run(work, sampler, method.value)
    out.print(diagnosis_text(found), markup=False)


def recommend(
    run: Run,
    overrides: Overrides = None,
    samplers: Annotated[
        str | None,
        typer.Option(
            "--samplers",
            help="Candidates: names separated by commas. The run is then neither shaped nor "
            "fitted.",
            show_default="OBRS, refinement at three layers, collaborative",
        ),
    ] = None,
    n: Annotated[int, typer.Option("-n", "--n", help="Samples of each candidate.")] = 8000,
    by: Annotated[
        str | None,
        typer.Option(
            help="The metric that ranks.", show_default="c2st, frechet_distance or sliced_w1"
        ),
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(
            help="Where to refine, separated by commas.", show_default="latent, the middle, data"
        ),
    ] = None,
    budget: Budget = None,
    backbone: Backbone = None,
    backbone_weights: BackboneWeights = None,
    device: Device = None,
    trust: Trust = False,
) -> None:
    """Try samplers, and say which one to use; the run keeps it as `recommended`."""
    from gantandem import runs

    work = runs.Workspace(run, overrides or (), device, "recommend", trust=trust)
    with noting(run):
        found = runs.recommend_run(
            work,
            None if samplers is None else split_names(samplers),
            n,
            by=by,
            layers=None if layers is None else split_names(layers),
            budget=budget,
            backbone=backbone,
            backbone_weights=backbone_weights,
        )
    out.print(str(found), markup=False, soft_wrap=True)
    hint(f"next: gantandem sample {run}")


def diagnose(
    run: Run,
    overrides: Overrides = None,
    sampler: Sampler = "collaborative",
    device: Device = None,
    trust: Trust = False,
) -> None:
    """Measure on test data how far a ratio can be trusted."""
    from gantandem import runs
    from gantandem.cli.show import diagnosis_text

    work = runs.Workspace(run, overrides or (), device, "diagnose", trust=trust)
    with noting(run):
        found = runs.diagnose_run(work, sampler)
    out.print(diagnosis_text({sampler: found}), markup=False)


def split_names(text: str) -> list[str]:
    """Names separated by commas.

    Raises:
        ConfigError: If there is none, or one twice.
    """
    from gantandem.errors import ConfigError

    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise ConfigError(f"samplers: got {text!r}; allowed are names separated by commas")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"samplers: {', '.join(twice)} is given twice")
    return names
