"""Known vulnerabilities of what is installed, as pip-audit tells them; run by ``make audit``.

pip-audit is installed into an environment of its own. Where there are no data (a package registry
alone has none), one line says so and nothing fails.
"""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Any

TOOL = Path(".venv-audit")
LIMIT = 60
"""Seconds that installing may take, and as many that asking may."""


def verdict(dependencies: list[dict[str, Any]]) -> tuple[str, int]:
    """What is told of pip-audit's findings, and the exit status."""
    known = [one for one in dependencies if "vulns" in one]
    if not known:
        return "audit: there are no data on vulnerabilities here, so nothing was audited", 0
    lines = [
        f"audit: {one['name']} {one['version']}: {fault['id']}; mended in "
        f"{', '.join(fault.get('fix_versions') or ['no version yet'])}"
        for one in known
        for fault in one["vulns"]
    ]
    of = f"{len(known)} of {len(dependencies)} packages have data"
    return "\n".join(lines or [f"audit: no known vulnerability; {of}"]), int(bool(lines))


def ask() -> list[dict[str, Any]]:
    """What pip-audit finds in this environment; nothing where it cannot ask."""
    tool = TOOL / "bin" / "pip-audit"
    line = ["--path", sysconfig.get_path("purelib"), "--format", "json", "--skip-editable"]
    try:
        if not tool.exists():
            venv.create(TOOL, with_pip=True)
            pip = [TOOL / "bin" / "python", "-m", "pip", "install", "--quiet", "pip-audit"]
            subprocess.run(pip, check=True, capture_output=True, timeout=LIMIT)
        told = subprocess.run([tool, *line], capture_output=True, text=True, timeout=LIMIT)
        return json.loads(told.stdout)["dependencies"]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError):
        return []


if __name__ == "__main__":
    text, status = verdict(ask())
    print(text)
    sys.exit(status)
