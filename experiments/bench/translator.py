"""An image translator at 256 x 256 by the command line: seconds and peak memory of each command."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from gantandem.nets import build

SIDE, INPUTS, TARGETS = 256, 8, 72
FEW, MANY = 1, 21
"""Steps of two runs, whose difference is that of the steps alone."""


def translator(runs: int = 1, side: int = SIDE, targets: int = TARGETS) -> dict[str, Any]:
    """Import a CycleGAN and a PatchGAN of random weights, and refine the images of a folder.

    Args:
        runs: Not used: one run takes many minutes.
        side: Of the images, in pixels.
        targets: Images of the other domain.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        _textures(folder / "horses", INPUTS, side, 3)
        _textures(folder / "zebras", targets, side, 25)
        nets = {
            "latest_net_G.pth": "cyclegan-generator",
            "latest_net_D.pth": "patchgan-discriminator",
        }
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            for file, name in nets.items():
                torch.save(build({"net": name}).state_dict(), folder / file)
        given = "--weights-g latest_net_G.pth --weights-d latest_net_D.pth --output critic"
        commands = {"import": f"import run {given} --latent images:horses --data zebras"}
        for steps in (FEW, MANY):
            options = f"--format png --out out-{steps} steps={steps} stop=last"
            commands[f"sample, {steps} steps"] = f"sample run {options}"
        found = {name: _measured(folder, words) for name, words in commands.items()}
        made = sorted(path.name for path in (folder / f"out-{MANY}").glob("*.png"))
        if made != sorted(path.name for path in (folder / "horses").glob("*.png")):
            raise RuntimeError(f"names were not kept: {made}")
    few, many = (found[f"sample, {steps} steps"]["seconds"] for steps in (FEW, MANY))
    return {
        "side": side,
        "inputs": INPUTS,
        "targets": targets,
        "threads": torch.get_num_threads(),
        "commands": found,
        "seconds_a_step": round((many - few) / (MANY - FEW) / INPUTS, 2),
    }


def _textures(folder: Path, count: int, side: int, waves: float) -> None:
    folder.mkdir()
    noise = np.random.default_rng(int(waves))
    y, x = np.mgrid[:side, :side] / side
    for index in range(count):
        angle, phase = noise.uniform(0, np.pi), noise.uniform(0, 6, 3)
        along = 2 * np.pi * waves * (x * np.cos(angle) + y * np.sin(angle))
        pixels = 127 + 100 * np.sin(along[..., None] + phase) + noise.normal(0, 9, (side, side, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{index:04}.png")


def _measured(folder: Path, words: str) -> dict[str, Any]:
    """Run a command in a process of its own."""
    begin = time.perf_counter()
    command = [sys.executable, "-m", "gantandem", *words.split()]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{words}: {(folder / 'log').read_text()[-2000:]}")
    return {
        "command": f"gantandem {words}",
        "seconds": round(time.perf_counter() - begin, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_bytes": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
    }
