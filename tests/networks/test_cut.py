"""Cuts of generators: equal to the generator, the head never run again, rows free to move."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import nn

from cut_generators import (
    LABELS,
    PARAMS,
    BigGAN,
    Dynamic,
    StyleLike,
    Wrapped,
    built,
    counted,
    dcgan,
    latents,
    plain,
)
from gantandem.networks.cut import cut_at


@pytest.mark.parametrize(("make", "z", "cond", "layer"), PARAMS)
def test_tail_of_head_is_the_generator_for_any_number_of_rows(make, z, cond, layer):
    generator = built(make)
    s = cut_at(generator, layer, z, cond)
    assert s.layer == layer
    assert s.kind == (
        layer if layer in ("latent", "data") else "replay" if make is Dynamic else "graph"
    )
    for n in (1, 3, 8):
        c = None if cond is None else cond[:n]
        activation, carry = s.head(z[:n], c)
        assert all(len(t) == n for t in (activation, *carry))
        torch.testing.assert_close(s.tail(activation, carry, c), plain(generator, z[:n], c))


@pytest.mark.parametrize(("make", "z", "cond", "layer"), PARAMS)
def test_rows_can_be_selected_and_nothing_given_is_changed(make, z, cond, layer):
    generator = built(make)
    s = cut_at(generator, layer, z, cond)
    rows = torch.tensor([5, 0, 2])
    c = None if cond is None else cond[rows]
    before = z.clone()
    activation, carry = s.head(z, cond)
    activation, carry = activation[rows], tuple(t[rows] for t in carry)
    kept = [t.clone() for t in (activation, *carry)]
    x = s.tail(activation, carry, c)
    torch.testing.assert_close(x, plain(generator, z, cond)[rows])
    for now, then in zip((z, activation, *carry), (before, *kept), strict=True):
        assert torch.equal(now, then)


@pytest.mark.parametrize(("make", "z", "cond", "layer"), PARAMS)
def test_modules_run_in_the_head_do_not_run_in_the_tail(make, z, cond, layer):
    generator = built(make)
    s = cut_at(generator, layer, z, cond)
    if layer in ("latent", "data"):
        return
    with counted(generator) as all_counts:
        plain(generator, z, cond)
        everything = Counter(all_counts)
        all_counts.clear()
        activation, carry = s.head(z, cond)
        head = Counter(all_counts)
        all_counts.clear()
        s.tail(activation, carry, cond)
        tail = Counter(all_counts)
    assert head + tail == everything


@pytest.mark.parametrize(("make", "z", "cond", "layer"), PARAMS)
def test_gradient_is_that_of_the_generator_from_the_layer_on(make, z, cond, layer):
    generator = built(make)
    s = cut_at(generator, layer, z, cond)
    weights = torch.linspace(-1, 1, plain(generator, z, cond).numel())
    activation, carry = s.head(z, cond)
    h = activation.clone().requires_grad_()
    x = s.tail(h, carry, cond)
    (grad,) = torch.autograd.grad((x.flatten() * weights).sum(), h)

    moved = torch.zeros_like(activation).requires_grad_()  # added to the layer's output
    if layer == "latent":
        x = plain(generator, z + moved, cond)
    elif layer == "data":
        x = plain(generator, z, cond) + moved
    else:
        target = generator.get_submodule(layer)
        handle = target.register_forward_hook(lambda _m, _a, out: out.clone() + moved)
        x = plain(generator, z, cond)
        handle.remove()
    (expected,) = torch.autograd.grad((x.flatten() * weights).sum(), moved)
    assert expected.abs().max() > 0
    torch.testing.assert_close(grad, expected)


def test_class_embedding_and_late_latents_are_computed_once_and_carried():
    generator = built(BigGAN)
    s = cut_at(generator, "linear", latents(), LABELS)
    with counted(generator) as counts:
        s.tail(*s.head(latents(), LABELS), LABELS)
        assert counts["shared"] == 1
        counts.clear()
        activation, carry = s.head(latents(), LABELS)
        assert counts["blocks.1.norm.gain"] == 1
        counts.clear()
        s.tail(activation, carry, LABELS)
    assert counts["blocks.0.norm.norm"] == 1
    assert not {"shared", "linear", "blocks.0.norm.gain", "blocks.1.norm.gain"} & set(counts)


def test_sizes_weights_and_grids_do_not_enter_the_carry():
    activation, carry = cut_at(built(StyleLike), "mix", latents()).head(latents())
    assert activation.shape == (8, 4, 4, 4)
    assert sum(t[0].numel() for t in carry) <= 4  # the style of the second convolution alone
    assert cut_at(built(dcgan), "3", latents()).head(latents())[1] == ()


def test_replay_carries_only_what_the_tail_needs():
    s = cut_at(built(Dynamic), "middle", latents())
    _, carry = s.head(latents())
    assert sum(t[0].numel() for t in carry) <= 10  # `start` and `skip`


def test_weights_are_shared_with_the_generator():
    generator = built(Wrapped)
    s = cut_at(generator, "main.3", latents())
    generator.main[5].weight.mul_(2.0)
    generator.main[0].bias.add_(1.0)
    torch.testing.assert_close(s.tail(*s.head(latents())), generator(latents()))


@pytest.mark.parametrize("layer", ["middle", "latent"])
def test_flags_forwards_buffers_and_random_state_are_left_as_found(layer):
    generator = built(Dynamic).train()
    generator.body.eval()
    generator.first.weight.requires_grad_(True)
    flags = [m.training for m in generator.modules()]
    grads = [p.requires_grad for p in generator.parameters()]
    state = {k: v.clone() for k, v in generator.state_dict().items()}
    torch_state = torch.random.get_rng_state()
    s = cut_at(generator, layer, latents())
    generator.eval()
    s.tail(*s.head(latents()))
    generator.train()
    generator.body.eval()
    assert [m.training for m in generator.modules()] == flags
    assert [p.requires_grad for p in generator.parameters()] == grads
    assert all(torch.equal(state[k], v) for k, v in generator.state_dict().items())
    assert torch.equal(torch_state, torch.random.get_rng_state())
    assert not any("forward" in vars(m) for m in generator.modules())


def test_forwards_are_restored_when_the_generator_fails():
    generator = built(Dynamic)
    s = cut_at(generator, "body", latents())
    with pytest.raises(RuntimeError, match="not a number"):
        s.tail(s.head(latents())[0], tuple(t * torch.nan for t in s.head(latents())[1]))
    assert not any("forward" in vars(m) for m in generator.modules())


@pytest.mark.parametrize(("make", "layer"), [(Wrapped, "main.2.0"), (StyleLike, "mix")])
@pytest.mark.slow
def test_tail_compiles_whole(make, layer):
    generator = built(make)
    s = cut_at(generator, layer, latents())
    activation, carry = s.head(latents())
    compiled = torch.compile(s.tail, backend="aot_eager", fullgraph=True)
    h = activation.clone().requires_grad_()
    x = compiled(h, carry)
    torch.testing.assert_close(x, generator(latents()))
    (grad,) = torch.autograd.grad(x.square().sum(), h)
    h2 = activation.clone().requires_grad_()
    (expected,) = torch.autograd.grad(s.tail(h2, carry).square().sum(), h2)
    torch.testing.assert_close(grad, expected)


def test_compiled_generator_is_cut_by_its_own_names():
    generator = torch.compile(built(Wrapped), backend="eager")
    s = cut_at(generator, "main.3", latents())
    torch.testing.assert_close(s.tail(*s.head(latents())), built(Wrapped)(latents()))


def test_module_that_fx_cannot_enter_is_called_whole():
    class Branch(nn.Module):
        def forward(self, x):
            return x * 2 if bool((x.abs() >= 0).all()) else x

    class Generator(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.branch, self.last = nn.Linear(6, 5), Branch(), nn.Linear(5, 2)

        def forward(self, z):
            return self.last(self.branch(self.first(z)))

    generator = built(Generator)
    for layer in ("first", "branch", "last"):
        s = cut_at(generator, layer, latents())
        assert s.kind == "graph"
        torch.testing.assert_close(s.tail(*s.head(latents())), generator(latents()))


def test_latent_overwritten_by_the_generator_is_copied():
    class Normalises(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(6, 2)

        def forward(self, z):
            return self.fc(z.div_(z.norm(dim=1, keepdim=True) + 1))

    generator = built(Normalises)
    expected = generator(latents())
    for layer in ("latent", "fc", "data"):
        z = latents()
        s = cut_at(generator, layer, z)
        activation, carry = s.head(z)
        torch.testing.assert_close(s.tail(activation.requires_grad_(), carry), expected)
        assert torch.equal(z, latents())


def test_module_under_two_names_and_tuple_outputs_before_the_cut():
    class Generator(nn.Module):
        def __init__(self, dynamic):
            super().__init__()
            self.cell = nn.GRU(3, 4, batch_first=True)
            self.middle = nn.Linear(4, 4)
            self.alias = self.middle
            self.dynamic = dynamic

        def forward(self, z):
            steps, last = self.cell(z.view(z.size(0), 2, 3))
            if self.dynamic and len(z) < 1:
                raise ValueError
            return (self.middle(steps[:, -1]) + steps[:, 0] + last)[0]  # last: (1, N, 4)

    for dynamic in (False, True):
        generator = built(lambda dynamic=dynamic: Generator(dynamic))
        for layer in ("middle", "alias"):
            s = cut_at(generator, layer, latents())
            assert s.kind == ("replay" if dynamic else "graph")
            activation, carry = s.head(latents())
            assert all(len(t) == 8 for t in carry)
            torch.testing.assert_close(s.tail(activation, carry), generator(latents()))
