"""What is left in a run folder for the report."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gantandem.display.plane import whole_view
from gantandem.errors import InputError
from gantandem.evaluate.comparison import Compared
from gantandem.files import write_atomic, write_bytes
from gantandem.gan import GAN
from gantandem.reporting import evidence as files
from gantandem.reporting.schema import TYPED, read_json
from gantandem.reporting.stale import made_by
from gantandem.samples import Samples

PICTURES = 100
"""Real and refined images kept for the report."""
_GRID = 161
COMMANDS_KEPT = 50


def write_landscape(run: Path, real: Tensor, before: GAN, after: GAN) -> None:
    """Score a grid over the plane around real data with the guide as it was and as it is."""
    view = whole_view(real.numpy())
    left, right, bottom, top = view.extent
    axis_x, axis_y = torch.linspace(left, right, _GRID), torch.linspace(bottom, top, _GRID)
    grid = torch.cartesian_prod(axis_y, axis_x).flip(1)
    logits = []
    for gan in (before, after):
        with gan.networks.frozen():
            logits.append(
                gan.networks.need_guide("landscape")(grid).view(_GRID, _GRID).cpu().numpy()
            )
    write_arrays(
        run / files.LANDSCAPE_FILE,
        axis_x=axis_x.numpy(),
        axis_y=axis_y.numpy(),
        before=logits[0],
        after=logits[1],
    )


def write_real(run: Path, x: Tensor, kept: Collection[str] = ()) -> None:
    """Keep held-out real data (N, *x_shape); of images some.

    Pairs of images go, unless they are of one of the samplers ``kept``.
    """
    shown = x if x.shape[1:] == (2,) else x[:PICTURES]
    write_arrays(run / files.REAL_FILE, x=shown.numpy())
    if files.sampler_of_pairs(run) not in kept:
        (run / files.PAIRS_FILE).unlink(missing_ok=True)


def keep_result(
    run: Path,
    gan: GAN,
    metrics: dict[str, Any],
    name: str,
    result: Compared,
    drawn: Mapping[str, Any] | None = None,
) -> None:
    """Add a sampler's row to ``metrics.json``, and its samples beside it.

    Args:
        run: The folder.
        gan: What was sampled.
        metrics: What the file holds.
        name: Of the row.
        result: What was measured.
        drawn: The settings that the row depends on, by which it is known again.
    """
    row = {**result.row, "weights": made_by(gan, result.samples.manifest)}
    row |= {} if drawn is None else {"drawn": dict(drawn)}
    _text(row)  # refuses what no file can hold, before anything is changed
    metrics["samplers"][name] = row
    result.samples.save(files.samples_file(run, name))
    _write_pairs(run, gan, name, result.samples)
    write_json(run / files.METRICS_FILE, metrics)


def now() -> str:
    """The time, in UTC, to the second."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def note_command(run: Path, command: str, *, first: bool = False) -> None:
    """Keep what was typed to make a run; of the same command the last time counts.

    Args:
        run: The folder.
        command: What was typed.
        first: It begins the run: what was kept before is of another one.
    """
    path = run / files.COMMANDS
    kept = [] if first else read_json(path, TYPED) or []
    kept = [one for one in kept if one["command"] != command][1 - COMMANDS_KEPT :]
    write_json(path, [*kept, {"command": command, "date": now()}])


def _write_pairs(run: Path, gan: GAN, name: str, samples: Samples) -> None:
    """Keep some refined images beside what the plain generator makes of the same latents.

    Of the first sampler whose samples moved away from what their latents make; not where starts
    are widened (the latent is not where such a sample came from), nor of chains in the latent
    (theirs is where they ended).
    """
    sampler = samples.manifest["sampler"]
    widened = sampler.get("proposal", sampler).get("defensive")
    path = run / files.PAIRS_FILE
    if samples.x.dim() != 4 or widened or path.exists() or not (samples.steps > 0).any():
        return
    z, ids = samples.z[:PICTURES], samples.ids[:PICTURES]
    with gan.networks.frozen():
        before = gan.decode(z, gan.conditions(ids))
    after = samples.x[:PICTURES]
    if not torch.allclose(before, after, atol=1e-4 * float(after.abs().max())):
        pair = {"before": before.cpu().numpy(), "after": after.cpu().numpy()}
        write_arrays(path, **pair, sampler=np.array(name))


def write_arrays(path: Path, **arrays: Any) -> None:
    """Write named arrays as .npz, whole or not at all."""
    write_atomic(path, lambda file: np.savez_compressed(file, **arrays))


def write_json(path: Path, content: Any) -> None:
    """Write JSON, whole or not at all; NaN and infinity become null.

    Raises:
        InputError: If a value is neither a number nor a text, nor made of them.
    """
    write_bytes(path, _text(content).encode())


def _text(content: Any) -> str:
    return json.dumps(_plain(content), indent=1, allow_nan=False, default=_refuse) + "\n"


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinity: they become null; tensors and arrays become lists."""
    if hasattr(value, "tolist"):  # what a metric or distance of the user's own returned
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _refuse(value: Any) -> Any:
    raise InputError(
        f"results hold {value!r} of type {type(value).__name__}; a metric must return numbers, or "
        "lists of numbers, by name"
    )
