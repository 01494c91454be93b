"""The page "Extending" as its reader would follow it: every file, every call, every command."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gantandem.adapt import wrapped
from gantandem.cli import app

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"


def blocks() -> list[tuple[str, str]]:
    return re.findall(r"```(python|shell)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if (tmp_path / f"{name}.py").is_file():
            del sys.modules[name]


@pytest.mark.slow
def test_every_block_of_the_page_runs(folder, capsys):
    names: dict = {}
    files = []
    for language, text in blocks():
        if language == "shell":
            words = shlex.split(text)
            assert words[0] == "gantandem"
            result = CliRunner().invoke(app, words[1:])
            assert result.exit_code == 0, result.output
        elif match := re.match(r"# (\w+\.py)\n", text):
            (folder / match.group(1)).write_text(text, encoding="utf-8")
            files.append(match.group(1))
        else:
            exec(text, names)
    assert files == [
        "best_of.py",
        "wide.py",
        "hinge.py",
        "pair.py",
        "quarters.py",
        "lines.py",
        "divided.py",
        "waves.py",
    ]
    assert len(names["samples"]) == 100 and int(names["samples"].attempts.max()) == 3
    shown = capsys.readouterr().out
    assert "upper right" in shown and "obrs" in shown
    (run,) = folder.glob("runs/pair/run.yaml")
    assert "hinge:HINGE" in run.read_text() and "output: critic" in run.read_text()
    (written,) = folder.glob("runs/pair/drawn/*/*.txt")
    assert len(written.read_text().splitlines()) == 50
    assert names["loaded"].networks.guide.network.by == 4.0
    typed = wrapped(names["nn"].Linear(2, 1), ["divided:Divided=4.0"])
    assert isinstance(typed, names["Divided"]) and typed.by == 4.0
    (note,) = folder.glob("runs/pair/ratios/*.json")
    assert "waves" in note.read_text()
