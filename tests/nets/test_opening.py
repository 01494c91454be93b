"""Weight files of others: opened without running anything in them, or refused in one message."""

from __future__ import annotations

import argparse
import os
import pickle
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from gantandem.errors import WeightsError
from gantandem.nets.foreign import read_weights
from gantandem.nets.opening import open_weights
from gantandem.nets.weights import write_tensors

STATE = {"main.weight": torch.arange(6.0).view(2, 3), "main.bias": torch.ones(2)}


def refusal(path: Path) -> str:
    with pytest.raises(WeightsError) as caught:
        read_weights(path, "generator")
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["w.pt", "w.pth", "w.bin", "w.safetensors", "w"])
@pytest.mark.parametrize("writer", ["torch", "old-torch", "safetensors"])
def test_files_are_known_by_what_is_in_them(name: str, writer: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if writer == "safetensors":
        write_tensors(path, STATE)
    else:
        torch.save(STATE, path, _use_new_zipfile_serialization=writer == "torch")
    found = open_weights(path)
    assert found.keys() == STATE.keys()
    assert all(torch.equal(found[key], value) for key, value in STATE.items())


CASES = {
    "empty": (b"", "is empty"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:12\n", "git lfs pull"),
    "page": (b"\n<!DOCTYPE html><html><title>Google Drive</title>", "is a web page"),
    "xml": (b"<?xml version='1.0'?><Error>AccessDenied</Error>", "is a web page"),
    "text": ("Weights: s\u00e9e https://example.org\n".encode(), "text.*starts with 'Weights"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5"),
    "gzip": (b"\x1f\x8b" + bytes(100), "unpack it first"),
    "noise": (bytes(range(200, 256)) * 4, "is not a weight file"),
    "cut-zip": (b"PK\x03\x04" + bytes(300), "truncated"),
    "cut-pickle": (b"\x80\x02}q\x00", "damaged"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_no_weight_file_is_named(case: str, tmp_path: Path) -> None:
    content, said = CASES[case]
    path = tmp_path / "netG.pth"
    path.write_bytes(content)
    assert re.search(said, refusal(path))


@pytest.mark.parametrize("part", [0.3, 0.9, 0.999])
def test_a_truncated_file_is_called_truncated(part: float, tmp_path: Path) -> None:
    path = tmp_path / "netG.pth"
    torch.save(STATE, path)
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    assert "truncated" in refusal(path)


def test_folders_and_missing_files(tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "netG.pth")
    assert "holds netG.pth" in refusal(tmp_path)
    assert "no such weight file" in refusal(tmp_path / "netD.pth")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_other_archives_are_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", a=np.zeros(2))
    assert "NumPy archive" in refusal(tmp_path / "w.npz")
    torch.jit.script(nn.Linear(1, 1)).save(str(tmp_path / "script.pt"))
    assert "TorchScript" in refusal(tmp_path / "script.pt")


class Bomb:
    """Says so when it is unpickled."""

    def __reduce__(self) -> tuple:
        return (os.mkdir, ("exploded",))


@pytest.mark.parametrize("writer", ["torch", "old-torch", "pickle"])
def test_no_code_of_a_file_is_run(writer: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    content = {"weight": torch.ones(1), "args": Bomb()}
    path = Path("netG.pth")
    if writer == "pickle":
        path.write_bytes(pickle.dumps({"args": Bomb()}, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=writer == "torch")
    assert "mkdir" in refusal(path)
    assert not Path("exploded").exists()


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_bombs_are_refused_before_they_unpack(compression: int, tmp_path: Path) -> None:
    path = tmp_path / "netG.pth"
    torch.save({"w": torch.zeros(2**22)}, path)
    with zipfile.ZipFile(path) as archive:
        parts = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in parts:
            archive.writestr(name, content)
    if compression == zipfile.ZIP_STORED:
        assert read_weights(path, "generator")[0]["w"].shape == (2**22,)
    else:
        assert "claims to unpack to" in refusal(path)


def test_a_tensor_that_repeats_one_number_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "netG.pth"
    torch.save({"w": torch.zeros(1, dtype=torch.half).expand(2**40)}, path)
    assert "claims to unpack to" in refusal(path)


def test_parts_that_hold_themselves_end_in_a_message(tmp_path: Path) -> None:
    path = tmp_path / "netG.pth"
    ring: dict = {"w": torch.ones(1)}
    ring["model"] = ring
    torch.save(ring, path)
    assert list(read_weights(path, "generator")[0]) == ["w"]
    torch.save({"model": {"a": ring, "b": ring}}, path)
    assert "which of its parts" in refusal(path)


@pytest.mark.parametrize("tensor", [torch.ones(2, device="meta"), torch.eye(3).to_sparse()])
def test_tensors_of_other_kinds_are_refused(tensor: torch.Tensor, tmp_path: Path) -> None:
    path = tmp_path / "netG.pth"
    torch.save({"w": tensor}, path)
    assert "save dense tensors" in refusal(path)


def test_what_published_files_hold_beside_weights_is_no_hindrance(tmp_path: Path) -> None:
    path = tmp_path / "netG.pth"
    args = argparse.Namespace(size=64, path=Path("x") / "y")
    torch.save({"g": STATE, "args": args, "best_fid": np.float64(3.5)}, path)
    state, _ = read_weights(path, "generator")
    assert torch.equal(state["main.weight"], STATE["main.weight"])


MODULE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.main = nn.Linear(3, 2)
"""


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.slow
def test_a_pickled_module_is_refused_with_the_line_that_converts_it(
    whole: bool, tmp_path: Path
) -> None:
    (tmp_path / "mynets.py").write_text(MODULE)
    made = "n" if whole else "{'netG': n, 'epoch': 3}"
    code = f"import torch, mynets; n = mynets.Net(); torch.save({made}, 'my netG.pth')"
    run = {"cwd": tmp_path, "check": True, "capture_output": True}
    subprocess.run([sys.executable, "-c", code], **run)
    said = refusal(tmp_path / "my netG.pth")
    assert "mynets.Net" in said and "'mynets' can be imported" in said
    command = re.search(r"python -c (.*) and give (.*) instead", said)
    assert command
    subprocess.run(f"{sys.executable} -c {command[1]}", shell=True, **run)
    state, _ = read_weights(tmp_path / command[2], "generator")
    assert state.keys() == {"main.weight", "main.bias"}
