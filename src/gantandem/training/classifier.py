"""Training of the shipped digit classifiers: ``python -m gantandem.training.classifier``."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import torch
from torch import Tensor, nn

from gantandem.data.images import Images, load_split, locate, to_range
from gantandem.nets.classifier import DigitNetwork, MNISTClassifier
from gantandem.nets.features import DigitBackbone
from gantandem.nets.weights import write_tensors

logger = logging.getLogger(__name__)

BATCH = 128
RATE = 3e-3


NETWORKS: dict[str, type[DigitNetwork]] = {
    "classifier": MNISTClassifier,
    "backbone": DigitBackbone,
}


def train_classifier(
    data: Images, *, network: str = "classifier", epochs: int = 6, seed: int = 0
) -> nn.Module:
    """Train a digit classifier and return it in eval mode; deterministic by seed.

    Args:
        data: Images to fit on, with labels 0..9.
        network: ``"classifier"`` measures images, ``"backbone"`` is what ratios look through.
        epochs: Times every image is seen. Default 6.
        seed: Of initialisation, order and dropout.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = NETWORKS[network]().train()
        optimiser = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
        steps = len(data.labels) // BATCH
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, epochs * steps)
        for epoch in range(epochs):
            for rows in torch.randperm(len(data.labels))[: steps * BATCH].split(BATCH):
                # Digits have a margin of 4 pixels, so that rolling by 2 only moves them.
                moved = data.pixels[rows].roll(torch.randint(-2, 3, (2,)).tolist(), (2, 3))
                loss = nn.functional.cross_entropy(model(to_range(moved)), data.labels[rows])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
            logger.info("epoch %d of %d", epoch + 1, epochs)
    return model.eval()


@torch.no_grad()
def accuracy(network: nn.Module, data: Images) -> float:
    """Return the share of images whose largest logit is that of their label."""
    parts = [network(to_range(part)).argmax(1) for part in data.pixels.split(100)]
    return (torch.cat(parts) == data.labels).double().mean().item()


def save_half(network: nn.Module, path: str | Path, command: str, score: float) -> None:
    """Save weights in half precision, with the command that made them and the test accuracy."""
    tensors: dict[str, Tensor] = {
        name: value.half() if value.is_floating_point() else value
        for name, value in network.state_dict().items()
    }
    write_tensors(path, tensors, {"command": command, "test_accuracy": f"{score:.4f}"})


def main() -> None:
    """Train on the fit part of MNIST, score on its test set and write the weights."""
    parser = argparse.ArgumentParser(prog="python -m gantandem.training.classifier")
    parser.add_argument("--data", help="folder or hub name of MNIST; default: its usual places")
    parser.add_argument("--network", choices=list(NETWORKS), default="classifier")
    parser.add_argument("--out", type=Path, help="default: mnist-NETWORK.safetensors")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parts = load_split(locate("mnist", "ylecun/mnist", given.data), (50_000, 5_000, 5_000))
    out = given.out or Path(f"mnist-{given.network}.safetensors")
    settings = {"network": given.network, "epochs": given.epochs, "seed": given.seed}
    network = train_classifier(parts.fit, **settings)
    given_as = " ".join(f"--{name} {value}" for name, value in settings.items())
    score = accuracy(network, parts.test)
    save_half(network, out, f"python -m gantandem.training.classifier {given_as}", score)
    logger.info("%s: test accuracy %.4f", out, score)


if __name__ == "__main__":
    main()
