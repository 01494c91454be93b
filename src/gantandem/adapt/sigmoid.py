"""The logit before a network's last sigmoid: beyond +-16 a float32 probability holds none."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gantandem.adapt.base import unwrapped
from gantandem.errors import InputError

logger = logging.getLogger(__name__)

_SIGMOIDS = {
    torch.sigmoid,
    torch.sigmoid_,
    torch.Tensor.sigmoid,
    torch.Tensor.sigmoid_,
    torch.special.expit,
    nn.functional.sigmoid,
}


class BeforeSigmoid(nn.Module):
    """A network that gives probabilities, read as logits; its weights and parts are shared.

    Where a sigmoid is the last thing it does, the logit is what goes into it: an ``nn.Sigmoid``
    is left out of a view of the network, and a function is overheard. Where something else makes
    the probabilities, they are clipped to within one float epsilon of 0 and 1; in train mode too.

    Args:
        network: Called as ``network(x)`` or ``network(x, condition)``; never changed.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = unwrapped(network)
        self._looked = False
        self._name: str | None = None
        self._overheard = False
        self._view: tuple[nn.Module, ...] = ()

    def forget(self) -> None:
        """Look again at the next call: a part of the network was exchanged."""
        self._looked, self._name, self._overheard, self._view = False, None, False, ()

    @property
    def found(self) -> bool:
        """Whether a last sigmoid was found; known after a call in eval mode."""
        return self._name is not None or self._overheard

    def on(self, network: nn.Module) -> BeforeSigmoid:
        """The same sigmoid, if it was found, left out of a copy of the network."""
        new = BeforeSigmoid(network)
        new._looked, new._name, new._overheard = self._looked, self._name, self._overheard
        if self._name is not None:
            new._view = (without(new.network, self._name),)
        return new

    def forward(self, *inputs: Tensor) -> Any:
        """Give logits of the shape in which the network gives probabilities.

        Raises:
            InputError: If a value lies outside [0, 1].
        """
        compiling = torch.compiler.is_compiling()
        training = any(module.training for module in self.network.modules())
        if not (self._looked or compiling or training):
            self._look(inputs)
        if self._name is not None:
            view = self._view[0] if compiling else without(self.network, self._name)
            return view(*inputs)
        if compiling or (self._looked and not self._overheard):
            prob = self.network(*inputs)
        else:  # in train mode it is not looked, but listened each time
            prob, heard = _overhear(self.network, inputs)
            before = heard.before
            fits = self._overheard and before is not None and before.numel() == prob.numel()
            if before is not None and (fits or heard.last_act(prob)):
                return before.reshape(prob.shape)
        if not isinstance(prob, Tensor) or not prob.is_floating_point():
            return prob  # refused by the score
        if not compiling and bool(((prob < 0) | (prob > 1)).any()):
            low, high = float(prob.min()), float(prob.max())
            raise InputError(
                f"discriminator {type(self.network).__name__}: output='prob', but it returns "
                f"values from {low:.3g} to {high:.3g}, and a probability lies in [0, 1]. Pass "
                "output='logit' (before the sigmoid) or 'critic'"
            )
        return torch.logit(prob, eps=torch.finfo(prob.dtype).eps)

    def _look(self, inputs: tuple[Tensor, ...]) -> None:
        self._looked = True
        prob, heard = _overhear(self.network, inputs)
        if not heard.last_act(prob):
            return
        modules = self.network.named_modules(remove_duplicate=False)
        names = [name for name, module in modules if type(module) is nn.Sigmoid]
        for name in reversed(names):
            view = without(self.network, name)
            logit = view(*inputs)
            if isinstance(logit, Tensor) and torch.equal(logit.sigmoid(), prob):
                self._name, self._view = name, (view,)
                return
        self._overheard = True


class _Overhear(TorchFunctionMode):
    """Keeps what went into the last sigmoid of a call, and what came out."""

    def __init__(self) -> None:
        super().__init__()
        self.before: Tensor | None = None
        self.after: Any = None

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func not in _SIGMOIDS:
            return func(*args, **kwargs)
        before = args[0] if args else kwargs["input"]
        # What is overwritten in place must be kept by itself.
        self.before = before.clone() if func.__name__.endswith("_") else before
        self.after = func(*args, **kwargs)
        return self.after

    def last_act(self, out: Any) -> bool:
        """Whether an output is what the last sigmoid gave, or a view of all of it."""
        if self.before is None or not isinstance(out, Tensor) or out.numel() != self.after.numel():
            return False
        return out.untyped_storage().data_ptr() == self.after.untyped_storage().data_ptr()


def _overhear(network: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Any, _Overhear]:
    with _Overhear() as heard:
        return network(*inputs), heard


def without(network: nn.Module, name: str) -> nn.Module:
    """A view of a network in which one module does nothing; every other one is shared.

    Only the modules on the way there are copied, and only in the shallowest sense, so that the
    view costs nothing and follows whatever is done to the network's weights.
    """
    if not name:
        return nn.Identity()
    head, _, rest = name.partition(".")
    view = object.__new__(type(network))  # traced networks make a class at each new
    parts = dict(network._modules)
    child = parts[head]
    assert child is not None  # it has a name
    parts[head] = without(child, rest)
    vars(view).update(vars(network), _modules=parts)
    return view


def ends_in_sigmoid(network: nn.Module, *inputs: Tensor) -> bool:
    """Whether the last thing that a network does is a sigmoid: then it gives probabilities."""
    prob, heard = _overhear(network, inputs)
    return heard.last_act(prob)


def warn_probabilities(network: nn.Module, *inputs: Tensor) -> None:
    """Say that what is taken for a logit comes out of a sigmoid."""
    if ends_in_sigmoid(network, *inputs):
        logger.warning(
            "discriminator %s ends in a sigmoid, so it returns probabilities, but the GAN has "
            "output='logit'. Read as logits, they make every ratio lie between 1 and e. Pass "
            "output='prob'",
            type(network).__name__,
        )
