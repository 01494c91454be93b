"""Architectures of others: their weights fit by name and shape, and every block can be refined."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import nn

import layouts
from cut_generators import counted
from gantandem import GAN, ULA, sample
from gantandem.adapt import AgainstBatch
from gantandem.errors import ConfigError, InputError
from gantandem.nets import NETS, build
from gantandem.nets.biggan import BigGANGenerator128
from gantandem.nets.biggan_deep import BigGANDeepGenerator128
from gantandem.nets.copying import copy_network
from gantandem.nets.describing import find_spec
from gantandem.nets.foreign import find_architecture, load_foreign
from gantandem.nets.published import PUBLISHED
from gantandem.nets.sagan import SAGANGenerator128

SMALL = {"filters": 32, "classes": 7}
BIG = {"latent_dim": 24, "filters": 4, "classes": 7, "shared": 5}
DEEP = {"latent_dim": 6, "filters": 8, "classes": 7, "shared": 5}
GROWN = {"widths": (6, 6, 6, 6, 3)}
LAYOUTS = {
    "wgan-generator-32": (layouts.wgan_generator, {"filters": 4}),
    "wgan-critic-32": (layouts.wgan_critic, {"filters": 4}),
    "sagan-generator-128": (layouts.sagan_generator, SMALL),
    "sagan-discriminator-128": (layouts.sagan_discriminator, {"filters": 64, "classes": 7}),
    "biggan-generator-128": (layouts.biggan_generator, BIG),
    "biggan-discriminator-128": (layouts.biggan_discriminator, {"filters": 8, "classes": 7}),
    "biggan-deep-generator-128": (layouts.deep_generator, DEEP),
    "biggan-deep-discriminator-128": (layouts.deep_discriminator, {"filters": 4, "classes": 7}),
    "cyclegan-generator": (layouts.cyclegan_generator, {"filters": 4}),
    "patchgan-discriminator": (layouts.patchgan, {"filters": 4}),
    "pgan-generator-64": (layouts.pgan_generator, {"latent_dim": 9, **GROWN}),
    "pgan-discriminator-64": (layouts.pgan_discriminator, GROWN),
}
ROLE = {name: role for role, names in PUBLISHED.items() for name in names}


def inputs(name: str, spec: dict, n: int = 8) -> tuple[torch.Tensor, ...]:
    """What a network is called with: latents or images, and labels where it takes them."""
    random = torch.Generator().manual_seed(0)
    network = build(spec)
    if name == "cyclegan-generator":
        return (torch.randn(n, 3, 16, 16, generator=random),)
    if ROLE[name] == "generator":
        size = spec.get("latent_dim", 128 if "dcgan" not in name else 100)
        x = torch.randn(n, size, generator=random)
    else:
        size = int(name.rpartition("-")[2]) if name[-1].isdigit() else 70
        x = torch.randn(n, 3, size, size, generator=random)
    conditional = any(isinstance(module, nn.Embedding) for module in network.modules())
    return (x, torch.arange(n) % 7) if conditional else (x,)


@pytest.mark.parametrize("name", LAYOUTS)
def test_published_names_and_shapes_are_found_and_loaded(name: str, tmp_path: Path) -> None:
    names, arguments = LAYOUTS[name]
    path = tmp_path / "weights.pth"
    torch.save(layouts.synthesised(names()), path)
    spec = find_architecture(path, ROLE[name])
    assert spec == {"net": name, **arguments}
    network = build(spec)
    load_foreign(network, path, ROLE[name])
    network.eval()
    n = 8 if name == "pgan-discriminator-64" else 4  # which looks at the spread of four
    given = inputs(name, spec, n)
    with torch.no_grad():
        out = network(*given)
        rows = network(*(part[2:] for part in given))
    if ROLE[name] == "generator":
        size = 16 if name == "cyclegan-generator" else int(name.rpartition("-")[2])
        assert out.shape == (n, 3, size, size)
    else:
        assert out.shape == (n,) and out.std() > 0
    if name != "pgan-discriminator-64":  # whose rows hang together, as published
        torch.testing.assert_close(rows, out[2:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", LAYOUTS)
def test_networks_built_by_hand_tell_how(name: str) -> None:
    spec = {"net": name, **LAYOUTS[name][1]}
    network = NETS[name](**LAYOUTS[name][1])
    assert find_spec(network) == find_spec(copy_network(network)) == spec
    with pytest.raises(ConfigError, match="does not take.*'colour'"):
        build({"net": name, "colour": 3})


@pytest.mark.parametrize("name", ["pgan-generator-64", "pgan-discriminator-64"])
def test_grown_gans_of_before_2019_load_too(name: str, tmp_path: Path) -> None:
    make, arguments = LAYOUTS[name]
    path = tmp_path / "weights.pth"
    torch.save(layouts.synthesised(make(module="")), path)
    spec = find_architecture(path, ROLE[name])
    assert spec == {"net": name, **arguments}
    load_foreign(build(spec), path, ROLE[name])


def test_the_old_names_of_the_dcgan_pair_work() -> None:
    for role in ("generator", "discriminator"):
        assert NETS[f"dcgan-{role}"] is NETS[f"dcgan-{role}-64"]


def test_a_grown_discriminator_is_wrapped_for_its_groups() -> None:
    torch.manual_seed(0)
    generator = build({"net": "pgan-generator-64", "latent_dim": 9, **GROWN})
    critic = build({"net": "pgan-discriminator-64", **GROWN})
    with pytest.raises(InputError, match="AgainstBatch"):
        GAN(generator, critic, 9, output="critic")
    beside = torch.rand(3, 3, 64, 64)
    gan = GAN(generator, AgainstBatch(critic, beside), 9, output="critic")
    assert gan.guide is not None
    x = gan.decode(torch.randn(2, 9))
    with torch.no_grad():
        torch.testing.assert_close(gan.guide(x)[:1], critic(torch.cat([x[:1], beside]))[:1])


@pytest.fixture
def small_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images of 128 are made 32 wide: the same blocks at a sixteenth of the cost."""
    for kind in (SAGANGenerator128, BigGANGenerator128, BigGANDeepGenerator128):
        monkeypatch.setattr(kind, "side", 1)


