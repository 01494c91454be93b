"""Cut a generator in two at a named layer: a head run once, a tail run at every refinement step."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from gantandem.adapt.base import bare, unwrapped
from gantandem.adapt.inputs import full
from gantandem.errors import CutError, near
from gantandem.networks.cut.base import CannotCut, Carry, Cut, Example, has_rows
from gantandem.networks.cut.ends import DataCut, LatentCut
from gantandem.networks.cut.graph import GraphCut
from gantandem.networks.cut.replay import ReplayCut
from gantandem.networks.devices import deterministic
from gantandem.networks.held import held, untouched
from gantandem.networks.probe import close

__all__ = ["Carry", "Cut", "cut_at"]

LARGE = 2**16
"""Of latents of more values, as images that are translated, half as many are tried."""
TRIED = 12
"""At most so many layers are tried around one at which a generator cannot be cut."""


def cut_at(
    generator: nn.Module,
    layer: str,
    z: Tensor,
    cond: Tensor | None = None,
    *,
    nearest: bool = True,
) -> Cut:
    """Cut a generator at the output of one of its modules.

    The generator is traced by torch.fx where that works (its tail is then a graph that
    `torch.compile` takes whole), and otherwise replayed with the outputs of finished modules.
    Either way the cut is accepted only after ``tail(head(z))`` was seen to equal
    ``generator(z)``, for two numbers of rows, for rows selected, and with a gradient.

        g = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 2))
        s = cut_at(g, "1", torch.randn(8, 2))
        h, carry = s.head(z)                     # (N, 64) and tensors of N rows
        x = s.tail(h, carry)                     # equal to g(z)

    Args:
        generator: Called as ``generator(z)``, or ``generator(z, cond)`` where `cond` is given;
            returns one tensor (N, *x_shape). Its weights are shared, its flags left as found.
        layer: A name out of ``generator.named_modules()``, or of those inside adapters;
            ``"latent"`` (the activation is z) or ``"data"`` (the activation is x), which win over
            modules of the same name.
        z: Example latents (N, ...), N >= 4, with rows that differ.
        cond: Example conditions (N, ...), or None (default).
        nearest: Where it fails, try the layers around and name those that can be cut.

    Raises:
        CutError: If there is no such module; if it is called never or more than once; if its
            output is not one float tensor with a row for each sample or does not reach the
            generator's output; if the generator draws hidden noise or mixes rows; or if head
            and tail do not give the generator's output back.
    """
    if z.ndim == 0 or len(z) < 4 or (cond is not None and len(cond) != len(z)):
        rows = f"z {tuple(z.shape)}, cond {None if cond is None else tuple(cond.shape)}"
        raise CutError(f"cut needs at least 4 example rows, as many in cond as in z; got {rows}")
    generator = unwrapped(generator)
    with held([generator], z.device), deterministic():
        few = 4 if z[0].numel() <= LARGE else 2
        examples = [_rows(z, cond, few), _rows(z, cond, 2 * few)]
        if layer == "latent":
            return _verified(LatentCut(generator), generator, examples, reach=False)
        if layer == "data":
            return _verified(DataCut(generator), generator, examples, reach=False)
        target = _find(generator, layer)
        if isinstance(target, torch.jit.ScriptModule):
            raise CutError(
                f"layer {layer!r} is TorchScript, which cannot be cut at a layer. Pass the "
                "nn.Module that it was made of, or choose 'latent' or 'data'."
            )
        try:
            return _at(generator, layer, target, examples)
        except CutError as error:
            found = _nearest(generator, target, examples) if nearest else []
            more = f" The nearest layers that can be cut: {', '.join(map(repr, found))}."
            raise CutError(f"{error}{more if found else ''}") from error


def _at(generator: nn.Module, layer: str, target: nn.Module, examples: list[Example]) -> Cut:
    _check_target(generator, layer, target, examples)
    return _first(generator, layer, target, examples)


def _nearest(generator: nn.Module, target: nn.Module, examples: list[Example]) -> list[str]:
    """The layers around one, by their order in the network, at which it can be cut: up to two."""
    try:
        _verified(LatentCut(generator), generator, examples, reach=False)
    except (CutError, CannotCut):
        return []  # it is the generator's fault
    inner = bare(generator)
    every = [(name, module) for name, module in inner.named_modules() if name]
    place = next((i for i, (_, module) in enumerate(every) if module is target), 0)
    found: list[str] = []
    around = sorted(range(len(every)), key=lambda i: abs(i - place))
    for name, module in (every[i] for i in around[1 : TRIED + 1]):
        try:
            found.append(_at(generator, name, module, examples).layer)
        except CutError:
            continue
        if len(found) == 2:
            break
    return found


def _first(generator: nn.Module, layer: str, target: nn.Module, examples: list[Example]) -> Cut:
    """Return the first way of cutting that gives the generator back."""
    ways: dict[str, Callable[[], Cut]] = {
        "torch.fx": lambda: GraphCut(generator, layer, target, examples),
        "torch.fx, other modules whole": lambda: GraphCut(
            generator, layer, target, examples, whole=True
        ),
        "replay": lambda: ReplayCut(generator, layer, target, examples),
    }
    reasons: list[str] = []
    for name, build in ways.items():
        try:
            return _verified(build(), generator, examples, reach=True)
        except CutError:
            raise
        except Exception as error:  # a foreign forward may raise anything while it is traced
            reason = str(error) or repr(error)
            reasons.append(reason if isinstance(error, CannotCut) else f"{name}: {reason}")
    if any("does not reach" in reason for reason in reasons):
        raise CutError(
            f"layer {layer!r}: its output does not reach the generator's output through "
            "differentiable operations, so refining it would change nothing. Choose a layer on "
            "the way to the output."
        )
    tried = "; ".join(dict.fromkeys(reasons))
    raise CutError(
        f"the generator cannot be cut at layer {layer!r}: {tried}. Choose another layer, "
        "'latent' or 'data'."
    )


def _rows(z: Tensor, cond: Tensor | None, n: int) -> Example:
    index = torch.arange(n, device=z.device) % len(z)
    return z[index], None if cond is None else cond[index.to(cond.device)]


def _call(generator: nn.Module, example: Example) -> Tensor:
    z, cond = example
    return generator(z.clone()) if cond is None else generator(z.clone(), cond.clone())


def _find(generator: nn.Module, layer: str) -> nn.Module:
    named = dict(generator.named_modules(remove_duplicate=False))
    own = dict(bare(generator).named_modules(remove_duplicate=False))
    found = {**own, **named}.get(layer)  # an adapter changes no layer's name
    if found is not None and found is not generator:
        return found
    allowed = near(layer, ["latent", "data", *filter(None, own)])
    raise CutError(f"the generator has no layer {layer!r}; {allowed}")


def _check_target(
    generator: nn.Module, layer: str, target: nn.Module, examples: list[Example]
) -> None:
    seen: list[object] = []
    handle = target.register_forward_hook(lambda _m, _args, output: seen.append(output))
    try:
        for example in examples:
            before = len(seen)
            with untouched([generator], example[0].device):
                _call(generator, example)
            calls = len(seen) - before
            if calls == 0:
                raise CutError(
                    f"layer {layer!r} is never called when the generator runs (a container such "
                    "as ModuleList never is). Choose a module that is called."
                )
            if calls > 1:
                raise CutError(
                    f"layer {layer!r} is called {calls} times in one forward, so it has no "
                    "single output to cut at. Choose a layer called once, such as one around it."
                )
    finally:
        handle.remove()
    (small, large), sizes = seen, [len(z) for z, _ in examples]
    if not (
        has_rows(small, large, *sizes) and isinstance(small, Tensor) and small.is_floating_point()
    ):
        given = f"{type(small).__name__}"
        if isinstance(small, Tensor):
            given = f"{small.dtype} of shape {tuple(small.shape)} for {sizes[0]} rows"
        raise CutError(
            f"layer {layer!r} must return one float tensor whose first axis is the batch; it "
            f"returns {given}. Choose a layer inside or after it."
        )


def _verified(cut: Cut, generator: nn.Module, examples: list[Example], *, reach: bool) -> Cut:
    """Return `cut` once it gave the generator's output back; note what its tail overwrites."""
    for example in examples:
        z, cond = example
        n = len(z)
        with untouched([generator], z.device):  # a cut must not live on what a call leaves
            x, again = _call(generator, example), _call(generator, example)
        if not isinstance(x, Tensor) or x.ndim == 0 or len(x) != n:
            given = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise CutError(
                f"the generator must return one tensor with a row for each latent; for {n} rows "
                f"it returns {given}. Wrap it in a module that returns only the samples."
            )
        rtol = torch.finfo(x.dtype).eps ** 0.5 if x.is_floating_point() else 0.0
        x, again = full(x), full(again)
        if not close(again, x, rtol):
            raise CutError(
                "the generator gives two outputs for one latent in eval mode: it draws noise of "
                "its own or keeps a hidden state. Feed that noise from z or keep it in a buffer."
            )
        cut._observe(z.clone(), cond)
        activation, carry = cut.head(z, cond)
        if not close(cut.tail(activation, carry, cond), x, rtol):
            raise CannotCut("tail(head(z)) differs from the generator's output")
        pick = torch.arange(n, device=z.device).flip(0)
        pick[0] = 1  # other companions, same batch shape
        rows = cut.tail(
            activation[pick], tuple(t[pick] for t in carry), None if cond is None else cond[pick]
        )
        if not close(rows, x[pick], rtol):
            raise CannotCut(
                "its rows cannot be selected: the part after it mixes the rows of a batch"
            )
        if reach and not _reaches(cut, activation, carry, cond):
            raise CannotCut("its output does not reach the generator's output")
    return cut


def _reaches(cut: Cut, activation: Tensor, carry: Carry, cond: Tensor | None) -> bool:
    with torch.enable_grad():
        leaf = activation.detach().clone().requires_grad_()
        x = cut.tail(leaf, tuple(t.detach() for t in carry), cond)
        if not x.requires_grad:
            return False
        return torch.autograd.grad(x.sum(), leaf, allow_unused=True)[0] is not None
