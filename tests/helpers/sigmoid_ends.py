"""Networks that end in a sigmoid, one way or another, and those that do not."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

SCALE = 400.0
"""Logits of +-100 and more: float32 probabilities are then 0 and 1."""


def body(last: int = 1) -> list[nn.Module]:
    torch.manual_seed(0)
    layers = [nn.Linear(2, 8), nn.LeakyReLU(0.2), nn.Linear(8, last)]
    layers[-1].weight.data *= SCALE
    return layers


class Nested(nn.Module):
    """As PyTorch's DCGAN example: a ``main`` that ends in a sigmoid, and views of it."""

    def __init__(self) -> None:
        super().__init__()
        self.main = nn.Sequential(*body(), nn.Sigmoid())

    def forward(self, x):
        if x.is_cuda and len(x) < 0:  # as the example: no tracer gets past this
            raise NotImplementedError
        return self.main(x).view(-1, 1).squeeze(1)


class Deep(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.unused = Nested(), nn.Sigmoid()

    def forward(self, x):
        return self.inner(x)[:, None]


class Functional(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.layers, self.function = nn.Sequential(*body()), function

    def forward(self, x):
        return self.function(self.layers(x))


class SharedModule(nn.Module):
    """One ``nn.Sigmoid`` both inside and at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.act = nn.Sigmoid()
        self.first, _, self.last = body()

    def forward(self, x):
        return self.act(self.last(self.act(self.first(x))))


class InAList(nn.Module):
    """Its parts are called from a plain list, which no view can change."""

    def __init__(self) -> None:
        super().__init__()
        self.main = nn.Sequential(*body(), nn.Sigmoid())
        self.parts = list(self.main)

    def forward(self, x):
        for part in self.parts:
            x = part(x)
        return x


class Patches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.main = nn.Sequential(*body(4), nn.Unflatten(1, (1, 2, 2)), nn.Sigmoid())

    def forward(self, x):
        return self.main(x)


ENDS = {
    "sequential": lambda: nn.Sequential(*body(), nn.Sigmoid()),
    "nested sequential": lambda: nn.Sequential(nn.Sequential(*body()), nn.Sequential(nn.Sigmoid())),
    "flattened": lambda: nn.Sequential(*body(), nn.Sigmoid(), nn.Flatten(0)),
    "main": Nested,
    "deep": Deep,
    "torch.sigmoid": lambda: Functional(torch.sigmoid),
    "method": lambda: Functional(lambda h: h.sigmoid().squeeze(1)),
    "functional": lambda: Functional(F.sigmoid),
    "in place": lambda: Functional(lambda h: h.sigmoid_()),
    "expit": lambda: Functional(torch.special.expit),
    "shared": SharedModule,
    "plain list": InAList,
    "patches": Patches,
    "hidden too": lambda: nn.Sequential(nn.Linear(2, 2), nn.Sigmoid(), *body(), nn.Sigmoid()),
    "parallel": lambda: nn.DataParallel(Nested()),
    "traced": lambda: torch.fx.symbolic_trace(nn.Sequential(*body(), nn.Sigmoid())),
}
