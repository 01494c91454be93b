"""What the examples share: a table and a picture of samples in the plane."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from gantandem import Compared
from gantandem.display.style import ACCENT, REAL, figure

Rows = dict[str, Compared]
IMAGES = Path(__file__).resolve().parents[1] / "images"
COLUMNS = {"good": "good", "js": "JS", "within_mode_std": "spread", "sliced_w1": "sliced W1"}
SHOWN = 2000


def schedule(scale: float, updates: int = 500) -> list[tuple[int, float]]:
    """Updates and learning rates of a ratio's fit; ``scale`` shortens it, for a quick look."""
    return [(int(scale * updates), 3e-3), (int(scale * updates * 0.4), 3e-4)]


def table(compared: Mapping[str, Compared], floor: Mapping[str, Any]) -> str:
    """Lines of passes per sample and quality; the last row is what real samples score."""
    lines = [f"{'sampler':<12}{'passes':>8}" + "".join(f"{name:>11}" for name in COLUMNS.values())]
    for name, (row, _) in compared.items():
        values = "".join(f"{row['metrics'][key]:>11.4f}" for key in COLUMNS)
        lines.append(f"{name:<12}{row['passes_per_sample']:>8.1f}{values}")
    lines.append(f"{'(real)':<12}{'':>8}" + "".join(f"{floor[key]:>11.4f}" for key in COLUMNS))
    return "\n".join(lines)


def picture(path: Path, real: Tensor, compared: Mapping[str, Compared]) -> None:
    """Real samples and those of every sampler, one panel each, on the same axes."""
    panels = {"real": real} | {name: samples.x for name, (_, samples) in compared.items()}
    drawn = figure(2.1 * len(panels), 2.4, opaque=True)
    low, high = float(real.min()) * 1.25, float(real.max()) * 1.25
    for index, (name, x) in enumerate(panels.items()):
        axes = drawn.add_subplot(1, len(panels), index + 1)
        points = x[:SHOWN].cpu()
        colour = REAL if name == "real" else ACCENT
        axes.scatter(points[:, 0], points[:, 1], s=1.5, alpha=0.4, linewidths=0, color=colour)
        axes.set(xlim=(low, high), ylim=(low, high), xticks=[], yticks=[], aspect="equal")
        axes.set_title(name, fontsize=9)
    drawn.savefig(path, dpi=110, bbox_inches="tight")
