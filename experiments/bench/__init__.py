"""Timings that the documentation may quote: ratios within one run, medians of interleaved runs.

The networks are the shipped pairs of the 2D tasks, and for ``refine-dcgan`` and ``mala-dcgan`` a
DCGAN-64 of random weights. A row with an ``aim`` says whether it is ``met``, and every row keeps
its rounds. Absolute seconds depend on the machine; compare the ratios.
"""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Callable, Sequence
from typing import Any

import numpy
import torch

from experiments.bench.memory import streaming_memory
from experiments.bench.overhead import engine_overhead, mala_overhead, refine_dcgan_overhead
from experiments.bench.samplers import sampler_costs
from experiments.bench.speed import refine_speed
from experiments.bench.translator import translator
from gantandem._version import __version__
from gantandem.errors import ConfigError, near

__all__ = ["BENCHMARKS", "run_benchmarks"]

logger = logging.getLogger(__name__)

BENCHMARKS: dict[str, Callable[[int], dict[str, Any]]] = {
    "engine-overhead": engine_overhead,
    "refine-speed": refine_speed,
    "refine-dcgan": refine_dcgan_overhead,
    "mala-dcgan": mala_overhead,
    "samplers": sampler_costs,
    "streaming-memory": streaming_memory,
    "translator": translator,
}
BY_NAME = {"translator"}
"""Those that take many minutes, and run where they are named."""


def run_benchmarks(names: Sequence[str], runs: int) -> dict[str, Any]:
    """Run benchmarks and return what they measured, and on what.

    Args:
        names: Of ``BENCHMARKS``; all but those of ``BY_NAME`` if there are none.
        runs: Interleaved runs of each.

    Raises:
        ConfigError: If a name is unknown.
    """
    for name in names:
        if name not in BENCHMARKS:
            raise ConfigError(f"unknown benchmark {name!r}; {near(name, BENCHMARKS)}")
    results = {}
    for name in names or [name for name in BENCHMARKS if name not in BY_NAME]:
        logger.info("benchmark %s", name)
        results[name] = BENCHMARKS[name](runs)
    return {
        "command": " ".join(["python -m experiments bench", *names, "--runs", str(runs)]),
        "runs": runs,
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "torch": str(torch.__version__),
            "numpy": numpy.__version__,
            "python": platform.python_version(),
            "gantandem": __version__,
        },
        "results": results,
    }
