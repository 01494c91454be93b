"""Recipes and run files: YAML in, checked settings out, and errors that say which key is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from gantandem.data.ranges import check_range
from gantandem.errors import ConfigError, near
from gantandem.files import Loader
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
        raise ConfigError("a network needs its name under 'net'")
    if name not in NETS and ":" not in name:
        raise ConfigError(f"unknown network {name!r}; {near(name, NETS)}, or 'module:Class'")
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
    dim: PositiveInt
    low: float | None = None
    high: float | None = None

    @model_validator(mode="after")
    def _check_border(self) -> LatentSpec:
        if self.kind == "normal" and (self.low is not None or self.high is not None):
            raise ValueError("low and high belong to kind 'uniform'")
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


class ShapeSettings(Section):
    """Discriminator shaping; the settings of :func:`gantandem.shape`.

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

    pool: PositiveInt | None = None
    schedule: list[Annotated[tuple[PositiveInt, PositiveFloat], BeforeValidator(plain)]] | None = (
        None
    )
    batch: PositiveInt | None = None
    weight_decay: Annotated[float, Field(ge=0)] | None = None
    strength: Annotated[float, Field(ge=0, le=1)] | None = None


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


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping.

    Raises:
        ConfigError: If it is missing, not YAML, or not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
        content = yaml.load(text, Loader)  # noqa: S506 - a subclass of SafeLoader
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {_one_line(error)}") from error
    if not isinstance(content, dict):
        got = "nothing" if content is None else f"a {type(content).__name__}"
        raise ConfigError(f"{path}: holds {got}; wanted are 'key: value' lines")
    return content


def apply_overrides(
    content: Mapping[str, Any], overrides: Sequence[str]
) -> tuple[dict[str, Any], dict[tuple[str, ...], str]]:
    """Set dotted keys from ``key=value`` texts; values are read as YAML.

    Returns:
        The new content, and for each key that was set the text that set it.

    Raises:
        ConfigError: If a text has no ``=``, its value is not YAML, or a key runs through a value.
    """
    result: dict[str, Any] = _copy(dict(content))
    origins: dict[tuple[str, ...], str] = {}
    for text in overrides:
        key, equals, raw = text.partition("=")
        path = tuple(key.strip().split("."))
        if not equals or not all(path):
            raise ConfigError(f"{text!r} is not an override: wanted is key=value or a.b=value")
        try:
            value = yaml.load(raw, Loader)  # noqa: S506 - a subclass of SafeLoader
        except yaml.YAMLError as error:
            raise ConfigError(f"{text!r}: the value is not YAML: {_one_line(error)}") from error
        place: dict[str, Any] = result
        for depth, part in enumerate(path[:-1]):
            inner = place.get(part)
            if inner is None or (isinstance(inner, str) and path[0] == "samplers"):
                inner = {} if inner is None else {"name": inner}
                place[part] = inner
            if not isinstance(inner, dict):
                parent = ".".join(path[: depth + 1])
                raise ConfigError(f"{text!r}: {parent} is {inner!r}, so it has no keys inside")
            place = inner
        place[path[-1]] = value
        origins[path] = text
    return result, origins


def parse(
    content: Mapping[str, Any], where: str, origins: Mapping[tuple[str, ...], str] | None = None
) -> Recipe:
    """Check settings.

    Args:
        content: Nested plain values.
        where: The file they come from, for messages.
        origins: Keys that came from the command line instead, with their text.

    Raises:
        ConfigError: Naming for each wrong key the file, the key, what was given and what is
            allowed.
    """
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        problems = [_explain(item, where, origins or {}) for item in error.errors()]
        raise ConfigError("\n".join(dict.fromkeys(problems))) from None


def load_recipe(source: str, overrides: Sequence[str] = ()) -> Recipe:
    """Load a recipe.

    Args:
        source: A YAML file, or the name of a task.
        overrides: ``key=value`` texts with dotted keys.

    Raises:
        ConfigError: If there is no such recipe, or a setting is wrong.
    """
    path = Path(source)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        content, where = read_yaml(path), str(path)
    else:
        content, where = _built_in(source), f"task {source}"
    content, origins = apply_overrides(content, overrides)
    return parse(content, where, origins)


def load_settings(run: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Load the settings kept in a run folder.

    Raises:
        ConfigError: If it is no run folder, or a setting is wrong.
    """
    path = run / RUN_FILE
    if not path.is_file():
        what = "holds no run.yaml" if run.is_dir() else "does not exist"
        raise ConfigError(
            f"{run}: not a run folder ({what}): make one with "
            f"'gantandem train TASK --out {run}' or 'gantandem demo --out {run}'"
        )
    content = {key: value for key, value in read_yaml(path).items() if key != "state"}
    content, origins = apply_overrides(content, overrides)
    return parse(content, str(path), origins)


def _built_in(name: str) -> dict[str, Any]:
    from gantandem.tasks import TASKS

    if name in TASKS:
        return {"task": name}
    raise ConfigError(f"no recipe file or task is called {name!r}; {near(name, TASKS)}")


def _explain(item: Any, where: str, origins: Mapping[tuple[str, ...], str]) -> str:
    loc = tuple(str(part) for part in item["loc"])
    for path, text in origins.items():
        if loc[: len(path)] == path or path[: len(loc)] == loc:
            where = f"command line ({text})"
    key = ".".join(loc) or "(top level)"
    if item["type"] == "extra_forbidden":
        allowed = _keys(Recipe, loc[:-1])
        return f"{where}: {key}: unknown key, given {item['input']!r}; {near(loc[-1], allowed)}"
    if item["type"] == "missing":
        return f"{where}: {key}: is missing and has no default"
    message = item["msg"].removeprefix("Value error, ").replace("Input should be", "allowed is")
    return f"{where}: {key}: given {item['input']!r}; {message}"


def _keys(model: type[BaseModel], loc: Sequence[str]) -> list[str]:
    """The keys of the section at a place inside a model."""
    for part in loc:
        models = _annotation_models(model.model_fields[part].annotation)
        if not models:
            return []
        model = models[0]
    return list(model.model_fields)


def _copy(value: Any) -> Any:
    return {k: _copy(v) for k, v in value.items()} if isinstance(value, dict) else value


def _annotation_models(annotation: Any) -> list[type[BaseModel]]:
    parts = [annotation, *get_args(annotation)]
    return [part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
