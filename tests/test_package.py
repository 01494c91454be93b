"""The package shows its names before they are used, and loads them on first use."""

from __future__ import annotations

import ast
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import gantandem as gt

TOP = Path(__file__).parents[1]
NOT_TESTED = {"mkdocs-material", "mkdocstrings", "pre-commit", "pyright", "ruff", "gantandem"}
"""Tools that a user of the package does not meet."""


def test_every_name_is_shown_and_there():
    assert dir(gt) == sorted(gt.__all__)
    for name in dir(gt):
        assert getattr(gt, name) is not None


def test_names_load_nothing_before_they_are_used():
    code = (
        "import sys, gantandem; dir(gantandem); "
        "print([m for m in ('torch', 'numpy', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_lowest_versions_that_are_tested_are_those_that_are_allowed():
    project = (TOP / "pyproject.toml").read_text(encoding="utf-8")
    allowed = dict(
        re.findall(r'"([A-Za-z0-9_.-]+)(?:\[\w+\])?>=([\d.]+)"', project.split("[tool")[0])
    )
    pins = (TOP / "constraints-lowest.txt").read_text(encoding="utf-8")
    tested = dict(re.findall(r"^([\w-]+)==([\d.]+)$", pins, re.MULTILINE))
    del tested["click"], allowed["hatchling"]  # what typer brings; what builds
    for tool in NOT_TESTED:
        allowed.pop(tool, None)
    assert tested.keys() == allowed.keys()
    for name, version in tested.items():
        assert f"{version}.".startswith(f"{allowed[name]}."), name


@pytest.mark.parametrize(
    ("dependencies", "told", "status"),
    [
        ([], "no data", 0),
        ([{"name": "a", "skip_reason": "not found"}], "no data", 0),
        (
            [{"name": "a", "skip_reason": ""}, {"name": "b", "version": "1", "vulns": []}],
            "1 of 2",
            0,
        ),
        (
            [{"name": "b", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}],
            "b 1: CVE-1; mended in 2",
            1,
        ),
        (
            [{"name": "b", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": []}]}],
            "no version yet",
            1,
        ),
    ],
)
def test_the_audit_fails_for_a_vulnerability_and_not_for_want_of_data(dependencies, told, status):
    text, code = runpy.run_path(str(TOP / ".ci" / "audit.py"))["verdict"](dependencies)
    assert told in text and code == status


def test_a_type_checker_is_shown_every_name_and_no_other():
    tree = ast.parse(Path(gt.__file__).read_text(encoding="utf-8"))
    blocks = [node for node in tree.body if isinstance(node, ast.If)]
    shown = {ast.unparse(block.test): block for block in blocks}
    names = [alias.name for node in shown["TYPE_CHECKING"].body for alias in node.names]
    assert sorted([*names, "__version__"]) == sorted(gt.__all__)
    hidden = {node.name for node in shown["not TYPE_CHECKING"].body}
    assert hidden == {"__getattr__"}
    assert "__getattr__" not in {getattr(node, "name", "") for node in tree.body}


@pytest.mark.slow
def test_a_misspelt_name_fails_the_type_checker(tmp_path):
    pyright = shutil.which("pyright", path=str(Path(sys.executable).parent))
    if pyright is None:
        pytest.skip("no pyright beside this Python")
    (tmp_path / "call.py").write_text("import gantandem as gt\n\ngt.sample\ngt.smaple\n")
    settings = f'{{"extraPaths": ["{TOP / "src"}"], "include": ["call.py"]}}'
    (tmp_path / "pyrightconfig.json").write_text(settings)
    line = [pyright, "--pythonpath", sys.executable, "-p", str(tmp_path)]
    done = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1 and done.stdout.count("error:") == 1, done.stdout
    assert '"smaple"' in done.stdout


def test_help_tells_what_there_is():
    told = gt.__doc__ or ""
    assert [name for name in gt.__all__ if name[0].islower() and name not in told] == []
