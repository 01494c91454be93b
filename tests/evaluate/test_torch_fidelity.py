"""SampledGenerator inside the real torch-fidelity, on features that need no download.

Skipped where torch-fidelity is not installed: it needs torchvision, which gantandem does not.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from test_drop_in_libraries import Near, Shift, image_gan
from torch.utils.data import Subset

from gantandem import (
    GAN,
    OBRS,
    Direct,
    Metropolis,
    Normal,
    Refine,
    Rejection,
    SampledGenerator,
)
from gantandem.testing import toy_gan
from targets import data_of, gaussian


def operators_for_torchvision():
    """Define what torchvision's Python part asks for, where its C extension does not load."""
    try:
        import torchvision  # noqa: F401
    except ModuleNotFoundError:
        return None
    except RuntimeError:  # operator torchvision::nms does not exist
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        return library  # the operators go when it goes
    return None


LIBRARY = operators_for_torchvision()
tf = pytest.importorskip(
    "torch_fidelity",
    reason="torch-fidelity is not installed: pip install --no-deps torch-fidelity torchvision",
)

N, BATCH, SEED = 500, 64, 2020  # the last batch is a smaller one


def to_bytes(x):
    """(N, d) samples as RGB images, gray, of one row."""
    grey = (128 + 32 * x).round().clamp(0, 255).to(torch.uint8)
    return grey[:, None, None].expand(-1, 3, -1, -1)


def powers(images):
    """Pixels and their squares, and a logit for each pixel: in place of a pretrained network."""
    assert images.dtype == torch.uint8 and images.shape[1] == 3
    x = (images.double().mean(1).flatten(1) - 128) / 32
    return {"powers": torch.cat([x, x.square()], 1), "logits": torch.cat([x, -x], 1)}


class Powers(tf.FeatureExtractorBase):
    def __init__(self, name, features_list, **_):
        super().__init__(name, features_list)

    @staticmethod
    def get_provided_features_list():
        return "powers", "logits"

    @staticmethod
    def get_default_feature_layer_for_metric(metric):
        return "logits" if metric == "isc" else "powers"

    def forward(self, images):
        return tuple(powers(images)[name] for name in self.features_list)


class Distance(tf.SampleSimilarityBase):
    def __init__(self, name, **_):
        super().__init__(name)

    def forward(self, a, b):
        return (a - b).square().sum(1)


class OwnPrior(tf.GenerativeModelBase):
    """A model with a prior that torch-fidelity does not have."""

    z_size, z_type, num_classes = 2, "prior of the GAN", 0

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, z):
        return self.module(z)


tf.register_feature_extractor("powers", Powers)
tf.register_sample_similarity("distance", Distance)


def model(sampler, gan=None, **options):
    options = {"transform": to_bytes, "strict": False, **options}
    return SampledGenerator(gan or toy_gan(), sampler, **options)


def wrapped(ours, z_size=2, **options):
    return tf.GenerativeModelModuleWrapper(ours, z_size, "normal", ours.num_classes, **options)


def call(generator, **options):
    return tf.calculate_metrics(
        input1=generator,
        input1_model_num_samples=N,
        batch_size=BATCH,
        rng_seed=SEED,
        cuda=False,
        cache=False,
        save_cpu_ram=True,
        verbose=False,
        **options,
    )


def scores(generator, real):
    """Inception score, Frechet and kernel distance, as torch-fidelity computes them."""
    found = call(
        generator,
        input2=Subset(real, range(N)),
        feature_extractor="powers",
        **{"isc": True, "isc_splits": 1, "fid": True},
        **{"kid": True, "kid_subsets": 1, "kid_subset_size": N},
    )
    names = tf.KEY_METRIC_ISC_MEAN, tf.KEY_METRIC_FID, tf.KEY_METRIC_KID_MEAN
    return [found[name] for name in names]


def scores_by_hand(fake, real):
    a, b = (powers(images)["powers"].numpy() for images in (fake, real))
    (u, v), middle = ((f - f.mean(0)) / math.sqrt(N - 1) for f in (a, b)), a.mean(0) - b.mean(0)
    root = np.linalg.norm(u @ v.T, "nuc")  # the trace of the root of the product of covariances
    frechet = (middle**2).sum() + (u**2).sum() + (v**2).sum() - 2 * root

    aa, bb, ab = ((f @ g.T / f.shape[1] + 1) ** 3 for f, g in ((a, a), (b, b), (a, b)))
    within = sum(k.sum() - np.trace(k) for k in (aa, bb)) / (N * (N - 1))

    p = powers(fake)["logits"].softmax(1)
    gain = (p * (p / p.mean(0)).log()).sum(1).mean().exp()
    return pytest.approx([float(gain), frechet, within - 2 * ab.mean()], rel=1e-4, abs=1e-6)


