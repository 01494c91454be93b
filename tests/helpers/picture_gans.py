"""GANs of small pictures, and a backbone that looks at them."""

from __future__ import annotations

import torch
from torch import nn

import gantandem as gt
from judged import Eyes, Picture


class Three(nn.Module):
    """Remembers what it was shown."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 4)
        self.shown = []

    def forward(self, x):
        self.shown.append(x.detach())
        return self.fc(x.mean((2, 3)))


def eyes():
    torch.manual_seed(3)
    own = Eyes()
    own.see[1].running_mean.normal_()
    own.see[1].num_batches_tracked.fill_(9)
    return own


def pictures(n, seed, shift=0.0):
    z = torch.randn(n, 2, generator=torch.Generator().manual_seed(seed)) + shift
    torch.manual_seed(0)
    with torch.no_grad():
        return Picture()(z)


def picture_gan(**options):
    torch.manual_seed(0)
    return gt.GAN(Picture(), None, 2, **options)


QUICK = {"n": 300, "batch": 50, "schedule": [(20, 1e-2)], "progress": False}
