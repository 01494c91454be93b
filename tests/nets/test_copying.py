"""Copies to train: computed weights are copied, and what the user froze stays frozen."""

from __future__ import annotations

import copy
import threading

import pytest
import torch
from test_untouched import FIT, REAL, cloud
from torch import nn

from awkward import KINDS, OldNorms, Remembers, made
from gantandem import GAN, Refine, fit_ratio, sample, shape
from gantandem.discriminator.parts import frozen_copy, trainable
from gantandem.errors import InputError
from gantandem.nets.copying import copy_network

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_copy_computes_the_same_and_shares_nothing(kind):
    network, z = made(kind), cloud(6)
    network(z)  # leaves its activations behind
    network.eval()
    other = copy_network(network)
    state = torch.get_rng_state()
    expected = network(z)
    torch.set_rng_state(state)
    assert torch.allclose(other(z), expected, atol=1e-5)
    mine = {t.data_ptr() for t in [*network.parameters(), *network.buffers()]}
    assert not mine & {t.data_ptr() for t in [*other.parameters(), *other.buffers()]}


def test_old_normalisations_do_not_copy_by_themselves():
    with pytest.raises(RuntimeError, match="leaves"):
        copy.deepcopy(made(OldNorms))


@pytest.mark.parametrize("kind", [OldNorms, Remembers], ids=lambda kind: kind.__name__)
def test_they_are_fitted_and_shaped(kind):
    generator, discriminator = made(kind), made(kind, 1, odd=False)
    discriminator(cloud(4))
    gan = GAN(generator, discriminator, 2)
    fitted = fit_ratio(gan, REAL, network=discriminator, **FIT)
    (ratio,) = fitted.ratios.values()
    assert ratio.origin == "fitted"
    options = {"updates": 4, "check_every": 2, "check_samples": 20, "batch": 20, "width": 16}
    shaped = shape(gan, REAL, refine=Refine(steps=2), progress=False, **options)
    assert sample(shaped, Refine(steps=2), 16, width=16).x.isfinite().all()


@pytest.mark.slow
def test_compiled_and_parallel_wrappers_are_taken_off():
    network = nn.Linear(2, 1)
    for wrapped in (torch.compile(network), nn.DataParallel(network), nn.DataParallel(
        torch.compile(network))):  # fmt: skip
        assert type(copy_network(wrapped)) is nn.Linear


def test_what_cannot_be_copied_is_said():
    network = nn.Linear(2, 1)
    network.lock = threading.Lock()
    with pytest.raises(InputError, match="Linear: it cannot be copied.*lock"):
        copy_network(network)


def features():
    """A frozen body and a free head."""
    network = made(KINDS[0], 1, odd=False)
    network.a.requires_grad_(False)
    return network


def moved(network, original):
    pairs = zip(network.named_parameters(), original.parameters(), strict=True)
    return {name for (name, p), q in pairs if not torch.equal(p, q)}


def test_weights_that_the_user_froze_stay():
    gan, network = GAN(made(KINDS[0]), None, 2), features()
    fitted = fit_ratio(gan, REAL, network=network, **FIT)
    (ratio,) = fitted.ratios.values()
    assert moved(ratio.score.network, network) == {"b.weight", "b.bias"}
    again = fit_ratio(gan, REAL, network=ratio.score.network, **FIT)  # frozen after its fit
    (second,) = again.ratios.values()
    assert moved(second.score.network, ratio.score.network) <= {"b.weight", "b.bias"}
    assert moved(second.score.network, ratio.score.network)


def test_a_network_frozen_throughout_learns_throughout():
    network = features().requires_grad_(False)
    assert all(p.requires_grad for p in trainable(network).parameters())
    kept = frozen_copy(features())
    assert not any(p.requires_grad for p in kept.parameters())
    assert [n for n, p in trainable(kept).named_parameters() if p.requires_grad] == [
        "b.weight", "b.bias",
    ]  # fmt: skip


def test_shaping_keeps_frozen_weights_too():
    gan = GAN(made(KINDS[0]), features(), 2)
    options = {"updates": 4, "check_every": 2, "check_samples": 20, "batch": 20, "width": 16}
    shaped = shape(gan, REAL, refine=Refine(steps=2), recipe="paper", progress=False, **options)
    assert moved(shaped.guide.network, gan.guide.network) == {"b.weight", "b.bias"}
