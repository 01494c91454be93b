"""How near images are to real ones, through a classifier's eyes: torchmetrics on our own network.

The values compare only with values on the same classifier: they are not Inception scores.
"""

from __future__ import annotations

import functools
import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

from gantandem.errors import InputError, need
from gantandem.evaluate.metrics.finite import need_finite
from gantandem.evaluate.metrics.manifold import manifold_metrics
from gantandem.nets.classifier import MNISTClassifier

HIT = 1e-3
"""A class is hit if at least this share of the images is taken for it."""
BATCH = 100
SPLITS = 10


class _Given(nn.Module):
    """Stands where torchmetrics wants a network, for features that are already there."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features


def image_metrics(x: Tensor, real_x: Tensor, seed: int = 0) -> dict[str, float | list[float]]:
    """Return all metrics of digits (N, 1, 28, 28) in [-1, 1], by name.

    ``classifier_score``: exp of the mean KL(p(class | image) || p(class)) over 10 splits, the
    Inception score on our classifier, at best 10. ``frechet_distance`` to ``real_x``: see there.
    ``modes``: classes with at least 0.1% of the images. ``class_shares``: share of images taken
    for each digit. ``confidence``: mean largest class probability.

    Args:
        x: Images to measure.
        real_x: Real images, of the test set.
        seed: Of the splits.

    Raises:
        InputError: If there are fewer than 2 images or their shape is wrong.
        NonFiniteError: If an image is not finite, or so large that its features are not.
        MissingExtraError: If the ``images`` extra is not installed.

    Source: Salimans et al., NeurIPS 2016 (score); Heusel et al., NeurIPS 2017 (distance).
    """
    features, logits = _look(x)
    probs = logits.softmax(dim=1)
    shares = torch.bincount(probs.argmax(dim=1), minlength=10).double() / len(x)
    return {
        "classifier_score": _classifier_score(logits, seed),
        "frechet_distance": frechet(features, _real_features(real_x)),
        "modes": int((shares >= HIT).sum()),
        "class_shares": shares.tolist(),
        "confidence": probs.amax(dim=1).mean().item(),
    }


def frechet_distance(x: Tensor, real_x: Tensor) -> float:
    """Return the Frechet distance of classifier features of (N, 1, 28, 28) and (M, 1, 28, 28).

    The squared 2-Wasserstein distance of two Gaussians with the mean and covariance of the 64
    features of each set, in float64. It is biased upwards for few images: compare equal sizes.

    Raises:
        InputError: If either has fewer than 2 images or their shape is wrong.
        NonFiniteError: If an image is not finite, or so large that its features are not.
        MissingExtraError: If the ``images`` extra is not installed.
    """
    return frechet(_look(x)[0], _real_features(real_x))


def image_manifold(x: Tensor, real_x: Tensor, seed: int = 0) -> dict[str, float]:
    """Return precision, recall, density and coverage on classifier features.

    Of (N, 1, 28, 28) against N of the (M, 1, 28, 28) real images, chosen by ``seed``, or all if
    there are fewer: see :func:`manifold_metrics`. The features are our
    classifier's, so the values compare only with values on the same classifier.

    Raises:
        InputError: If either has fewer than 6 images or their shape is wrong.
        NonFiniteError: If an image is not finite, or so large that its features are not.
    """
    features, real = _look(x)[0], _real_features(real_x)
    order = torch.randperm(len(real), generator=torch.Generator().manual_seed(seed))
    return manifold_metrics(features, real[order[: len(features)].to(real.device)])


def _classifier_score(logits: Tensor, seed: int) -> float:
    inception: Any = need("torchmetrics.image.inception", "images")
    splits = max(1, min(SPLITS, len(logits) // 2))
    with warnings.catch_warnings(), torch.random.fork_rng():
        warnings.simplefilter("ignore")  # on keeping all logits in memory: ten numbers an image
        torch.manual_seed(seed)
        metric = inception.InceptionScore(feature=_Given(10), splits=splits)
        metric.update(logits)
        return metric.compute()[0].item()


def frechet(features: Tensor, real_features: Tensor) -> float:
    """Return the squared 2-Wasserstein distance of the Gaussians of two sets of features.

    Args:
        features: (N, F).
        real_features: (M, F).

    Raises:
        MissingExtraError: If the ``images`` extra is not installed.
    """
    fid: Any = need("torchmetrics.image.fid", "images")
    metric = fid.FrechetInceptionDistance(feature=_Given(features.shape[1]), normalize=True)
    metric.update(real_features, real=True)
    metric.update(features, real=False)
    return metric.compute().item()


def intra_class_distance(
    features: Tensor, labels: Tensor, real_features: Tensor, real_labels: Tensor
) -> dict[str, float]:
    """Return ``intra_class_distance``, the mean over classes of the Frechet distance within one.

    Classes with fewer than 2 samples, or real ones, are left out; nothing is returned where none is
    left. It is biased upwards for few images, more so within a class: compare equal sizes.

    Args:
        features: (N, F).
        labels: (N,) classes.
        real_features: (M, F).
        real_labels: (M,) classes.

    Raises:
        MissingExtraError: If the ``images`` extra is not installed.

    Source: Miyato and Koyama, ICLR 2018, section 4 (intra FID).
    """
    found = []
    for label in real_labels.unique():
        one, real = features[labels == label], real_features[real_labels == label]
        if min(len(one), len(real)) > 1:
            found.append(frechet(one, real))
    return {"intra_class_distance": sum(found) / len(found)} if found else {}


@torch.no_grad()
def _look(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return features (N, 64) and logits (N, 10) of images, in float64."""
    if x.dim() != 4 or x.shape[1:] != (1, 28, 28) or len(x) < 2:
        raise InputError(f"images are of shape {tuple(x.shape)}; allowed is (N, 1, 28, 28), N > 1")
    network, x = _classifier(), need_finite(x, "images")
    features = torch.cat([network.features(part.float().cpu()) for part in x.split(BATCH)])
    need_finite(features, "images' features")
    return features.double(), network.head(features).double()


def _real_features(real_x: Tensor) -> Tensor:
    """Return features of real images, kept as long as that very tensor lives unchanged."""
    if real_x not in _seen or _seen[real_x][0] != real_x._version:
        _seen[real_x] = (real_x._version, _look(real_x)[0])
    return _seen[real_x][1]


_seen: WeakTensorKeyDictionary = WeakTensorKeyDictionary()


@functools.cache
def _classifier() -> MNISTClassifier:
    return MNISTClassifier.pretrained()
