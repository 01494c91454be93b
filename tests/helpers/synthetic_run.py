"""Run folders with made-up numbers and points, for tests of what reads them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

MODES = np.stack([(7.07 * np.cos(a), 7.07 * np.sin(a)) for a in np.arange(8) * np.pi / 4])
WEIGHTS = np.array([0.45, 0.45] + [0.1 / 6] * 6)


def mixture(n: int, noise: np.random.Generator, std: float = 0.141, weights=WEIGHTS):
    return (MODES[noise.choice(8, n, p=weights)] + std * noise.normal(size=(n, 2))).astype("f4")


def row(n: int, **metrics):
    return {
        "n": n,
        "passes_per_sample": 79.0,
        "seconds": 4.21,
        "samples_per_second": n / 4.21,
        "acceptance": 0.125,
        "metrics": metrics,
    }


def bins(count: int = 10, bend: float = 1.0):
    edges = np.linspace(0, 1, count + 1)
    return [
        {
            "low": float(low),
            "high": float(high),
            "count": int(1000 * (1 + abs(low - 0.5))),
            "confidence": float((low + high) / 2),
            "frequency": float(((low + high) / 2) ** bend),
        }
        for low, high in zip(edges, edges[1:], strict=False)
    ]


def diagnosis(z: float, **changes):
    return {
        "brier": 0.2411,
        "z": z,
        "ece": 0.0123,
        "mce": 0.0521,
        "auc": 0.561,
        "n_real": 10_000,
        "n_generated": 10_000,
        "bins": bins(),
        **changes,
    }


def planar_run(folder: Path, n: int = 2000) -> Path:
    noise = np.random.default_rng(0)
    (folder / "samples").mkdir(parents=True)
    (folder / "evidence").mkdir()
    poor = np.concatenate(
        [mixture(n // 2, noise, 0.6), noise.normal(3, 3, (n - n // 2, 2)).astype("f4")]
    )
    samples = {"direct": poor, "collaborative": mixture(n, noise)}
    for name, x in samples.items():
        np.savez(folder / "samples" / f"{name}.npz", x=x)
    np.savez(folder / "evidence/real.npz", x=mixture(n, noise))
    axis = np.linspace(-9, 9, 81)
    x, y = np.meshgrid(axis, axis)
    radius = np.hypot(x, y)
    nearest = np.sqrt((x[..., None] - MODES[:, 0]) ** 2 + (y[..., None] - MODES[:, 1]) ** 2).min(-1)
    np.savez(
        folder / "evidence/landscape.npz",
        axis_x=axis,
        axis_y=axis,
        before=radius - 6,
        after=2 - nearest,
    )
    shaping = [{"update": 100 * i, "distance": 1 / (i + 1) + 0.05} for i in range(20)]
    (folder / "evidence/shaping.json").write_text(json.dumps(shaping))
    laws = {"direct": diagnosis(-29.3, bins=bins(bend=2.5)), "refine": diagnosis(0.8)}
    (folder / "evidence/diagnosis.json").write_text(json.dumps(laws))
    floor = {"good": 0.9996, "kl": 0.0004, "js": 0.0001, "modes": 8.0, "within_mode_std": 1.0}
    metrics = {
        "schema": 1,
        "task": "imbalanced-8",
        "seed": 0,
        "floor": {**floor, "sliced_w1": 0.05},
        "discriminator": {"brier": 0.2411, "z": 0.8, "ece": 0.0123, "mce": 0.05, "auc": 0.56},
        "samplers": {
            "direct": row(
                n, good=0.2, kl=0.25, js=0.44, modes=8, within_mode_std=1.2, sliced_w1=0.9
            ),
            "collaborative": row(
                n, good=0.9995, kl=0.0005, js=0.0002, modes=8, within_mode_std=0.98, sliced_w1=0.07
            ),
        },
        "setup": {"shape": {"seconds": 38.2, "passes": 1.2e7}},
    }
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder


def image_run(folder: Path, n: int = 128) -> Path:
    noise = np.random.default_rng(0)
    (folder / "samples").mkdir(parents=True)
    (folder / "evidence").mkdir()
    y, x = np.mgrid[-1:1:28j, -1:1:28j]

    def rings(count: int, blur: float):
        radius = noise.uniform(0.3, 0.8, (count, 1, 1, 1))
        return np.tanh(2 - np.abs(np.hypot(x, y) - radius) / blur).astype("f4")

    before = rings(n, 0.25)
    after = np.clip(before * 1.4 - 0.2, -1, 1).astype("f4")
    np.savez(folder / "samples/direct.npz", x=before)
    np.savez(folder / "samples/refine.npz", x=after)
    np.savez(folder / "evidence/real.npz", x=rings(n, 0.1))
    np.savez(folder / "evidence/pairs.npz", before=before, after=after)
    shares = [0.1] * 10
    metrics = {
        "schema": 1,
        "task": "mnist",
        "seed": 1,
        "floor": {"frechet_distance": 0.8, "classifier_score": 9.8, "class_shares": shares},
        "discriminator": {},
        "samplers": {
            "direct": row(n, frechet_distance=125.6, classifier_score=6.7, class_shares=shares),
            "refine": row(n, frechet_distance=197.2, classifier_score=6.1, class_shares=shares),
        },
    }
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder


def changed(run: Path, folder: Path, change) -> Path:
    """A copy of a run whose metrics were changed."""
    shutil.copytree(run, folder)
    metrics = json.loads((folder / "metrics.json").read_text())
    change(metrics)
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder
