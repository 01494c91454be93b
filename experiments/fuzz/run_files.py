"""The files of a RUN, damaged or with a value changed, and what reads them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save

from experiments.fuzz.inputs import broken, changed, odd, plain_odd
from gantandem import runs
from gantandem.reporting import write_report


def encoded(text: str) -> bytes:
    """What UTF-8 holds of a text."""
    return text.encode("utf-8", "replace")


def write(path: Path, content: Any) -> Path:
    """Write bytes, or anything as text."""
    path.write_bytes(
        content if isinstance(content, bytes) else str(content).encode("utf-8", "replace")
    )
    return path


def as_yaml(value: Any) -> bytes:
    """A value as YAML, or as its ``repr`` where YAML has none."""
    try:
        return yaml.dump(value, allow_unicode=True).encode("utf-8", "surrogatepass")
    except yaml.YAMLError:
        return repr(value).encode("utf-8", "surrogatepass")


def _files(home: Path, *suffixes: str) -> list[str]:
    found = (path for path in (home / "run").rglob("*") if path.suffix in suffixes)
    return sorted(str(path.relative_to(home)) for path in found)


def some_file(home: Path, *suffixes: str) -> Any:
    """A file of the RUN with broken bytes."""
    return st.sampled_from(_files(home, *suffixes)).flatmap(
        lambda name: st.tuples(st.just(name), broken((home / name).read_bytes()))
    )


def some_values(home: Path) -> Any:
    """A YAML or JSON file of the RUN with a change."""

    def values(name: str) -> Any:
        text = (home / name).read_text(encoding="utf-8")
        content = yaml.safe_load(text) if name.endswith(".yaml") else json.loads(text)
        by = odd if name.endswith(".yaml") else plain_odd
        return st.tuples(st.just(name), changed(content, by))

    return st.sampled_from(_files(home, ".yaml", ".json")).flatmap(values)


def use_run(home: Path) -> None:
    """Open the RUN and build its samplers."""
    work = runs.Workspace(home / "run")
    for name in ("mine", "collaborative", "obrs"):
        if name != "mine" or name in work.recipe.samplers:
            work.sampler(name)


def changed_file(given: tuple[str, Any], home: Path) -> None:
    """Read the RUN with one file replaced, which is put back."""
    name, content = given
    if not isinstance(content, bytes):
        content = (
            as_yaml(content)
            if name.endswith(".yaml")
            else json.dumps(content).encode("utf-8", "replace")
        )
    whole = {path: path.read_bytes() for path in (home / name, home / "run" / "run.yaml")}
    try:
        write(home / name, content)
        _keep_hash(home, whole[home / name], content)
        if name.endswith((".yaml", ".safetensors")):
            use_run(home)
        if name.endswith((".json", ".npz")):
            write_report(home / "run")
    finally:
        for path, before in whole.items():
            path.write_bytes(before)


def _keep_hash(home: Path, before: bytes, after: bytes) -> None:
    """A run.yaml that names hashes is made to name the new one, so that the reader goes on."""
    path = home / "run" / "run.yaml"
    old, new = (hashlib.sha256(content).hexdigest() for content in (before, after))
    text = path.read_bytes()
    if old.encode() in text:
        path.write_bytes(text.replace(old.encode(), new.encode()))


def changed_notes_of(home: Path) -> Any:
    """A weight file of the RUN whose JSON notes have a change."""

    def values(name: str) -> Any:
        with safe_open(home / name, "pt") as file:
            metadata = file.metadata() or {}
        content = {key: _json(value) for key, value in sorted(metadata.items())}
        return st.tuples(st.just(name), changed(content, plain_odd))

    return st.sampled_from(_files(home, ".safetensors")).flatmap(values)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def changed_notes(given: tuple[str, Any], home: Path) -> None:
    """Read the RUN with the notes of a weight file replaced."""
    name, notes = given
    with safe_open(home / name, "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    if not isinstance(notes, dict):
        notes = {"gantandem": notes}
    texts = {
        str(key).encode("utf-8", "replace").decode(): value
        if isinstance(value, str)
        else json.dumps(value)
        for key, value in notes.items()
    }
    texts = {key: value.encode("utf-8", "replace").decode() for key, value in texts.items()}
    changed_file((name, save(tensors, texts)), home)
