"""Cutting by replay, for generators that cannot be traced: finished modules are not run again."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from gantandem.errors import CutError
from gantandem.networks.cut.base import (
    CannotCut,
    Carry,
    Cut,
    Example,
    Path,
    build,
    describe,
    leaves,
)

Forward = Callable[..., Any]
_log = logging.getLogger(__name__)


class ReplayCut(Cut):
    """The generator itself, run twice with some of its modules' `forward` stood in for.

    The head runs the generator until the target returns, recording the outputs of the largest
    modules finished by then. The tail runs it again: those modules return what was recorded, the
    target returns the activation, and the rest computes. Operations between modules (not the
    modules) before the target are therefore repeated, and modules that run after the target
    belong to the tail even where they do not depend on it. Recorded outputs that do not matter
    to the tail are not carried. While either half runs, the generator must not be used by
    another thread.

    Args:
        generator: The network, in eval mode.
        layer: The target's name.
        target: The module whose output is the activation.
        examples: Two (z, cond) of different numbers of rows.

    Raises:
        CannotCut: If modules before the target return values without batch rows, or other
            modules run for another number of rows.
    """

    kind = "replay"

    def __init__(
        self, generator: nn.Module, layer: str, target: nn.Module, examples: list[Example]
    ) -> None:
        """Run the examples and choose what is recorded."""
        super().__init__(layer)
        self._generator = generator
        self._target = target
        small, large = (_record(generator, target, example) for example in examples)
        self._plan = _plan(small, large, target, [len(z) for z, _ in examples])
        self._blanks: dict[int, tuple[torch.Size, torch.dtype]] = {}
        self._drop_unused(examples[0])

    def _head(self, z: Tensor, cond: Tensor | None) -> tuple[Tensor, Carry]:
        counts: Counter[nn.Module] = Counter()
        recorded: list[Tensor] = [z]
        steps: list[_Key] = []
        inside = False

        def stand_in(module: nn.Module, forward: Forward) -> Forward:
            def run(*args: Any, **kwargs: Any) -> Any:
                nonlocal inside
                if inside:  # a part of a recorded module, which the tail will not see
                    return forward(*args, **kwargs)
                key = (module, counts[module])
                counts[module] += 1
                if module is self._target:
                    raise _Reached(forward(*args, **kwargs))
                if key not in self._plan:
                    return forward(*args, **kwargs)
                inside = True
                try:
                    output = forward(*args, **kwargs)
                finally:
                    inside = False
                steps.append(key)
                # copies, since what follows may overwrite an output in place
                recorded.extend(t.clone() for t in leaves(self._plan[key], output))
                return output

            return run

        try:
            self._run(z, cond, stand_in)
        except _Reached as reached:
            if steps != list(self._plan):
                raise self._changed() from None
            carry = (t for i, t in enumerate(recorded) if i not in self._blanks)
            return reached.output, tuple(carry)
        raise self._changed()

    def _tail(self, activation: Tensor, carry: Carry, cond: Tensor | None) -> Tensor:
        n = len(activation)
        values = self._with_blanks(activation, carry)
        z = next(values)
        counts: Counter[nn.Module] = Counter()

        def recorded(_: Path, axis: int) -> Tensor:
            value = next(values)
            return value.movedim(0, axis).contiguous() if axis else value

        def stand_in(module: nn.Module, forward: Forward) -> Forward:
            def run(*args: Any, **kwargs: Any) -> Any:
                key = (module, counts[module])
                counts[module] += 1
                if module is self._target:
                    return activation
                if key not in self._plan:
                    return forward(*args, **kwargs)
                return build(self._plan[key], recorded, lambda factor: n * factor)

            return run

        x = self._run(z, cond, stand_in)
        if counts[self._target] != 1 or next(values, None) is not None:
            raise self._changed()
        return x

    def _run(
        self, z: Tensor, cond: Tensor | None, stand_in: Callable[[nn.Module, Forward], Forward]
    ) -> Tensor:
        modules = {module for module, _ in self._plan} | {self._target}
        with _standing_in(modules, stand_in):
            return self._generator(z) if cond is None else self._generator(z, cond)

    def _with_blanks(self, activation: Tensor, carry: Carry) -> Iterator[Tensor]:
        """Yield z and the recorded outputs, with NaN (one number, expanded) for unused ones."""
        given = iter(carry)
        for i in range(len(carry) + len(self._blanks)):
            if i in self._blanks:
                shape, dtype = self._blanks[i]
                yield _blank((len(activation), *shape), dtype, activation.device, torch.nan)
            else:
                yield next(given)

    def _drop_unused(self, example: Example) -> None:
        """Leave out of the carry what may be anything without changing x."""
        z, cond = example
        activation, carry = self._head(z, cond)

        def tail(unused: int | None, fill: float) -> Tensor:
            values = (
                _blank(t.shape, t.dtype, t.device, fill) if i == unused else t.clone()
                for i, t in enumerate(carry)
            )
            return self._tail(activation.clone(), tuple(values), cond)

        x = tail(None, 0.0)
        blanks = {}
        for i, tensor in enumerate(carry):
            if not tensor.is_floating_point():
                continue
            try:
                # three fillings, so that a branch taken on the value shows as well
                if all(torch.equal(tail(i, fill), x) for fill in (torch.nan, 1e4, -1e4)):
                    blanks[i] = (tensor.shape[1:], tensor.dtype)
            except Exception as error:  # foreign code, which may insist on the value
                _log.debug("%s: tensor %d is kept: %r", self.layer, i, error)
        self._blanks = blanks

    def _changed(self) -> CutError:
        return CutError(
            f"the cut at layer {self.layer!r} does not fit this call: the forward of the "
            "generator ran other modules this time. A forward that branches on the values of its "
            "input cannot be cut here; choose 'latent' or 'data'."
        )


class _Reached(BaseException):
    """Leaves the generator once the target returned; no `except Exception` there stops it."""

    def __init__(self, output: Tensor) -> None:
        super().__init__()
        self.output = output


_Key = tuple[nn.Module, int]  # a module and which of its calls, those inside a recorded one apart


@dataclass(eq=False)
class _Visit:
    """One call of a module, with the calls inside it."""

    module: nn.Module
    done: bool = False
    output: Any = None
    parts: list[_Visit] = field(default_factory=list)


@contextmanager
def _standing_in(
    modules: set[nn.Module], stand_in: Callable[[nn.Module, Forward], Forward]
) -> Iterator[None]:
    before = {m: m.__dict__.get("forward") for m in modules}
    try:
        for m in modules:
            m.__dict__["forward"] = stand_in(m, m.forward)
        yield
    finally:
        for m, forward in before.items():
            if forward is None:
                m.__dict__.pop("forward", None)
            else:
                m.__dict__["forward"] = forward


def _record(generator: nn.Module, target: nn.Module, example: Example) -> list[_Visit]:
    """Return the calls made until the target returns, as a tree."""
    top = _Visit(generator)
    stack = [top]

    def stand_in(module: nn.Module, forward: Forward) -> Forward:
        def run(*args: Any, **kwargs: Any) -> Any:
            visit = _Visit(module)
            stack[-1].parts.append(visit)
            stack.append(visit)
            try:
                visit.output = forward(*args, **kwargs)
                visit.done = True
            finally:
                stack.pop()
            if module is target:
                raise _Reached(visit.output)
            return visit.output

        return run

    z, cond = example
    with _standing_in(set(generator.modules()), stand_in):
        try:
            _ = generator(z.clone()) if cond is None else generator(z.clone(), cond.clone())
        except _Reached:
            return top.parts
    raise CannotCut("the layer is not reached when its modules are watched")


def _plan(
    small: list[_Visit], large: list[_Visit], target: nn.Module, sizes: list[int]
) -> dict[_Key, Any]:
    """Choose the largest finished calls whose outputs can be carried, with their specs."""
    plan: dict[_Key, Any] = {}
    counts: Counter[nn.Module] = Counter()

    def walk(some: list[_Visit], more: list[_Visit]) -> None:
        if [v.module for v in some] != [v.module for v in more]:
            raise CannotCut("other modules run for another number of rows")
        for a, b in zip(some, more, strict=True):
            key = (a.module, counts[a.module])
            counts[a.module] += 1
            if a.module is target:
                continue
            if not a.done:  # around the target
                walk(a.parts, b.parts)
                continue
            try:
                plan[key] = describe(a.output, b.output, *sizes)
            except CannotCut as error:
                if a.parts:
                    walk(a.parts, b.parts)
                elif not _equal(a.output, b.output):  # a constant may run again, a head may not
                    raise CannotCut(f"{type(a.module).__name__}: {error}") from None

    walk(small, large)
    return plan


def _blank(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device, fill: float) -> Tensor:
    """Return one number expanded to a shape."""
    return torch.full((), fill, dtype=dtype, device=device).expand(shape)


def _equal(a: Any, b: Any) -> bool:
    return isinstance(a, Tensor) and isinstance(b, Tensor) and torch.equal(a, b)
