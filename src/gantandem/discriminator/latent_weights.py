"""Latent reweighting: a small network rejects latents before the generator ever sees them.

Issenhuth, Tanielian, Picard and Mary, Latent reweighting, an almost free improvement for GANs,
WACV 2022: importance weights w(z) of the latent with mean 1 under the prior and at most m, and
rejection sampling on them (latentRS).
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gantandem.discriminator.loop import Best, descend
from gantandem.discriminator.parts import draw, frozen_copy, seeded
from gantandem.engine.sampling import prepare
from gantandem.errors import InputError, renamed
from gantandem.gan import GAN
from gantandem.latent import Latent
from gantandem.nets import build
from gantandem.nets.hashing import hashed_once, weights_hash
from gantandem.rng import Key
from gantandem.samplers.base import Proposal
from gantandem.samplers.direct import Direct
from gantandem.samplers.obrs import OBRS
from gantandem.settings import Count, NotNegative, Rule, Schedule, at_least, check

logger = logging.getLogger(__name__)

PILOTS = 65_536
CHECK_EVERY = 100
HELD_OUT = 0.1
MISSED_SHARE = 0.001
ABOVE_1 = Annotated[float, Rule("a number above 1", lambda value: value > 1)]
TWO = Annotated[int, at_least(2)]


@dataclass(frozen=True, eq=False, kw_only=True)
class ReweightedLatent(Latent):
    """A prior that draws from another and accepts with sigmoid(network(z)).

    Each (id, attempt) owns ``budget`` candidates, which are candidates ``attempt * budget`` and
    on of the same id under ``base``; the first one accepted is its latent, the last one if none
    is. That happens to the share ``missed`` of all draws, a known number.

    The weight is w(z) = sigmoid(network(z)) / acceptance: of mean 1 under ``base``, and at most
    1 / acceptance. The density is that of what is drawn, missed budgets included:

        base(z) [a (1 - (1 - Z)^(T - 1)) / Z + (1 - Z)^(T - 1)]

    with a = sigmoid(network(z)), Z = ``acceptance`` and T = ``budget``.

    Args:
        base: The prior of the candidates.
        network: (N, d) flattened latents to (N,) logits of acceptance; a frozen copy is kept.
        budget: T, most candidates of a draw.
        acceptance: Z, the mean of sigmoid(network(z)) under ``base``; None measures it on
            65,536 pilots, to four digits. It never changes afterwards.

    Raises:
        InputError: If more than 0.1% of the draws would use up their budget.
    """

    base: Latent
    network: nn.Module
    budget: int = 64
    acceptance: float | None = None

    def __post_init__(self) -> None:
        """Freeze the network, measure the acceptance and check the budget."""
        budget = check("latent reweighting budget", Count, self.budget)
        object.__setattr__(self, "budget", budget)
        object.__setattr__(self, "network", frozen_copy(self.network))
        if self.acceptance is None:
            object.__setattr__(self, "acceptance", self._measure())
        if not 0 < self._rate <= 1 or self.missed > MISSED_SHARE:
            raise InputError(
                f"latent reweighting: {self._rate:.3g} of the latents are accepted, so "
                f"{self.missed:.2%} of the ids would use up their budget of {self.budget} "
                "(allowed: 0.1%). Raise the budget or lower the cap"
            )

    @property
    def _rate(self) -> float:
        assert self.acceptance is not None  # resolved by __post_init__
        return self.acceptance

    @property
    def missed(self) -> float:
        """Share of draws that end with a candidate that was not accepted."""
        return (1 - self._rate) ** self.budget

    def _measure(self) -> float:
        device = next((p.device for p in self.network.parameters()), torch.device("cpu"))
        ids = torch.arange(PILOTS, device=device).split(1024)
        key = Key(0).fold("latent reweighting acceptance")
        with torch.no_grad():
            means = [self._logit(self.base.draw(key, part)).sigmoid().mean() for part in ids]
        return float(f"{float(torch.stack(means).mean()):.4g}")

    def _logit(self, z: Tensor) -> Tensor:
        return self.network(z.flatten(1).float()).double().reshape(len(z))

    def draw(self, key: Key, ids: Tensor, attempts: Tensor | int = 0) -> Tensor:
        """Draw one latent for each id, (N, *shape)."""
        coin, tries = key.fold("reweight"), (torch.zeros_like(ids) + attempts) * self.budget
        z = self.base.draw(key, ids, tries)
        waiting = torch.ones_like(ids, dtype=torch.bool)
        for _ in range(self.budget - 1):
            # All rows go through the network each time, so that no row's place changes its bits.
            waiting &= ~(coin.log_uniform(ids, tries) < F.logsigmoid(self._logit(z)))
            if not bool(waiting.any()):
                break
            tries = tries + 1
            again = self.base.draw(key, ids, tries)
            z = torch.where(waiting.view(-1, *[1] * (z.dim() - 1)), again, z)
        return z

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density, (N,), of what is drawn; its gradient for z is autograd's."""
        accept, last = torch.sigmoid(self._logit(z)), (1 - self._rate) ** (self.budget - 1)
        weight = accept * (1 - last) / self._rate + last
        log_prob = self.base.log_prob(z)
        return log_prob + weight.log().to(log_prob.dtype)

    @property
    def discrete(self) -> bool:
        """As the prior of the candidates."""
        return self.base.discrete

    def config(self) -> dict[str, Any]:
        """The settings as JSON-ready values; ``digest`` names them all, the weights included."""
        settings = {
            "kind": "reweighted",
            "base": self.base.config(),
            "network": weights_hash(self.network),
            "budget": self.budget,
            "acceptance": self.acceptance,
        }
        text = json.dumps(settings, sort_keys=True, default=str)
        return {**settings, "digest": hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}


