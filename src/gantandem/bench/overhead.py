"""What the engine costs beside the networks it runs."""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch

from gantandem.bench.common import RUNS, STEP_SIZE, STEPS, WIDTHS, interleaved, pair
from gantandem.engine import Run
from gantandem.rng import Key
from gantandem.samplers import Refine
from gantandem.sampling import prepare


def engine_overhead(runs: int = RUNS, widths: tuple[int, ...] = WIDTHS) -> dict[str, Any]:
    """Wall time of ``refine`` over (pool steps x the bare forward + input-gradient call).

    The bare call is the same guide at the same width, eager, without pool, update or files.
    """
    gan, result = pair(), {}
    mover, _ = prepare(gan, Refine(layer="data", steps=STEPS, step_size=STEP_SIZE))
    for width in widths:
        n = 20 * width

        def refine(width: int = width, n: int = n) -> float:
            run = Run(gan, mover, n, Key(0), width=width)
            begin = time.perf_counter()
            for _ in run.blocks():
                pass
            steps = run._pool.lane_steps / width
            return (time.perf_counter() - begin) / steps

        def bare(width: int = width) -> float:
            h, count = torch.randn(width, 2, generator=torch.Generator().manual_seed(0)), 100
            with gan.frozen():
                begin = time.perf_counter()
                for _ in range(count):
                    gan.guidance("data", h, (), None)
                return (time.perf_counter() - begin) / count

        refine()
        bare()
        seconds = interleaved({"bare": bare, "refine": refine}, runs)
        ratios = [r / b for r, b in zip(seconds["refine"], seconds["bare"], strict=True)]
        result[f"width {width}"] = {
            "n": n,
            "ratio": statistics.median(ratios),
            "ratios": ratios,
            "seconds_per_step": statistics.median(seconds["refine"]),
            "bare_seconds": statistics.median(seconds["bare"]),
        }
    return result
