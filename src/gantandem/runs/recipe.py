"""Recipes and run files: YAML in, checked settings out, and errors that say which key is wrong."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from gantandem.data.ranges import check_range
from gantandem.errors import ConfigError, near
from gantandem.latent import Dim
from gantandem.settings import check, check_names, kinds, plain

RUN_FILE = "run.yaml"


def _task(name: str) -> str:
    from gantandem.tasks import get_task

    get_task(name)
    return name


def _network(spec: dict[str, Any]) -> dict[str, Any]:
    from gantandem.nets import NETS

    name = spec.get("net")
    if not isinstance(name, str):
        raise ConfigError("a network needs the key 'net' with its name")
    if name not in NETS and ":" not in name:
        raise ConfigError(f"unknown network {name!r}; {near(name, NETS)}, or 'module:Name'")
    return spec


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _sampler(spec: dict[str, Any]) -> dict[str, Any]:
    from gantandem.samplers import from_config

    from_config(spec)
    return spec


def _refine(spec: dict[str, Any]) -> dict[str, Any]:
    """Check settings that a task's complete: each by itself."""
    from gantandem.samplers import Refine

    check_names("refine", Refine, spec)
    for name, value in spec.items():
        check(f"refine {name}", kinds(Refine)[name], value)
    return spec


TaskName = Annotated[str, AfterValidator(_task)]
NetworkSpec = Annotated[dict[str, Any], AfterValidator(_network)]
RefineSpec = Annotated[dict[str, Any], AfterValidator(_refine)]
SamplerSpec = Annotated[dict[str, Any], BeforeValidator(_named), AfterValidator(_sampler)]
"""A name, or name and settings, nested: ``{name: obrs, proposal: {name: refine}}``."""


ImageRange = Annotated[tuple[float, float], BeforeValidator(plain), AfterValidator(check_range)]


class Section(BaseModel):
    """A part of a configuration; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    def given(self) -> dict[str, Any]:
        """The settings that were given, without those left to their defaults."""
        return self.model_dump(exclude_unset=True, exclude_none=True)


class LatentSpec(Section):
    """The prior of z: standard normal, or uniform on [low, high]^dim."""

    kind: Literal["normal", "uniform"]
    dim: Annotated[Any, BeforeValidator(lambda dim: check("dim", Dim, dim))]
    low: float | None = None
    high: float | None = None

    @model_validator(mode="after")
    def _check_border(self) -> LatentSpec:
        if self.kind == "normal" and (self.low is not None or self.high is not None):
            raise ValueError("low and high are only allowed with kind 'uniform'")
        if self.kind == "uniform" and not self.settings()["low"] < self.settings()["high"]:
            raise ValueError("low must be below high (they are -1 and 1 unless given)")
        return self

    def settings(self) -> dict[str, Any]:
        """What ``make_latent`` takes; uniform is on [-1, 1] unless said otherwise."""
        if self.kind == "normal":
            return {"kind": self.kind, "dim": self.dim}
        low = -1.0 if self.low is None else self.low
        return {**self.given(), "low": low, "high": 1.0 if self.high is None else self.high}


class TrainSettings(Section):
    """Training of the baseline GAN; what is not given comes from the task."""

    iterations: PositiveInt | None = None
    batch_size: Annotated[int, Field(ge=2)] | None = None
    optimiser: Literal["sgd", "adam"] | None = None
    generator_rate: PositiveFloat | None = None
    discriminator_rate: PositiveFloat | None = None
    beta1: Annotated[float, Field(ge=0, lt=1)] | None = None
    checkpoint_every: PositiveInt | None = None
    loss: str | None = None


class ShapeSettings(Section):
    """Discriminator shaping; the settings of :func:`gantandem.shape_discriminator`.

    ``refine`` is the refinement to shape for; what it leaves out comes from the task.
    """

    refine: RefineSpec | None = None
    updates: PositiveInt | None = None
    learning_rate: PositiveFloat | None = None
    batch: PositiveInt | None = None
    width: Annotated[int, Field(ge=16, multiple_of=16)] | None = None
    replay: PositiveInt | None = None
    check_every: PositiveInt | None = None
    check_samples: PositiveInt | None = None
    recipe: Literal["pool", "paper"] | None = None


class FitSettings(Section):
    """Fitting of ratios; the settings of :func:`gantandem.fit_ratio`.

    ``schedule`` is a list of (updates, learning rate) pairs.
    """

    n: PositiveInt | None = None
    schedule: list[Annotated[tuple[PositiveInt, PositiveFloat], BeforeValidator(plain)]] | None = (
        None
    )
    batch: PositiveInt | None = None
    weight_decay: Annotated[float, Field(ge=0)] | None = None
    strength: Annotated[float, Field(ge=0, le=1)] | None = None
    backbone: str | None = None
    backbone_weights: str | None = None

    @field_validator("schedule", mode="before")
    @classmethod
    def _pairs(cls, given: Any) -> Any:
        if given is not None and not isinstance(given, list | tuple):
            raise ValueError("allowed are pairs (updates, rate), such as [[1000,1e-3],[500,1e-4]]")
        return given

    @model_validator(mode="before")
    @classmethod
    def _older(cls, given: Any) -> Any:
        """Read ``pool``, as ``n`` was called at first."""
        if not isinstance(given, dict) or "pool" not in given:
            return given
        return {"n": given["pool"], **{k: v for k, v in given.items() if k != "pool"}}


def _partial(given: Any, name: str) -> bool:
    section = given.get(name) if isinstance(given, dict) else None
    kind = "kind" if name == "latent" else "net"
    return isinstance(section, dict) and bool(section) and kind not in section


class Recipe(Section):
    """Everything that makes a run: what is trained, on what, and how it is improved.

    Args:
        task: A built-in task.
        seed: Of training, shaping, fitting and sampling.
        data: Folder or hub name of the task's data; None takes its default place.
        generator: ``{net: name, ...}``; None takes the task's.
        discriminator: Likewise.
        latent: The prior; None takes the task's.
        output: What the discriminator returns.
        train: Training settings.
        shape: Shaping settings.
        fit_ratio: Settings of the ratios' fits.
        range: The values of black and of white in images, ``[-1, 1]`` say; None takes the task's,
            or finds them by what the generator makes.
        samplers: Samplers to compare, by the name they are shown under.
    """

    task: TaskName
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    data: str | None = None
    generator: NetworkSpec | None = None
    discriminator: NetworkSpec | None = None
    latent: LatentSpec | None = None
    output: Literal["logit", "prob", "critic", "hinge", "wgan", "lsgan"] = "logit"
    train: TrainSettings = TrainSettings()
    shape: ShapeSettings = ShapeSettings()
    fit_ratio: FitSettings = FitSettings()
    range: ImageRange | None = None
    samplers: dict[str, SamplerSpec] = {}

    @model_validator(mode="before")
    @classmethod
    def _completed(cls, given: Any) -> Any:
        """Take what a section leaves out of its kind from the task: ``generator.width=128``."""
        sections = [n for n in ("generator", "discriminator", "latent") if _partial(given, n)]
        if not sections:
            return given
        from gantandem.tasks import get_task

        try:
            task = get_task(given["task"])
        except (ConfigError, KeyError, TypeError):  # which is told by itself
            return given
        own = {**task.networks, "latent": task.latent}
        return {**given, **{n: {**own.get(n, {}), **given[n]} for n in sections}}
