"""A small score with weights of a seed."""

from __future__ import annotations

import torch
from torch import nn

# -- fitting ------------------------------------------------------------------------------------

QUICK = {"n": 8000, "schedule": [(300, 5e-3), (150, 5e-4)], "batch": 500, "progress": False}


def small(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        hidden = [nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh()]
        return nn.Sequential(*hidden, nn.Linear(32, 1))
