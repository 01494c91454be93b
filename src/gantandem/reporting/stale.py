"""Which measurements are of a guide or a ratio that the run no longer holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from gantandem.errors import InputError
from gantandem.gan import GAN
from gantandem.ratios.ratio import Ratio
from gantandem.reporting.evidence import Evidence
from gantandem.samplers import from_config
from gantandem.samplers.base import Selector

Weights = dict[str, Any]


def weights_of(gan: GAN) -> Weights:
    """Hashes of the networks of a GAN: ``generator``, ``guide``, and ``ratios`` by law."""
    guide = gan.guide
    return {
        "generator": gan.networks.weights_hash(gan.generator),
        "guide": None if guide is None else gan.networks.weights_hash(guide.network),
        "ratios": {str(law): _ratio(ratio) for law, ratio in gan.ratios.items()},
    }


def _ratio(ratio: Ratio) -> str:
    """Hash all that acceptance depends on: weights, calibrator, correction, strength."""
    calibrator = None if ratio.calibrator is None else ratio.calibrator.config()
    parts = [ratio.weights, ratio.score.output, ratio.correction, ratio.strength, calibrator]
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def made_by(gan: GAN, manifest: Mapping[str, Any]) -> Weights:
    """Hashes of the networks that samples depend on, of their manifest: as :func:`weights_of`."""
    now, law = weights_of(gan), str(manifest["law"])
    try:
        sampler: Any = from_config(manifest["sampler"])
    except InputError:  # of the user's own, which no file describes
        return now
    mover: Any = sampler.proposal if isinstance(sampler, Selector) else sampler
    judged = isinstance(sampler, Selector) and law in now["ratios"]
    ratios = {law: now["ratios"][law]} if judged else now["ratios"] if mover.uses_ratio else {}
    return {**now, "guide": now["guide"] if mover.uses_guide else None, "ratios": ratios}


def older(made: Any, now: Any) -> bool:
    """Say whether something was measured with networks that the run no longer holds.

    False where either was not noted, as in earlier versions.
    """
    if not isinstance(made, Mapping) or not isinstance(now, Mapping) or not (made and now):
        return False
    kept: Any = now.get("ratios") or {}
    ratios: Any = made.get("ratios") or {}
    if not isinstance(kept, Mapping) or not isinstance(ratios, Mapping):
        return True  # damaged: nothing says that it is of these networks
    return (
        made.get("generator") != now.get("generator")
        or made.get("guide") not in (None, now.get("guide"))
        or any(kept.get(law) != ratio for law, ratio in ratios.items())
    )


def stale_rows(evidence: Evidence) -> list[str]:
    """The samplers that were measured with networks that the run no longer holds."""
    now = evidence.weights
    return [name for name, row in evidence.rows.items() if older(row.get("weights"), now)]


def stale_laws(evidence: Evidence) -> list[str]:
    """The diagnoses, by their name, of ratios on laws that the run no longer holds."""
    now = evidence.weights.get("ratios")
    if not isinstance(now, Mapping):
        return []
    laws = {name: found.get("law") for name, found in evidence.diagnosis.items()}
    return [name for name, law in laws.items() if law and law not in now]
