"""What the README shows is what was measured, and its Python runs as it stands."""

from __future__ import annotations

import functools
import re
import shlex
from pathlib import Path

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import gantandem
from gantandem.cli import app
from gantandem.display.table import markdown_table
from gantandem.reporting.evidence import read_metrics

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(language: str, start: str) -> str:
    """The code block of a language that begins with some text."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    return next(text for text in found if text.startswith(start))


def test_the_table_is_of_the_committed_numbers():
    assert markdown_table(read_metrics(ROOT / "docs/images/demo.json")) in README


def test_the_picture_is_there_and_small():
    for name in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert 1_000 < (ROOT / name).stat().st_size < 150_000


def test_the_python_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = {
        "shape_discriminator": {"updates": 4, "check_every": 2, "check_samples": 64, "batch": 32},
        "fit_ratio": {"n": 200, "batch": 32, "schedule": [(5, 1e-3)]},
        "diagnose": {"n": 100},
        "compare": {"n": 100},
        "report": {"n": 100},
    }
    for name, settings in small.items():
        function = functools.partial(getattr(gantandem, name), **settings)
        assert f"gt.{name}(" in README
        monkeypatch.setattr(gantandem, name, function)
    torch.manual_seed(0)
    names = {"G": nn.Linear(2, 2), "D": nn.Linear(2, 1), "real": torch.randn(400, 2)}
    code = block("python", "import gantandem").replace("n=10_000", "n=100")
    exec(compile(code, "README.md", "exec"), names)
    assert len(names["out"]) == 100
    assert (tmp_path / "samples.npz").is_file()


@pytest.mark.parametrize(("first", "least"), [("train", 6), ("import", 3)])
def test_every_command_shown_exists_with_its_options(first, least):
    lines = [line.split("#")[0] for line in block("sh", f"gantandem {first}").splitlines()]
    assert len(lines) >= least
    for line in lines:
        words = shlex.split(line)[1:]
        text = CliRunner().invoke(app, [words[0], "-h"], terminal_width=200).output
        for option in re.findall(r"(?<= )(--?[a-z-]+)", line):
            assert option in text, line


@pytest.mark.parametrize("target", ["demo", "test", "lint", "venv"])
def test_make_has_the_targets_shown(target):
    assert re.search(rf"^{target}: .*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
