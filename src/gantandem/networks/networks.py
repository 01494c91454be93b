"""What runs a GAN's networks, and holds them still meanwhile."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from gantandem.adapt.inputs import full
from gantandem.condition import Condition, rows_for
from gantandem.errors import InputError, old_name
from gantandem.latent import Latent
from gantandem.nets.hashing import hashed_once, weights_hash
from gantandem.networks.cut import Cut, cut_at
from gantandem.networks.guidance import Guidance
from gantandem.networks.held import Kept, Parts, exchanged, held, one_thread
from gantandem.networks.score import Score
from gantandem.rng import Key

if TYPE_CHECKING:
    from gantandem.gan import GAN
    from gantandem.ratios.ratio import Ratio
    from gantandem.samplers.base import Moved, Mover

logger = logging.getLogger(__name__)

EXAMPLES = 8
"""Latents that networks are tried on."""
Step = Callable[[Key, Any], "tuple[Any, Moved]"]


@dataclass
class _Memory:
    """What is kept as long as the parts of the networks are what they were."""

    parts: Parts = field(default_factory=dict)
    cuts: dict[str, Cut] = field(default_factory=dict)
    guides: dict[tuple[str, int], Guidance] = field(default_factory=dict)
    steppers: dict[Any, Step] = field(default_factory=dict)


class Networks:
    """A GAN's networks at work: what a mover is given, and the only caller of foreign modules.

    While they run, the user's modules are in eval mode with frozen weights; after that they are
    as they were. Everything that is kept from call to call is kept here: cuts, guidances and
    compiled steps, until a part of a network is exchanged; prepared samplers; and what was said.

    Attributes:
        ratio: What chains in latent space walk on: that of p_G. None for movers that do not say
            ``uses_ratio = True``.
        scores: Everything that scores samples: the guide and the ratios.
        prepared: Samplers that were prepared, see :mod:`gantandem.engine.kept`.
        tried: Labels that the networks are known to know.
        generator: As of the GAN, and so are all others.
    """

    generator: nn.Module
    guide: Score | None
    latent: Latent
    reweighted: Latent | None
    condition: Condition | None
    spread: float | None
    real_logits: dict[str, float] | None
    shaped: bool
    compile: bool

    def __init__(self, gan: GAN, like: Networks | None = None) -> None:
        for name in Networks.__annotations__:
            setattr(self, name, getattr(gan, name))
        self.ratio: Ratio | None = None
        known = [self.guide, *(ratio.score for ratio in gan.ratios.values())]
        self.scores = list({id(score): score for score in known if score is not None}.values())
        self._held: Kept | None = None
        self._thread, self._memory, self.tried = 0, _Memory(), frozenset[int]()
        self._said: set[str] = set() if like is None else like._said
        self.prepared: dict[Any, Any] = {} if like is None else like.prepared
        asked = ("generator", "latent", "condition")
        if like is not None and all(getattr(self, n) is getattr(like, n) for n in asked):
            kept, self.tried = like._memory, like.tried
            self._memory = _Memory(dict(kept.parts), dict(kept.cuts))

    def given(self, **changes: Any) -> Networks:
        """The same networks with another ``condition``, ``latent`` or ``ratio``."""
        new = copy.copy(self)
        new._held = None
        vars(new).update(changes)
        if "latent" in changes:
            new._memory = dataclasses.replace(self._memory, steppers={})
        return new

    # -- running --------------------------------------------------------------------------------

    @contextlib.contextmanager
    def frozen(self, *, free: nn.Module | None = None) -> Iterator[None]:
        """Hold every network in eval mode without gradients for weights; restore on leaving.

        Whatever a forward writes meanwhile is put back as well, and so is the global random
        state. Inside, another ``frozen()`` of the same networks does nothing; other threads wait.

        Args:
            free: A network that is trained in the block: it is left alone.
        """
        with one_thread:
            if self._held is not None:
                with torch.no_grad():
                    yield
                return
            known = (self.generator, *(score.network for score in self.scores))
            still = [network for network in known if network is not free]
            try:
                with hashed_once(), held(still, self.device) as self._held:
                    self._thread = threading.get_ident()
                    self._forget_exchanged(self._held.parts)
                    yield
            finally:
                self._held = None

    @property
    def _still(self) -> bool:
        """Whether this thread holds the networks still; what is compiled runs in no other."""
        own = torch.compiler.is_compiling() or self._thread == threading.get_ident()
        return own and self._held is not None

    def _forget_exchanged(self, parts: Parts) -> None:
        """Forget what was kept of networks whose parts were exchanged since."""
        memory = self._memory
        for network, now in parts.items():
            if network not in memory.parts:
                memory.parts[network] = now
            elif exchanged(memory.parts[network], now):
                memory.parts[network] = now
                if network == id(self.generator):
                    memory.cuts.clear()
                memory.guides.clear()
                memory.steppers.clear()
                for score in self.scores:
                    score.look_again()

    def parts(self) -> Parts:
        """What each network is made of; of one that was exchanged since it is another object."""
        return dict(self._memory.parts)

    @property
    def device(self) -> torch.device:
        """Where the generator lives."""
        tensor = next(self.generator.parameters(), next(self.generator.buffers(), None))
        return torch.device("cpu") if tensor is None else tensor.device

    def conditions(self, ids: Tensor) -> Tensor | None:
        """The condition of each id, or None: an id keeps its condition through every sampler."""
        return None if self.condition is None else rows_for(self.condition, ids)

    def decode(self, z: Tensor, cond: Tensor | None = None) -> Tensor:
        """Run the generator: (N, d) latents to (N, *x_shape) samples, in float32 at least."""
        if self._still:
            return full(self.generator(z) if cond is None else self.generator(z, cond))
        gradients = torch.is_grad_enabled()
        with self.frozen(), torch.set_grad_enabled(gradients):
            return self.decode(z, cond)

    def cut(self, layer: str, *, nearest: bool = True) -> Cut:
        """Cut the generator at a named module, or at ``"latent"`` or ``"data"``.

        Raises:
            CutError: If it cannot be cut there; the message lists near names and layers.
        """
        with self.frozen():
            if layer not in (cuts := self._memory.cuts):
                cuts[layer] = cut_at(self.generator, layer, *self.examples(), nearest=nearest)
            return cuts[layer]

    split = old_name("cut")

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
            layer: Where the generator is cut.
            h: (N, *h_shape) activation at that layer.
            carry: What else the tail needs, as the head gave it.
            cond: (N, ...) conditions or None.
            score: What scores x; None for the guide.

        Returns:
            x (N, *x_shape), the guide's logit (or critic value) (N,), and the gradient of that
            score for h, of h's shape. No gradient of a weight is computed.
        """
        if not self._still:
            with self.frozen():
                return self.guidance(layer, h, carry, cond, score)
        score = score or self.need_guide(layer)
        guide = self._memory.guides.get((layer, id(score))) or self._make_guide(layer, score)
        x, logit, gradient = guide(h, carry, cond)
        if gradient is None:  # step functions all the way, as of a discrete generator
            self.say(
                f"flat {layer}",
                f"the score of {type(score.network).__name__} has no gradient at {layer!r}, so 0 "
                "is used. Refinement then moves no sample; chains with an accept test stay exact "
                "and become random walks",
            )
            gradient = torch.zeros_like(h)
        return x, logit, gradient

    def _make_guide(self, layer: str, score: Score) -> Guidance:
        guide = Guidance(self.cut(layer), score, compile=self.compile)
        self._memory.guides[layer, id(score)] = guide
        return guide

    def latent_ratio(self, z: Tensor, cond: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Pull the ratio of p_G back to the latent: what chain movers walk on.

        Args:
            z: (N, d) latents.
            cond: (N, ...) conditions or None.

        Returns:
            x of shape (N, *x_shape), the calibrated log p_data / p_G of shape (N,), float64, and
            (N, d) the gradient for z of that ratio's uncalibrated logit (a calibrator enters
            acceptance only; a Hastings correction makes up for any gradient).
        """
        ratio = self.need_pulled_ratio("a chain in latent space")
        x, logit, gradient = self.guidance("latent", z, (), cond, ratio.score)
        return x, ratio.from_logit(logit, cond), ratio.strength * gradient

    def stepper(self, mover: Mover) -> Step:
        """How a pool steps a mover; where this GAN compiles, one that ``compiles`` is compiled."""
        step = functools.partial(mover.step, self)
        if not (self.compile and mover.compiles):
            return step
        steppers, known = self._memory.steppers, (mover, id(self.ratio))
        if known not in steppers:
            if mover.layer is not None and self.guide is not None:
                self._make_guide(mover.layer, self.guide)  # outside of what is compiled
            steppers[known] = torch.compile(step, dynamic=False)
        return steppers[known]

    def need_guide(self, where: str) -> Score:
        """The guide; InputError if there is none."""
        if self.guide is None:
            raise InputError(
                f"{where}: this GAN has no discriminator to follow. Fit one and make it the guide: "
                "gan = fit_ratio(gan, real, proposal=Direct(), as_guide=True)"
            )
        return self.guide

    def need_pulled_ratio(self, where: str) -> Ratio:
        """The ratio of p_G, which chains in latent space pull back to z.

        Raises:
            InputError: If the mover does not say that it walks on it.
        """
        if self.ratio is None:
            raise InputError(
                f"{where}: the ratio of p_G is only available to movers that declare it in their "
                "class: uses_ratio: ClassVar[bool] = True"
            )
        return self.ratio

    def weights_hash(self, network: nn.Module) -> str:
        """Hash a network's weights, without what a forward wrote since they are held."""
        if self._still and self._held is not None:
            self._held.put_back()
        return weights_hash(network)

    def examples(self, count: int = EXAMPLES) -> tuple[Tensor, Tensor | None]:
        """A few latents with their conditions, the same in every call."""
        ids = torch.arange(count, device=self.device)
        return self.latent.draw(Key(0).fold("example"), ids), self.conditions(ids)

    def example_conditions(self) -> Tensor | None:
        """The conditions of the examples."""
        return self.conditions(torch.arange(EXAMPLES, device=self.device))

    def first(self, what: str) -> bool:
        """Whether something comes up for the first time, for this GAN and those made from it."""
        new = what not in self._said
        self._said.add(what)
        return new

    def say(self, what: str, message: str) -> None:
        """Warn once: under the same ``what`` nothing is said again."""
        if self.first(what):
            logger.warning(message)
