"""Samplers that are worse than the plain generator, in words, and what may be the cause."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from gantandem.display.table import finite, show
from gantandem.evaluate.against import MOST
from gantandem.evaluate.recommendation import ALIKE, DENSE, DIRECTED
from gantandem.reporting.evidence import Evidence

DENSITY_SPREAD = 2.5
"""Of the density of one sample; less in a plane (measured up to 512 dimensions)."""
_SCALE = {"frechet_distance": "low", "good": "high", "sliced_w1": "low"}
_LABEL = {"frechet_distance": "Fréchet distance", "good": "good", "sliced_w1": "sliced W1"}


def worse_than_direct(evidence: Evidence) -> Iterator[str]:
    """Samplers by whose leading metric plain samples are a tenth better."""
    direct = evidence.rows.get("direct", {}).get("metrics", {})
    for name, row in evidence.rows.items():
        for key, better in _SCALE.items():
            ours, base = finite(row.get("metrics", {}).get(key)), finite(direct.get(key))
            if name == "direct" or ours is None or base is None:
                continue
            if ours < 0.9 * base if better == "high" else ours > 1.1 * base:
                yield (
                    f"{name} made samples worse than the plain generator: {_LABEL[key]} "
                    f"{show(base)} became {show(ours)}. {_cause(row, evidence)}"
                )
                break


def less_real(evidence: Evidence) -> Iterator[str]:
    """Samplers of lower precision or density than plain samples, beyond chance and beyond 2%."""
    rows, floor = evidence.rows, evidence.metrics.get("floor", {})
    direct = rows.get("direct", {})
    for name, row in rows.items():
        sizes = [finite(one) for one in (row.get("n"), direct.get("n"), floor.get("n"), MOST)]
        size = min(one for one in sizes if one)
        for key in ("precision", "density"):
            pair = [finite(one.get("metrics", {}).get(key)) for one in (row, direct)]
            if name == "direct" or None in pair:
                continue
            ours, base = (min(one, DENSE) for one in pair if one is not None)
            spread = [
                p * (1 - p) if key == "precision" else DENSITY_SPREAD**2 for p in (ours, base)
            ]
            if base - ours > max(2 * math.sqrt(sum(spread) / size), ALIKE * base):
                before, after = (DIRECTED[key].show(one) for one in pair[::-1])
                yield (
                    f"{name} lowered the {key} of the plain generator, beyond chance: {before} "
                    f"became {after}. Fewer of its samples lie where real ones do. "
                    f"{_cause(row, evidence)}"
                )
                break


def _cause(row: dict[str, Any], evidence: Evidence) -> str:
    sampler = row.get("sampler", {})
    if sampler.get("proposal", {}).get("name") == "direct":
        return (
            "Its ratio accepts the wrong samples: diagnose it. For images, fit the ratio on "
            "features instead of pixels."
        )
    if evidence.shaping:
        return (
            "Refinement along the shaped guide leads away from the data: try a smaller step "
            "size, another layer or more updates."
        )
    return (
        "Refinement along a discriminator that was not shaped often leads away from the data: "
        "shape it, or take a smaller step size."
    )
