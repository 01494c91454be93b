"""What real data tell of themselves and of the guide."""

from __future__ import annotations

from typing import Any

import torch

from gantandem.data.matching import spread_of, take_in
from gantandem.data.real import Real, RealData, Rows
from gantandem.networks.costs import measure
from gantandem.networks.networks import Networks
from gantandem.rng import Key

LOOKED, LEAST = 1e12, 1000
"""Operations in which the guide scores real samples, about; and the fewest that it scores."""


def look_at(
    networks: Networks, real: RealData, condition: Any, batch: int
) -> tuple[float, dict[str, float] | None]:
    """The spread of real data, and the guide's logits on them: see ``GAN.observe``.

    Raises:
        DataError: If the samples cannot be read, or do not suit the generator.
        InputError: If the conditions do not fit.
    """
    given = real.rows("fit") if isinstance(real, Real) else real
    x, condition = take_in(
        networks, given if condition is None else (given, condition), "observe", least=2
    )
    logits = None
    if networks.guide is not None:
        with networks.frozen():
            parts = _some(networks, Rows(x, condition)).split(batch)
            scores = torch.cat([networks.guide(*part.to(networks.device)) for part in parts])
        prob = float(scores.double().sigmoid().mean())  # of a critic it means nothing
        logits = {"mean": float(scores.mean()), "median": float(scores.median()), "prob": prob}
    return float(f"{spread_of(x):.3g}"), logits


def _some(networks: Networks, rows: Rows) -> Rows:
    """Samples that the guide scores: all of them, or a random part where it is costly."""
    if len(rows.x) <= LEAST:
        return rows
    cost = measure(networks, networks.need_guide("observe").network).score
    count = max(LEAST, int(LOOKED / max(cost, 1)))
    if count >= len(rows.x):
        return rows
    chosen = torch.randperm(len(rows.x), generator=Key(0).fold("observe").generator())[:count]
    return rows.map(lambda value: value[chosen.to(value.device)])
