"""Any sampler behind the call of a generator: ``x = model(z)``."""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from gantandem.discriminator.latent_weights import ReweightedLatent
from gantandem.engine.pool import width_for
from gantandem.engine.run import Run
from gantandem.engine.sampling import prepare
from gantandem.errors import InputError
from gantandem.gan import GAN
from gantandem.latent import Latent
from gantandem.ratios.lookup import networks_for
from gantandem.rng import Key
from gantandem.samplers.base import Selector
from gantandem.samplers.named import SamplerLike, as_sampler
from gantandem.settings import Count, check


class SampledGenerator(nn.Module):
    """A generator that is a sampler: for libraries that score ``nn.Module`` generators.

    ``forward(z)`` gives one sample for each row of z. The given latents are where the first
    attempts start; what else a sampler draws (further attempts, noise, coins) is keyed by the
    seed and the bytes of z. So the result is a function of z alone, and if z follows the prior,
    it follows the sampler's law, independently from batch to batch. The sampler is prepared once.
    A mover that starts from no latent of the prior (``Direct(truncation=...)`` by resampling)
    takes z as a seed only.

    No gradient flows through ``forward``. The networks are in eval mode while sampling, whatever
    mode this module is in; ``to`` moves them, as it would the generator itself.

    Args:
        gan: Networks, latent and ratios.
        sampler: A mover or selector, or the name of one; its law is that on the GAN's own latent.
        seed: Of everything but the given latents.
        width: Lanes, a multiple of 16; None takes what suits the data, and fewer for a small batch.
        common_noise: Give all rows of all batches the same random numbers, so that x is a function
            of its own row of z and nearby rows are compared like with like, as path lengths need.
            Rows are then not independent: not for quality metrics. Meant for movers: the further
            proposals of a selector are then the same for all rows, so that it may give one sample
            for every z, and path lengths of 0.
        num_classes: Number of labels, for wrappers that draw labels; 0 without condition.
        transform: What is done to (N, *x_shape) samples at the end, for example to bytes.
        strict: False turns a law mismatch into a warning.

    Raises:
        InputError: If an argument is not allowed.
        LawMismatchError: If no ratio was fitted on the law of the sampler's proposals.

    Example:
        >>> from gantandem import OBRS
        >>> from gantandem.testing import toy_gan
        >>> model = SampledGenerator(toy_gan(), OBRS(expected=2, pilot=100))
        >>> z = model.sample(5)
        >>> model(z).shape, torch.equal(model(z), model(z))
        (torch.Size([5, 2]), True)
    """

    def __init__(
        self,
        gan: GAN,
        sampler: SamplerLike,
        *,
        seed: int = 0,
        width: int | None = None,
        common_noise: bool = False,
        num_classes: int = 0,
        transform: Callable[[Tensor], Tensor] | None = None,
        strict: bool = True,
    ) -> None:
        super().__init__()
        check("SampledGenerator gan", GAN, gan)
        self.gan, self.num_classes, self.transform = gan, num_classes, transform
        self.common_noise, self._key = common_noise, Key(seed).fold("generator")
        sampler = as_sampler(gan, sampler)
        self._most = width_for(gan.networks, sampler, width)
        self._fixed = width is not None
        self.sampler, _ = prepare(gan, sampler, width=self._most, strict=strict)
        judged = isinstance(self.sampler, Selector)
        mover = self.sampler.proposal if judged else self.sampler
        # A chain in latent space looks its ratio up by the GAN's own latent.
        self._networks = networks_for(gan, mover)
        self._ratio = gan.ratio(mover, strict=strict) if judged else None
        self._drawn = 0
        self._shape = tuple(
            self._prior.draw(self._key, torch.arange(1, device=gan.device)).shape[1:]
        )
        self.networks = nn.ModuleList(_networks(gan))

    @property
    def _prior(self) -> Latent:
        latent = self.gan.latent
        while isinstance(latent, ReweightedLatent):
            latent = latent.base
        return latent

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """Draw one sample for each row of z.

        Args:
            z: (N, *latent shape) latents of the prior, such as :meth:`sample` gives.
            condition: (N, ...) what each row is conditioned on, if the GAN is conditional.

        Returns:
            (N, *x_shape) samples in row order, of the generator's dtype, on z's device.

        Raises:
            InputError: If latents or conditions do not fit the GAN.
            BudgetError: If significantly more than 0.1% of the rows used up their attempts.
            NonFiniteError: If significantly more than 10% of the proposals are not finite.
        """
        self._check(z, condition)
        # Movers need gradients, which inference mode and its tensors do not allow.
        with torch.inference_mode(False), torch.no_grad():
            own = z.detach().to(self.gan.device, torch.float32, copy=True)
            cond = None if condition is None else condition.detach().to(own.device, copy=True)
            key = self._noise(own)
            first = self.gan.reweighted
            given = self._networks.given(
                latent=_start_from(self.gan.latent, own, key),
                reweighted=None if first is None else _start_from(first, own, key),
                condition=cond,
            )
            small = 16 * math.ceil(len(z) / 16)
            width = self._most if self._fixed else min(self._most, small)
            run = Run(given, self.sampler, len(z), key, width=width, ratio=self._ratio)
            x = torch.cat([block.x for block in run.blocks()])
            run.conclude(len(z))
            x = x if self.transform is None else self.transform(x)
            return x.to(z.device)

    def sample(self, num_samples: int) -> Tensor:
        """Draw latents of the prior, (num_samples, *latent shape); calls go on with one stream."""
        num_samples = check("sample num_samples", Count, num_samples)
        ids = self._drawn + torch.arange(num_samples, device=self.gan.device)
        self._drawn += num_samples
        return self._prior.draw(self._key.fold("sample"), ids)

    def train(self, mode: bool = True) -> SampledGenerator:
        """Set this module's own flag; the networks keep theirs, and sampling never minds."""
        self.training = mode
        return self

    def _noise(self, z: Tensor) -> Key:
        if self.common_noise:
            return _OneForAll(self._key.seed)
        raw = z.cpu().contiguous().view(torch.uint8).numpy().tobytes()
        return self._key.fold(hashlib.blake2b(raw).hexdigest())

    def _check(self, z: Tensor, condition: Tensor | None) -> None:
        if len(z) == 0 or tuple(z.shape[1:]) != self._shape:
            wanted = ", ".join(map(str, ("N", *self._shape)))
            raise InputError(
                f"z: got shape {tuple(z.shape)}, allowed is ({wanted}), N of 1 or more"
            )
        if (condition is None) != (self.gan.condition is None):
            raise InputError(
                "condition: this GAN is conditional, so pass model(z, condition)"
                if condition is None
                else "condition: this GAN has no condition; call model(z), or make the GAN with "
                "condition=..."
            )
        if condition is not None and len(condition) != len(z):
            raise InputError(
                f"condition: got {len(condition)} conditions for {len(z)} latents; give one for "
                "each latent"
            )


