"""Commands on samples that exist already: ``score`` and ``select``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from gantandem.cli.frame import Budget, Device, Seed, Trust, err, out
from gantandem.errors import InputError

Words = Annotated[
    list[str],
    typer.Argument(
        help="A run folder, then files or folders of pictures or arrays.",
        show_default=False,
        metavar="RUN FILES...",
    ),
]
Condition = Annotated[
    str | None,
    typer.Option(
        "--condition",
        help="For a conditional GAN: one label such as 7, or a .csv, .txt or .npy file with one "
        "row for each sample. Not needed if the files of samples hold labels.",
        show_default=False,
    ),
]
Bounds = Annotated[
    str | None,
    typer.Option(
        "--range",
        help="Values of black and white in pictures, for example 0,1.",
        show_default="the run's, or found",
    ),
]
Real = Annotated[
    Path | None,
    typer.Option(
        "--real",
        help="Real samples, instead of a run: a ratio is fitted on them and on the samples.",
        show_default=False,
    ),
]
Backbone = Annotated[
    str | None,
    typer.Option(
        "--backbone",
        help="With --real: judge images by the features of this network, for example "
        "efficientnet-lite0.",
        show_default=False,
    ),
]
Strict = Annotated[bool, typer.Option(help="Refuse a ratio that was fitted on another law.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(score)
    app.command()(select)


def score(
    words: Words,
    sampler: Annotated[
        str, typer.Option("--sampler", help="The sampler on whose proposals the ratio was fitted.")
    ] = "direct",
    real: Real = None,
    backbone: Backbone = None,
    budget: Budget = None,
    condition: Condition = None,
    bounds: Bounds = None,
    file: Annotated[
        Path | None, typer.Option("--out", "-o", help="Also write all scores: .csv or .json.")
    ] = None,
    json_out: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    top: Annotated[
        int | None,
        typer.Option(
            "--top", min=0, help="Show only the N best samples.", show_default="both ends"
        ),
    ] = None,
    strict: Strict = True,
    device: Device = None,
    trust: Trust = False,
) -> None:
    """Score samples that exist already by the fitted ratio, ranked: files, arrays, folders."""
    if real is not None:
        found, _ = _recorded(words, real, backbone, bounds, device, 0, budget)
    else:
        _need_real(backbone, budget)
        run, files, settings = _parted(words)
        options = _options(condition, bounds, strict)
        found = _runs().score_run(_open(run, device, trust), files, sampler, settings, **options)
    if file is not None:
        found.save(file)
    if json_out:
        _print_json(found.to_dict(None if top is None else found.order[:top]))
    elif top is None:
        out.print(str(found), markup=False)
    else:
        out.print(found.table(found.order[:top]), markup=False)
    if file is not None and not json_out:
        out.print(f"scores: {file}", markup=False)


def select(
    words: Annotated[
        list[str],
        typer.Argument(
            help="A run folder, then files or folders of images or arrays; and settings of the "
            "sampler as key=value.",
            show_default=False,
            metavar="RUN FILES...",
        ),
    ],
    sampler: Annotated[
        str, typer.Option("--sampler", help="rejection, drs, obrs, sir, metropolis or isir.")
    ] = "obrs",
    seed: Seed = 0,
    real: Real = None,
    backbone: Backbone = None,
    budget: Budget = None,
    condition: Condition = None,
    bounds: Bounds = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Copy the accepted samples to this folder; nothing is overwritten.",
            show_default="print the names",
        ),
    ] = None,
    json_out: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    strict: Strict = True,
    device: Device = None,
    trust: Trust = False,
) -> None:
    """Accept among samples that exist already, for example `--sampler obrs expected=4`."""
    if real is not None:
        from gantandem.runs.judging import selector_of
        from gantandem.scoring import select as choose

        _, settings = _files_of(words)
        chosen = selector_of(sampler, settings)  # before anything is fitted
        scores, x = _recorded(words, real, backbone, bounds, device, seed, budget)
        found = choose(scores, x, chosen, seed=seed)
    else:
        _need_real(backbone, budget)
        run, files, settings = _parted(words)
        options = {"seed": seed, **_options(condition, bounds, strict)}
        found = _runs().select_run(_open(run, device, trust), files, sampler, settings, **options)
    if folder is not None:
        found.save(folder)
    if json_out:
        _print_json(found.to_dict())
    else:
        if folder is None:
            for place in found.places:
                out.print(found.scores.name(place), markup=False)
        err.print(f"{found}\n{found.scores.trust}", markup=False, highlight=False)
        if folder is not None:
            out.print(f"accepted: {folder}", markup=False)


def _runs() -> Any:
    from gantandem import runs

    return runs


def _open(run: Path, device: str | None, trust: bool) -> Any:
    return _runs().open_judge(run, device=device, trust=trust)


def _files_of(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The paths, and the settings: words with a ``=`` that are no files."""
    settings = [word for word in words if "=" in word and not Path(word).exists()]
    return [word for word in words if word not in settings], settings


def _parted(words: Sequence[str]) -> tuple[Path, list[str], list[str]]:
    """The run, the files, and the settings."""
    paths, settings = _files_of(words)
    run, *files = paths or ["RUN"]
    if not files:
        raise InputError(
            f"no file was given: type the run folder, then files or folders of samples ({run} "
            "FILES...); with --real FOLDER type only the samples"
        )
    return Path(run), files, settings


def _need_real(backbone: str | None, budget: str | None) -> None:
    for name, given in (("backbone", backbone), ("budget", budget)):
        if given is not None:
            raise InputError(
                f"--{name} is only used with --real; the ratio of a run is fitted by 'gantandem "
                "fit-ratio'"
            )


def _recorded(
    words: Sequence[str],
    real: Path,
    backbone: str | None,
    bounds: str | None,
    device: str | None,
    seed: int,
    budget: str | None,
) -> tuple[Any, Any]:
    """Scores by ratios that are fitted beside real samples, and the samples."""
    from gantandem.data.ranges import check_range
    from gantandem.scoring.recorded import score_recorded

    files, _ = _files_of(words)
    options: dict[str, Any] = {"seed": seed, "device": device}
    if bounds is not None:
        options["range"] = check_range(bounds, "--range")
    if backbone is not None:
        options["backbone"] = backbone
    if budget is not None:
        options["budget"] = budget
    return score_recorded(files, real, **options)


def _options(condition: str | None, bounds: str | None, strict: bool) -> dict[str, Any]:
    from gantandem.data.ranges import check_range
    from gantandem.runs.conditions import read_condition

    rows = None if condition is None else read_condition(condition, "--condition")
    options: dict[str, Any] = {"condition": rows, "strict": strict}
    return options | {"range": None if bounds is None else check_range(bounds, "--range")}


def _print_json(content: dict[str, Any]) -> None:
    import json

    typer.echo(json.dumps(content, indent=1))
