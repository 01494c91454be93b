"""Splits of generators: equal to the generator, the head never run again, rows free to move."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gantandem.errors import SplitError
from gantandem.split import split


def latents(d=6, n=8, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


class Block(nn.Module):
    def __init__(self, width=5):
        super().__init__()
        self.fc = nn.Linear(width, width)
        self.norm = nn.BatchNorm1d(width)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.relu(self.norm(self.fc(x)))


class Custom(nn.Module):
    """Modules in a dict and a list, one shared relu, functional operations between."""

    def __init__(self):
        super().__init__()
        self.relu = nn.ReLU()
        self.parts = nn.ModuleDict({"first": nn.Linear(6, 5), "last": nn.Linear(5, 3)})
        self.blocks = nn.ModuleList([Block() for _ in range(3)])

    def forward(self, z):
        h = self.relu(self.parts["first"](z))
        for block in self.blocks:
            h = self.relu(block(h) * 0.5 + 0.1)
        return torch.tanh(self.parts["last"](F.leaky_relu(h, 0.2)))


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down1 = nn.Conv2d(2, 4, 3, stride=2, padding=1)
        self.down2 = nn.Conv2d(4, 6, 3, stride=2, padding=1)
        self.mid = nn.Conv2d(6, 6, 1)
        self.up1 = nn.ConvTranspose2d(6, 4, 2, stride=2)
        self.up2 = nn.ConvTranspose2d(8, 2, 2, stride=2)

    def forward(self, x):
        a = F.relu(self.down1(x))
        b = F.relu(self.down2(a))
        c = self.up1(F.relu_(self.mid(b)))
        return torch.tanh(self.up2(torch.cat([c, a], 1)) + x)


class ConditionalNorm(nn.Module):
    def __init__(self, channels, cond):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gain = nn.Linear(cond, channels)

    def forward(self, x, y):
        return self.norm(x) * (1 + self.gain(y))[:, :, None, None]


class BigBlock(nn.Module):
    def __init__(self, channels, cond):
        super().__init__()
        self.norm = ConditionalNorm(channels, cond)
        self.conv = nn.utils.parametrizations.spectral_norm(
            nn.Conv2d(channels, channels, 3, padding=1)
        )

    def forward(self, x, y):
        h = F.interpolate(F.relu(self.norm(x, y)), scale_factor=2)
        return self.conv(h) + F.interpolate(x, scale_factor=2)


class BigGAN(nn.Module):
    """Chunks of z and a class embedding enter every block."""

    def __init__(self):
        super().__init__()
        self.shared = nn.Embedding(5, 3)
        self.linear = nn.Linear(2, 4 * 2 * 2)
        self.blocks = nn.ModuleList([BigBlock(4, 5) for _ in range(2)])
        self.output = nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Conv2d(4, 1, 1))

    def forward(self, z, y):
        zs = torch.chunk(z, 3, 1)
        y = self.shared(y)
        h = self.linear(zs[0]).view(z.size(0), -1, 2, 2)
        for chunk, block in zip(zs[1:], self.blocks, strict=True):
            h = block(h, torch.cat([chunk, y], 1))
        return torch.tanh(self.output(h))


class StyleLike(nn.Module):
    """A learned constant, a grid, and modulated convolutions with the rows folded in groups."""

    def __init__(self):
        super().__init__()
        self.mapping = nn.Sequential(nn.Linear(6, 6), nn.LeakyReLU(0.2), nn.Linear(6, 4))
        self.const = nn.Parameter(torch.randn(1, 4, 4, 4))
        self.register_buffer("grid", torch.linspace(-1, 1, 4).view(1, 1, 1, 4))
        self.weight = nn.Parameter(torch.randn(1, 4, 4, 3, 3) / 6)
        self.style = nn.Linear(4, 4)
        self.mix = nn.Conv2d(4, 4, 1)
        self.to_rgb = nn.Conv2d(4, 3, 1)

    def forward(self, z):
        w = self.mapping(z)
        h = self.mix(self.const.expand(w.size(0), -1, -1, -1) * w[:, :, None, None]) + self.grid
        n, c, height, width = h.shape
        kernel = (self.weight * self.style(w).view(n, 1, c, 1, 1)).view(n * c, c, 3, 3)
        h = F.conv2d(h.reshape(1, n * c, height, width), kernel, padding=1, groups=n)
        return self.to_rgb(h.view(n, c, height, width) + self.grid.abs())


class Dynamic(nn.Module):
    """Nothing for torch.fx: a branch on values, a number as a loop's length."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(6, 5)
        self.act = nn.LeakyReLU(0.1)
        self.body = nn.Sequential(nn.Linear(5, 5), nn.ReLU(inplace=True), self.act)
        self.middle = Block()
        self.last = nn.Linear(5, 3)

    def forward(self, *args):
        (z,) = args
        start = self.act(self.first(z))
        start.mul_(1.5)
        skip = self.act(self.body(start))
        if torch.isnan(start).any():
            raise RuntimeError("not a number")
        h = self.act(self.middle(skip))
        for _ in range(int(h.shape[1]) // 2):
            h = self.act(h) + skip
        return self.last(h + start)


def dcgan():
    return nn.Sequential(
        nn.Unflatten(1, (6, 1, 1)),
        nn.ConvTranspose2d(6, 8, 4),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(8, 1, 4, 2, 1),
        nn.Tanh(),
    )


class Wrapped(nn.Module):
    """A Sequential two levels down, as in many published generators."""

    def __init__(self):
        super().__init__()
        self.main = nn.Sequential(
            nn.Linear(6, 5),
            nn.ReLU(True),
            nn.Sequential(nn.Linear(5, 4), nn.ReLU(True)),
            nn.Linear(4, 4),
            nn.ReLU(True),
            nn.Linear(4, 2),
        )

    def forward(self, x):
        return self.main(x.view(x.size(0), -1))


def image_latents():
    return latents(2 * 8 * 8).view(8, 2, 8, 8)


LABELS = torch.arange(8) % 5
CASES = [
    (Wrapped, latents(), None, [f"main.{i}" for i in range(6)] + ["main.2.0", "main.2.1", "main"]),
    (dcgan, latents(), None, [str(i) for i in range(6)]),
    (
        Custom,
        latents(),
        None,
        ["parts.first", "blocks.0", "blocks.1", "blocks.1.norm", "blocks.2.relu", "parts.last"],
    ),
    (UNet, image_latents(), None, ["down1", "down2", "mid", "up1", "up2"]),
    (
        BigGAN,
        latents(),
        LABELS,
        ["linear", "shared", "blocks.0", "blocks.0.norm", "blocks.0.conv", "blocks.1", "output.0"],
    ),
    (StyleLike, latents(), None, ["mapping", "mapping.1", "mix", "style", "to_rgb"]),
    (Dynamic, latents(), None, ["first", "body", "body.0", "middle", "middle.norm", "last"]),
]
PARAMS = [
    pytest.param(make, z, cond, layer, id=f"{make.__name__}-{layer}")
    for make, z, cond, layers in CASES
    for layer in [*layers, "latent", "data"]
]


def built(make):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make().eval().requires_grad_(False)


def plain(generator, z, cond):
    return generator(z) if cond is None else generator(z, cond)


@contextmanager
def counted(generator):
    """Count the computations of the innermost modules, whoever calls them."""
    counts = Counter()
    leaves = {m: name for name, m in generator.named_modules() if not list(m.children())}
    for module, name in leaves.items():

        def forward(*args, _name=name, _forward=module.forward, **kwargs):
            counts[_name] += 1
            return _forward(*args, **kwargs)

        module.forward = forward
    yield counts
    for module in leaves:
        del module.forward


@pytest.mark.parametrize(("make", "z", "cond", "layer"), PARAMS)
def test_tail_of_head_is_the_generator_for_any_number_of_rows(make, z, cond, layer):
    generator = built(make)
    s = split(generator, layer, z, cond)
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
    s = split(generator, layer, z, cond)
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
    s = split(generator, layer, z, cond)
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
    s = split(generator, layer, z, cond)
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
    s = split(generator, "linear", latents(), LABELS)
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
    activation, carry = split(built(StyleLike), "mix", latents()).head(latents())
    assert activation.shape == (8, 4, 4, 4)
    assert sum(t[0].numel() for t in carry) <= 4  # the style of the second convolution alone
    assert split(built(dcgan), "3", latents()).head(latents())[1] == ()


def test_replay_carries_only_what_the_tail_needs():
    s = split(built(Dynamic), "middle", latents())
    _, carry = s.head(latents())
    assert sum(t[0].numel() for t in carry) <= 10  # `start` and `skip`


def test_weights_are_shared_with_the_generator():
    generator = built(Wrapped)
    s = split(generator, "main.3", latents())
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
    s = split(generator, layer, latents())
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
    s = split(generator, "body", latents())
    with pytest.raises(RuntimeError, match="not a number"):
        s.tail(s.head(latents())[0], tuple(t * torch.nan for t in s.head(latents())[1]))
    assert not any("forward" in vars(m) for m in generator.modules())


@pytest.mark.parametrize(("make", "layer"), [(Wrapped, "main.2.0"), (StyleLike, "mix")])
def test_tail_compiles_whole(make, layer):
    generator = built(make)
    s = split(generator, layer, latents())
    activation, carry = s.head(latents())
    compiled = torch.compile(s.tail, backend="aot_eager", fullgraph=True)
    h = activation.clone().requires_grad_()
    x = compiled(h, carry)
    torch.testing.assert_close(x, generator(latents()))
    (grad,) = torch.autograd.grad(x.square().sum(), h)
    h2 = activation.clone().requires_grad_()
    (expected,) = torch.autograd.grad(s.tail(h2, carry).square().sum(), h2)
    torch.testing.assert_close(grad, expected)


def test_compiled_generator_is_split_by_its_own_names():
    generator = torch.compile(built(Wrapped), backend="eager")
    s = split(generator, "main.3", latents())
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
        s = split(generator, layer, latents())
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
        s = split(generator, layer, z)
        activation, carry = s.head(z)
        torch.testing.assert_close(s.tail(activation.requires_grad_(), carry), expected)
        assert torch.equal(z, latents())


def test_module_under_two_names_and_tuple_outputs_before_the_split():
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
            s = split(generator, layer, latents())
            assert s.kind == ("replay" if dynamic else "graph")
            activation, carry = s.head(latents())
            assert all(len(t) == 8 for t in carry)
            torch.testing.assert_close(s.tail(activation, carry), generator(latents()))


# What cannot be split, and what is said.


def refused(generator, layer, *words, cond=None):
    with pytest.raises(SplitError) as caught:
        split(generator, layer, latents(), cond)
    for word in words:
        assert word in str(caught.value)
    assert not any("forward" in vars(m) for m in generator.modules())


def test_unknown_name_lists_near_matches():
    refused(built(Wrapped), "main.33", "no layer 'main.33'", "Near: 'main.3'", "'main.2.0'")
    refused(built(Wrapped), "", "no layer ''", "'latent', 'data'")


def test_layer_called_twice_or_never():
    refused(built(Custom), "relu", "'relu' is called 4 times")
    refused(built(Custom), "blocks", "'blocks' is never called", "ModuleList")


class Outputs(nn.Module):
    """Layers whose outputs are of no use, by what `use` says."""

    def __init__(self, use):
        super().__init__()
        self.use = use
        self.fc = nn.Linear(6, 4)
        self.side = nn.Linear(6, 4)
        self.gru = nn.GRU(6, 4, batch_first=True)
        self.flat = nn.Flatten(0)
        self.labels = nn.Embedding(3, 4)

    def forward(self, z, y=None):
        x = self.fc(z)
        side = self.side(z)
        if self.use == "detached":
            x = x + side.detach()
        elif self.use == "gru":
            x = x + self.gru(z[:, None])[0][:, 0]
        elif self.use == "flat":
            x = x + self.flat(x).view(-1, 4)
        elif self.use == "noise":
            x = x + torch.randn_like(x)
        elif self.use == "fixed noise":
            x = x + torch.randn(4)
        elif self.use == "mixes":
            x = x + x.mean(0)
        elif self.use == "pair":
            return x, side
        elif self.use == "rows":
            return x[:1]
        return x


def test_output_that_does_not_reach_the_generators_output():
    refused(built(lambda: Outputs("none")), "side", "'side'", "does not reach")
    refused(built(lambda: Outputs("detached")), "side", "'side'", "does not reach")


def test_activation_must_be_one_float_tensor_with_rows():
    refused(built(lambda: Outputs("gru")), "gru", "one float tensor", "tuple")
    refused(built(lambda: Outputs("flat")), "flat", "one float tensor", "(16,) for 4 rows")


@pytest.mark.parametrize("use", ["noise", "fixed noise"])
@pytest.mark.parametrize("layer", ["fc", "latent", "data"])
def test_hidden_noise_is_refused(use, layer):
    refused(built(lambda: Outputs(use)), layer, "two outputs for one latent")


def test_mixed_rows_are_refused():
    refused(built(lambda: Outputs("mixes")), "fc", "'fc'", "mixes the rows of a batch")


@pytest.mark.parametrize("use", ["pair", "rows"])
def test_generator_must_return_one_tensor_of_rows(use):
    refused(built(lambda: Outputs(use)), "fc", "must return one tensor with a row")


def test_head_module_whose_output_has_no_rows_is_not_run_again():
    class Folds(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.fold, self.b = nn.Linear(6, 4), nn.Flatten(0), nn.Linear(6, 4)

        def forward(self, z):
            return self.b(z) + self.fold(self.a(z)).view(-1, 4)

    s = split(built(Folds), "b", latents())  # the view has rows again
    torch.testing.assert_close(s.tail(*s.head(latents())), built(Folds)(latents()))

    class Late(Folds):
        def forward(self, z):
            folded = self.fold(self.a(z))
            return (self.b(z).view(-1) * folded).view(-1, 4)

    refused(built(Late), "b", "from before the split has no row for each sample")


def test_output_overwritten_behind_the_back_of_replay_is_noticed():
    class Behind(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.relu = nn.Linear(6, 4), nn.ReLU(inplace=True)
            self.middle = nn.Linear(4, 4)

        def forward(self, z):
            h = self.a(z)
            self.relu(h)
            return self.middle(h) + h if torch.isfinite(h).all() else h

    refused(built(Behind), "middle", "differs from the generator's output")


def test_examples_must_be_enough_and_of_one_length():
    with pytest.raises(SplitError, match="at least 4 example rows"):
        split(built(Wrapped), "main.3", latents(n=3))
    with pytest.raises(SplitError, match="as many in cond"):
        split(built(BigGAN), "linear", latents(), LABELS[:5])


def test_condition_left_out_of_the_tail_is_named():
    class Late(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(6, 4)

        def forward(self, z, y):
            return self.fc(z) * y

    s = split(built(Late), "fc", latents(), latents(4))
    activation, carry = s.head(latents(), latents(4))
    assert carry == ()
    with pytest.raises(SplitError, match="needs the rows of cond"):
        s.tail(activation, carry)


def test_course_of_forward_that_changes_later_is_refused():
    class Course(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(6, 6), nn.Linear(6, 6)
            self.middle, self.last = nn.Linear(6, 4), nn.Linear(4, 2)

        def forward(self, z):
            h = self.a(z) if z.abs().max() < 100 else self.b(z)
            return self.last(self.middle(h))

    s = split(built(Course), "middle", latents())
    torch.testing.assert_close(s.tail(*s.head(latents())), built(Course)(latents()))
    with pytest.raises(SplitError, match="another course"):
        s.head(latents() * 1000)
