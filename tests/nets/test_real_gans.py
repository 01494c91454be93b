"""GANs as their users have them: their files load, make pictures, and tell real from made."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from torch import nn

from gantandem.discriminator.checks import auc
from gantandem.errors import WeightsError
from gantandem.nets import build
from gantandem.nets.foreign import find_architecture, load_foreign
from local_data import data_folder

pytestmark = pytest.mark.data

# Folder, step, arguments where they are not the defaults, least AUC of D, labels.
CASES = {
    "dcgan": ("cifar10-dcgan", 12000, {}, 0.75, False),
    "sngan": ("cifar10-sngan", 1677, {}, 0.75, False),
    "sngan-conditional": ("cifar10-sngan-conditional", 1690, {"filters": 192}, 0.75, True),
}


@pytest.fixture(scope="module")
def real() -> tuple[torch.Tensor, torch.Tensor]:
    parquet, image = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("PIL.Image")
    file = parquet.ParquetFile(data_folder("cifar10-jpeg") / "test.parquet")
    rows = next(file.iter_batches(batch_size=100)).to_pylist()
    x = np.stack([np.asarray(image.open(io.BytesIO(row["image"]["bytes"]))) for row in rows])
    labels = torch.tensor([row["label"] for row in rows])
    return torch.tensor(x).permute(0, 3, 1, 2).float() / 127.5 - 1, labels


def pair(case: str) -> tuple[nn.Module, nn.Module]:
    folder, step, arguments, _, _ = CASES[case]
    made = []
    for role, letter in (("generator", "G"), ("discriminator", "D")):
        path = data_folder("gans") / folder / f"net{letter}-{step}.pth"
        spec = find_architecture(path, role)
        wanted = arguments if role == "generator" else {}
        assert spec == {"net": f"{case}-{role}-32", **wanted}
        network = build(spec)
        assert "half precision, read as float32" in load_foreign(network, path, role)
        made.append(network.eval())
    return made[0], made[1]


@torch.no_grad()
@pytest.mark.parametrize("case", CASES)
@pytest.mark.slow
def test_published_files_load_by_their_shapes_alone_and_work(case, real) -> None:
    generator, discriminator = pair(case)
    *_, least, conditional = CASES[case]
    x, labels = real
    z = torch.randn(100, 100 if case == "dcgan" else 128, generator=torch.manual_seed(0))
    given = (labels,) if conditional else ()
    made = generator(z, *given)
    # Colours of photographs, not of noise: neighbours are alike, as in the real ones.
    alike = [(t[..., 1:] - t[..., :-1]).abs().mean() / t.std() for t in (made, x)]
    assert 0.75 < alike[0] / alike[1] < 1.33
    assert abs(made.mean() - x.mean()) < 0.3 and 0.5 < made.std() / x.std() < 1.5
    scores = [discriminator(t, *given) for t in (x, made)]
    assert scores[0].shape == (100,)
    assert auc(*scores) > least


@torch.no_grad()
@pytest.mark.slow
def test_the_label_decides_what_is_made_and_how_it_is_scored(real) -> None:
    generator, discriminator = pair("sngan-conditional")
    x, labels = real
    z = torch.randn(1, 128).expand(10, -1)
    made = generator(z, torch.arange(10))
    assert (made[1:] - made[:1]).flatten(1).abs().mean(1).min() > 0.05
    right, wrong = discriminator(x, labels), discriminator(x, (labels + 5) % 10)
    assert (right > wrong).float().mean() > 0.6


def test_a_file_of_the_other_network_is_refused_with_the_one_that_fits() -> None:
    path = data_folder("gans") / "cifar10-dcgan" / "netG-12000.pth"
    with pytest.raises(WeightsError, match="fits the built-in generator 'dcgan-generator-32'"):
        load_foreign(build({"net": "sngan-generator-32", "filters": 4}), path, "generator")
    with pytest.raises(WeightsError, match="fits no built-in discriminator"):
        find_architecture(path, "discriminator")
