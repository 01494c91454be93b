"""What a sampler is: movers make proposals, selectors judge them.

Both are frozen dataclasses of hyperparameters, which are also their JSON configuration. A user's
own sampler subclasses :class:`Mover` or :class:`Selector`; ``gantandem.testing.check_sampler``
checks it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple, TypeVar

import torch
from torch import Tensor

from gantandem.rng import Key
from gantandem.settings import Rule, Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from gantandem.networks.networks import Networks


class Moved(NamedTuple):
    """What one step of a mover says of every lane.

    ``x`` (W, *x_shape) and ``logit`` (W,) are the sample as it stands, ``z`` (W, *z_shape) is the
    latent that it belongs to (for a chain the present one, otherwise the one that it started from),
    ``steps`` (W,) the moves behind it, and ``done`` (W,) whether it is finished: then ``x`` is the
    proposal. A mover that names ``events`` adds ``tally`` (W, E) int64, how often each of them
    happened to the lane.
    """

    x: Tensor
    z: Tensor
    logit: Tensor
    steps: Tensor
    done: Tensor
    tally: Tensor | None = None


class Cost(NamedTuple):
    """Passes of one lane: of its start, of one step, and whether a step already scores x.

    A pass is one forward of the generator's tail and a discriminator; with its gradient it counts
    3; a head, a ratio network or a generator alone counts 1.
    """

    start: int
    step: int
    scores: bool


class Proposal(NamedTuple):
    """Finished proposals as a selector sees them, one a row, in attempt order for each id.

    ``condition`` (N, ...) is what each is conditioned on; None for an unconditional GAN.
    """

    id: Tensor
    attempt: Tensor
    log_ratio: Tensor
    condition: Tensor | None = None


class Chain(NamedTuple):
    """What an id holds between its attempts, one a row.

    Args:
        log_ratio: (N,) float64 of the sample held; -inf before the first.
        log_total: (N,) float64 running log sum of weights (reservoirs).
        empty: (N,) bool, nothing is held yet.
        accepted: (N,) bool, the sample held was accepted, not merely the last one left.
        moves: (N,) int64 acceptances after the first sample.
        keep: (N,) bool, the new proposal replaces the sample held.
        done: (N,) bool, the id needs no further attempt.
    """

    log_ratio: Tensor
    log_total: Tensor
    empty: Tensor
    accepted: Tensor
    moves: Tensor
    keep: Tensor
    done: Tensor

    def where(self, accept: Tensor, new: Proposal) -> Chain:
        """Take the new proposal where ``accept``; an empty chain holds it in any case."""
        keep = accept | self.empty
        return self._replace(
            log_ratio=torch.where(keep, new.log_ratio, self.log_ratio),
            moves=self.moves + (accept & ~self.empty),
            empty=torch.zeros_like(self.empty),
            accepted=self.accepted | accept,
            keep=keep,
        )

    def accept_if(self, accept: Tensor, new: Proposal, budget: int) -> Chain:
        """Finish at the first acceptance; when the budget is spent, hold the last proposal."""
        every = torch.ones_like(accept)
        return self._replace(
            log_ratio=new.log_ratio,
            empty=~every,
            accepted=accept,
            keep=every,
            done=accept | (new.attempt + 1 >= budget),
        )

    def without(self, broken: Tensor, after: Chain) -> Chain:
        """What was judged, but where the proposal is ``broken`` (not finite) it is never held.

        An id that holds nothing yet is not done either: another attempt follows.
        """
        empty = torch.where(broken, self.empty, after.empty)
        return after._replace(
            log_ratio=torch.where(broken, self.log_ratio, after.log_ratio),
            empty=empty,
            accepted=torch.where(broken, self.accepted, after.accepted),
            moves=torch.where(broken, self.moves, after.moves),
            keep=after.keep & ~broken,
            done=after.done & ~empty,
        )

    def done_if(self, done: Tensor) -> Chain:
        """Finish the ids where ``done``."""
        return self._replace(done=done)


class Mover(Settings, ABC):
    """Makes proposals: ``init`` the states of some (id, attempt) pairs, ``step`` them until done.

    Subclass it for a mover of your own, a frozen dataclass of settings, and define ``cost``,
    ``init`` and ``step``; everything else has a default. A state is a NamedTuple of tensors with W
    rows (nested tuples and None are allowed). The pool knows the id and the attempt of every lane;
    a mover whose steps draw random numbers keeps them in its state too.
    """

    name: ClassVar[str] = ""
    """What messages call it; by default the name of the class."""
    uses_guide: ClassVar[bool] = True
    """Its proposals depend on the guide, which is then part of their law."""
    uses_ratio: ClassVar[bool] = False
    """Its proposals depend on the ratio of p_G, which is then part of their law."""
    compiles: ClassVar[bool] = False
    """``step`` may be compiled as a whole, for a GAN with ``compile=True``."""
    events: ClassVar[tuple[str, ...]] = ()
    """What the columns of ``Moved.tally`` count; their sums are events of the run."""
    layer: Any = None
    """A setting: the layer at which ``step`` asks for guidance."""
    step_size: Any = None
    """A setting: messages name it where moves come to nothing."""

    @property
    def unused(self) -> list[str]:
        """Settings that change nothing as the others stand: the law's name leaves them out."""
        return []

    @property
    def pilot_passes(self) -> int:
        """Passes that ``prepare`` will spend; 0 once it is prepared."""
        return 0

    @property
    def alone(self) -> str | None:
        """What to warn of where its proposals are taken as samples, without an acceptance."""
        return None

    def prepare(self, gan: Networks, key: Key) -> Mover:
        """Resolve every ``auto``; nothing adapts afterwards."""
        return self

    @abstractmethod
    def cost(self) -> Cost:
        """Passes of a lane."""

    @abstractmethod
    def init(self, gan: Networks, key: Key, ids: Tensor, attempts: Tensor) -> Any:
        """Make the states of W (id, attempt) pairs, (W,) int64 each."""

    @abstractmethod
    def step(self, gan: Networks, key: Key, state: Any) -> tuple[Any, Moved]:
        """Move every lane once. May overwrite ``state``."""

    def lifetime(self, key: Key, ids: Tensor, attempts: Tensor) -> Tensor | None:
        """How often ``step`` moves each lane until it is done, (W,) int64, where that is known.

        It is then asked for on the host, and the pool need not ask the device at every step.

        Args:
            key: As for ``init``.
            ids: (W,) int64, on the CPU.
            attempts: (W,) int64, on the CPU.

        Returns:
            None, the default, where the data decide when a lane is done.
        """
        return None

    def conclude(self, events: Mapping[str, int]) -> None:  # noqa: B027 - most have nothing to say
        """Look at what was counted in a whole run.

        Raises:
            InputError: If that says that its samples are not what was asked for.
        """


