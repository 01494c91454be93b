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


class Job(NamedTuple):
    """A command, what it starts from, and what is said in addition when it is done again."""

    start: str
    words: tuple[str, ...]
    again: tuple[str, ...] = ()


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
    return folder
