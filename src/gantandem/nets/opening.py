"""Weight files of others, opened without running anything that is in them."""

from __future__ import annotations

import json
import pickletools
import re
import shlex
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from gantandem.errors import WeightsError
from gantandem.files import beside
from gantandem.nets.claims import check_pickles, check_size_of
from gantandem.nets.weights import unpack


class _Ignored:
    """Stands for an object beside the weights; it holds nothing and does nothing."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, _: Any) -> None:
        pass


_BESIDE: list[Any] = [
    (_Ignored, name)
    for name in (
        "argparse.Namespace",  # rosinality's arguments
        "models.utils.config.BaseConfig",  # pytorch_GAN_zoo's settings
        "numpy.core.multiarray.scalar",  # the best FID so far, as StudioGAN keeps it
        "numpy._core.multiarray.scalar",
        "numpy.dtype",
        "pathlib.PosixPath",
        "pathlib._local.PosixPath",  # as Python 3.13 writes it
        "pytorch_lightning.utilities.parsing.AttributeDict",
        "lightning.pytorch.utilities.parsing.AttributeDict",
    )
]
"""What published files hold beside weights: read as nothing, under the names that they give."""

_STARTS = {
    b"version https://git-lfs": "is a Git LFS pointer, not the file: run 'git lfs pull' beside it",
    b"\x89HDF": "is an HDF5 file (perhaps of Keras), not weights of torch",
    b"\x1f\x8b": "is packed with gzip: unpack it first",
    b"BZh": "is packed with bzip2: unpack it first",
    b"\x93NUMPY": "is a NumPy array, not weights of torch",
}


def open_weights(path: str | Path) -> Any:
    """Read a weight file: safetensors, or what torch.save wrote.

    The latter through ``torch.load(weights_only=True)``, which makes tensors, numbers, text and
    plain containers and calls nothing else.

    Args:
        path: The file.

    Returns:
        What it holds, tensors on the CPU: a mapping of names to tensors, or containers of these.

    Raises:
        WeightsError: If it is no weight file, is damaged, or holds objects of classes.
    """
    path = Path(path)
    if path.is_dir():
        found = sorted(p.name for p in path.iterdir() if p.suffix in _SUFFIXES)
        holds = f"; it holds {', '.join(found[:5])}" if found else ""
        raise WeightsError(f"{path} is a folder: give the weight file in it{holds}")
    if not path.is_file():
        raise WeightsError(f"{path}: no such weight file{beside(Path(path))}")
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}") from error
    _refuse(path, start)
    pickled = start.startswith((b"PK", b"\x80"))
    if start[8:9] == b"{" or (path.suffix == ".safetensors" and not pickled):
        return unpack(path)[0]
    archived = _is_zip(path)
    if archived:
        _look_into(path)
    elif start.startswith(b"PK"):
        raise WeightsError(f"{path} is truncated: its end is missing. Copy or download it again")
    elif not pickled:
        raise WeightsError(
            f"{path} is not a weight file: it is neither a safetensors file nor a file of "
            "torch.save"
        )
    return _load(path, archived)


_SUFFIXES = {".safetensors", ".pt", ".pth", ".ckpt", ".bin"}


def _refuse(path: Path, start: bytes) -> None:
    """Name what is known not to hold weights."""
    if not start:
        raise WeightsError(f"{path} is empty: copy or download it again")
    for magic, what in _STARTS.items():
        if start.startswith(magic):
            raise WeightsError(f"{path} {what}")
    if start[8:9] == b"{":  # safetensors, whose first eight bytes may be any
        return
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        raise WeightsError(
            f"{path} is a web page, not weights: the download returned a page (a login, a limit, "
            "a warning). Open its address in a browser, and save the file itself"
        )
    try:
        shown = start.decode("utf-8", "strict")
    except UnicodeDecodeError as error:
        if error.start < len(start) - 3:  # not a letter that the 512 bytes cut in two
            return
        shown = start[: error.start].decode("utf-8")
    if all(letter.isprintable() or letter.isspace() for letter in shown):
        line = shown.strip().splitlines()[0][:40] if shown.strip() else ""
        raise WeightsError(f"{path} is text, not weights: it starts with {line!r}")


def _is_zip(path: Path) -> bool:
    try:
        return zipfile.is_zipfile(path)
    except zipfile.BadZipFile:  # an archive's end that says what cannot be
        return False


def _look_into(path: Path) -> None:
    """Look at a ZIP archive before torch does.

    Raises:
        WeightsError: If it is damaged, holds no weights, or claims to unpack to far more.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise WeightsError(f"{path} is damaged: {error}. Copy or download it again") from error
    check_size_of(path, sum(part.file_size for part in parts))
    names = [part.filename for part in parts]
    if any(name.endswith("/constants.pkl") for name in names):
        raise WeightsError(
            f"{path} is a TorchScript archive, which holds code and not only weights. If you "
            "trust it, " + _convert(path, 'torch.jit.load({old}, map_location="cpu").state_dict()')
        )
    if not any(name == "data.pkl" or name.endswith("/data.pkl") for name in names):
        what = "a NumPy archive" if any(n.endswith(".npy") for n in names) else "a ZIP archive"
        raise WeightsError(f"{path} is {what} without weights of torch in it")


