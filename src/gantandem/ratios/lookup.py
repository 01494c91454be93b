"""Which ratio judges the proposals of a mover, and under which name their law is known."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gantandem.errors import InputError, LawMismatchError
from gantandem.networks.score import Score
from gantandem.ratios.doubts import advice, doubts, verdict
from gantandem.ratios.law import Law, first_name, name_law
from gantandem.ratios.ratio import Ratio
from gantandem.ratios.words import named
from gantandem.settings import show, to_config

if TYPE_CHECKING:
    from gantandem.discriminator.diagnostics import Diagnosis
    from gantandem.gan import GAN
    from gantandem.networks.networks import Networks
    from gantandem.samplers.base import Mover

PLAIN: dict[str, Any] = {"name": "direct", "truncation": None, "how": "resample"}
"""The settings of ``Direct()``, whose proposals are the generator's plain samples."""


def law_of(gan: GAN, mover: Mover) -> Law:
    """Name the law of a prepared mover, as it is known among the GAN's ratios if it is there.

    Raises:
        InputError: If it is a name.
    """
    if isinstance(mover, str):
        raise InputError(
            f"mover: got {show(mover)}, allowed is a prepared mover, such as "
            "prepare(gan, 'direct').sampler"
        )
    guide = gan.guide if mover.uses_guide else None
    # Chains in latent space: their law depends on the ratio they walk on.
    pulled = pulled_ratio(gan, mover.name) if mover.uses_ratio else None
    return _known(gan, to_config(mover), mover.unused, guide, pulled)


def _known(
    gan: GAN, settings: dict[str, Any], unused: Any, guide: Score | None, pulled: Ratio | None
) -> Law:
    used = {name: value for name, value in settings.items() if name not in unused}
    law = name_law(gan, used, guide, pulled)
    known = law.among(gan.ratios)
    if known is None and not all(getattr(name, "exact", "") for name in gan.ratios):
        first = first_name(gan, settings, guide, pulled)
        known = Law(first, law.exact, law.traces) if first in gan.ratios else None
    return known or law


def plain_law(gan: GAN) -> Law:
    """The law of the generator's plain samples."""
    return _known(gan, PLAIN, (), None, None)


def plain_ratio(gan: GAN) -> Ratio:
    """The ratio of the generator's plain samples.

    Raises:
        LawMismatchError: If there is none.
    """
    return _judging(gan, plain_law(gan), "Direct", "Direct()")


def pulled_ratio(gan: GAN, where: str) -> Ratio:
    """The ratio of p_G, which chains in latent space pull back to z.

    Raises:
        LawMismatchError: If none was fitted on p_G.
        NotARatioError: If only a critic is at hand.
    """
    if gan.guide is not None and plain_law(gan) not in gan.ratios:
        gan.guide.need_ratio(where)
    return plain_ratio(gan)


def networks_for(gan: GAN, mover: Mover) -> Networks:
    """What a mover is given: the networks, and the ratio of p_G if it walks on that.

    Raises:
        LawMismatchError: As :func:`pulled_ratio`.
        NotARatioError: As :func:`pulled_ratio`.
    """
    if not mover.uses_ratio:
        return gan.networks
    return gan.networks.given(ratio=pulled_ratio(gan, mover.name))


def find_ratio(gan: GAN, mover: Mover, *, strict: bool, quiet: bool, stale: bool) -> Ratio:
    """Look up the ratio of a prepared mover's law: see :meth:`gantandem.GAN.ratio`."""
    options = {"strict": strict, "quiet": quiet, "stale": stale}
    return _judging(gan, gan.law(mover), type(mover).__name__, str(mover), **options)


def _judging(
    gan: GAN,
    law: Law,
    kind: str,
    mover: str,
    *,
    strict: bool = True,
    quiet: bool = False,
    stale: bool = False,
) -> Ratio:
    """The ratio of a law, whose mover is shown as given; says what speaks against it."""
    if law not in gan.ratios:
        return _other_ratio(gan, law, kind, mover, strict=strict)
    ratio = gan.ratios[law]
    if not stale and ratio.stale_with(gan.networks.weights_hash(ratio.score.network)):
        call = "fit_ratio" if ratio.origin == "fitted" else "calibrate"
        message = (
            f"the weights of the ratio that judges {kind} ({type(ratio.score.network).__name__}, "
            f"law {law}) were changed after it was fitted, calibrated or diagnosed, so this is no "
            f"longer valid. Repeat it: gan = {call}(gan, real, proposal={kind}(...))"
        )
        if strict:
            raise LawMismatchError(message)
        gan.networks.say(f"stale {law}", message)
    against = doubts(ratio.diagnosis) if ratio.diagnosis is not None and not quiet else []
    if against and ratio.diagnosis is not None:
        gan.networks.say(
            f"doubts {law} {against}",
            f"the ratio that judges {kind} was diagnosed. {verdict(ratio.diagnosis)} "
            f"{'; '.join(against)}. Next: {advice(ratio.diagnosis)}",
        )
    if ratio.origin == "shipped" and ratio.diagnosis is None and not quiet:
        gan.networks.say(
            law,
            "the discriminator that came with the generator is used as the ratio and was never "
            "diagnosed. To know whether to trust it: gan = gan.with_diagnosis(diagnose(gan, "
            "real, proposal=Direct()))",
        )
    return ratio


def diagnosed(ratios: Mapping[str, Ratio], diagnosis: Diagnosis) -> Ratio:
    """The ratio of a diagnosis' law, with the diagnosis.

    Raises:
        LawMismatchError: If there is no ratio of that law.
    """
    if diagnosis.law not in ratios:
        held = ", ".join(named(*pair) for pair in ratios.items()) or "none"
        raise LawMismatchError(
            f"with_diagnosis: the diagnosis is of law {diagnosis.law or 'unknown'}, and this "
            f"GAN holds ratios of {held}; diagnose its own ratio"
        )
    return dataclasses.replace(ratios[diagnosis.law], diagnosis=diagnosis)


def _other_ratio(gan: GAN, law: Law, kind: str, mover: str, *, strict: bool) -> Ratio:
    """Refuse to judge by another law's ratio, or do so with a warning."""
    if not gan.ratios and gan.guide is not None:
        gan.guide.need_ratio(f"accepting samples of {kind}")
    known = ", ".join(named(*pair) for pair in gan.ratios.items()) or "none"
    message = (
        f"no ratio was fitted on the law of {mover} (law {law}; fitted: {known}); a ratio is "
        f"valid for one law only. Fit one: gan = fit_ratio(gan, real, proposal={kind}(...)); "
    )
    fallback = gan.ratios.get(plain_law(gan)) or next(iter(gan.ratios.values()), None)
    if strict or fallback is None:
        raise LawMismatchError(message + "strict=False uses the ratio of another law")
    gan.networks.say(
        f"mismatch {law}", message + "the ratio of another law is used, so the acceptance is wrong"
    )
    return fallback
