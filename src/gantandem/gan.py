"""The one seam between the user's networks and the library."""

from __future__ import annotations

import contextlib
import copy
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
from gantandem.doubts import doubts
from gantandem.errors import InputError, LawMismatchError
from gantandem.guidance import Guidance
from gantandem.held import Parts, exchanged, held
from gantandem.latent import Latent, as_latent, check_latent
from gantandem.law import law_name
from gantandem.probe import check_networks
from gantandem.rng import Key
from gantandem.score import Output, Ratio, Score
from gantandem.split import Split, split
from gantandem.stack import find_stack
from gantandem.statistics import warn_unfilled

if TYPE_CHECKING:
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
        self.generator = generator
        self.latent = as_latent(latent)
        self.condition: Condition | None = as_condition(condition)
        self.compile = compile
        self.guide = None if discriminator is None else Score(discriminator, output)
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
        self._held = False
        self._parts: Parts = {}
        with self.frozen():
            check_latent(self.latent, self.device)
            check_networks(self.generator, self.guide, *self._examples())
        warn_unfilled(self.generator, "generator")
        warn_unfilled(discriminator, "discriminator")
        if self.guide is not None and self.guide.output != "critic":
            self.ratios[self._base_law()] = Ratio(self.guide, origin="shipped")

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
        if self._held:
            return self.generator(z) if cond is None else self.generator(z, cond)
        gradients = torch.is_grad_enabled()
        with self.frozen(), torch.set_grad_enabled(gradients):
            return self.decode(z, cond)

    def split(self, layer: str) -> Split:
        """Cut the generator at a named module, or at ``"latent"`` or ``"data"``.

        Raises:
            SplitError: If it cannot be cut there; the message lists near matches.
        """
        with contextlib.nullcontext() if self._held else self.frozen():
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
        if not self._held:
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
        plain = self.condition is None and score.output != "prob"
        stack = find_stack(score.network) if plain else None
        if stack is not None:
            with self.frozen():
                agrees = stack.agrees(score.network, self.decode(self._examples()[0]))
            stack = stack if agrees else None
        guide = Guidance(self.split(layer), score, stack, compile=self.compile)
        self._guides[layer, id(score)] = guide
        return guide

    def stepper(self, mover: Mover) -> Callable[[Key, Any], tuple[Any, Moved]]:
        """How a pool steps a mover, ``(key, state) -> (state, moved)``.

        Where this GAN compiles, a mover that says ``compiles = True`` is compiled with them.
        """
        step = functools.partial(mover.step, self)
        if not (self.compile and getattr(mover, "compiles", False)):
            return step
        if mover not in self._steppers:
            layer = getattr(mover, "layer", None)
            if layer is not None and self.guide is not None:
                self._make_guide(layer, self.guide)  # outside of what is compiled
            self._steppers[mover] = torch.compile(step, dynamic=False)
        return self._steppers[mover]

    def need_pulled_ratio(self, where: str) -> Ratio:
        """The ratio of p_G, which chains in latent space pull back to z; looked up anew.

        Raises:
            LawMismatchError: If none was fitted on p_G.
            NotARatioError: If only a critic is at hand.
        """
        from gantandem.samplers.direct import Direct

        if self.guide is not None and self._base_law() not in self.ratios:
            self.guide.need_ratio(where)
        self._pulled = self.ratio(Direct())
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
        return x, ratio.from_logit(logit, cond), gradient

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
    def frozen(self) -> Iterator[None]:
        """Hold every network in eval mode without gradients for weights; restore on leaving.

        Whatever a forward writes meanwhile is put back as well, and so is the global random
        state. Inside, another ``frozen()`` of the same GAN does nothing.
        """
        if self._held:
            with torch.no_grad():
                yield
            return
        scores = [self.guide, *(ratio.score for ratio in self.ratios.values())]
        networks = [self.generator, *(score.network for score in scores if score is not None)]
        self._held = True
        try:
            with held(networks, self.device) as parts:
                self._forget_exchanged(parts)
                yield
        finally:
            self._held = False

    def _forget_exchanged(self, parts: Parts) -> None:
        """Forget splits and guidance of networks whose parts were exchanged since."""
        known = {n: self._parts[n] for n in parts if n in self._parts}
        for network in [n for n in known if exchanged(known[n], parts[n])]:
            del known[network]
            if network == id(self.generator):
                self._splits.clear()
            self._guides.clear()
            self._steppers.clear()
        self._parts = {**parts, **known}

    # -- laws -----------------------------------------------------------------------------------

    def law(self, mover: Mover) -> str:
        """Name the law of a prepared mover's proposals.

        The name is a hash of everything the law depends on: the generator's weights, the latent,
        the kind of condition, the mover's settings and, if it follows one, the guide's weights.
        """
        guide = self.guide if mover.uses_guide else None
        # Chains in latent space: their law depends on the ratio they walk on.
        pulled = self.need_pulled_ratio(mover.name) if getattr(mover, "uses_ratio", False) else None
        return self._law(mover, guide, pulled)

    def _base_law(self) -> str:
        from gantandem.samplers.direct import Direct

        return self._law(Direct())

    def _law(self, mover: Mover, guide: Score | None = None, pulled: Ratio | None = None) -> str:
        from gantandem.samplers.base import to_config

        cond = self._example_conditions()
        return law_name(self.generator, self.latent, cond, to_config(mover), guide, pulled)

    def ratio(self, mover: Mover, *, strict: bool = True, quiet: bool = False) -> Ratio:
        """Look up the ratio fitted on a prepared mover's law.

        Args:
            mover: Prepared, so that its law is known.
            strict: False judges by another law's ratio, with a warning.
            quiet: Do not say that a ratio was never diagnosed.

        Raises:
            LawMismatchError: If there is none and ``strict``; otherwise a warning is logged and
                the ratio of the plain generator judges.
            NotARatioError: If only a critic is at hand.
        """
        law = self.law(mover)
        if law not in self.ratios:
            if not self.ratios and self.guide is not None:
                self.guide.need_ratio(f"accepting samples of {type(mover).__name__}")
            known = ", ".join(self.ratios) or "none"
            message = (
                f"no ratio was fitted on the law of {mover} (law {law}; fitted: {known}). "
                "Acceptance would be wrong. Fit one: gan = fit_ratio(gan, real, proposal="
                f"{type(mover).__name__}(...)), or pass strict=False to judge by another law's."
            )
            fallback = self.ratios.get(self._base_law()) or next(iter(self.ratios.values()), None)
            if strict or fallback is None:
                raise LawMismatchError(message)
            self._say(f"mismatch {law}", message)
            return fallback
        ratio = self.ratios[law]
        against = doubts(ratio.diagnosis) if ratio.diagnosis is not None and not quiet else []
        if against:
            self._say(
                f"doubts {law} {against}",
                f"the ratio that judges {type(mover).__name__} was diagnosed, and should not be "
                f"trusted: {'; '.join(against)}. Put it right with gt.calibrate(gan, real), or "
                "fit another one with gt.fit_ratio(gan, real), and diagnose again",
            )
        if ratio.origin == "shipped" and ratio.diagnosis is None and not quiet:
            self._say(
                law,
                "the discriminator that came with the generator judges here and was never "
                "diagnosed: diagnose(gan, real, proposal=Direct()) tells whether to trust it",
            )
        return ratio

    def _say(self, what: str, message: str) -> None:
        if what not in self._told:
            self._told.add(what)
            logger.warning(message)

    # -- new GANs out of old ones ---------------------------------------------------------------

    def replace(self, **changes: Any) -> GAN:
        """Make a copy with some attributes changed; networks are shared, never copied."""
        new = copy.copy(self)
        new.ratios, new._told = dict(self.ratios), set(self._told)
        new._splits, new._guides, new._steppers, new._pulled = dict(self._splits), {}, {}, None
        new._held, new._parts = False, dict(self._parts)
        for name, value in changes.items():
            setattr(new, name, as_condition(value) if name == "condition" else value)
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
        new = self.replace(condition=condition, **shared)
        given = new._example_conditions()
        check_condition(self._example_conditions(), given, _EXAMPLES, "with_condition")
        return new

    def with_guide(self, network: nn.Module, output: Output = "logit") -> GAN:
        """Follow another network's gradient."""
        return self.replace(guide=Score(network, output))

    def with_ratio(self, law: str, ratio: Ratio) -> GAN:
        """Add the ratio of a law."""
        return self.replace(ratios={**self.ratios, law: ratio})

    # -- checks ---------------------------------------------------------------------------------

    def _examples(self) -> tuple[Tensor, Tensor | None]:
        ids = torch.arange(_EXAMPLES, device=self.device)
        return self.latent.draw(Key(0).fold("example"), ids), self._example_conditions()

    def _example_conditions(self) -> Tensor | None:
        return self.conditions(torch.arange(_EXAMPLES, device=self.device))
