"""Reads recipes and run files: YAML in, checked settings out, and errors that say which key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import (
    BaseModel,
    ValidationError,
)

from gantandem.errors import ConfigError, near
from gantandem.files import Loader
from gantandem.runs.recipe import RUN_FILE, Recipe
from gantandem.runs.specs import check_texts

OWN = ("state", "files", "record")
"""What run.yaml holds beside settings."""


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
        raise ConfigError(f"{path}: holds {got}; allowed are 'key: value' lines")
    return content


def apply_overrides(
    content: Mapping[str, Any], overrides: Sequence[str]
) -> tuple[dict[str, Any], dict[tuple[str, ...], str]]:
    """Set dotted keys from ``key=value`` texts; values are read as YAML.

    Another ``name`` or ``net`` in a section (``proposal.name=refine``) takes the settings of the
    older one away, but for those that these texts set.

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
            raise ConfigError(f"{text!r} is not an override: allowed is key=value or a.b=value")
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
        if path[-1] in ("name", "net") and place.get(path[-1], value) != value and path[:-1]:
            for other in set(place) - {known[-1] for known in origins if known[:-1] == path[:-1]}:
                del place[other]  # a setting of what had that name
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


def load_recipe(source: str, overrides: Sequence[str] = (), *, trust: bool = False) -> Recipe:
    """Load a recipe.

    Args:
        source: A YAML file, or the name of a task.
        overrides: ``key=value`` texts with dotted keys.
        trust: Import what the file names and is not built in, which runs its code. What ``source``
            and ``overrides`` name is the user's own.

    Raises:
        ConfigError: If there is no such recipe, a setting is wrong, or the file names what is not
            trusted.
    """
    from gantandem.tasks import TASKS

    path = Path(source)
    if source in TASKS or not (path.suffix in (".yaml", ".yml") or path.is_file()):
        content, origins = apply_overrides(_built_in(source), overrides)
        return parse(content, f"task {source}", origins)
    content, origins = apply_overrides(read_yaml(path), overrides)
    check_texts(content, trust, "", [".".join(key) for key in origins])
    return parse(content, str(path), origins)


def load_settings(run: Path, overrides: Sequence[str] = (), *, trust: bool = False) -> Recipe:
    """Load the settings kept in a run folder; ``trust`` as in :func:`load_recipe`.

    Raises:
        ConfigError: If it is no run folder, a setting is wrong, or it names what is not trusted.
    """
    path = run / RUN_FILE
    if not path.is_file():
        what = "is a file" if run.is_file() else "does not exist"
        what = "holds no run.yaml" if run.is_dir() else what
        raise ConfigError(
            f"{run}: not a run folder ({what}): make one with 'gantandem import {run} ...' from "
            f"weight files, 'gantandem train TASK --out {run}' or 'gantandem demo --out {run}'"
        )
    content = {key: value for key, value in read_yaml(path).items() if key not in OWN}
    latent = content.get("latent")
    if isinstance(latent, dict) and latent.get("kind") == "inputs":
        del content["latent"]  # images that a translator takes are no setting: the GAN has them
    content, origins = apply_overrides(content, overrides)
    check_texts(content, trust, "", [".".join(key) for key in origins])
    return parse(content, str(path), origins)


def _built_in(name: str) -> dict[str, Any]:
    from gantandem.tasks import OWN, TASKS

    if name in (*TASKS, OWN.name) or ":" in name:
        return {"task": name}
    raise ConfigError(
        f"no recipe file or task is called {name!r}; {near(name, TASKS)}, or 'module:name'"
    )


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