PAIRS = [
    ("wgan-generator-32", "wgan-critic-32"),
    ("sagan-generator-128", "sagan-discriminator-128"),
    ("biggan-generator-128", "biggan-discriminator-128"),
    ("biggan-deep-generator-128", "biggan-deep-discriminator-128"),
    ("cyclegan-generator", "patchgan-discriminator"),
]


@pytest.mark.usefixtures("small_maps")
@pytest.mark.parametrize(("one", "other"), PAIRS)
@pytest.mark.slow
def test_published_pairs_fit_each_other(one: str, other: str) -> None:
    torch.manual_seed(0)
    generator, critic = (build({"net": name, **LAYOUTS[name][1]}) for name in (one, other))
    z, *labels = inputs(one, {"net": one, **LAYOUTS[one][1]})
    latent = (3, 32, 32) if one == "cyclegan-generator" else z.size(1)
    condition = labels[0] if labels else None
    gan = GAN(generator, critic, latent, output="critic", condition=condition)
    samples = sample(gan, ULA(steps=2, step_size=0.01), 4, width=16, progress=False)
    assert samples.x.shape == (4, 3, 32, 32) and not torch.equal(samples.x[0], samples.x[1])


# Blocks of each generator, at which it can be refined.
BLOCKS = {
    "dcgan-generator-32": ({"latent_dim": 5, "filters": 2}, [f"main.{i}" for i in range(11)]),
    "dcgan-generator-64": ({"latent_dim": 5, "filters": 2}, [f"main.{i}" for i in range(14)]),
    "sngan-generator-32": ({"latent_dim": 5, "filters": 4}, ["l1", "block2", "block3", "block4"]),
    "sngan-conditional-generator-32": (
        {"latent_dim": 5, "filters": 4, "classes": 7},
        ["l1", "block2", "block3", "block4", "b5", "block3.b1", "block3.c1", "block3.c_sc"],
    ),
    "wgan-generator-32": (
        {"latent_dim": 5, "filters": 2},
        ["preprocess", "preprocess.0", "block1", "block2", "deconv_out"],
    ),
    "sagan-generator-128": (
        {"latent_dim": 5, **SMALL},
        ["l1", *(f"block{i}" for i in range(2, 7)), "attn_block", "attn_block.g", "b7"],
    ),
    "biggan-generator-128": (
        BIG,
        ["linear", *(f"blocks.{i}.0" for i in range(5)), "blocks.3.1", "blocks.2.0.bn2"],
    ),
    "biggan-deep-generator-128": (
        DEEP,
        ["linear", *(f"blocks.{i}.0" for i in range(10)), "blocks.7.1", "blocks.4.0.conv2"],
    ),
    "pgan-generator-64": (
        {"latent_dim": 9, **GROWN},
        ["formatLayer", "groupScale0.0"]
        + [f"scaleLayers.{i}.{j}" for i in range(4) for j in range(2)],
    ),
    "cyclegan-generator": ({"filters": 2, "blocks": 2}, [f"model.{i}" for i in range(21)]),
}


@pytest.mark.usefixtures("small_maps")
@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.slow
def test_every_block_can_be_refined(name: str) -> None:
    arguments, blocks = BLOCKS[name]
    spec = {"net": name, **arguments}
    torch.manual_seed(0)
    generator = build(spec).eval().requires_grad_(False)
    z, *labels = inputs(name, spec)
    gan = GAN(generator, None, tuple(z.shape[1:]), condition=labels[0] if labels else None)
    with counted(generator) as counts:
        x = generator(z, *labels)
        everything = Counter(counts)
    for block in blocks:
        cut = gan.cut(block)
        with counted(generator) as counts:  # no module runs in both halves
            activation, carry = cut.head(z, *labels)
            whole = cut.tail(activation, carry, *labels)
            assert counts <= everything
            assert everything.keys() - counts.keys() <= {"output_layer.0"}  # its graph is inlined
        torch.testing.assert_close(whole, x, rtol=1e-4, atol=1e-5)
        assert all(len(part) == len(z) for part in (activation, *carry))


def test_every_published_generator_is_here() -> None:
    assert BLOCKS.keys() == PUBLISHED["generator"].keys()
