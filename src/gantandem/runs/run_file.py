"""What ``run.yaml`` holds beside settings: a model, checked when the file is read."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, TypeAdapter
from typing_extensions import TypedDict

_OPEN = ConfigDict(extra="allow")


class Guide(TypedDict):
    """The guide, where it is another network than the discriminator as it was trained."""

    __pydantic_config__ = _OPEN  # pyright: ignore
    spec: dict[str, Any]
    output: str


class State(TypedDict, total=False):
    """What steps made of the networks."""

    __pydantic_config__ = _OPEN  # pyright: ignore
    guide: Guide
    shaped: bool
    spread: float | None
    real_logits: dict[str, float] | None
    setup_passes: int
    proposal: dict[str, Any] | None
    history: list[dict[str, Any]]
    weights: dict[str, Any]


class Record(TypedDict, total=False):
    """What is noted of a run."""

    __pydantic_config__ = _OPEN  # pyright: ignore
    origin: dict[str, str]
    passes: dict[str, int]
    demo: dict[str, Any]


class RunFile(TypedDict, total=False):
    """``run.yaml``; its settings are read as a recipe's."""

    __pydantic_config__ = _OPEN  # pyright: ignore
    generator: dict[str, Any]
    discriminator: dict[str, Any]
    output: str
    latent: dict[str, Any]
    state: State | None
    record: Record | None


RUN: TypeAdapter[Any] = TypeAdapter(RunFile)
AGAIN = "copy the RUN again from its source, or correct this value by hand"
