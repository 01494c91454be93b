"""Recipes of the smallest scale for experiments, and the results that are committed."""

from __future__ import annotations

import json
from pathlib import Path

RESULTS = Path(__file__).parents[2] / "docs" / "results"


def committed(name):
    """The result of a study as it is committed."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


TINY = (
    "train.batch_size=64",
    "shape.updates=4",
    "shape.check_every=2",
    "shape.check_samples=32",
    "shape.batch=32",
    "shape.width=64",
    "shape.refine.steps=2",
    "fit_ratio.n=200",
    "fit_ratio.schedule=[[4, 1e-3]]",
)


def rows_of(found):
    """A row's measured content, without what differs from run to run."""
    timed = {"seconds", "samples_per_second", "shaping_seconds"}
    return json.loads(
        json.dumps(
            {
                name: {key: value for key, value in row.items() if key not in timed}
                for name, row in found["samplers"].items()
            }
        ).replace("NaN", "null")
    )
