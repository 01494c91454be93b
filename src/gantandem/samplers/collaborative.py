"""Collaborative sampling: refine, then accept on a ratio fitted on the refined law."""

from __future__ import annotations

from typing import Literal

from gantandem.errors import InputError
from gantandem.gan import GAN
from gantandem.samplers.base import Mover
from gantandem.samplers.metropolis import Metropolis
from gantandem.samplers.obrs import OBRS


def collaborative(
    gan: GAN | None = None,
    *,
    proposal: Mover | None = None,
    accept: Literal["obrs", "metropolis"] = "obrs",
    expected: float = 4.0,
    proposals: int = 20,
) -> OBRS | Metropolis:
    """Nest the mover that a GAN was shaped for in an acceptance; not another algorithm.

    Liu et al., AAAI 2020, accept by Metropolis-Hastings. The default here is optimal budgeted
    rejection, which spends fewer proposals and suits the heavy tail of image ratios better.

    Args:
        gan: A GAN whose ``proposal`` was set by ``shape``.
        proposal: The mover, if not the GAN's.
        accept: ``"obrs"`` or ``"metropolis"``.
        expected: K of OBRS, the most expected proposals a sample.
        proposals: Chain length of Metropolis.

    Raises:
        InputError: If neither a shaped GAN nor a proposal is given, or ``accept`` is unknown.
    """
    mover = proposal or (gan.proposal if gan is not None else None)
    if mover is None:
        raise InputError(
            "collaborative: this GAN was not shaped, so there is no proposal to accept. Call "
            "gan = shape_discriminator(gan, real), then gan = fit_ratio(gan, real), or pass "
            "proposal=Refine(...)"
        )
    if accept == "obrs":
        return OBRS(proposal=mover, expected=expected)
    if accept == "metropolis":
        return Metropolis(proposal=mover, proposals=proposals)
    raise InputError(f"collaborative accept: got {accept!r}, allowed are 'obrs', 'metropolis'")
