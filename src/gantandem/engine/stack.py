"""Scores that are a plain stack of layers: their input gradient by the chain rule, spelled out.

Autograd records a graph at every call and keeps what weights would need. Where a network is known
to be linear layers with element-wise functions between them, the same products in the same order
give the same gradient, to the bit, without either. Such are the discriminators of 2D tasks and of
anything else that is a short vector, where calls are small and the recording is a fifth of them
(``docs/results/bench.json``).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from gantandem.nets.mlp import MLPDiscriminator

_LAYERS = (nn.Linear, nn.ReLU, nn.LeakyReLU, nn.Tanh)
_SHAPES = (nn.Flatten, nn.Identity)
_RELU = torch.ops.aten.threshold_backward.grad_input
_LEAKY = torch.ops.aten.leaky_relu_backward.grad_input
_TANH = torch.ops.aten.tanh_backward.grad_input
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class Stack:
    """The layers of a network, in order, and its value and gradient at a point.

    Args:
        layers: ``Linear`` and, each after one of them, ``ReLU``, ``LeakyReLU`` or ``Tanh``; the
            last is a ``Linear`` with one output. They are read at every call: training the
            network changes what comes out.
        watched: Every module of the network; a hook on one of them must see its calls.
    """

    def __init__(self, layers: list[nn.Module], watched: list[nn.Module]) -> None:
        self._layers = layers
        self._hooks = [getattr(module, name) for module in watched for name in _HOOKS]

    def usable(self, x: Tensor) -> bool:
        """Say whether a call now would be the network's own: no hook, no change of precision."""
        if x.dtype != self._layers[-1].weight.dtype or torch.is_autocast_enabled(x.device.type):
            return False
        return not any(self._hooks)

    def agrees(self, network: nn.Module, x: Tensor) -> bool:
        """Say whether value and gradient equal autograd's on (N, *x_shape) examples."""
        if not self.usable(x):
            return False
        leaf = x.detach().requires_grad_()
        with torch.enable_grad():
            expected = network(leaf).reshape(-1)
            total = expected.sum()
        (slope,) = torch.autograd.grad(total, leaf)
        value, gradient = self(x)
        same = torch.equal(value, expected)
        return same and torch.allclose(gradient, slope, rtol=1e-4, atol=1e-6)

    @torch.no_grad()
    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Score (N, *x_shape) samples: (N,) scores, and the gradient of each for its sample."""
        value = x.detach().flatten(1)
        done: list[tuple[nn.Module, Tensor]] = []
        for layer in self._layers:
            if isinstance(layer, nn.Linear):
                value = functional.linear(value, layer.weight, layer.bias)
            else:
                value = _apply(layer, value)
            done.append((layer, value))
        gradient = None
        for layer, output in reversed(done):
            if not isinstance(layer, nn.Linear):
                assert gradient is not None  # the last layer is linear
                gradient = _back(layer, gradient, output)
            elif gradient is None:
                gradient = layer.weight.expand(len(x), -1)
            else:
                gradient = gradient.mm(layer.weight)
        assert gradient is not None
        # Of one layer alone the gradient is still a view of its weight.
        return value.squeeze(1), gradient.contiguous().reshape(x.shape)


def _apply(layer: nn.Module, value: Tensor) -> Tensor:
    """An element-wise function, in place."""
    if isinstance(layer, nn.ReLU):
        return value.relu_()
    if isinstance(layer, nn.LeakyReLU):
        return functional.leaky_relu_(value, layer.negative_slope)
    return value.tanh_()


def _back(layer: nn.Module, gradient: Tensor, output: Tensor) -> Tensor:
    """Back through an element-wise function, whose output tells enough, and into its memory."""
    if isinstance(layer, nn.ReLU):
        return _RELU(gradient, output, 0, grad_input=output)
    if isinstance(layer, nn.LeakyReLU):
        return _LEAKY(gradient, output, layer.negative_slope, True, grad_input=output)
    return _TANH(gradient, output, grad_input=output)


def find_stack(network: nn.Module) -> Stack | None:
    """Read a network as a stack, or return None where it is anything else.

    It is one if it is an ``nn.Sequential`` (of others, too) or the library's own MLP. Types are
    compared exactly: a forward of one's own, a derived layer, or weights that are computed or
    quantised may do anything.

    Args:
        network: In eval mode; scores of shape (N,) or (N, 1).
    """
    layers = [layer for layer in _leaves(network) if type(layer) not in _SHAPES]
    linear = [type(layer) is nn.Linear for layer in layers]
    watched = list(network.modules())
    if not linear or not all(type(layer) in _LAYERS for layer in layers):
        return None
    if any("forward" in vars(module) for module in watched):
        return None
    if any(type(la.weight) is not nn.Parameter for la in layers if isinstance(la, nn.Linear)):
        return None
    alternate = all(a or b for a, b in zip(linear, linear[1:], strict=False))
    steep = all(la.negative_slope > 0 for la in layers if isinstance(la, nn.LeakyReLU))
    if not (alternate and steep and linear[0] and linear[-1]) or layers[-1].out_features != 1:
        return None
    return Stack(layers, watched)


def _leaves(network: nn.Module) -> list[nn.Module]:
    """The modules that are called one on the other's output."""
    if type(network) is MLPDiscriminator:
        return _leaves(network.main)
    if type(network) is nn.Sequential:
        return [leaf for part in network for leaf in _leaves(part)]
    return [network]
