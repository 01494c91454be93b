"""What a reader of a report, and whoever samples a GAN, must be warned of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gantandem.display.table import finite, show, show_percent
from gantandem.errors import InputError
from gantandem.evaluate.against import MOST
from gantandem.evaluate.comparison import Comparison
from gantandem.gan import GAN
from gantandem.ratios.lookup import plain_law
from gantandem.ratios.words import named
from gantandem.reporting.evidence import Evidence, read_evidence
from gantandem.reporting.stale import older, stale_laws, stale_rows
from gantandem.reporting.worse import less_real, worse_than_direct

FAULTS = {
    "nonfinite": ("proposals", "were not finite and were replaced by others"),
    "excess": (
        "proposals",
        "had a ratio above the maximum M of the pilot, so they were accepted too rarely",
    ),
    "exhausted": (
        "samples",
        "used up their attempts; their last proposal was returned although it was not accepted",
    ),
    "stuck": ("chains", "never moved after their first proposal"),
    "divergent": ("moves", "led to a point that is not finite and were rejected"),
}
"""Events that something went wrong in: of what each is a part, and what happened. All other
events only count what was done, and nobody is warned of them."""


def cautions(of: GAN | Comparison | Evidence | str | Path) -> list[str]:
    """Warnings in plain words, the gravest first.

    Args:
        of: A GAN, for warnings about its guide and its ratios; a result of
            :func:`gantandem.compare`, for warnings about its samplers; or a run folder with a
            ``metrics.json``, for the warnings of its report under "Read with care".

    Raises:
        InputError: If it is none of these.
        DataError: If the folder holds no comparison, or a file of it is damaged.

    Example:
        >>> from gantandem.testing import toy_gan
        >>> cautions(toy_gan())[0][:41]
        'The ratio on the law of direct was never '
    """
    if isinstance(of, GAN):
        return [*_of_gan(of)]
    if isinstance(of, Comparison):
        evidence = Evidence(Path(), of.metrics, diagnosis=diagnoses(of.gan, laws_of(of)))
    elif isinstance(of, str | Path):
        evidence = read_evidence(of)
    else:
        evidence = of
    if not isinstance(evidence, Evidence):
        raise InputError(
            f"cautions: got {of!r}, allowed are a GAN, a result of compare, and a run folder"
        )
    return [
        *_stale(evidence),
        *_failed(evidence),
        *worse_than_direct(evidence),
        *less_real(evidence),
        *_collapse(evidence),
        *_lost_modes(evidence),
        *_discriminator(evidence),
        *_faults(evidence),
        *_few_real(evidence),
        *_shared_eyes(evidence),
        *_warned(evidence),
    ]


def diagnoses(gan: GAN, laws: Iterable[str]) -> dict[str, dict[str, Any]]:
    """What was diagnosed of a GAN's ratios, JSON-ready, by the names of their movers."""
    found = {}
    for law in laws:
        ratio = gan.ratios.get(law)
        if ratio is not None and ratio.diagnosis is not None:
            found[ratio.diagnosis.proposal or law] = ratio.diagnosis.to_dict()
    return found


def laws_of(compared: Comparison) -> list[str]:
    """The laws whose ratios judged in a comparison."""
    manifests = [out.manifest for _, out in compared.values()]
    return [one["law"] for one in manifests if "proposal" in one["sampler"]]


def _of_gan(gan: GAN) -> Iterator[str]:
    if not gan.ratios:
        yield "There is no ratio, so no selector can accept these samples: fit one (fit_ratio)."
    for law, ratio in gan.ratios.items():
        name = f"The ratio on the law of {'direct' if law == plain_law(gan) else named(law, ratio)}"
        if ratio.stale:
            yield (
                f"{name} is stale: the weights of its network were changed after the fit. Fit it "
                "again."
            )
        elif ratio.diagnosis is None:
            yield f"{name} was never diagnosed, so it is not known whether it can be trusted."
        elif ratio.diagnosis.warnings:
            yield f"{name}: {'; '.join(ratio.diagnosis.warnings)}."
    if gan.guide is not None and not gan.shaped:
        yield (
            "The guide was not shaped: refinement along it often makes samples worse. Shape it "
            "(shape_discriminator), or compare refined samples with plain ones first."
        )


