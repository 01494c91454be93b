"""Plain samples of the generator from a reweighted latent."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from gantandem.errors import InputError, LawMismatchError
from gantandem.latent import Latent
from gantandem.networks.networks import Networks
from gantandem.rng import Key
from gantandem.samplers.base import Cost, Moved, Mover
from gantandem.samplers.direct import Direct, DirectState

_DIRECT = Direct()


@dataclass(frozen=True, kw_only=True)
class LatentReweight(Mover):
    """x = G(z) with z rejected on a fitted w(z) before G or D ever runs.

    A latent z ~ p0 is kept with probability w(z) / m, with m the cap of w: the rule is in
    ``discriminator/latent_weights.py``, in ``ReweightedLatent.draw``, which holds w(z) / m as
    sigmoid(network(z)). The law is biased: p_G reweighted by w, which is as near p_data as its fit
    and its cap allow.
    Issenhuth et al., Latent reweighting, an almost free improvement for GANs, WACV 2022
    (latentRS). :func:`~gantandem.fit_latent_reweight` fits w; all of its choices are told there.

    Args:
        weights: Names the fitted w, so that laws tell one from another; None takes the GAN's.

    Raises:
        InputError: On ``prepare``, if no w was fitted.
        LawMismatchError: On ``prepare``, if the GAN holds another w than the one named.
    """

    name: ClassVar[str] = "latent_reweight"
    uses_guide: ClassVar[bool] = False

    weights: str | None = None

    def prepare(self, gan: Networks, key: Key) -> LatentReweight:
        """Name the fitted w."""
        weights = str(_fitted(gan).config()["digest"])
        if self.weights not in (None, weights):
            raise LawMismatchError(
                f"latent_reweight weights: got {self.weights}, but this GAN holds {weights}. "
                "Leave weights out, or use the GAN (or run folder) that they were fitted with"
            )
        return replace(self, weights=weights)

    def cost(self) -> Cost:
        """One generator pass, however many latents were rejected."""
        return _DIRECT.cost()

    def init(self, gan: Networks, key: Key, ids: Tensor, attempts: Tensor) -> DirectState:
        """Draw the latents that w lets pass."""
        z = _fitted(gan).draw(key.fold("latent"), ids, attempts)
        return DirectState(ids, attempts, z, gan.conditions(ids))

    def lifetime(self, key: Key, ids: Tensor, attempts: Tensor) -> Tensor:
        """One step."""
        return _DIRECT.lifetime(key, ids, attempts)

    def step(self, gan: Networks, key: Key, state: DirectState) -> tuple[DirectState, Moved]:
        """Decode; every lane is done at once."""
        return _DIRECT.step(gan, key, state)


def _fitted(gan: Networks) -> Latent:
    if gan.reweighted is None:
        raise InputError(
            "latent_reweight: no w(z) was fitted. Call gan = fit_latent_reweight(gan), or for a "
            "run folder 'gantandem fit-ratio RUN --samplers direct,latent_reweight'"
        )
    return gan.reweighted