@renamed(pool="n")
@hashed_once()
def fit_latent_reweight(
    gan: GAN,
    *,
    cap: float = 3.0,
    hidden: int = 64,
    layers: int = 4,
    n: int = 100_000,
    schedule: Sequence[tuple[int, float]] = ((2000, 1e-3), (1000, 1e-4)),
    batch: int = 1000,
    weight_decay: float = 0.0,
    budget: int = 64,
    as_latent: bool = False,
    width: int | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> GAN:
    """Fit w(z) to the ratio of p_G, for the sampler ``latent_reweight``.

    The target is w*(z) = m min(c r(G(z)), 1), m the least of ``cap`` and max r, with c solved on
    the pool for a mean of 1: the weights with the paper's two constraints (mean 1, at most m) that
    are nearest p_data. They are accepted with w*/m = min(c r, 1), which a network sigmoid(f(z))
    learns by its cross-entropy; r is a function of z, so the minimiser is that probability itself.
    A tenth of the pool is held out; the weights of the lowest held-out loss are kept. A sample
    then costs one pass and about m evaluations of a small network.

    Departs from the paper, which trains w against a Wasserstein critic in turns and holds both
    constraints by penalties: the calibrated ratio of p_G is at hand here, so a regression does.
    The gradient ascent on w (latentRS+GA) is not offered. With conditions, w averages over them,
    since a latent is drawn before its condition is looked at.

    Args:
        gan: Networks, latent and the ratio of p_G.
        cap: m, the largest weight (3 in the paper): one candidate in m is accepted, or more where
            the ratio itself stays below m.
        hidden: Units of each hidden layer of f.
        layers: Linear layers of f, at least 2.
        n: Samples of p_G to fit on.
        schedule: (updates, learning rate) of AdamW, one after the other.
        batch: Samples of an update.
        weight_decay: Of AdamW.
        budget: Most candidates of a draw, see :class:`ReweightedLatent`.
        as_latent: Make it the latent of the new GAN, so that every mover starts from it. All laws
            change with it: ratios must be fitted anew.
        width: Lanes.
        seed: Of f's initial weights and the data order.
        progress: Show a progress bar.

    Returns:
        A new GAN with the fitted prior as ``reweighted``. Selectors over ``LatentReweight()`` need
        a ratio of its own law: ``fit_ratio(gan, real, proposal=LatentReweight())``.

    Raises:
        InputError: If a setting is not allowed.
        LawMismatchError: If no ratio was fitted on p_G.
        NotARatioError: If only a critic is at hand.

    Example:
        >>> from gantandem import LatentReweight, sample
        >>> from gantandem.testing import toy_gan
        >>> gan = fit_latent_reweight(toy_gan(), n=500, schedule=[(10, 1e-2)], batch=100)
        >>> sample(gan, LatentReweight(), 4).x.shape
        torch.Size([4, 2])
    """
    where = "fit_latent_reweight"
    check(f"{where} gan", GAN, gan)
    n, batch = check(f"{where} n", Count, n), check(f"{where} batch", Count, batch)
    cap = check(f"{where} cap", ABOVE_1, cap)
    hidden, layers = check(f"{where} hidden", Count, hidden), check(f"{where} layers", TWO, layers)
    schedule = check(f"{where} schedule", Schedule, schedule)
    weight_decay = check(f"{where} weight_decay", NotNegative, weight_decay)
    mover, _ = prepare(gan, Direct())
    run = draw(gan, mover, n, "latent reweight", width=width)
    run.ratio = gan.ratio(mover)
    blocks = list(run.blocks())
    z, log_ratio = (torch.cat([getattr(b, name) for b in blocks]) for name in ("z", "log_ratio"))
    ids = torch.arange(n, device=z.device)
    proposals = Proposal(ids, torch.zeros_like(ids), log_ratio)
    solved = OBRS(expected=float(cap), pilot=n).prepare(lambda _: proposals)
    accept = solved.log_accept(proposals).clamp(max=0).exp().to(z.dtype)
    spec = {"net": "mlp-discriminator", "data_dim": z[0].numel(), "width": hidden, "layers": layers}
    key = Key(seed).fold("latent reweight")
    with seeded(key, z.device):
        network = build(spec).to(z.device)
        rows = torch.cat([z.flatten(1), accept[:, None]], 1)
        _fit(network, rows, schedule, batch, weight_decay, key, progress)
    latent = ReweightedLatent(base=gan.latent, network=network, budget=budget)
    specs, passes = {**gan.specs, "reweighted": spec}, gan.setup_passes + run.passes
    new = gan.replace(reweighted=latent, specs=specs, setup_passes=passes)
    return new.replace(latent=latent, reweighted=None) if as_latent else new


def _fit(
    network: nn.Module,
    rows: Tensor,
    schedule: Sequence[tuple[int, float]],
    batch: int,
    weight_decay: float,
    key: Key,
    progress: bool | None,
) -> None:
    """Minimise the cross-entropy of (latent, probability) rows; the held-out best is kept."""
    held = max(1, int(HELD_OUT * len(rows)))
    out, rest = rows[:held], rows[held:]
    order = key.fold("order").generator()
    rates = [rate for updates, rate in schedule for _ in range(updates)]
    best = Best(network)

    def loss() -> Tensor:
        index = torch.randint(len(rest), (batch,), generator=order).to(rest.device)
        return _cross_entropy(network, rest[index])

    def look(step: int) -> bool:
        best.offer(float(_cross_entropy(network, out).detach()), step)
        return True

    looks = {*range(0, len(rates), CHECK_EVERY), len(rates)}
    descend(
        network, rates, loss, look, looks,
        what="fit latent reweight", progress=progress, weight_decay=weight_decay,
    )  # fmt: skip
    best.restore()
    blind = torch.logit(out[:, -1].mean(), eps=1e-6).expand(held)
    logger.info(
        "fit_latent_reweight: held-out loss %.4f (a constant's is %.4f)",
        best.loss,
        float(F.binary_cross_entropy_with_logits(blind, out[:, -1])),
    )


def _cross_entropy(network: nn.Module, rows: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(network(rows[:, :-1]), rows[:, -1])