PILOTS = 10_000
"""Pilot proposals where they cost little."""
Proposing = Annotated[Mover, Rule("a mover such as Direct() or Refine()", lambda mover: True)]
"""The mover of a selector; selectors do not nest."""


class Selector(Settings, ABC):
    """Judges finished proposals; never touches a network.

    Subclass it for a selector of your own, a frozen dataclass of settings with a ``proposal``, and
    define ``judge`` and ``budget``; everything else has a default.
    """

    name: ClassVar[str] = ""
    """What messages call it; by default the name of the class."""
    proposal: Mover
    """A setting: where the proposals come from."""
    budget: Any
    """A setting or a property: most attempts of an id, an integer."""

    def prepare(self, pilot: Callable[[int], Proposal]) -> Selector:
        """Fix every constant from ``pilot(n)``: n pilot proposals with their log ratios.

        Where conditions repeat, the pilot has as many of each, so there may be some more.
        """
        return self

    @abstractmethod
    def judge(self, key: Key, chain: Chain, new: Proposal) -> Chain:
        """Judge one finished proposal a row."""

    def count(self, chain: Chain, new: Proposal) -> dict[str, Tensor]:
        """Say what to count of ``new`` and what ``judge`` made of it: by event, (N,) bool each."""
        return {}

    def caution(self, pilot: Proposal) -> str:
        """Warn, in words, of what the proposals of its pilot show; "" of nothing."""
        return ""


class Accepts(Selector, ABC):
    """A selector that accepts each proposal by a coin of its own, whatever came before.

    What a sample will cost is then known from the pilot alone. Define ``log_accept``.
    """

    pilot: Any = None
    """A setting: pilot proposals; None for 10,000, or for fewer where they cost much."""

    @abstractmethod
    def log_accept(self, new: Proposal) -> Tensor:
        """(N,) log probability of accepting each proposal; above 0 it is certain."""

    def judge(self, key: Key, chain: Chain, new: Proposal) -> Chain:
        """Accept when log u < log of the probability; a NaN is a rejection."""
        accept = key.log_uniform(new.id, new.attempt) < self.log_accept(new)
        return chain.accept_if(accept, new, self.budget)


Sampler = Annotated[
    Mover | Selector,
    Rule(
        "a mover such as Direct() or a selector such as OBRS(), which from_config(name) makes "
        "from its name; your own class must be a subclass of gantandem.Mover or "
        "gantandem.Selector",
        lambda sampler: True,
    ),
]

T = TypeVar("T")


def tree_map(function: Callable[..., Any], tree: T, *others: T) -> T:
    """Apply a function to the tensors of nested (named) tuples; None stays None."""
    if isinstance(tree, Tensor):
        return function(tree, *others)
    if tree is None:
        return tree
    values = [tree_map(function, *parts) for parts in zip(tree, *others, strict=True)]  # type: ignore
    return type(tree)(*values) if hasattr(tree, "_fields") else type(tree)(values)  # type: ignore


def leaves(tree: Any) -> list[Tensor]:
    """The tensors of nested (named) tuples, in order."""
    found: list[Tensor] = []
    for part in (tree,) if isinstance(tree, Tensor) else tree:
        if isinstance(part, Tensor):
            found.append(part)
        elif part is not None:
            found += leaves(part)
    return found
