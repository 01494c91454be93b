"""Plain stacks of layers: the gradient without autograd is autograd's, or it is not used."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, spectral_norm

from gantandem import GAN, Refine, sample
from gantandem.engine.stack import find_stack
from gantandem.nets.mlp import MLPDiscriminator


def seeded(make, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make().eval().requires_grad_(False)


def hidden(activation, size=24):
    return nn.Sequential(
        nn.Linear(2, size), activation, nn.Linear(size, size), activation, nn.Linear(size, 1)
    )


STACKS = {
    "the library's MLP": lambda: MLPDiscriminator(width=32, layers=4),
    "relu": lambda: hidden(nn.ReLU()),
    "relu in place": lambda: hidden(nn.ReLU(inplace=True)),
    "leaky relu": lambda: hidden(nn.LeakyReLU(0.2)),
    "tanh": lambda: hidden(nn.Tanh()),
    "float64": lambda: hidden(nn.LeakyReLU(0.1)).double(),
    "nested": lambda: nn.Sequential(nn.Sequential(nn.Linear(2, 8), nn.ReLU()), nn.Linear(8, 1)),
    "no bias": lambda: nn.Sequential(nn.Linear(2, 8, bias=False), nn.Tanh(), nn.Linear(8, 1)),
    "linear after linear": lambda: nn.Sequential(nn.Linear(2, 8), nn.Linear(8, 1)),
    "one layer": lambda: nn.Sequential(nn.Linear(2, 1)),
    "a single module": lambda: nn.Linear(2, 1),
    "images": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(2, 8), nn.Identity(), nn.ReLU(), nn.Linear(8, 1)
    ),
    "scores (N,)": lambda: nn.Sequential(
        nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1), nn.Flatten(0)
    ),
}


class Own(nn.Module):
    """A forward of one's own may do anything, and is not looked through."""

    def __init__(self):
        super().__init__()
        self.main = hidden(nn.ReLU())

    def forward(self, x):
        return self.main(x)


class Shifted(nn.Linear):
    """A layer derived from a known one."""

    def forward(self, x):
        return super().forward(x) + 1


class Double(nn.Sequential):
    """A container derived from a known one."""

    def forward(self, x):
        return 2 * super().forward(x)


def patched():
    network = nn.Sequential(nn.Linear(2, 1))
    network.forward = lambda x: 2 * network[0](x)
    return network


OTHERS = {
    "a forward put on the object": patched,
    "a forward of its own": Own,
    "a derived layer": lambda: nn.Sequential(Shifted(2, 8), nn.ReLU(), nn.Linear(8, 1)),
    "a derived container": lambda: Double(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1)),
    "an element-wise layer that is not known": lambda: hidden(nn.Softplus()),
    "dropout": lambda: hidden(nn.Dropout(0.5)),
    "batch norm": lambda: nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Linear(8, 1)),
    "a convolution": lambda: nn.Sequential(nn.Conv1d(1, 1, 2), nn.Flatten(), nn.Linear(1, 1)),
    "parametrised": lambda: nn.Sequential(parametrizations.spectral_norm(nn.Linear(2, 1))),
    "normalised by a hook": lambda: nn.Sequential(spectral_norm(nn.Linear(2, 1))),
    "two scores": lambda: nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2)),
    "a function last": lambda: nn.Sequential(nn.Linear(2, 1), nn.Tanh()),
    "a function first": lambda: nn.Sequential(nn.Tanh(), nn.Linear(2, 1)),
    "two functions in a row": lambda: nn.Sequential(
        nn.Linear(2, 8), nn.ReLU(), nn.Tanh(), nn.Linear(8, 1)
    ),
    "no slope below zero": lambda: hidden(nn.LeakyReLU(0.0)),
}


def points(network, n=64):
    dtype = next(network.parameters()).dtype
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(1), dtype=dtype)


def by_autograd(network, x):
    leaf = x.clone().requires_grad_()
    score = network(leaf).reshape(-1)
    return score.detach(), torch.autograd.grad(score.sum(), leaf)[0]


@pytest.mark.parametrize("name", STACKS)
def test_a_stack_gives_autograds_bits(name):
    network = seeded(STACKS[name])
    x = points(network)
    if name == "images":
        x = x.view(64, 1, 1, 2)
    stack = find_stack(network)
    assert stack is not None and stack.agrees(network, x)
    for got, expected in zip(stack(x), by_autograd(network, x), strict=True):
        assert torch.equal(got, expected) and got.shape == expected.shape


@pytest.mark.parametrize("name", OTHERS)
def test_everything_else_is_left_to_autograd(name):
    assert find_stack(seeded(OTHERS[name])) is None