def _load(path: Path, archived: bool) -> Any:
    try:
        check_pickles(path, archived)
        # As a file: torch looks at the names of paths, and this one may be wrong.
        with path.open("rb") as file, torch.serialization.safe_globals(_BESIDE):
            content = torch.load(file, map_location="cpu", weights_only=True)
    except WeightsError:
        raise
    except Exception as error:  # of many types, after what is wrong with the file
        wanted = re.search(r"GLOBAL ([\w.]+)|class ([\w.]+)", str(error))
        if wanted:
            raise _pickled(path, wanted[1] or wanted[2]) from None
        reason = str(error).strip().splitlines()[0][:120] if str(error).strip() else repr(error)
        raise WeightsError(
            f"{path} is damaged or not a weight file ({reason}): copy or download it again"
        ) from error
    _check_claims(path, content)
    return content


def tensors_in(content: Any) -> Iterator[torch.Tensor]:
    """Every tensor of nested containers, each once; a container may hold itself."""
    left, seen = [content], set()
    while left:
        part = left.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, torch.Tensor):
            yield part
        elif isinstance(part, dict):
            left.extend(part.values())
        elif isinstance(part, (list, tuple)):
            left.extend(part)


def _check_claims(path: Path, content: Any) -> None:
    """Refuse tensors that repeat few numbers to sizes which the file does not have."""
    claimed = 0
    for tensor in tensors_in(content):
        if tensor.is_meta or tensor.layout != torch.strided or tensor.is_quantized:
            kind = "without numbers" if tensor.is_meta else "that are sparse or quantised"
            raise WeightsError(f"{path} holds tensors {kind}: save dense tensors")
        claimed += tensor.numel() * tensor.element_size()
    check_size_of(path, claimed)


def _pickled(path: Path, wanted: str) -> WeightsError:
    """What to say of a file that holds an object of a class."""
    whole = _first_object(path) == wanted
    what = f"a pickled {wanted}" if whole else f"an object of {wanted} beside or among its weights"
    load = 'torch.load({old}, map_location="cpu", weights_only=False)'
    line = (
        f"{load}.state_dict()"
        if whole
        else (
            '{{k: getattr(v, "state_dict", lambda: v)() for k, v in ' + load + ".items() "
            'if isinstance(v, dict) or hasattr(v, "state_dict")}}'
        )
    )
    module = wanted.rpartition(".")[0]
    return WeightsError(
        f"{path} holds {what}. Opening it may run code, so it is not opened. If {module!r} can be "
        "imported and you trust the file, " + _convert(path, line)
    )


def _convert(path: Path, line: str) -> str:
    """The command by which a user writes the weights alone."""
    new = f"{path.stem}-weights.pth"
    made = line.format(old=json.dumps(str(path)))
    code = f"import torch; torch.save({made}, {json.dumps(new)})"
    return f"write only its weights with: python -c {shlex.quote(code)} and give {new} instead"


def _first_object(path: Path) -> str:
    """The class of the outermost object of a pickle, without unpickling it; '' for a container."""
    try:
        if _is_zip(path):
            with zipfile.ZipFile(path) as archive:
                name = next(n for n in archive.namelist() if n.rpartition("/")[2] == "data.pkl")
                pickles = [archive.read(name)]
        else:
            pickles = [path.read_bytes()]
        for code, argument, _ in pickletools.genops(pickles[0]):
            if code.name in ("PROTO", "FRAME"):
                continue
            return str(argument).replace(" ", ".") if code.name == "GLOBAL" else ""
    except Exception:  # it is refused already: this only words the refusal
        return ""
    return ""
