"""The one seam between the user's networks and the library."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch import distributions as dist

from gantandem.condition import Condition, as_condition, check_condition, rows_for
from gantandem.data.matching import spread_of, take_in
from gantandem.data.real import Real, RealData, Rows
from gantandem.errors import InputError, LawMismatchError, near
from gantandem.latent import Latent, as_latent
from gantandem.nets.hashing import weights_hash
from gantandem.networks.doors import as_network, as_score, check_networks, try_labels
from gantandem.networks.guidance import Guidance
from gantandem.networks.held import Kept, Parts, exchanged, held
from gantandem.networks.score import Output, Score
from gantandem.networks.split import Split, split
from gantandem.networks.statistics import warn_unfilled
from gantandem.ratios.law import Law
from gantandem.ratios.lookup import find_ratio, law_of, plain_law, plain_ratio
from gantandem.ratios.ratio import Ratio
from gantandem.rng import Key

if TYPE_CHECKING:
    from gantandem.discriminator.diagnostics import Diagnosis
    from gantandem.samplers.base import Moved, Mover

logger = logging.getLogger(__name__)

_EXAMPLES = 8


class GAN:
    """A trained generator with its guide and its ratios; the only caller of these networks.

    The user's modules are never changed: during sampling they are in eval mode with frozen
    parameters, and restored after. Methods that improve a GAN return a new one.

    Args:
        generator: Called as ``generator(z)`` or ``generator(z, condition)``.
        discriminator: Called as ``discriminator(x)`` or ``discriminator(x, condition)``. None when
            it was never published: then start with ``fit_ratio``.
        latent: The prior of z, a ``torch.distributions`` object, or the size of a standard normal.
        output: What the discriminator returns: ``"logit"`` (before a sigmoid), ``"prob"`` (after
            it) or ``"critic"`` (any other score; ``"hinge"``, ``"wgan"``, ``"lsgan"`` mean this).
        condition: What the networks are conditioned on: M rows as a tensor, an array or a list (id
            i gets row i mod M), one label, or a function from (N,) ids to N rows.
        compile: Compile what guides samples, gradient included (``torch.compile``, which needs a
            C++ compiler), and the steps of ``refine``; the first batch of every width and layer
            then takes many seconds.

    Raises:
        InputError: If the networks do not fit each other, or a row of their output depends on
            the other rows of the batch or on hidden noise (the layer is named).

    Example:
        >>> from torch import nn
        >>> gan = GAN(nn.Linear(2, 3), nn.Linear(3, 1), latent=2)
        >>> gan.decode(torch.zeros(4, 2)).shape
        torch.Size([4, 3])
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module | None,
        latent: Latent | dist.Distribution | int,
        *,
        output: Output = "logit",
        condition: Condition | None = None,
        compile: bool = False,
    ) -> None:
        self.generator = as_network(generator, "generator")
        self.latent = as_latent(latent)
        self.condition: Condition | None = as_condition(condition)
        self.compile = compile
        self.guide = as_score(discriminator, output)
        self.shaped = False
        self.proposal: Mover | None = None
        self.reweighted: Latent | None = None
        self.spread: float | None = None
        self.real_logits: dict[str, float] | None = None
        self.history: tuple[dict[str, Any], ...] = ()
        self.specs: dict[str, dict[str, Any]] = {}
        self.setup_passes = 0
        self.ratios: dict[str, Ratio] = {}
        self._splits: dict[str, Split] = {}
        self._guides: dict[tuple[str, int], Guidance] = {}
        self._steppers: dict[Mover, Callable[[Key, Any], tuple[Any, Moved]]] = {}
        self._pulled: Ratio | None = None
        self._told: set[str] = set()
        self._prepared: dict[Any, Any] = {}
        self._running = False
        self._kept: Kept | None = None
        self._parts: Parts = {}
        self._tried: frozenset[int] = frozenset()
        self._hashes: dict[int, str] = {}
        check_networks(self, [self.guide], generator=True)
        warn_unfilled(self.generator, "generator")
        warn_unfilled(discriminator, "discriminator")
        if self.guide is not None and self.guide.output != "critic":
            self.ratios[plain_law(self)] = Ratio(self.guide, origin="shipped")

    # -- what samplers ask for ------------------------------------------------------------------

    @property
    def device(self) -> torch.device:
        """Where the generator lives."""
        tensor = next(self.generator.parameters(), next(self.generator.buffers(), None))
        return torch.device("cpu") if tensor is None else tensor.device

    def conditions(self, ids: Tensor) -> Tensor | None:
        """The condition of each id, or None: an id keeps its condition through every sampler."""
        return None if self.condition is None else rows_for(self.condition, ids)

    def decode(self, z: Tensor, cond: Tensor | None = None) -> Tensor:
        """Run the generator, in eval mode: (N, d) latents to (N, *x_shape) samples."""
        if self._running:
            return self.generator(z) if cond is None else self.generator(z, cond)
        gradients = torch.is_grad_enabled()
        with self.frozen(), torch.set_grad_enabled(gradients):
            return self.decode(z, cond)

    def split(self, layer: str) -> Split:
        """Cut the generator at a named module, or at ``"latent"`` or ``"data"``.

        Raises:
            SplitError: If it cannot be cut there; the message lists near matches.
        """
        with contextlib.nullcontext() if self._running else self.frozen():
            if layer not in self._splits:
                self._splits[layer] = split(self.generator, layer, *self._examples())
            return self._splits[layer]

    def guidance(
        self,
        layer: str,
        h: Tensor,
        carry: tuple[Tensor, ...],
        cond: Tensor | None,
        score: Score | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Finish the generator from an activation and score the result.

        Args:
            layer: Where the generator is split.
            h: (N, *h_shape) activation at that layer.
            carry: What else the tail needs, as the head gave it.
            cond: (N, ...) conditions or None.
            score: What scores x; None for the guide.

        Returns:
            x of shape (N, *x_shape), the guide's logit (or critic value) of shape (N,), and the
            gradient of that score for h, of h's shape. No gradient of a weight is computed.
        """
        if not self._running:
            with self.frozen():
                return self.guidance(layer, h, carry, cond, score)
        score = score or self.need_guide(layer)
        guide = self._guides.get((layer, id(score))) or self._make_guide(layer, score)
        x, logit, gradient = guide(h, carry, cond)
        if gradient is None:  # step functions all the way, as of a discrete generator
            self._say(
                f"flat {layer}",
                f"the score of {type(score.network).__name__} does not depend smoothly on "
                f"{layer!r}: its gradient is taken to be 0. Refinement then moves nothing; chains "
                "with an accept test stay exact, as random walks",
            )
            gradient = torch.zeros_like(h)
        return x, logit, gradient

    def _make_guide(self, layer: str, score: Score) -> Guidance:
        guide = Guidance(self.split(layer), score, compile=self.compile)
        self._guides[layer, id(score)] = guide
        return guide

    def stepper(self, mover: Mover) -> Callable[[Key, Any], tuple[Any, Moved]]:
        """How a pool steps a mover, ``(key, state) -> (state, moved)``.

        Where this GAN compiles, a mover that ``compiles`` is compiled with them.
        """
        step = functools.partial(mover.step, self)
        if not (self.compile and mover.compiles):
            return step
        if mover not in self._steppers:
            if mover.layer is not None and self.guide is not None:
                self._make_guide(mover.layer, self.guide)  # outside of what is compiled
            self._steppers[mover] = torch.compile(step, dynamic=False)
        return self._steppers[mover]

    def need_pulled_ratio(self, where: str) -> Ratio:
        """The ratio of p_G, which chains in latent space pull back to z; looked up anew.

        Raises:
            LawMismatchError: If none was fitted on p_G.
            NotARatioError: If only a critic is at hand.
        """
        if self.guide is not None and plain_law(self) not in self.ratios:
            self.guide.need_ratio(where)
        self._pulled = plain_ratio(self)
        return self._pulled

    def latent_ratio(self, z: Tensor, cond: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Pull the ratio of p_G back to the latent: what chain movers walk on.

        Args:
            z: (N, d) latents.
            cond: (N, ...) conditions or None.

        Returns:
            x of shape (N, *x_shape), the calibrated log p_data / p_G of shape (N,), float64, and
            (N, d) the gradient for z of that ratio's uncalibrated logit (a calibrator enters
            acceptance only; a Hastings correction makes up for any gradient).

        Raises:
            LawMismatchError: If no ratio was fitted on p_G.
            NotARatioError: If only a critic is at hand.
        """
        ratio = self._pulled or self.need_pulled_ratio("a chain in latent space")
        x, logit, gradient = self.guidance("latent", z, (), cond, ratio.score)
        return x, ratio.from_logit(logit, cond), ratio.strength * gradient

    def need_guide(self, where: str) -> Score:
        """The guide.

        Raises:
            InputError: If there is none.
        """
        if self.guide is None:
            raise InputError(
                f"{where}: this GAN has no discriminator to follow. Fit one and make it the guide: "
                "gan = fit_ratio(gan, real, proposal=Direct(), as_guide=True)"
            )
        return self.guide

    @contextlib.contextmanager
    def frozen(self, *, free: nn.Module | None = None) -> Iterator[None]:
        """Hold every network in eval mode without gradients for weights; restore on leaving.

        Whatever a forward writes meanwhile is put back as well, and so is the global random
        state. Inside, another ``frozen()`` of the same GAN does nothing.

        Args:
            free: A network that is trained in the block: it is left alone.
        """
        if self._running:
            with torch.no_grad():
                yield
            return
        networks = [self.generator, *(score.network for score in self._scores())]
        networks = [network for network in networks if network is not free]
        try:
            with held(networks, self.device) as kept:
                self._running, self._kept = True, kept
                self._forget_exchanged(kept.parts)
                yield
        finally:
            self._running, self._kept = False, None
            self._hashes.clear()

    def _forget_exchanged(self, parts: Parts) -> None:
        """Forget what was kept of networks whose parts were exchanged since."""
        known = {n: self._parts[n] for n in parts if n in self._parts}
        for network in [n for n in known if exchanged(known[n], parts[n])]:
            del known[network]
            if network == id(self.generator):
                self._splits.clear()
            self._guides.clear()
            self._steppers.clear()
            for score in self._scores():
                score.look_again()
        self._parts = {**parts, **known}

    def _scores(self) -> list[Score]:
        scores = [self.guide, *(ratio.score for ratio in self.ratios.values())]
        return [score for score in scores if score is not None]

    # -- laws -----------------------------------------------------------------------------------

    def law(self, mover: Mover) -> Law:
        """Name the law of a prepared mover's proposals (see :mod:`gantandem.ratios.law`).

        The name stands for everything the law depends on: what the generator computes, the
        latent, the kind of condition, the settings that the mover uses and, if it follows one,
        the guide. A law that a ratio was fitted on keeps the name that it had then.
        """
        return law_of(self, mover)

    def weights_hash(self, network: nn.Module) -> str:
        """Hash a network's weights, once for as long as the networks are frozen."""
        if id(network) in self._hashes:
            return self._hashes[id(network)]
        if self._kept:
            self._kept.put_back()  # what a forward wrote in this block
        known = weights_hash(network)
        if self._running:
            self._hashes[id(network)] = known
        return known

    def ratio(
        self, mover: Mover, *, strict: bool = True, quiet: bool = False, stale: bool = False
    ) -> Ratio:
        """Look up the ratio fitted on a prepared mover's law.

        Args:
            mover: Prepared, so that its law is known.
            strict: False judges by another law's ratio, with a warning.
            quiet: Do not say that a ratio was never diagnosed.
            stale: Take it also if its network was changed since, to calibrate or diagnose anew.

        Raises:
            LawMismatchError: If there is none and ``strict``; otherwise a warning is logged and
                the ratio of the plain generator judges. Or if the ratio's network was changed
                since it was fitted, calibrated or diagnosed.
            NotARatioError: If only a critic is at hand.
        """
        return find_ratio(self, mover, strict=strict, quiet=quiet, stale=stale)

    def _say(self, what: str, message: str) -> None:
        if what not in self._told:
            self._told.add(what)
            logger.warning(message)

    # -- new GANs out of old ones ---------------------------------------------------------------

    def replace(self, **changes: Any) -> GAN:
        """Make a copy with some attributes changed; networks are shared, never copied.

        Raises:
            InputError: If there is no such attribute, or the networks no longer fit.
        """
        allowed = [name for name in vars(self) if not name.startswith("_")]
        for name in changes:
            if name not in allowed:
                raise InputError(f"GAN.replace: unknown attribute {name!r}; {near(name, allowed)}")
        new = self._copy(**changes)
        new.generator, new.latent = as_network(new.generator, "generator"), as_latent(new.latent)
        new.condition = as_condition(new.condition)
        new.guide = as_score(new.guide)
        known = {id(ratio.score) for ratio in self.ratios.values()} | {id(self.guide)}
        scores = [new.guide, *(ratio.score for ratio in new.ratios.values())]
        if changes.keys() & {"generator", "latent", "condition"}:
            new._tried, new._splits = frozenset(), {}
            check_networks(new, [new.guide], generator=True)
        check_networks(new, [score for score in scores if id(score) not in known])
        if "generator" in changes:
            warn_unfilled(new.generator, "generator")
        if new.guide is not None and id(new.guide) not in known:
            warn_unfilled(new.guide.network, "discriminator")
        return new

    def _copy(self, **changes: Any) -> GAN:
        """A copy whose networks are known to fit."""
        new = copy.copy(self)
        new.ratios, new._told = dict(self.ratios), set(self._told)
        new._splits, new._guides, new._steppers, new._pulled = dict(self._splits), {}, {}, None
        new._running, new._kept, new._parts, new._hashes = False, None, dict(self._parts), {}
        for name, value in changes.items():
            setattr(new, name, value)
        return new

    def observe(self, real: RealData, condition: Any = None, *, batch: int = 1000) -> GAN:
        """Note the spread of real data and the guide's logits on it; movers resolve from them.

        Args:
            real: (N, *x_shape) real samples, in any form that ``RealData`` names; of a ``Real``
                the ``fit`` part.
            condition: (N, ...) the condition of each, for a conditional GAN.
            batch: Samples scored at a time.

        Raises:
            DataError: If the samples cannot be read, are not finite, or have another shape than
                the generator's.
            InputError: If the conditions do not fit the samples or this GAN.
        """
        given = real.rows("fit") if isinstance(real, Real) else real
        real, condition = take_in(
            self, given if condition is None else (given, condition), "observe", least=2
        )
        spread = spread_of(real)
        logits = None
        if self.guide is not None:
            with self.frozen():
                parts = Rows(real, condition).split(batch)
                scores = torch.cat([self.guide(*part.to(self.device)) for part in parts])
            prob = float(scores.double().sigmoid().mean())  # of a critic it means nothing
            logits = {"mean": float(scores.mean()), "median": float(scores.median()), "prob": prob}
        return self.replace(spread=float(f"{spread:.3g}"), real_logits=logits)

    def with_condition(self, condition: Condition) -> GAN:
        """Ask for other conditions of the same kind; guide and ratios hold for them as well.

        Args:
            condition: As for :class:`GAN`; for example ``torch.tensor([3])`` for one label.

        Raises:
            InputError: If it is not of the kind this GAN was made with.
        """
        shared = {name: getattr(self, name) for name in ("_told", "_guides", "_steppers")}
        new = self._copy(condition=as_condition(condition), **shared)
        given = new._example_conditions()
        check_condition(self._example_conditions(), given, _EXAMPLES, "with_condition")
        try_labels(new, new._scores())
        return new

    def with_guide(self, network: nn.Module, output: Output = "logit") -> GAN:
        """Follow another network's gradient.

        Raises:
            InputError: If it does not take the generator's samples, or mixes the rows of a batch.
        """
        return self.replace(guide=as_score(network, output))

    def with_ratio(self, law: str, ratio: Ratio) -> GAN:
        """Add the ratio of a law.

        Raises:
            InputError: If its network does not take the generator's samples, or mixes the rows of
                a batch.
        """
        return self.replace(ratios={**self.ratios, law: ratio})

    def check(self, network: nn.Module, output: Output = "logit") -> None:
        """Refuse a network that cannot score this GAN's samples, or mixes the rows of a batch.

        Raises:
            InputError: Then.
        """
        check_networks(self, [as_score(network, output)])

    def with_diagnosis(self, diagnosis: Diagnosis) -> GAN:
        """Note what :func:`gantandem.diagnose` found on the ratio of its law.

        Raises:
            LawMismatchError: If this GAN holds no ratio of that law.
        """
        if diagnosis.law not in self.ratios:
            known = ", ".join(self.ratios) or "none"
            raise LawMismatchError(
                f"with_diagnosis: the diagnosis is of law {diagnosis.law or 'unknown'}, and this "
                f"GAN holds ratios of {known}; diagnose this GAN's own ratio"
            )
        ratio = dataclasses.replace(self.ratios[diagnosis.law], diagnosis=diagnosis)
        return self.with_ratio(diagnosis.law, ratio)

    # -- checks ---------------------------------------------------------------------------------

    def _examples(self) -> tuple[Tensor, Tensor | None]:
        ids = torch.arange(_EXAMPLES, device=self.device)
        return self.latent.draw(Key(0).fold("example"), ids), self._example_conditions()

    def _example_conditions(self) -> Tensor | None:
        return self.conditions(torch.arange(_EXAMPLES, device=self.device))
