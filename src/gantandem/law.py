"""The name of a law of proposals: a hash of everything it depends on."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from torch import Tensor, nn

from gantandem.latent import Latent
from gantandem.score import Ratio, Score, weights_hash


def law_name(
    generator: nn.Module,
    latent: Latent,
    cond: Tensor | None,
    mover: dict[str, Any],
    guide: Score | None = None,
    pulled: Ratio | None = None,
) -> str:
    """Hash what the law of a mover's proposals depends on.

    Args:
        generator: Its weights count.
        latent: Its settings count.
        cond: (N, ...) some conditions, or None. Their kind counts and not their values: one ratio
            judges every choice of labels.
        mover: Settings of the prepared mover.
        guide: What it follows, if anything.
        pulled: The ratio it walks on, if it is a chain in latent space.
    """
    parts: dict[str, Any] = {
        "generator": weights_hash(generator),
        "latent": latent.config(),
        "condition": None if cond is None else [str(cond.dtype), list(cond.shape[1:])],
        "mover": mover,
        "guide": None if guide is None else [weights_hash(guide.network), guide.output],
    }
    if pulled is not None:
        knots = None if pulled.calibrator is None else pulled.calibrator.config()
        network = weights_hash(pulled.score.network)
        parts["ratio"] = [network, pulled.score.output, pulled.correction, knots]
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
