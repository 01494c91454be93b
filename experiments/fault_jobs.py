"""The commands that are killed, and the files that they begin with."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

TINY = (
    "train.iterations=60", "train.batch_size=64", "train.checkpoint_every=10", "shape.updates=20",
    "shape.check_every=10", "shape.check_samples=64", "shape.batch=32", "shape.width=64",
    "shape.refine.steps=2", "fit_ratio.n=400", "fit_ratio.schedule=[[10, 1e-3]]",
)  # fmt: skip
THEIRS = "theirs"
"""The folder of files that commands are given."""
FOREIGN = (
    "mine.txt", "samples/mine.npz", "ratios/mine.safetensors", "evidence/mine.json",
    f"{THEIRS}/pictures/mine.txt",
)  # fmt: skip
"""Files that no command may touch, where commands write theirs."""


HERE = "experiments.fault_jobs"


class Labelled(torch.nn.Module):
    """A generator of pictures (N, 3, 8, 8) that takes a label of three."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.labels = torch.nn.Linear(8, 192), torch.nn.Embedding(3, 8)

    def forward(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Pictures of latents (N, 8) and labels (N,)."""
        return self.body(z + self.labels(y)).tanh().view(-1, 3, 8, 8)


class Eyes(torch.nn.Module):
    """A backbone: what pictures (N, 3, 8, 8) look like, in 6 features."""

    def __init__(self) -> None:
        super().__init__()
        self.body = torch.nn.Conv2d(3, 6, 3)
        torch.nn.init.constant_(self.body.weight, 0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features (N, 6)."""
        return self.body(x).mean((2, 3))


class Job(NamedTuple):
    """A command, what it starts from, and what is said in addition when it is done again."""

    start: str
    words: tuple[str, ...]
    again: tuple[str, ...] = ()
    harm: str = ""
    """Files that are damaged before: their names, as a pattern."""


JOBS = {
    "train": Job("", ("train", "imbalanced-8", "-o", "RUN", *TINY)),
    "shape": Job("train", ("shape", "RUN")),
    "fit-ratio": Job("shape", ("fit-ratio", "RUN")),
    "calibrate": Job(
        "fit-ratio", ("calibrate", "RUN", "--sampler", "direct", "--method", "isotonic")
    ),
    "diagnose": Job("fit-ratio", ("diagnose", "RUN", "--sampler", "direct")),
    "compare": Job(
        "fit-ratio", ("compare", "RUN", "-n", "64", "--samplers", "direct,refine,collaborative")
    ),
    "sample": Job(
        "fit-ratio",
        ("sample", "RUN", "--sampler", "refine", "-n", "45000", "-o", "RUN/drawn/mine"),
        ("--resume",),
    ),
    "report": Job("compare", ("report", "RUN")),
    "demo": Job("", ("demo", "-o", "RUN", "-n", "64", *TINY)),
    "score": Job("fit-ratio", ("score", "RUN", "RUN/theirs/points.npy", "-o", "RUN/scores.csv")),
    "select": Job(
        "fit-ratio",
        ("select", "RUN", "RUN/theirs/points.npy", "-o", "RUN/chosen", "expected=2"),
    ),
    "layers": Job("train", ("layers", "RUN", "--json", "RUN/layers.json")),
    "init": Job("", ("init", "RUN/recipe.yaml"), ("--overwrite",)),
    "import": Job(
        "",
        (
            "import",
            "RUN",
            "--generator",
            "torch.nn:Conv2d",
            "generator.in_channels=3",
            "generator.out_channels=3",
            "generator.kernel_size=1",
            "--weights-g",
            "RUN/theirs/weights.pth",
            "--latent",
            "images:RUN/theirs/pictures",
        ),
    ),
    "sample --inputs": Job(
        "import",
        (
            "sample",
            "RUN",
            "--sampler",
            "direct",
            "--inputs",
            "RUN/theirs/pictures",
            "--format",
            "png",
            "-o",
            "RUN/drawn/mine",
        ),
        ("--resume",),
    ),
    "import labelled": Job(
        "",
        (
            "import",
            "RUN",
            "--generator",
            f"{HERE}:Labelled",
            "--weights-g",
            "RUN/theirs/labelled.pth",
            "--latent",
            "normal:8",
            "--condition",
            "labels",
            "--data",
            "RUN/theirs/classes",
        ),
    ),
    "fit-ratio backbone": Job(
        "import labelled",
        (
            "fit-ratio",
            "RUN",
            "--trust",
            "--samplers",
            "direct",
            f"fit_ratio.backbone={HERE}:Eyes",
            "fit_ratio.n=400",
            "fit_ratio.schedule=[[10, 1e-3]]",
        ),
    ),
    "sample --condition": Job(
        "import labelled",
        (
            "sample",
            "RUN",
            "--trust",
            "--sampler",
            "direct",
            "--condition",
            "1",
            "-n",
            "30000",
            "-o",
            "RUN/drawn/mine",
        ),
        ("--resume",),
    ),
    "verify --repair": Job(
        "sample --condition",
        ("verify", "RUN/drawn/mine", "--repair", "RUN", "--trust", "--condition", "1"),
        harm="drawn/mine/*.npz",
    ),
    "recommend": Job(
        "fit-ratio",
        ("recommend", "RUN", "--samplers", "direct,refine,collaborative", "-n", "600"),
    ),
}


def empty(folder: Path) -> Path:
    """The folder that commands begin with: files of others, some of which they are given."""
    for name in FOREIGN:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{name}, not of GANtandem")
    torch.manual_seed(0)
    torch.save(torch.nn.Conv2d(3, 3, 1).state_dict(), folder / THEIRS / "weights.pth")
    noise = np.random.default_rng(0)
    np.save(folder / THEIRS / "points.npy", noise.normal(size=(256, 2)).astype(np.float32))
    for number in range(40):
        pixels = noise.integers(0, 255, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / THEIRS / f"pictures/{number:02d}.png")
    torch.save(Labelled().state_dict(), folder / THEIRS / "labelled.pth")
    for number in range(300):
        kind = folder / THEIRS / f"classes/{number % 3}"
        kind.mkdir(parents=True, exist_ok=True)
        pixels = noise.integers(0, 255, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(kind / f"{number:03d}.png")
    return folder