def drawn(z_size=2, num_classes=0):
    """The latents, and the labels, that torch-fidelity draws for each batch."""
    rng, batches = np.random.RandomState(SEED), []
    for start in range(0, N, BATCH):
        n = min(BATCH, N - start)
        z = torch.from_numpy(rng.randn(n, z_size)).float()
        labels = [torch.from_numpy(rng.randint(0, num_classes, n))] if num_classes else []
        batches.append((z, *labels))
    return batches


def given(ours):
    return torch.cat([ours(*batch) for batch in drawn()])


@pytest.fixture(scope="module")
def target():
    return gaussian()


@pytest.fixture(scope="module")
def real(target):
    return to_bytes(data_of(target, N))


# -- quality ------------------------------------------------------------------------------------


@torch.no_grad()
def test_plain_sampling_scores_as_the_generator(real):
    fake = torch.cat([to_bytes(toy_gan().generator(z)) for (z,) in drawn()])
    assert scores(wrapped(model(Direct())), real) == scores_by_hand(fake, real)


@pytest.mark.parametrize("make_copy", [False, True])
@pytest.mark.parametrize(
    "sampler",
    [Metropolis(proposals=3), OBRS(proposal=Refine(steps=3), pilot=100, expected=2)],
    ids=lambda s: s.name,
)
def test_scores_are_those_of_the_samples_for_the_same_latents(sampler, make_copy, real):
    ours = scores(wrapped(model(sampler), make_copy=make_copy, cuda=False), real)
    assert ours == scores_by_hand(given(model(sampler)), real)
    assert ours != scores_by_hand(given(model(sampler, seed=1)), real)


def test_an_exact_sampler_scores_better_than_its_generator(target, real):
    exact = Rejection(log_max=math.log(target.max_ratio))
    (_, plain, plain_kernel), (_, frechet, kernel) = (
        scores(wrapped(model(sampler, target.gan, strict=True)), real)
        for sampler in (Direct(), exact)
    )
    assert frechet < plain / 20 and kernel < plain_kernel / 20


def test_a_prior_that_torch_fidelity_does_not_have():
    """Uniform on [-1, 1]: ``sample`` is the noise source."""
    gan, sampler = image_gan(), Metropolis(proposals=3)

    def make():
        return model(sampler, gan, transform=lambda x: (127.5 * (x + 1)).to(torch.uint8))

    ours, same, other = make(), make(), make()
    real = other(other.sample(2 * N)[N:])
    tf.register_noise_source(OwnPrior.z_type, lambda _, shape: ours.sample(shape[0]))
    fake = torch.cat([same(z) for z in same.sample(N).split(BATCH)])
    assert scores(OwnPrior(ours), real) == scores_by_hand(fake, real)


def test_every_row_keeps_its_label(monkeypatch):
    """Samples are near 10 times their label; the ratio wants them there exactly."""
    monkeypatch.setattr(np, "int", int, raising=False)  # torch-fidelity 0.4.0 asks for np.int
    gan, seen = GAN(Shift(), Near(), Normal(1), condition=torch.arange(3)), []

    def off_center(x):
        seen.append(x)
        return to_bytes(x - 10 * (x / 10).round())

    def frechet(sampler):
        ours = model(sampler, gan, num_classes=3, transform=off_center)
        return scores(wrapped(ours, 1), to_bytes(torch.zeros(N, 1)))[1]

    near = frechet(Metropolis(proposals=5))
    labels = torch.cat([labels for _, labels in drawn(1, 3)])
    assert torch.equal((torch.cat(seen)[:, 0] / 10).round().long(), labels)
    assert near < frechet(Direct()) / 4, "every row is judged by the ratio of its own label"


# -- path lengths -------------------------------------------------------------------------------


def test_path_lengths_with_common_noise():
    def length(sampler, **options):
        found = call(
            wrapped(model(sampler, transform=None, **options)),
            ppl=True,
            ppl_epsilon=1e-3,
            ppl_sample_similarity="distance",
            ppl_discard_percentile_lower=None,
            ppl_discard_percentile_higher=None,
        )
        return found[tf.KEY_METRIC_PPL_MEAN]

    rng = np.random.RandomState(SEED)
    z, other = (torch.from_numpy(rng.randn(N, 2)).float() for _ in range(2))
    sampler = Refine(steps=4, step_size=0.05, layer="latent")
    same = model(sampler, transform=None, common_noise=True)
    by_hand = (same(z) - same(z + 1e-3 * (other - z))).square().sum(1).mean() / 1e-6
    shared, plain = length(sampler, common_noise=True), length(Direct())
    assert shared == pytest.approx(float(by_hand), rel=1e-2)
    assert 0.2 * plain < shared < 5 * plain
    assert length(sampler) > 100 * plain, "without common noise a path length means nothing"
