"""Names and shapes of published weights, as the repositories that wrote them name them."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

Names = Iterator[tuple[str, tuple[int, ...]]]
F, CLASSES = 32, 7  # filters of the narrowest that every layout allows


def layer(name: str, *shape: int, bias: int | None = None) -> Names:
    yield f"{name}.weight", shape
    if bias:
        yield f"{name}.bias", (bias,)


def conv(name: str, size_in: int, size_out: int, kernel: int = 3, bias: bool = True) -> Names:
    yield from layer(name, size_out, size_in, kernel, kernel, bias=size_out if bias else None)


def norm(name: str, size: int, affine: bool = True) -> Names:
    if affine:
        yield from layer(name, size, bias=size)
    for statistic in ("running_mean", "running_var"):
        yield f"{name}.{statistic}", (size,)
    yield f"{name}.num_batches_tracked", ()


def old_spectral(names: Names) -> Names:
    """torch.nn.utils.spectral_norm of every layer."""
    for name, shape in names:
        if not name.endswith(".weight"):
            yield name, shape
            continue
        head = name.removesuffix("weight")
        yield f"{head}weight_orig", shape
        yield f"{head}weight_u", (shape[0],)
        yield f"{head}weight_v", (math.prod(shape[1:]),)


def own_spectral(names: Names) -> Names:
    """BigGAN's own."""
    for name, shape in names:
        yield name, shape
        if name.endswith(".weight"):
            yield name.removesuffix("weight") + "u0", (1, shape[0])
            yield name.removesuffix("weight") + "sv0", (1,)


