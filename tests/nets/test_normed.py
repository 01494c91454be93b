"""Spectral and weight norm of every form: the network computes what the original computes."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, parametrize

from gantandem.nets.normed import normalised

LAYERS = {
    "linear": (lambda: nn.Linear(5, 4), (3, 5)),
    "conv": (lambda: nn.Conv2d(3, 4, 3), (3, 3, 6, 6)),
    "up": (lambda: nn.ConvTranspose2d(3, 4, 3), (3, 3, 6, 6)),
    "up-square": (lambda: nn.ConvTranspose2d(4, 4, 3), (3, 4, 6, 6)),
}


class Stepped(nn.Module):
    """A layer that makes one step of the power iteration at every call, as BigGAN's and mimicry's.

    In eval mode it starts from the vector that it keeps, and keeps that vector.
    """

    def __init__(self, layer: nn.Module, u: str, sigma: str) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias
        self.register_buffer(u, torch.randn(1, len(self.weight)))
        self.register_buffer(sigma, torch.ones(1))
        self.u = u

    def forward(self, x):
        matrix = self.weight.view(len(self.weight), -1)
        v = F.normalize(getattr(self, self.u) @ matrix)
        u = F.normalize(v @ matrix.t())
        weight = self.weight / (u @ matrix @ v.t()).squeeze()
        return F.linear(x, weight, self.bias) if x.dim() == 2 else F.conv2d(x, weight, self.bias)


FORMS = {
    "old": torch.nn.utils.spectral_norm,
    "new": parametrizations.spectral_norm,
    "mimicry": lambda layer: Stepped(layer, "sn_u", "sn_sigma"),
    "biggan": lambda layer: Stepped(layer, "u0", "sv0"),
    "weight-old": torch.nn.utils.weight_norm,
    "weight-new": parametrizations.weight_norm,
}


def original(form: str, layer: str) -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(1)
    make, shape = LAYERS[layer]
    network = FORMS[form](make())
    x = torch.randn(shape)
    network(x)  # in training mode: vectors of the power iteration come near
    return network.eval(), x


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("form", FORMS)
def test_plain_layers_compute_what_the_original_computes(form: str, layer: str) -> None:
    if form in ("mimicry", "biggan") and "up" in layer:
        pytest.skip("neither has this layer")
    network, x = original(form, layer)
    plain = LAYERS[layer][0]()
    plain.load_state_dict(normalised(network.state_dict()))
    torch.testing.assert_close(plain(x), network(x))
    changed = {name: value * 1.01 for name, value in normalised(network.state_dict()).items()}
    plain.load_state_dict(changed)
    assert not torch.allclose(plain(x), network(x))


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    ("form", "to"),
    [("old", "new"), ("new", "old"), ("mimicry", "new"), ("biggan", "old")]
    + [("weight-old", "weight-new"), ("weight-new", "weight-old")],
)
@pytest.mark.parametrize("layer", ["linear", "conv"])
def test_a_network_with_a_norm_keeps_its_norm(form: str, to: str, layer: str) -> None:
    network, x = original(form, layer)
    other = FORMS[to](LAYERS[layer][0]()).eval()
    other.load_state_dict(normalised(network.state_dict(), other.state_dict()))
    torch.testing.assert_close(other(x), network(x))
    assert parametrize.is_parametrized(other) == (to in ("new", "weight-new"))


@pytest.mark.parametrize("form", ["old", "new", "mimicry", "biggan"])
def test_the_networks_own_form_is_left_as_it_is(form: str) -> None:
    network, _ = original(form, "conv")
    state = network.state_dict()
    kept = normalised(state, state)
    assert kept.keys() == state.keys()
    assert all(torch.equal(kept[name], value) for name, value in state.items())
