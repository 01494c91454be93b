"""What a reader of a report must be warned of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gantandem.display.table import finite, show, show_percent
from gantandem.reporting.evidence import Evidence

FAULTS = {
    "nonfinite": ("proposals", "were not finite; others took their place"),
    "excess": (
        "proposals",
        "had a ratio above the frozen maximum, so acceptance was cut short there",
    ),
    "exhausted": (
        "samples",
        "used up their attempts; their last proposal was returned unaccepted",
    ),
    "stuck": ("chains", "never moved after their first proposal"),
    "divergent": ("moves", "ended at a point that is not finite and were rejected"),
}
"""Events that something went wrong in: of what each is a part, and what happened. All other
events only count what was done, and nobody is warned of them."""
_SCALE = {"frechet_distance": "low", "good": "high", "sliced_w1": "low"}
_LABEL = {"frechet_distance": "Fréchet distance", "good": "good", "sliced_w1": "sliced W1"}


def cautions(evidence: Evidence) -> list[str]:
    """Warnings in plain words, the gravest first."""
    return [
        *_failed(evidence),
        *_worse_than_direct(evidence),
        *_collapse(evidence),
        *_lost_modes(evidence),
        *_discriminator(evidence),
        *_faults(evidence),
    ]


def _failed(evidence: Evidence) -> Iterator[str]:
    failed: dict[str, str] = evidence.metrics.get("failed") or {}
    for name, reason in failed.items():
        yield f"{name} could not be measured: {reason}"


def _worse_than_direct(evidence: Evidence) -> Iterator[str]:
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


def _cause(row: dict[str, Any], evidence: Evidence) -> str:
    sampler = row.get("sampler", {})
    if sampler.get("proposal", {}).get("name") == "direct":
        return (
            "Its ratio picks the wrong ones of the plain samples: diagnose it, and fit a ratio of "
            "images on features instead of pixels."
        )
    if evidence.shaping:
        return (
            "The shaped guide leads astray here: try a smaller step size, another layer or more "
            "updates."
        )
    return (
        "A discriminator that was not shaped often leads astray: shape it, or take a smaller step "
        "size."
    )


def _collapse(evidence: Evidence) -> Iterator[str]:
    for name, row in evidence.rows.items():
        spread = finite(row.get("metrics", {}).get("within_mode_std"))
        if name != "direct" and spread is not None and spread < 0.8:
            yield (
                f"{name} collapses within the modes: the spread inside a mode is {show(spread)} of "
                "the true one. good, KL and JS do not see this."
            )


def _lost_modes(evidence: Evidence) -> Iterator[str]:
    wanted = finite(evidence.metrics.get("floor", {}).get("modes"))
    for name, row in evidence.rows.items():
        modes = finite(row.get("metrics", {}).get("modes"))
        if name != "direct" and modes is not None and wanted is not None and modes < wanted - 0.5:
            yield (
                f"{name} reaches {show(modes)} of {show(round(wanted))} modes. No acceptance brings"
                " back what the proposals never visit; defensive proposals do."
            )


def _discriminator(evidence: Evidence) -> Iterator[str]:
    if not evidence.diagnosis and not evidence.metrics.get("discriminator"):
        yield (
            "The discriminator was never diagnosed, so nothing is known of how far its ratio can "
            "be trusted: run 'gantandem diagnose'."
        )
    # A later diagnosis of the same law replaces an earlier one: that ratio is no longer in use.
    latest = {found.get("law") or name: name for name, found in evidence.diagnosis.items()}
    for name in latest.values():
        faults = ratio_faults(evidence.diagnosis[name])
        if faults:
            yield (
                f"The ratio on {name}: {'; '.join(faults)}. Samplers that accept by it inherit the "
                "error; refit or calibrate it."
            )


def ratio_faults(found: Mapping[str, Any]) -> list[str] | None:
    """What a diagnosis holds against a ratio; None if it is too old to tell.

    A small Z says little by itself: that of a useless ratio is small too.
    """
    if found.get("warnings"):
        return [str(one) for one in found["warnings"]]
    z, ece = finite(found.get("z")), finite(found.get("ece"))
    if z is None or abs(z) <= 3:
        return [] if "warnings" in found else None
    error = f", expected calibration error {show(ece)}" if ece is not None else ""
    return [f"it is not calibrated: |Z| is {show(abs(z))}{error}"]


def _faults(evidence: Evidence) -> Iterator[str]:
    for name, row in evidence.rows.items():
        for event, (kind, happened) in FAULTS.items():
            count, whole = finite((row.get("events") or {}).get(event)), _whole(row, kind)
            if count:
                of = f"{show(count)} of {show(whole)} {kind}" if whole else f"{show(count)} {kind}"
                share = f" ({show_percent(count / whole)})" if whole else ""
                yield f"{name}: {of} {happened}{share}."


def _whole(row: dict[str, Any], kind: str) -> float | None:
    """How many proposals, samples, chains or moves there were."""
    n, acceptance = finite(row.get("n")), finite(row.get("acceptance"))
    if kind == "moves":
        return finite((row.get("events") or {}).get("moves"))
    if kind == "proposals":
        return round(n / acceptance) if n and acceptance else None
    return n
