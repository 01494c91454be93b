"""The check that a network treats each row of a batch alone."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gantandem.errors import InputError
from gantandem.networks.probe import check_rows


def images(n=8):
    return torch.randn(n, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class MinibatchStdDev(nn.Module):
    """As in progressive GANs: a channel with the deviation over groups of rows."""

    def __init__(self, group, strided):
        super().__init__()
        self.group, self.strided = group, strided

    def forward(self, x):
        n, g = len(x), self.group
        if self.strided:
            std = x.view(g, n // g, -1).std(0).mean(1).repeat(g)
        else:
            std = x.view(n // g, g, -1).std(1).mean(1).repeat_interleave(g)
        return torch.cat([x, std.view(n, 1, 1, 1).expand(n, 1, *x.shape[2:])], 1)


class Noise(nn.Module):
    def forward(self, x):
        return x + 0.1 * torch.randn_like(x)


class AlwaysDropout(nn.Module):
    def forward(self, x):
        return F.dropout(x, 0.5, training=True, inplace=True)


class Counts(nn.Module):
    """Keeps a state that moves at every call."""

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return x * self.calls


class Net(nn.Module):
    def __init__(self, inner, channels=4):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.block = nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(inplace=True), inner)
        self.head = nn.Conv2d(channels, 1, 3, stride=2, padding=1)

    def forward(self, x):
        return self.head(self.block(self.stem(x)))


def made(inner, channels=4):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Net(inner, channels)


def message(net, inputs=None):
    with pytest.raises(InputError) as caught:
        check_rows(net, net, inputs or (images(),), "discriminator")
    return str(caught.value)


@pytest.mark.parametrize(
    "inner",
    [
        nn.Identity(),
        nn.BatchNorm2d(4),
        nn.Dropout(0.5),
        nn.GroupNorm(2, 4),
        nn.utils.parametrizations.spectral_norm(nn.Conv2d(4, 4, 1)),
        nn.utils.spectral_norm(nn.Conv2d(4, 4, 1)),
    ],
)
def test_networks_that_treat_rows_alone_in_eval_mode_pass(inner):
    net = made(inner)  # left in train mode by its user; scores of a patch each: (N, 1, 4, 4)
    assert net(images()).shape == (8, 1, 4, 4)
    check_rows(net, net, (images(),), "discriminator")


@pytest.mark.parametrize("group", [2, 4, 8])
@pytest.mark.parametrize("strided", [True, False])
def test_statistics_over_groups_of_rows_are_named(group, strided):
    text = message(made(MinibatchStdDev(group, strided), channels=5))
    assert text.startswith("discriminator: layer 'block.2' (MinibatchStdDev) mixes the rows")
    assert "changes with the oth" in text


def test_batch_norm_without_running_statistics_is_named_with_its_remedy():
    text = message(made(nn.BatchNorm2d(4, track_running_stats=False)))
    assert "layer 'block.2' (BatchNorm2d) mixes the rows" in text
    assert "track_running_stats=True" in text


@pytest.mark.parametrize("inner", [Noise(), AlwaysDropout(), Counts()])
def test_hidden_noise_and_state_are_named(inner):
    text = message(made(inner))
    assert f"layer 'block.2' ({type(inner).__name__}) gives two outputs for one input" in text


def test_a_fault_in_the_networks_own_forward_is_said_to_be_there():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(6, 2)

        def forward(self, z, y):
            return self.fc(z) - self.fc(z).mean(0) + y[:, None]

    net = Own()
    text = message(net, (torch.randn(8, 6), torch.arange(8)))
    assert "Own, in its own forward" in text


def test_a_fault_between_the_layers_of_a_block_is_laid_to_the_block():
    class Centred(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 1)

        def forward(self, x):
            return self.conv(x - x.mean(0))

    assert "layer 'block.2' (Centred) mixes the rows" in message(made(Centred()))


def test_inputs_are_not_overwritten():
    class Overwrites(nn.Module):
        def forward(self, x):
            return x.mul_(2)

    x = images()
    check_rows(Overwrites(), Overwrites(), (x,), "generator")
    assert torch.equal(x, images())


def test_module_called_through_a_function_with_conditions():
    net = made(nn.Identity())
    calls = []

    def call(x, y):
        calls.append(y)
        return net(x).mean((1, 2, 3)) * y

    check_rows(call, net, (images(), torch.arange(8)), "discriminator")
    assert all(torch.equal(y, calls[0]) for y in calls[:3])
    assert not torch.equal(calls[-1], calls[0])  # companions were exchanged, labels with them


def test_rounding_differences_are_tolerated():
    class Rounds(nn.Module):
        def forward(self, x):
            return x + 1e-6 * x.sum()  # far below 1e-4 of the scale of x

    check_rows(Rounds(), Rounds(), (torch.randn(8, 2) * 100,), "generator")


def test_flags_buffers_hooks_and_random_state_are_left_as_found():
    net = made(Counts()).train()
    net.block.eval()
    flags = [m.training for m in net.modules()]
    state = {k: v.clone() for k, v in net.state_dict().items()}
    random = torch.random.get_rng_state()
    message(net)
    assert [m.training for m in net.modules()] == flags
    assert all(torch.equal(state[k], v) for k, v in net.state_dict().items())
    assert torch.equal(random, torch.random.get_rng_state())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    message(made(Noise()))
    assert torch.equal(random, torch.random.get_rng_state())


def test_too_few_rows_are_refused():
    net = made(nn.Identity())
    with pytest.raises(InputError, match="at least 4"):
        check_rows(net, net, (images(3),), "generator")
    with pytest.raises(InputError, match="one number of rows"):
        check_rows(net, net, (images(), torch.arange(5)), "generator")