def _stale(evidence: Evidence) -> Iterator[str]:
    rows = stale_rows(evidence)
    if rows:
        yield (
            f"{', '.join(rows)}: measured with a generator, guide or ratio that the run no longer "
            "holds. Measure again (gantandem compare)."
        )
    if older(evidence.sweep.get("weights"), evidence.weights):
        yield (
            "The sweep was measured with a generator, guide or ratios that the run no longer "
            "holds. Repeat it (gantandem compare --sweep)."
        )


def _failed(evidence: Evidence) -> Iterator[str]:
    failed: dict[str, str] = evidence.metrics.get("failed") or {}
    for name, reason in failed.items():
        yield f"{name} could not be measured: {reason}"


def _few_real(evidence: Evidence) -> Iterator[str]:
    metrics = evidence.metrics
    real = finite(metrics.get("real")) or finite(metrics.get("floor", {}).get("n"))
    n = max((finite(row.get("n")) or 0 for row in evidence.rows.values()), default=0)
    if real is not None and real < min(n, MOST):
        yield (
            f"{show(n)} samples were measured by {show(real)} held-out real ones, all there are: "
            "few make chance, and small differences between samplers say nothing."
        )


def _warned(evidence: Evidence) -> Iterator[str]:
    """What steps warned of, each text once; without what files tell better."""
    found = evidence.diagnosis.values()
    told = [fault for one in found for fault in ratio_faults(one) or ()]
    told += [*(evidence.metrics.get("failed") or {}).values(), "the backbone that also measures"]
    told.append("never diagnosed")
    said: set[str] = set()
    for step, texts in evidence.warned.items():
        for text in texts:
            if text not in said and not any(one in text for one in told):
                said.add(text)
                yield f"{step}: {text.removeprefix(step.replace('-', '_') + ': ')}"


def _shared_eyes(evidence: Evidence) -> Iterator[str]:
    for name, row in evidence.rows.items():
        eyes = row.get("eyes") or {}
        if shared := eyes.get("shared"):
            yield (
                f"{name}: its {' and '.join(map(str, shared))} looked through the backbone that "
                f"measures, {eyes.get('measure')}, so that the distance flatters what it chose. "
                "Measure by another backbone."
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
                f"{name} reaches {show(modes)} of {show(round(wanted))} modes. Acceptance cannot "
                "restore modes that the proposals never reach; widened starts (defensive=) may "
                "reach them."
            )


def _discriminator(evidence: Evidence) -> Iterator[str]:
    rows = evidence.rows.values()
    judged = any("proposal" in row["sampler"] if row.get("sampler") else True for row in rows)
    if judged and not evidence.diagnosis and not evidence.metrics.get("discriminator"):
        yield (
            "The discriminator was never diagnosed, so it is not known whether its ratio can be "
            "trusted: diagnose it."
        )
    # A later diagnosis of the same law replaces an earlier one: that ratio is no longer in use.
    old = stale_laws(evidence)
    current = {name: one for name, one in evidence.diagnosis.items() if name not in old}
    latest = {found.get("law") or name: name for name, found in current.items()}
    for name in latest.values():
        faults = ratio_faults(evidence.diagnosis[name])
        if faults and weak(faults):
            yield f"The ratio on {name}: {'; '.join(faults)}. Compare its samples with plain ones."
        elif faults:
            yield (
                f"The ratio on {name}: {'; '.join(faults)}. Samplers that use it have the same "
                "error; fit or calibrate it again."
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


def weak(faults: list[str]) -> bool:
    """Whether a ratio is only used at less than its strength, which is how it was fitted."""
    return all(fault.startswith("acceptance uses r^") for fault in faults)


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
