"""The files of a RUN folder by role, and RUN folders as version 0.1 wrote them."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from gantandem.nets.weights import read_tensors, write_tensors
from gantandem.runs.contents import Contents


def one(folder: Path, role: str) -> Path:
    """The file of weights of a role."""
    (path,) = Path(folder).glob(f"{role}-*.safetensors")
    return path


def everything(folder: Path) -> dict[str, bytes]:
    """All files of a folder by path, hidden ones too."""
    paths = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def earlier(folder: Path) -> Path:
    """Rewrite a RUN as version 0.1 did: files called by their roles, notes of ratios in them."""
    content = yaml.safe_load((folder / "run.yaml").read_text())
    contents = Contents(folder, content.pop("files"))
    content.pop("record", None)
    content["state"].pop("weights")
    guide = content["state"].pop("guide", None)
    if guide is not None:
        content |= {"discriminator": guide["spec"], "output": guide["output"]}
    for role, name in contents.roles.items():
        path = folder / name
        if role.startswith("ratios/") and role.endswith(".safetensors"):
            noted = contents.path(role.replace(".safetensors", ".json")).read_text()
            tensors, _ = read_tensors(path)
            write_tensors(folder / role, tensors, {"gantandem": json.dumps(json.loads(noted))})
        elif role.endswith(".safetensors") and role != "discriminator.safetensors":
            (folder / role).write_bytes(path.read_bytes())
    for name in contents.files:
        (folder / name).unlink()
    if (folder / "condition.safetensors").exists():
        content["condition"] = "condition.safetensors"
    (folder / "run.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return folder