def test_a_stack_that_disagrees_is_not_called(monkeypatch):
    network = seeded(STACKS["relu"])
    gan, x = pair(network), points(network)
    monkeypatch.setattr("gantandem.engine.stack._back", lambda layer, gradient, output: gradient)
    assert not find_stack(network).agrees(network, x)
    assert torch.equal(gan.guidance("data", x, (), None)[2], by_autograd(network, x)[1])
    assert not calls_the_stack(gan)


def test_layers_are_read_at_every_call_and_weights_are_not_handed_out():
    network = seeded(lambda: nn.Sequential(nn.Linear(2, 1)))
    x = points(network)
    stack = find_stack(network)
    _, gradient = stack(x)
    before = network[0].weight.clone()
    gradient.zero_()
    assert torch.equal(network[0].weight, before)
    network[0].weight.mul_(3)
    assert torch.equal(stack(x)[1], by_autograd(network, x)[1])


def pair(network, generator=None, **options):
    """A GAN that gives (N, 2) points, and the stack its guidance calls at a layer."""
    generator = generator or seeded(
        lambda: nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2))
    )
    return GAN(generator, network, 2, **options)


def calls_the_stack(gan, layer="data"):
    return gan._guides[layer, id(gan.guide)]._stack is not None


@pytest.mark.parametrize("inner", [False, True])
def test_hooks_see_their_calls(inner):
    network = seeded(STACKS["the library's MLP"])
    x, seen, gan = points(network), [], pair(network)
    gan.guidance("data", x, (), None)
    assert calls_the_stack(gan)
    hooked = network.main[1] if inner else network
    handle = hooked.register_forward_hook(lambda *_: seen.append(1))
    gan.guidance("data", x, (), None)
    assert len(seen) == 1
    handle.remove()
    gan.guidance("data", x, (), None)
    assert len(seen) == 1


def test_autocast_is_left_to_autograd():
    network = seeded(STACKS["relu"])
    gan = pair(network)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _, logit, _ = gan.guidance("data", points(network), (), None)
    # Computed in half precision, and given in full.
    assert logit.dtype == torch.float32 and torch.equal(logit, logit.bfloat16().float())


@pytest.mark.parametrize("layer", ["data", "latent", "1"])
def test_guidance_at_any_layer_is_autograds_to_the_bit(layer):
    network = seeded(STACKS["relu"])
    gan = pair(network)
    h, carry = gan.split(layer).head(points(network), None)
    x, logit, gradient = gan.guidance(layer, h, carry, None)
    assert calls_the_stack(gan, layer)
    leaf = h.detach().clone().requires_grad_()
    expected = network(gan.split(layer).tail(leaf, carry)).reshape(-1)
    assert torch.equal(x, gan.split(layer).tail(h, carry)) and torch.equal(logit, expected)
    assert torch.equal(gradient, torch.autograd.grad(expected.sum(), leaf)[0])
    assert not (x.requires_grad or logit.requires_grad or gradient.requires_grad)


def test_a_probability_is_left_to_autograd():
    network = seeded(STACKS["one layer"])
    network[0].weight.zero_()
    network[0].bias.fill_(0.5)  # a layer whose output is a probability as it is
    gan = pair(network, output="prob")
    _, logit, _ = gan.guidance("data", points(network), (), None)
    assert not logit.any() and not calls_the_stack(gan)


def test_a_generator_without_a_slope_behind_a_stack(caplog):
    class Steps(nn.Module):
        def forward(self, z):
            return z.round()

    gan = pair(seeded(STACKS["relu"]), Steps())
    _, logit, gradient = gan.guidance("latent", torch.randn(64, 2), (), None)
    assert calls_the_stack(gan, "latent") and logit.isfinite().all() and not gradient.any()


def test_samples_have_the_same_bits_either_way(monkeypatch):
    def draw():
        gan = pair(seeded(STACKS["leaky relu"]))
        return sample(gan, Refine(steps=6, step_size=0.1), 200, width=64, progress=False).x

    with_stack = draw()
    monkeypatch.setattr("gantandem.gan.find_stack", lambda *_: None)
    assert torch.equal(with_stack, draw())


def test_sampling_loads_no_compiler():
    code = (
        "import sys; from gantandem import GAN, MALA, Refine, sample;"
        "from gantandem.tasks import get_task;"
        "gan = GAN(*get_task('imbalanced-8').pretrained());"
        "movers = Refine(steps=2, step_size=.1), MALA(steps=2, step_size=.1);"
        "[sample(gan, mover, 16, width=64, progress=False) for mover in movers];"
        "print([name for name in ('sympy', 'torch._dynamo') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[]", done.stderr
