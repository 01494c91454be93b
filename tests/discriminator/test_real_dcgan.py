"""BatchNorm in a real DCGAN: its D in eval mode, and statistics that were never filled."""

from __future__ import annotations

import copy
import io
import logging

import numpy as np
import pytest
import torch
from torch import nn

import gantandem as gt
from gantandem.data.real import Real
from gantandem.discriminator.checks import auc, check_discriminator
from gantandem.networks.statistics import in_batches, unfilled
from local_data import data_folder

pytestmark = pytest.mark.data
IMAGES = 256


class Generator(nn.Module):
    """PyTorch's DCGAN example at 32x32."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for size_in, size_out in ((100, 256), (256, 128), (128, 64)):
            stride, padding = (1, 0) if size_in == 100 else (2, 1)
            convolution = nn.ConvTranspose2d(size_in, size_out, 4, stride, padding, bias=False)
            layers += [convolution, nn.BatchNorm2d(size_out), nn.ReLU()]
        last = nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False)
        self.main = nn.Sequential(*layers, last, nn.Tanh())

    def forward(self, z):
        return self.main(z.view(len(z), -1, 1, 1))


class Discriminator(nn.Module):
    """The same, with the sigmoid that the example has at its end."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, 64, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
        for size_in, size_out in ((64, 128), (128, 256)):
            convolution = nn.Conv2d(size_in, size_out, 4, 2, 1, bias=False)
            layers += [convolution, nn.BatchNorm2d(size_out), nn.LeakyReLU(0.2)]
        last = nn.Conv2d(256, 1, 4, 1, 0, bias=False)
        self.main = nn.Sequential(*layers, last, nn.Sigmoid())

    def forward(self, x):
        return self.main(x).view(-1, 1).squeeze(1)


@pytest.fixture(scope="module")
def networks() -> tuple[Generator, Discriminator]:
    folder = data_folder("gans") / "cifar10-dcgan"
    pair = Generator(), Discriminator()
    for network, name in zip(pair, ("netG-12000.pth", "netD-12000.pth"), strict=True):
        weights = torch.load(folder / name, weights_only=True)
        network.load_state_dict(
            {k: v.float() if v.is_floating_point() else v for k, v in weights.items()}
        )
        network.eval()
    return pair


@pytest.fixture(scope="module")
def real() -> torch.Tensor:
    parquet, image = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("PIL.Image")
    file = parquet.ParquetFile(data_folder("cifar10-jpeg") / "train.parquet")
    rows = next(file.iter_batches(batch_size=2 * IMAGES, columns=["image"])).to_pylist()
    x = np.stack([np.asarray(image.open(io.BytesIO(row["image"]["bytes"]))) for row in rows])
    return torch.tensor(x).permute(0, 3, 1, 2).float() / 127.5 - 1


@pytest.fixture(scope="module")
def latents() -> torch.Tensor:
    return torch.randn(2 * IMAGES, 100, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def separation(network: nn.Module, real: torch.Tensor, made: torch.Tensor) -> float:
    return auc(*(torch.cat([network(x) for x in rows.split(128)]) for rows in (real, made)))


@torch.no_grad()
@pytest.mark.slow
def test_eval_mode_tells_less_than_each_batch_and_that_is_said(networks, real, latents, caplog):
    generator, discriminator = networks
    made = generator(latents)
    kept = separation(discriminator, real[:IMAGES], made[:IMAGES])
    alone = separation(in_batches(discriminator), real[:IMAGES], made[:IMAGES])
    assert 0.75 < kept < 0.87 and alone > 0.99
    gan = gt.GAN(generator, discriminator, 100, output="prob")
    with caplog.at_level(logging.WARNING):
        check_discriminator(gan, Real(real, *[real[:40]] * 3))
    (said,) = caplog.messages
    assert "in eval mode" in said and "BatchNorm2d" in said and "gt.fit_ratio" in said
    # What batches told of their samples is not in the weights: new statistics do not bring it back.
    assert "(gt.refresh_statistics gives AUC" in said
    mixed = [torch.cat(pair) for pair in zip(real.split(32), made.split(32), strict=True)]
    anew = gt.refresh_statistics(discriminator, mixed[IMAGES // 32 :])
    assert abs(separation(anew, real[:IMAGES], made[:IMAGES]) - kept) < 0.05


@torch.no_grad()
@pytest.mark.slow
def test_statistics_that_were_never_filled_are_healed(networks, real, latents):
    generator, discriminator = networks
    truth = generator(latents)
    kept = separation(discriminator, real[:IMAGES], truth[:IMAGES])
    bare = copy.deepcopy(networks)
    for network in bare:
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.reset_running_stats()
    assert [name for name, _ in unfilled(bare[0])] == ["main.1", "main.4", "main.7"]
    again = torch.randn(IMAGES, 100, generator=torch.Generator().manual_seed(1))
    filled = gt.refresh_statistics(bare[0], again.split(64))
    off = [(g(latents) - truth).square().mean().sqrt() / truth.std() for g in (bare[0], filled)]
    assert off[0] > 0.9 and off[1] < 0.2
    assert separation(bare[1], real[:IMAGES], truth[:IMAGES]) < kept - 0.3
    mixed = [torch.cat(pair) for pair in zip(real.split(32), truth.split(32), strict=True)]
    anew = gt.refresh_statistics(bare[1], mixed[IMAGES // 32 :])
    assert abs(separation(anew, real[:IMAGES], truth[:IMAGES]) - kept) < 0.05


@torch.no_grad()
def test_the_examples_sigmoid_is_left_out(networks, latents, caplog):
    generator, discriminator = networks
    gt.GAN(generator, discriminator, 100)
    assert "ends in a sigmoid" in caplog.text
    gan = gt.GAN(generator, discriminator, 100, output="prob")
    x = gan.decode(latents[:64])
    assert gan.guide is not None
    with gan.networks.frozen():
        torch.testing.assert_close(gan.guide(x), discriminator.main[:-1](x).flatten())
