"""A recipe for a user's own networks and data, with what to change in it said beside it."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from gantandem.errors import OutputError
from gantandem.files import write_bytes


def write_recipe(file: str | Path, *, overwrite: bool = False) -> Path:
    """Write the commented recipe that ``gantandem train`` takes.

    Args:
        file: Where.
        overwrite: Replace a file that is there.

    Raises:
        OutputError: If it is there and is not to be replaced, or cannot be written.
    """
    file = Path(file)
    if file.exists() and not overwrite:
        raise OutputError(f"{file} exists already: choose another name, or pass --overwrite")
    text = resources.files("gantandem.runs").joinpath("recipe.yaml").read_text(encoding="utf-8")
    write_bytes(file, text.encode())
    return file
