"""Samples that exist already, judged by the ratios of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gantandem.data.named import Paths
from gantandem.data.ranges import Range
from gantandem.gan import GAN
from gantandem.runs.contents import present
from gantandem.runs.folder import load_run
from gantandem.runs.reading import apply_overrides
from gantandem.runs.recipe import RUN_FILE
from gantandem.runs.workspace import Workspace, proposal_of
from gantandem.samplers import Mover, Selector, from_config, to_config
from gantandem.samplers.named import named_sampler
from gantandem.scoring import Scores, Selection, score, select


def open_judge(
    run: str | Path, *, device: str | None = None, trust: bool = False
) -> Workspace | GAN:
    """Open a run, or a GAN that ``GAN.save`` wrote, which knows neither task nor data.

    Raises:
        ConfigError, WeightsError, InputError: As :class:`Workspace`.
    """
    run = Path(run)
    if (run / RUN_FILE).is_file() and "task" not in present(run):
        return load_run(run, device=device, trust=trust).gan
    return Workspace(run, device=device, trust=trust)


def _parts(
    judge: Workspace | GAN, name: str, overrides: Sequence[str], range: Range | None
) -> tuple[GAN, Mover | Selector, Range | None]:
    """The GAN, the sampler of a name, and the values of black and white."""
    if isinstance(judge, Workspace):
        return judge.gan, judge.sampler(name, overrides), range or judge.range()
    sampler = named_sampler(judge, name)
    if overrides:
        sampler = from_config(apply_overrides(to_config(sampler), overrides)[0])
    return judge, sampler, range


def score_run(
    work: Workspace | GAN,
    files: Paths,
    sampler: str = "direct",
    overrides: Sequence[str] = (),
    *,
    condition: Any = None,
    range: Range | None = None,
    strict: bool = True,
) -> Scores:
    """Score samples in files by the ratio of the law of a sampler's proposals.

    Args:
        work: The run, or a GAN.
        files: Pictures, arrays, or folders of these.
        sampler: See :meth:`Workspace.sampler`.
        overrides: ``key=value`` texts on its settings.
        condition: As for :func:`gantandem.score`.
        range: The values of black and white in pictures; None takes the run's.
        strict: Refuse another law's ratio.

    Raises:
        ConfigError: If there is no such sampler or setting.
        InputError, DataError, LawMismatchError: As :func:`gantandem.score`.
    """
    gan, made, range = _parts(work, sampler, overrides, range)
    options: dict[str, Any] = {"condition": condition, "range": range, "strict": strict}
    return score(gan, files, proposal=proposal_of(made), **options)


def select_run(
    work: Workspace | GAN,
    files: Paths,
    sampler: str = "obrs",
    overrides: Sequence[str] = (),
    *,
    seed: int = 0,
    condition: Any = None,
    range: Range | None = None,
    strict: bool = True,
) -> Selection:
    """Accept among samples in files, see :func:`gantandem.select` and :func:`score_run`."""
    gan, made, range = _parts(work, sampler, overrides, range)
    options: dict[str, Any] = {"condition": condition, "range": range, "strict": strict}
    return select(gan, files, made, seed=seed, **options)


def selector_of(name: str, overrides: Sequence[str] = ()) -> Any:
    """A sampler by its name alone, without a run.

    Raises:
        ConfigError: If there is none, or a setting is wrong.
    """
    sampler = from_config(name)
    return from_config(apply_overrides(to_config(sampler), overrides)[0]) if overrides else sampler
