"""Networks are probed in full float32, and the user's settings come back."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import gantandem as gt
from gantandem import GAN
from gantandem.networks.cut import cut_at

cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
NEW = hasattr(matmul, "fp32_precision")


def look():
    """What decides how a GPU rounds."""
    fixed = [cudnn.deterministic, cudnn.benchmark]
    if NEW:
        return [*fixed, matmul.fp32_precision, cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision]
    return [*fixed, matmul.allow_tf32, cudnn.allow_tf32]


INSIDE = [True, False, *(["ieee"] * 3 if NEW else [False] * 2)]


@pytest.fixture(params=["as it comes", "legacy", "new"])
def users_settings(request):
    before = look()
    cudnn.benchmark = True
    if request.param == "legacy":
        matmul.allow_tf32 = True
    elif request.param == "new":
        if not NEW:
            pytest.skip("torch before 2.9")
        matmul.fp32_precision = cudnn.conv.fp32_precision = "tf32"
    yield look()
    cudnn.deterministic, cudnn.benchmark = before[:2]
    if NEW:
        matmul.fp32_precision, cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision = before[2:]
    else:
        matmul.allow_tf32, cudnn.allow_tf32 = before[2:]


def test_settings_hold_in_the_block_and_come_back(users_settings):
    with pytest.raises(KeyError):
        with gt.deterministic():
            assert look() == INSIDE
            raise KeyError
    assert look() == users_settings != INSIDE


class Watched(nn.Linear):
    """Notes the settings that its forwards ran under."""

    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.seen = Seen()

    def forward(self, x):
        self.seen.settings.append(look())
        return super().forward(x)


class Seen:
    def __init__(self):
        self.settings = []


def test_networks_are_checked_and_cut_under_them(users_settings):
    generator = nn.Sequential(Watched(2, 3), nn.Tanh(), Watched(3, 2))
    gan = GAN(generator, nn.Linear(2, 1), 2)
    gan.cut("1")
    cut_at(generator, "latent", torch.randn(8, 2))
    ran = generator[2].seen.settings
    assert ran.count(INSIDE) > len(ran) // 2
    ran.clear()
    cut_at(generator, "1", torch.randn(8, 2))
    assert ran and all(settings == INSIDE for settings in ran)
    ran.clear()
    gan.decode(torch.randn(8, 2))
    assert ran == [users_settings]
