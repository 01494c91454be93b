"""Statistics that layers keep: found where never filled, filled anew, in a copy."""

from __future__ import annotations

import copy
import logging

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, spectral_norm

import gantandem as gt
from gantandem.errors import InputError
from gantandem.networks.statistics import refresh_statistics, unfilled


class OwnNorm(nn.Module):
    """Batch normalisation as people write it, by either convention of momentum."""

    def __init__(self, size: int, keep: float = 0.9, prefix: str = "running_") -> None:
        super().__init__()
        self.keep, self.prefix = keep, prefix
        self.register_buffer(prefix + "mean", torch.zeros(size))
        self.register_buffer(prefix + "var", torch.ones(size))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean, var = (getattr(self, self.prefix + which) for which in ("mean", "var"))
        if self.training:
            now = x.mean(0), x.var(0)
            setattr(self, self.prefix + "mean", self.keep * mean + (1 - self.keep) * now[0])
            setattr(self, self.prefix + "var", self.keep * var + (1 - self.keep) * now[1])
            mean, var = now
        return (x - mean) / (var + 1e-5).sqrt()


class ConditionalNorm(nn.Module):
    """Scale and shift by class around a BatchNorm without any."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.norm, self.scale = nn.BatchNorm1d(size, affine=False), nn.Embedding(3, size)

    def forward(self, x: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        return self.norm(x) * self.scale(label)


class Conditional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Linear(2, 4), ConditionalNorm(4)

    def forward(self, z: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        return self.norm(self.first(z), label)


def images(norm: nn.Module, dims: int) -> nn.Module:
    sizes = (4,) + (2,) * dims
    return nn.Sequential(nn.Linear(2, 4 * 2**dims), nn.Unflatten(1, sizes), norm)


KINDS = {
    "BatchNorm1d": lambda: nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4)),
    "BatchNorm2d": lambda: images(nn.BatchNorm2d(4), 2),
    "BatchNorm3d": lambda: images(nn.BatchNorm3d(4), 3),
    "SyncBatchNorm": lambda: images(nn.SyncBatchNorm(4), 2),
    "InstanceNorm1d": lambda: images(nn.InstanceNorm1d(4, track_running_stats=True), 1),
    "InstanceNorm2d": lambda: images(nn.InstanceNorm2d(4, track_running_stats=True), 2),
    "cumulative BatchNorm1d": lambda: nn.Sequential(
        nn.Linear(2, 4), nn.BatchNorm1d(4, momentum=None)
    ),
    "OwnNorm": lambda: nn.Sequential(nn.Linear(2, 4), OwnNorm(4)),
    "slow OwnNorm": lambda: nn.Sequential(nn.Linear(2, 4), OwnNorm(4, keep=0.99)),
    "fast OwnNorm": lambda: nn.Sequential(nn.Linear(2, 4), OwnNorm(4, 0.0, "moving_")),
    "stored OwnNorm": lambda: nn.Sequential(nn.Linear(2, 4), OwnNorm(4, 0.5, "stored_")),
    "conditional BatchNorm1d": Conditional,
}


def batches(kind: str, count: int = 20, size: int = 64):
    generator = torch.Generator().manual_seed(0)
    for _ in range(count):
        z = 3 + 2 * torch.randn(size, 2, generator=generator)
        label = torch.randint(3, (size,), generator=generator)
        yield (z, label) if kind.startswith("conditional") else z


def state(network: nn.Module):
    modules = [
        (m.training, getattr(m, "momentum", 0), len(m._forward_hooks)) for m in network.modules()
    ]
    return modules, {name: value.clone() for name, value in network.state_dict().items()}


def same(a, b) -> bool:
    return a[0] == b[0] and all(torch.equal(a[1][name], b[1][name]) for name in a[1])


@pytest.mark.parametrize("kind", KINDS)
def test_a_gan_says_which_layer_was_never_filled_and_nothing_after_it_was(kind, caplog):
    torch.manual_seed(0)
    generator = KINDS[kind]()
    condition = torch.arange(3) if kind.startswith("conditional") else None
    with caplog.at_level(logging.WARNING):
        gt.GAN(generator, None, 2, condition=condition)
    (said,) = caplog.messages
    ((name, layer),) = unfilled(generator)
    assert f"generator: layer {name!r} ({type(layer).__name__}) keeps statistics" in said
    assert "gt.refresh_statistics(generator, batches)" in said and "latents" in said
    caplog.clear()
    gt.GAN(refresh_statistics(generator, batches(kind)), None, 2, condition=condition)
    assert not caplog.messages


def test_a_discriminator_is_looked_at_too(caplog):
    discriminator = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    gt.GAN(nn.Linear(2, 2), discriminator, 2)
    (said,) = caplog.messages
    assert said.startswith("discriminator: layer '1' (BatchNorm1d)")
    assert "half real, half generated" in said


def test_every_door_of_a_gan_is_looked_at(caplog):
    bare = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 1))
    gan = gt.GAN(nn.Linear(2, 2), nn.Linear(2, 1), 2)
    assert not caplog.messages
    gan.with_guide(bare)
    assert caplog.messages[-1].startswith("discriminator: layer '1'")
    gan.replace(generator=nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)))
    assert caplog.messages[-1].startswith("generator: layer '1'")
    caplog.clear()
    gan.check(bare)  # a network to be fitted is fitted on its statistics as they are
    gan.replace(spread=2.0)
    assert not caplog.messages


def test_statistics_that_are_filled_and_not_counted_are_no_fault(caplog):
    generator = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.BatchNorm1d(4))
    generator[1].running_mean.fill_(0.3)
    generator[2].running_var[1] = 0.5
    assert int(generator[1].num_batches_tracked) == 0
    gt.GAN(generator, None, 2)
    gt.GAN(nn.Sequential(nn.Linear(2, 4), nn.LayerNorm(4)), None, 2)
    assert not caplog.messages and not unfilled(generator)


@pytest.mark.parametrize("kind", KINDS)
def test_refreshed_statistics_are_those_of_all_batches_together(kind):
    torch.manual_seed(1)
    network = KINDS[kind]().train()
    before = state(network)
    new = refresh_statistics(network, batches(kind))
    assert same(before, state(network)), "the network given was changed"
    modes, _ = state(new)
    assert modes == before[0]
    rows = [b if isinstance(b, torch.Tensor) else b[0] for b in batches(kind)]
    z = torch.cat(rows)
    with torch.no_grad():
        h = network.first(z) if isinstance(network, Conditional) else network[:-1](z)
    layer = new.norm.norm if isinstance(new, Conditional) else new[-1]
    prefix = getattr(layer, "prefix", "running_")
    mean, var = (getattr(layer, prefix + which) for which in ("mean", "var"))
    axes = [axis for axis in range(h.dim()) if axis != 1]
    torch.testing.assert_close(mean, h.mean(axes), rtol=1e-3, atol=1e-3)
    if "Instance" in kind:  # of each instance, then their mean
        torch.testing.assert_close(mean, h.flatten(2).mean(2).mean(0), rtol=1e-3, atol=1e-3)
    else:
        torch.testing.assert_close(var, h.var(axes), rtol=0.02, atol=1e-3)


def test_an_averaged_copy_gives_samples_again():
    torch.manual_seed(0)
    generator = nn.Sequential(
        nn.Linear(2, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 32), nn.BatchNorm1d(32),
        nn.ReLU(), nn.Linear(32, 2),
    )  # fmt: skip
    for layer in generator:
        if isinstance(layer, nn.Linear):
            layer.weight.data *= 5
    z = torch.randn(4096, 2)
    with torch.no_grad():
        for _ in range(100):  # what training leaves behind
            generator(torch.randn(256, 2))
        truth = generator.eval()(z)
        averaged = copy.deepcopy(generator)
        for layer in averaged:
            if isinstance(layer, nn.BatchNorm1d):
                layer.reset_running_stats()
        new = refresh_statistics(averaged, [torch.randn(128, 2) for _ in range(30)])
        off = (averaged(z) - truth).square().mean().sqrt()
        healed = (new(z) - truth).square().mean().sqrt()
    assert off > truth.std() and healed < 0.1 * truth.std()


@pytest.mark.parametrize("norm", [spectral_norm, parametrizations.spectral_norm])
def test_spectral_norms_are_settled(norm, caplog):
    torch.manual_seed(0)
    network = nn.Sequential(norm(nn.Linear(64, 64, bias=False)), nn.ReLU(), norm(nn.Linear(64, 1)))
    with torch.no_grad():
        network(torch.randn(8, 64))
    network.eval()
    top = torch.linalg.svdvals(network[0].weight.detach())[0]
    new = refresh_statistics(network, [torch.randn(8, 64)])
    with torch.no_grad():
        new(torch.randn(8, 64))
    assert abs(torch.linalg.svdvals(new[0].weight.detach())[0] - 1) < 0.02
    # Vectors that belong to another weight, as where only the parameters were averaged.
    for vectors in [v for name, v in network.named_buffers() if name.endswith(("_u", "_v"))]:
        vectors.copy_(nn.functional.normalize(torch.randn_like(vectors), dim=0))
    assert unfilled(network)[0][0].startswith("0")
    assert not unfilled(refresh_statistics(network, [torch.randn(8, 64)]))
    assert top < 2


@pytest.mark.parametrize(
    ("network", "given", "message"),
    [
        (nn.Linear(2, 1), [torch.zeros(4, 2)], "no layer of Linear keeps statistics"),
        (nn.BatchNorm1d(2), [], "there are no batches"),
        (nn.BatchNorm1d(2), [torch.zeros(4, 3)], "does not take batch 0"),
        (nn.BatchNorm1d(2), [torch.zeros(4, 2), torch.zeros(1, 2)], "does not take batch 1"),
        (nn.BatchNorm1d(2), [(torch.zeros(4, 2), torch.zeros(4))], "does not take batch 0"),
        (nn.BatchNorm1d(2), ["no"], "does not take batch 0"),
        (nn.BatchNorm1d(2), [None], "does not take batch 0"),
        (nn.BatchNorm1d(2), torch.zeros(4, 2), "iterable of batches"),
        (nn.BatchNorm1d(2), 3, "iterable of batches"),
    ],
)
def test_what_cannot_be_refreshed_is_refused(network, given, message):
    with pytest.raises(InputError, match=message):
        refresh_statistics(network, given)


def test_a_layer_that_no_batch_reaches_is_named(caplog):
    class Aside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.BatchNorm1d(2), nn.BatchNorm1d(2)

        def forward(self, x):
            return self.used(x)

    new = refresh_statistics(Aside(), [torch.randn(8, 2)])
    assert "layer 'unused' (BatchNorm1d) was not called" in caplog.text
    assert bool((new.unused.running_var == 1).all()) and not bool((new.used.running_var == 1).any())


def test_a_network_fitted_on_its_first_statistics_is_no_fault(caplog):
    network = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    gan = gt.GAN(nn.Linear(2, 2), None, 2)
    fit = {"n": 200, "schedule": [(2, 1e-2)], "batch": 50, "progress": False}
    gan = gt.fit_ratio(gan, torch.randn(200, 2), network=network, as_guide=True, **fit)
    caplog.clear()
    gt.GAN(gan.generator, gan.guide.network, 2)
    assert not any("never filled" in message for message in caplog.messages)
    assert unfilled(network), "the network given was changed"


def test_old_weight_and_spectral_norms_are_copied():
    network = nn.Sequential(spectral_norm(nn.Linear(2, 4)), nn.BatchNorm1d(4))
    network(torch.randn(8, 2))  # its weight is now computed with a gradient
    new = refresh_statistics(network, [torch.randn(64, 2)])
    assert not unfilled(new) and new[0] is not network[0]


def test_what_is_scripted_is_looked_at_too(caplog):
    generator = torch.jit.script(nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4)))
    gt.GAN(generator, None, 2)
    assert "generator: layer '1'" in caplog.text


@pytest.mark.parametrize("kind", [k for k in KINDS if not k.startswith("conditional")])
def test_statistics_of_any_kind_are_held_while_a_network_is_fitted(kind):
    torch.manual_seed(0)
    last = nn.Sequential(nn.Flatten(), nn.LazyLinear(1))
    network = nn.Sequential(refresh_statistics(KINDS[kind](), batches(kind)), last)
    network(torch.randn(8, 2))
    network.train()
    gan = gt.GAN(nn.Linear(2, 2), None, 2)
    fit = {"n": 200, "schedule": [(20, 1e-2)], "batch": 50, "progress": False}
    fitted = gt.fit_ratio(gan, 3 + torch.randn(200, 2), network=network, as_guide=True, **fit).guide
    before, after = network.state_dict(), fitted.network.state_dict()
    kept = [name for name in before if name.endswith(("_mean", "_var"))]
    # Before 2.11 torch rounds those of an InstanceNorm whenever they are used.
    slack = 1e-5 if torch.__version__ < (2, 11) and "Instance" in kind else 0.0
    assert len(kept) == 2
    assert all(torch.allclose(before[name], after[name], rtol=slack, atol=slack) for name in kept)
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_batches_that_are_not_finite_fill_no_statistics():
    network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    batches = [torch.randn(8, 2), torch.full((8, 2), float("nan"))]
    with pytest.raises(InputError, match="batch 1 holds NaN"):
        gt.refresh_statistics(network, batches)
