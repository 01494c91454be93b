"""Timings that the documentation may quote: ratios within one run, medians of interleaved runs.

The networks are the shipped pair of the 2D task, and for ``mala-dcgan`` a DCGAN-64 of random
weights. Absolute seconds depend on the machine; compare the ratios.
"""

from __future__ import annotations

import difflib
import logging
import platform
from collections.abc import Callable
from typing import Any

import torch

from experiments.bench.common import RUNS, pair
from experiments.bench.memory import streaming_memory
from experiments.bench.overhead import engine_overhead, mala_overhead
from experiments.bench.samplers import sampler_costs
from experiments.bench.speed import published_loop, refine_speed
from gantandem._version import __version__
from gantandem.errors import ConfigError

__all__ = [
    "BENCHMARKS",
    "engine_overhead",
    "mala_overhead",
    "pair",
    "published_loop",
    "refine_speed",
    "run_benchmarks",
    "sampler_costs",
    "streaming_memory",
]

logger = logging.getLogger(__name__)

BENCHMARKS: dict[str, Callable[[int], dict[str, Any]]] = {
    "engine-overhead": engine_overhead,
    "refine-speed": refine_speed,
    "mala-dcgan": mala_overhead,
    "samplers": sampler_costs,
    "streaming-memory": streaming_memory,
}


def run_benchmarks(names: list[str] | None = None, runs: int = RUNS) -> dict[str, Any]:
    """Run benchmarks by name (all by default) and return what they measured, and on what.

    Raises:
        ConfigError: If a name is unknown.
    """
    for name in names or []:
        if name not in BENCHMARKS:
            near = difflib.get_close_matches(name, BENCHMARKS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(
                f"unknown benchmark {name!r}{hint} (allowed: {', '.join(BENCHMARKS)})"
            )
    results = {}
    for name in names or list(BENCHMARKS):
        logger.info("benchmark %s", name)
        results[name] = BENCHMARKS[name](runs)
    return {
        "command": " ".join(["python -m experiments", "bench", *(names or [])]),
        "runs": runs,
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "threads": torch.get_num_threads(),
            "torch": str(torch.__version__),
            "python": platform.python_version(),
            "gantandem": __version__,
        },
        "results": results,
    }