@dataclass(frozen=True)
class _OneForAll(Key):
    """The same random numbers for every id."""

    def fold(self, purpose: str | int) -> Key:
        return _OneForAll(super().fold(purpose).seed)

    def bits(
        self, ids: Tensor, attempts: Tensor | int = 0, step: Tensor | int = 0, count: int = 4
    ) -> Tensor:
        return super().bits(torch.zeros_like(ids), attempts, step, count)


def _start_from(latent: Any, z: Tensor, key: Key) -> Any:
    """Copy a prior, with row i of z as what id i starts its first attempt from.

    A copy keeps the type, which some movers ask for. In a reweighted prior the given latents are
    candidates as any others.
    """
    if isinstance(latent, ReweightedLatent):
        return replace(latent, base=_start_from(latent.base, z, key))

    def draw(own: Key, ids: Tensor, attempts: Tensor | int = 0) -> Tensor:
        fresh = latent.draw(own, ids, attempts)
        if own != key.fold("latent"):  # drawn for another purpose than to start from
            return fresh
        first = (torch.zeros_like(ids) + attempts) == 0
        return torch.where(first.view(-1, *[1] * (fresh.dim() - 1)), z[ids], fresh)

    given = copy.copy(latent)
    object.__setattr__(given, "draw", draw)  # priors are frozen
    return given


def _networks(gan: GAN) -> list[nn.Module]:
    """Every network once, so that moving the module moves them all."""
    scores = [gan.guide, *(ratio.score for ratio in gan.ratios.values())]
    networks = [gan.generator, *(score.network for score in scores if score is not None)]
    for latent in (gan.latent, gan.reweighted):
        while isinstance(latent, ReweightedLatent):
            networks.append(latent.network)
            latent = latent.base
    return list({id(network): network for network in networks}.values())
