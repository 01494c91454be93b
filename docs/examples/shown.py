"""What the examples share."""

from __future__ import annotations

from pathlib import Path

IMAGES = Path(__file__).resolve().parents[1] / "images"


def schedule(scale: float, updates: int = 500) -> list[tuple[int, float]]:
    """Updates and learning rates of a ratio's fit; ``scale`` shortens it, for a quick look."""
    return [(int(scale * updates), 3e-3), (int(scale * updates * 0.4), 3e-4)]
