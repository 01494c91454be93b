"""Several outputs: the one that the other network takes is named, with a line to write."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from foreign_models import Discriminator, Generator, Scales, seeded
from gantandem import GAN, adapt
from gantandem.errors import InputError


class Several(Generator):
    """Images of two sizes and a latent, in a form that is asked for."""

    def __init__(self, form):
        super().__init__()
        self.form = form

    def forward(self, z):
        x = self.body(z)
        return self.form(nn.functional.interpolate(x, scale_factor=2.0), x, z)


@dataclass
class Fields:
    large: torch.Tensor
    small: torch.Tensor


SMALL = {
    "a tuple": (lambda large, x, z: (large, x, z), "adapt.Item(G, 1)"),
    "a list": (lambda large, x, z: [z, x, large], "adapt.Item(G, 1)"),
    "a dict": (lambda large, x, z: {"up": large, "out": x}, "adapt.Item(G, 'out')"),
    "fields": (lambda large, x, z: Fields(large, x), "adapt.Item(G, 'small')"),
    "nested": (lambda large, x, z: ([large, x], z), "adapt.Item(adapt.Item(G, 0), 1)"),
}


@pytest.mark.parametrize("name", SMALL)
def test_of_several_outputs_the_one_that_the_discriminator_takes(name):
    form, line = SMALL[name]
    g, d = Several(form), seeded(Discriminator)
    with pytest.raises(InputError) as caught:
        GAN(g, d, 4)
    assert str(caught.value).endswith(f"Write {line}")
    gan = GAN(eval(line, {"adapt": adapt, "G": g}), d, 4)
    assert gan.decode(torch.zeros(3, 4)).shape == (3, 1, 4, 4)


@pytest.mark.parametrize(("form", "line"), [
    (lambda one, other, x: (x, [one, other]), "adapt.Mean(adapt.Item(D, 1))"),
    (lambda one, other, x: {"maps": [one, other], "x": x}, "adapt.Mean(adapt.Item(D, 'maps'))"),
    (lambda one, other, x: [[[x], [one]]], "adapt.Item(adapt.Item(adapt.Item(D, 0), 1), 0)"),
])  # fmt: skip
def test_scores_within_what_a_discriminator_returns(form, line):
    class Nested(Scales):
        def forward(self, x):
            return form(*super().forward(x), x.flatten(1))

    d = seeded(Nested)
    with pytest.raises(InputError) as caught:
        GAN(seeded(Generator), d, 4)
    assert str(caught.value).endswith(f"Write {line}")
    GAN(seeded(Generator), eval(line, {"adapt": adapt, "D": d}), 4)
