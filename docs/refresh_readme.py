"""Put a measured demo run into the README: its picture, its numbers and their table.

gantandem demo --out runs/demo && python docs/refresh_readme.py runs/demo
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

from gantandem.display.table import markdown_table
from gantandem.reporting import summary_figure
from gantandem.reporting.evidence import METRICS_FILE, read_metrics

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "images" / "demo.png"
NUMBERS = ROOT / "docs" / "images" / "demo.json"
PLACE = re.compile(r"(?<=<!-- demo table -->\n).*?(?=<!-- end -->)", re.DOTALL)


def main(run: Path) -> None:
    """Write the picture, the numbers, and the table between its two marks."""
    summary_figure(run, PICTURE)
    shutil.copyfile(run / METRICS_FILE, NUMBERS)
    readme = ROOT / "README.md"
    table = "\n" + markdown_table(read_metrics(NUMBERS)) + "\n"
    readme.write_text(PLACE.sub(lambda _: table, readme.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
