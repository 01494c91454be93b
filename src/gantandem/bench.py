"""Timings that the documentation may quote: ratios within one run, medians of interleaved runs.

The networks are the shipped pair of the 2D task. Absolute seconds depend on the machine; compare
the ratios.
"""

from __future__ import annotations

import difflib
import logging
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gantandem._version import __version__
from gantandem.engine import Run
from gantandem.errors import ConfigError
from gantandem.gan import GAN
from gantandem.latent import make_latent
from gantandem.rng import Key
from gantandem.samplers import Refine
from gantandem.sampling import prepare, sample_iter
from gantandem.tasks import get_task
from gantandem.writers import make_writer

logger = logging.getLogger(__name__)

RUNS = 5
STEPS = 50
STEP_SIZE = 0.1
WIDTHS = (1024, 10_240)


def pair() -> GAN:
    """The shipped 2D pair, its discriminator taken as it is for a guide."""
    task = get_task("imbalanced-8")
    generator, discriminator = task.pretrained()
    gan = GAN(generator, discriminator, make_latent(dict(task.latent)))
    return gan.replace(shaped=True)  # nothing here judges samples: no warning is due


def _interleaved(parts: dict[str, Callable[[], float]], runs: int) -> dict[str, list[float]]:
    """Seconds of each part, one after the other in every round, so that noise meets them all."""
    seconds: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(runs):
        for name, part in parts.items():
            seconds[name].append(part())
    return seconds


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
        seconds = _interleaved({"bare": bare, "refine": refine}, runs)
        ratios = [r / b for r, b in zip(seconds["refine"], seconds["bare"], strict=True)]
        result[f"width {width}"] = {
            "n": n,
            "ratio": statistics.median(ratios),
            "ratios": ratios,
            "seconds_per_step": statistics.median(seconds["refine"]),
            "bare_seconds": statistics.median(seconds["bare"]),
        }
    return result


def published_loop(gan: GAN, n: int) -> Tensor:
    """Refine as published code does: a fresh batch, all steps for everyone, ``loss.backward()``.

    Adam on the samples; the discriminator's weights require gradients, which ``backward`` then
    computes and nobody reads.
    """
    network = gan.need_guide("bench").network
    for parameter in network.parameters():
        parameter.requires_grad_(True)
    with torch.no_grad():
        z = gan.latent.draw(Key(0), torch.arange(n))
        x = gan.decode(z)
    x = x.detach().requires_grad_()
    optimizer = torch.optim.Adam([x], lr=STEP_SIZE)
    for _ in range(STEPS):
        optimizer.zero_grad()
        network.zero_grad()
        loss = torch.nn.functional.softplus(-network(x)).sum()
        loss.backward()
        optimizer.step()
    return x.detach()


def refine_speed(runs: int = RUNS, widths: tuple[int, ...] = WIDTHS) -> dict[str, Any]:
    """Samples per second of ``refine`` (random stop, 0..50 steps) over the published-style loop."""
    gan, result = pair(), {}
    compiled = gan.replace(compile=True)
    mover, _ = prepare(gan, Refine(layer="data", steps=STEPS, step_size=STEP_SIZE))
    gan.generator.eval()
    for width in widths:
        n = 20 * width

        def pooled(which: GAN, width: int = width, n: int = n) -> float:
            begin = time.perf_counter()
            for _ in Run(which, mover, n, Key(0), width=width).blocks():
                pass
            return (time.perf_counter() - begin) / n

        def loop(width: int = width) -> float:
            begin = time.perf_counter()
            published_loop(gan, width)
            return (time.perf_counter() - begin) / width

        parts = {
            "published-style loop": loop,
            "refine": lambda pooled=pooled: pooled(gan),
            "refine, compiled": lambda pooled=pooled: pooled(compiled),
        }
        for part in parts.values():  # the first call compiles
            part()
        seconds = _interleaved(parts, runs)
        base = seconds["published-style loop"]
        result[f"width {width}"] = {
            name: {
                "samples_per_second": 1 / statistics.median(values),
                "times_the_loop": statistics.median(
                    b / v for b, v in zip(base, values, strict=True)
                ),
            }
            for name, values in seconds.items()
        }
    return result


_STREAM = "from gantandem.bench import _stream; _stream({n})"


def _stream(n: int) -> None:
    gan = pair()
    mover, _ = prepare(gan, Refine(layer="data", steps=STEPS, step_size=STEP_SIZE))
    with tempfile.TemporaryDirectory() as folder:
        writer = make_writer("npz", folder, overwrite=False)
        for block in sample_iter(gan, mover, n, progress=False):
            writer.add(block)
        writer.close()
        if writer.kept != n:
            raise RuntimeError(f"{writer.kept} of {n} samples were written")
    sys.stdout.write(f"{_peak_bytes()}\n")


def _peak_bytes() -> int:
    """This program's own peak: on Linux ``ru_maxrss`` still holds that of its parent."""
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024)


def streaming_memory(runs: int = RUNS, few: int = 10_000, many: int = 1_000_000) -> dict[str, Any]:
    """Peak resident memory of streaming refined 2D samples to disk, each in its own process."""
    peaks: dict[str, int] = {}
    for n in (few, many):
        done = subprocess.run(
            [sys.executable, "-c", _STREAM.format(n=n)], capture_output=True, text=True, check=True
        )
        peaks[str(n)] = int(done.stdout.split()[-1])
    return {"peak_bytes": peaks, "ratio": peaks[str(many)] / peaks[str(few)]}


BENCHMARKS: dict[str, Callable[[int], dict[str, Any]]] = {
    "engine-overhead": engine_overhead,
    "refine-speed": refine_speed,
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
        "command": " ".join(["gantandem", "bench", *(names or [])]),
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
