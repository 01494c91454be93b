"""Weight files: safetensors only, written whole or not at all, never unpickled."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from gantandem.errors import WeightsError
from gantandem.files import beside, write_bytes

_PICKLED = {".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin"}
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"


def write_tensors(
    path: str | Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors to a safetensors file; an interrupted write leaves the old file in place.

    Raises:
        OutputError: If the file cannot be written, for example because the disk is full.
    """
    write_bytes(path, pack(tensors, metadata))


def pack(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """What a safetensors file of these tensors holds."""
    # safetensors keeps neither strides nor sharing, so every tensor goes in dense and on its own.
    dense = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    # Neither tensors nor metadata, as of a network without weights: {} gives a file nobody reads.
    return save(dense, dict(metadata or {}) if dense or metadata else None)


def read_tensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read all tensors (on the CPU) and the metadata of a safetensors file.

    Raises:
        WeightsError: If the file is missing, pickled (it is never unpickled), truncated or not
            safetensors at all.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"{path}: no such weight file{beside(Path(path))}")
    with path.open("rb") as file:
        start = file.read(9)
    # safetensors opens with 8 bytes of length, which can look like anything, and then its JSON.
    pickled = start.startswith((_ZIP, _PICKLE)) and start[8:] != b"{"
    if pickled or path.suffix in _PICKLED:
        raise WeightsError(
            f"{path} looks like a pickled checkpoint, which can run code when it is opened, so it "
            "is not read. If you trust it, load it yourself and save its state_dict with "
            "gantandem.nets.save_weights(module, 'weights.safetensors')"
        )
    return unpack(path)


def unpack(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a safetensors file, whatever its name.

    Raises:
        WeightsError: If it is truncated or not safetensors at all.
    """
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            return tensors, dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(
            f"{path} is truncated or not a safetensors file ({error}): copy the file again, or "
            "train again"
        ) from error


def save_weights(
    module: nn.Module, path: str | Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Save the state_dict of a network as safetensors.

    Args:
        module: Any network.
        path: File to write; its folder is made. An interrupted write leaves the old file.
        metadata: Text kept in the file's header, for example the command that made it.

    Raises:
        OutputError: If the file cannot be written.
    """
    write_tensors(path, module.state_dict(), metadata)


def load_weights(module: nn.Module, path: str | Path) -> dict[str, str]:
    """Load a safetensors file into a network, completely or not at all, and return its metadata.

    Half-precision files are read into float32 networks.

    Raises:
        WeightsError: If the file is missing, pickled, truncated, or its names or shapes are not
            exactly those of the network.
    """
    tensors, metadata = read_tensors(path)
    assign(module, tensors, str(path))
    return metadata


def assign(module: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Copy tensors into a network after checking every name and shape; ``where`` is for errors.

    Raises:
        WeightsError: If names or shapes are not exactly those of the network.
    """
    problems = differences(module.state_dict(), tensors)
    if problems:
        told = tell(problems)
        raise WeightsError(f"{where} does not fit {type(module).__name__}: {told}")
    with torch.no_grad():
        module.load_state_dict(dict(tensors))


def differences(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> dict[str, list[str]]:
    """Where tensors differ in name, shape or kind from those of a network, by sort of difference.

    Args:
        wanted: The network's state.
        given: What is to be loaded.
    """
    shared = [(name, given[name], value) for name, value in wanted.items() if name in given]
    sorts = {
        "missing": [name for name in wanted if name not in given],
        "unexpected": [name for name in given if name not in wanted],
        "of another shape": [
            f"{name} is {tuple(mine.shape)}, needs {tuple(value.shape)}"
            for name, mine, value in shared
            if mine.shape != value.shape
        ],
        "of another kind": [
            f"{name} is {mine.dtype}, needs {value.dtype}"
            for name, mine, value in shared
            if mine.is_floating_point() != value.is_floating_point()
        ],
    }
    return {sort: names for sort, names in sorts.items() if names}


def tell(problems: Mapping[str, list[str]]) -> str:
    """Differences in a line: three names of each sort, and how many there are."""
    told = []
    for sort, names in problems.items():
        shown = ", ".join(map(_shown, names[:3])) + (", ..." if len(names) > 3 else "")
        told.append(f"{sort} {shown}" if len(names) == 1 else f"{len(names)} {sort}: {shown}")
    return "; ".join(told)


def _shown(name: str) -> str:
    name = name if len(name) <= 100 else f"{name[:100]}..."
    return name if name.isprintable() else repr(name)
