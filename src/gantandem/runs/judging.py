"""Samples that exist already, judged by the ratios of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gantandem.data.named import Paths
from gantandem.data.ranges import Range
from gantandem.runs.reading import apply_overrides
from gantandem.runs.workspace import Workspace, proposal_of
from gantandem.samplers import from_config, to_config
from gantandem.scoring import Scores, Selection, score, select


def score_run(
    work: Workspace,
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
        work: The run.
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
    proposal = proposal_of(work.sampler(sampler, overrides))
    range = work.range() if range is None else range
    options: dict[str, Any] = {"condition": condition, "range": range, "strict": strict}
    return score(work.gan, files, proposal=proposal, **options)


def select_run(
    work: Workspace,
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
    range = work.range() if range is None else range
    options: dict[str, Any] = {"condition": condition, "range": range, "strict": strict}
    return select(work.gan, files, work.sampler(sampler, overrides), seed=seed, **options)


def selector_of(name: str, overrides: Sequence[str] = ()) -> Any:
    """A sampler by its name alone, without a run.

    Raises:
        ConfigError: If there is none, or a setting is wrong.
    """
    sampler = from_config(name)
    return from_config(apply_overrides(to_config(sampler), overrides)[0]) if overrides else sampler
