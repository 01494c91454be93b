"""What the JSON files of a RUN hold: a model for each, checked when a file is read.

More keys than these are allowed, and kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter
from pydantic_core import from_json
from typing_extensions import TypeAliasType, TypedDict

from gantandem.errors import DataError
from gantandem.files import check_content

_OPEN = ConfigDict(extra="allow")

Number = float | None
Numbers = TypeAliasType("Numbers", "float | None | list[Numbers] | dict[str, Numbers]")  # pyright: ignore
Measured = dict[str, Numbers]
"""Metrics of a sampler, or of real data; a user's own may be of any name."""


class Config(TypedDict, total=False):
    """A sampler's settings."""

    __pydantic_config__ = _OPEN  # pyright: ignore
    name: str
    proposal: dict[str, Any]


class Row(TypedDict, total=False):
    """A sampler in ``metrics.json``."""

    __pydantic_config__ = _OPEN  # pyright: ignore
    metrics: Measured
    events: dict[str, Number] | None
    sampler: Config
    eyes: dict[str, str | None | list[str]]


class Metrics(TypedDict, total=False):
    """``metrics.json``."""

    __pydantic_config__ = _OPEN  # pyright: ignore
    samplers: Annotated[dict[str, Row], Field(min_length=1)]
    failed: dict[str, str] | None
    floor: Measured
    discriminator: dict[str, Number]
    setup: dict[str, dict[str, Any]]
    range: list[float] | None


class Bin(TypedDict):
    """A bin of a reliability diagram."""

    low: float
    high: float
    count: float
    confidence: float
    frequency: float


class Diagnosed(TypedDict, total=False):
    """A ratio in ``evidence/diagnosis.json``."""

    __pydantic_config__ = _OPEN  # pyright: ignore
    law: str
    warnings: list[str]
    bins: list[Bin]
    brier_parts: dict[str, Number] | None
    standard_errors: dict[str, Number] | None


class Candidate(TypedDict):
    """One of ``evidence/recommendation.json``."""

    __pydantic_config__ = _OPEN  # pyright: ignore
    passes_per_sample: float
    metrics: dict[str, Number]
    half_interval: dict[str, Number]


class Recommended(TypedDict):
    """``evidence/recommendation.json``."""

    __pydantic_config__ = _OPEN  # pyright: ignore
    recommended: str
    verdict: str
    candidates: Annotated[dict[str, Candidate], Field(min_length=1)]


class Skipped(TypedDict):
    """A setting that a sweep could not draw, and why."""

    sampler: str
    label: str
    reason: str


class OnFront(TypedDict):
    """On which fronts of a sweep a setting is."""

    quality_diversity: bool
    quality_passes: bool
    diversity_passes: bool
    distance_passes: bool


class Point(TypedDict):
    """A setting in ``sweep.json``."""

    __pydantic_config__ = _OPEN  # pyright: ignore
    sampler: str
    label: str
    knob: str | None
    metrics: Measured
    on_front: OnFront
    passes_per_sample: Number
    samples_per_second: Number


class SweptAxis(TypedDict):
    """What a sweep is drawn against."""

    key: str
    better: Literal["high", "low", "one"]
    label: str


class Sweep(TypedDict):
    """``sweep.json``."""

    __pydantic_config__ = _OPEN  # pyright: ignore
    n: int
    floor: Measured
    pareto: dict[Literal["quality", "diversity", "distance"], SweptAxis]
    points: list[Point]
    skipped: list[Skipped]


class Typed(TypedDict):
    """A command in ``evidence/commands.json``."""

    command: str
    date: str


METRICS: TypeAdapter[Any] = TypeAdapter(Metrics)
DIAGNOSES: TypeAdapter[Any] = TypeAdapter(dict[str, Diagnosed])
HISTORY: TypeAdapter[Any] = TypeAdapter(list[dict[str, Any]])
RECOMMENDED: TypeAdapter[Any] = TypeAdapter(Recommended)
SWEEP: TypeAdapter[Any] = TypeAdapter(Sweep)
WARNED: TypeAdapter[Any] = TypeAdapter(dict[str, list[str]])
"""``evidence/warnings.json``: what each step warned of."""
TYPED: TypeAdapter[Any] = TypeAdapter(list[Typed])


def read_json(path: Path, model: TypeAdapter[Any], schema: int | None = None) -> Any:
    """Read a JSON file and check it; None if there is none.

    Args:
        path: The file.
        model: What it must hold.
        schema: Which number it must have under ``schema``, if any.

    Raises:
        DataError: If it is damaged, or of another schema; what is wrong first is named.
    """
    if not path.is_file():
        return None
    again = "make it again by the command that wrote it"
    try:
        content = from_json(path.read_bytes())
        if schema is not None and isinstance(content, dict) and content.get("schema") != schema:
            raise DataError(
                f"{path}: schema is {content.get('schema')!r}; this version reads {schema}; {again}"
            )
        check_content(content, model, path, again)
        return content  # and not what was validated, where counts are 0.0
    except DataError:
        raise
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: damaged ({error}); {again}") from None