def attention(name: str, size: int) -> Names:
    for part, size_in, size_out in (
        ("theta", size, size // 8),
        ("phi", size, size // 8),
        ("g", size, size // 2),
        ("o", size // 2, size),
    ):
        yield from conv(f"{name}.{part}", size_in, size_out, 1, bias=False)
    yield f"{name}.gamma", ()


# -- mimicry -------------------------------------------------------------------------------------


def sagan_generator() -> Names:
    sizes = [F, F, F // 2, F // 4, F // 8, F // 16]
    yield from old_spectral(layer("l1", 16 * F, 128, bias=16 * F))
    for number, (a, b) in enumerate(zip(sizes, sizes[1:], strict=False), 2):
        for part, size_in, kernel in (("c1", a, 3), ("c2", b, 3), ("c_sc", a, 1)):
            yield from old_spectral(conv(f"block{number}.{part}", size_in, b, kernel))
        for part, size in (("b1", a), ("b2", b)):
            yield from norm(f"block{number}.{part}.bn", size, affine=False)
            yield f"block{number}.{part}.embed.weight", (CLASSES, 2 * size)
    yield from norm("b7", sizes[-1])
    yield from old_spectral(conv("c7", sizes[-1], 3))
    yield from old_spectral(attention("attn_block", sizes[3]))


def sagan_discriminator() -> Names:
    wide = 2 * F
    sizes = [3, wide // 16, wide // 8, wide // 4, wide // 2, wide, wide]

    def blocks() -> Names:
        for number, (a, b) in enumerate(zip(sizes, sizes[1:], strict=False), 1):
            yield from conv(f"block{number}.c1", a, b if number == 1 else a)
            yield from conv(f"block{number}.c2", b if number == 1 else a, b)
            if a != b:
                yield from conv(f"block{number}.c_sc", a, b, 1)
        yield from layer("l7", 1, wide, bias=1)
        yield from layer("l_y", CLASSES, wide)
        yield from attention("attn_block", wide // 8)

    yield from old_spectral(blocks())


# -- BigGAN-PyTorch ------------------------------------------------------------------------------


def conditional(name: str, size: int, condition: int) -> Names:
    for part in ("gain", "bias"):
        yield from own_spectral(layer(f"{name}.{part}", size, condition))
    for statistic in ("stored_mean", "stored_var"):
        yield f"{name}.{statistic}", (size,)


def big_ends(linear: int, narrow: int) -> Names:
    yield "shared.weight", (CLASSES, 5)
    yield from own_spectral(layer("linear", 16 * 16 * narrow, linear, bias=16 * 16 * narrow))
    for part in ("gain", "bias", "stored_mean", "stored_var"):
        yield f"output_layer.0.{part}", (narrow,)
    yield from own_spectral(conv("output_layer.2", narrow, 3))


def biggan_generator() -> Names:
    ch, chunk = 4, 4
    yield from big_ends(chunk, ch)
    for i, (a, b) in enumerate([(16, 16), (16, 8), (8, 4), (4, 2), (2, 1)]):
        here = f"blocks.{i}.0"
        for part, size_in, kernel in (("conv1", a, 3), ("conv2", b, 3), ("conv_sc", a, 1)):
            yield from own_spectral(conv(f"{here}.{part}", size_in * ch, b * ch, kernel))
        yield from conditional(f"{here}.bn1", a * ch, 5 + chunk)
        yield from conditional(f"{here}.bn2", b * ch, 5 + chunk)
    yield from own_spectral(attention("blocks.3.1", 2 * ch))


def big_head(wide: int) -> Names:
    yield from own_spectral(layer("linear", 1, wide, bias=1))
    yield from own_spectral(layer("embed", CLASSES, wide))


def biggan_discriminator() -> Names:
    ch = 8
    sizes = [3, ch, 2 * ch, 4 * ch, 8 * ch, 16 * ch, 16 * ch]
    for i, (a, b) in enumerate(zip(sizes, sizes[1:], strict=False)):
        parts = [("conv1", a, 3), ("conv2", b, 3)] + ([("conv_sc", a, 1)] if a != b else [])
        for part, size_in, kernel in parts:
            yield from own_spectral(conv(f"blocks.{i}.0.{part}", size_in, b, kernel))
    yield from own_spectral(attention("blocks.0.1", ch))
    yield from big_head(16 * ch)


def deep_generator() -> Names:
    ch, condition = 8, 5 + 6
    yield from big_ends(condition, ch)
    for i, (a, b) in enumerate([(16, 16), (16, 8), (8, 4), (4, 2), (2, 1)]):
        for g, out in enumerate((a, b)):
            here, inner = f"blocks.{2 * i + g}.0", a * ch // 4
            yield from own_spectral(conv(f"{here}.conv1", a * ch, inner, 1))
            yield from own_spectral(conv(f"{here}.conv2", inner, inner))
            yield from own_spectral(conv(f"{here}.conv3", inner, inner))
            yield from own_spectral(conv(f"{here}.conv4", inner, out * ch, 1))
            yield from conditional(f"{here}.bn1", a * ch, condition)
            for part in ("bn2", "bn3", "bn4"):
                yield from conditional(f"{here}.{part}", inner, condition)
    yield from own_spectral(attention("blocks.7.1", 2 * ch))


def deep_discriminator() -> Names:
    ch = 4
    yield from own_spectral(conv("input_conv", 3, ch))
    for i, (a, b) in enumerate([(1, 2), (2, 4), (4, 8), (8, 16), (16, 16)]):
        for d, size_in in enumerate((a, b)):
            here, inner = f"blocks.{i}.{d}", b * ch // 4
            yield from own_spectral(conv(f"{here}.conv1", size_in * ch, inner, 1))
            yield from own_spectral(conv(f"{here}.conv2", inner, inner))
            yield from own_spectral(conv(f"{here}.conv3", inner, inner))
            yield from own_spectral(conv(f"{here}.conv4", inner, b * ch, 1))
            if size_in != b:
                yield from own_spectral(
                    conv(f"{here}.conv_sc", size_in * ch, (b - size_in) * ch, 1)
                )
    yield from own_spectral(attention("blocks.0.2", 2 * ch))
    yield from big_head(16 * ch)


# -- others --------------------------------------------------------------------------------------


def wgan_generator() -> Names:
    dim = 4
    yield from layer("preprocess.0", 64 * dim, 128, bias=64 * dim)
    yield from norm("preprocess.1", 64 * dim)
    for name, a, b in (("block1.0", 4, 2), ("block2.0", 2, 1)):
        yield from layer(name, a * dim, b * dim, 2, 2, bias=b * dim)
        yield from norm(name.replace(".0", ".1"), b * dim)
    yield from layer("deconv_out", dim, 3, 2, 2, bias=3)


def wgan_critic() -> Names:
    dim = 4
    for index, a, b in ((0, 3, dim), (2, dim, 2 * dim), (4, 2 * dim, 4 * dim)):
        yield from conv(f"main.{index}", a, b)
    yield from layer("linear", 1, 64 * dim, bias=1)


def cyclegan_generator() -> Names:
    ngf = 4
    yield from conv("model.1", 3, ngf, 7)
    yield from conv("model.4", ngf, 2 * ngf)
    yield from conv("model.7", 2 * ngf, 4 * ngf)
    for block in range(10, 19):
        yield from conv(f"model.{block}.conv_block.1", 4 * ngf, 4 * ngf)
        yield from conv(f"model.{block}.conv_block.5", 4 * ngf, 4 * ngf)
    yield from layer("model.19", 4 * ngf, 2 * ngf, 3, 3, bias=2 * ngf)
    yield from layer("model.22", 2 * ngf, ngf, 3, 3, bias=ngf)
    yield from conv("model.26", ngf, 3, 7)


def patchgan() -> Names:
    ndf = 4
    for index, a, b in ((0, 3, ndf), (2, ndf, 2 * ndf), (5, 2 * ndf, 4 * ndf), (8, 4 * ndf, 32)):
        yield from conv(f"model.{index}", a, b, 4)
    yield from conv("model.11", 32, 1, 4)


def pgan_generator(module: str = ".module") -> Names:
    depths = [6, 6, 6, 6, 3]
    yield from layer(f"formatLayer{module}", 16 * 6, 9, bias=16 * 6)
    yield from conv(f"groupScale0.0{module}", 6, 6)
    for i, (a, b) in enumerate(zip(depths, depths[1:], strict=False)):
        yield from conv(f"scaleLayers.{i}.0{module}", a, b)
        yield from conv(f"scaleLayers.{i}.1{module}", b, b)
    for i, depth in enumerate(depths):
        yield from conv(f"toRGBLayers.{i}{module}", depth, 3, 1)


def pgan_discriminator(module: str = ".module") -> Names:
    depths = [6, 6, 6, 6, 3]
    yield from layer(f"decisionLayer{module}", 1, 6, bias=1)
    yield from conv(f"groupScaleZero.0{module}", 7, 6)
    yield from layer(f"groupScaleZero.1{module}", 6, 16 * 6, bias=6)
    for i, (a, b) in enumerate(zip(depths, depths[1:], strict=False)):
        yield from conv(f"scaleLayers.{i}.0{module}", b, b)
        yield from conv(f"scaleLayers.{i}.1{module}", b, a)
    for i, depth in enumerate(depths):
        yield from conv(f"fromRGBLayers.{i}{module}", 3, depth, 1)


def synthesised(names: Names) -> dict[str, Tensor]:
    """A state dict of these names and shapes, with numbers such as weights have."""
    random = torch.Generator().manual_seed(0)
    state = {}
    for name, shape in names:
        value = torch.randn(shape, generator=random)
        if name.endswith("num_batches_tracked"):
            value = torch.tensor(5)
        elif name.endswith("_var"):
            value = value.abs() + 0.5
        elif len(shape) > 1:
            value = value / math.sqrt(math.prod(shape[1:]))
        state[name] = value
    return state
