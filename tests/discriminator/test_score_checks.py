"""What the scores of a shipped discriminator give away beside real data."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import nn

import gantandem as gt
from gantandem.data.real import Real
from gantandem.discriminator import checks
from gantandem.discriminator.checks import auc, check_discriminator


class Discriminator(nn.Module):
    """Trained, in effect, on real and generated batches apart, as DCGAN's are.

    Its second input tells them apart in any batch. Its first one is 10 on real and -10 on
    generated samples, which a batch of one kind subtracts: the weight it got there means nothing.
    """

    def __init__(self, norm: nn.Module, shape: tuple[int, ...] = (2,)) -> None:
        super().__init__()
        self.norm, self.shape = norm, shape

    def forward(self, x: torch.Tensor, label: torch.Tensor | None = None) -> torch.Tensor:
        h = self.norm(x.view(-1, *self.shape)).view(-1, 2)
        tell = (h[:, 1].square() - 1).square().clamp(max=1)
        return -tell - 0.3 * h[:, 0]


def real_samples(n: int = 2000, seed: int = 0) -> torch.Tensor:
    first, second = torch.randn(2, n, generator=torch.Generator().manual_seed(seed))
    return torch.stack([10 + first, second.sign()], 1)


class Generator(nn.Module):
    """Where the real second value is -1 or 1, this one's is mostly 0."""

    def forward(self, z: torch.Tensor, label: torch.Tensor | None = None) -> torch.Tensor:
        return torch.stack([z[:, 0] - 10, z[:, 1].sign() * (z[:, 1].abs() > 1.5) * 3], 1)


def norm(kind: type[nn.Module], **settings) -> nn.Module:
    """Its statistics as training on batches apart leaves them: between the means."""
    layer = kind(2, **settings)
    layer.running_var.copy_(torch.tensor([1.0, 1.0]))
    layer.running_mean.copy_(torch.tensor([0.5, 0.01]))
    return layer


NORMS = {
    "BatchNorm1d": lambda: Discriminator(norm(nn.BatchNorm1d)),
    "BatchNorm1d, cumulative": lambda: Discriminator(norm(nn.BatchNorm1d, momentum=None)),
    "BatchNorm1d, not affine": lambda: Discriminator(norm(nn.BatchNorm1d, affine=False)),
    "BatchNorm2d": lambda: Discriminator(norm(nn.BatchNorm2d), (2, 1, 1)),
    "BatchNorm3d": lambda: Discriminator(norm(nn.BatchNorm3d), (2, 1, 1, 1)),
    "SyncBatchNorm": lambda: Discriminator(norm(nn.SyncBatchNorm), (2, 1, 1)),
}


def said_by(gan: gt.GAN, real, caplog) -> list[str]:
    caplog.clear()
    parts = real if isinstance(real, Real) else Real(real, real[:50], real[:50], real[:50])
    with caplog.at_level(logging.WARNING):
        check_discriminator(gan, parts)
    return caplog.messages


@pytest.mark.parametrize("kind", NORMS)
def test_statistics_that_fit_neither_kind_of_batch_are_said_with_the_way_out(kind, caplog):
    discriminator = NORMS[kind]()
    before = {name: value.clone() for name, value in discriminator.state_dict().items()}
    gan = gt.GAN(Generator(), discriminator, 2)
    (said,) = said_by(gan, real_samples(), caplog)
    assert kind.split(",")[0] in said and "in eval mode" in said
    assert "gt.refresh_statistics(D" in said and "gt.fit_ratio(gan, real" in said
    after = discriminator.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert discriminator.training and not discriminator.norm._forward_hooks
    # The way out heals it, and nothing is said any more.
    made = gan.decode(torch.randn(512, 2))
    mixed = [
        torch.cat(pair) for pair in zip(real_samples(512, 1).split(32), made.split(32), strict=True)
    ]
    healed = gt.refresh_statistics(discriminator, mixed)
    assert said_by(gt.GAN(Generator(), healed, 2), real_samples(), caplog) == []


@pytest.mark.slow
def test_every_call_with_real_data_says_it_once(caplog):
    real = real_samples(4000)
    calls = {
        "fit_ratio": lambda gan: gt.fit_ratio(
            gan, real, n=500, schedule=[(1, 1e-3)], progress=False
        ),
        "shape": lambda gan: gt.shape(
            gan, real, updates=1, batch=32, check_samples=64, progress=False
        ),
        "calibrate": lambda gan: gt.calibrate(gan, real),
        "diagnose": lambda gan: gt.diagnose(gan, real),
    }
    for name, call in calls.items():
        caplog.clear()
        gan = gt.GAN(Generator(), NORMS["BatchNorm1d"](), 2)
        call(gan)
        call(gan)
        assert sum("in eval mode" in message for message in caplog.messages) == 1, name


def test_conditions_go_with_their_samples(caplog):
    x = real_samples()
    labels = torch.arange(len(x)) % 3
    gan = gt.GAN(Generator(), NORMS["BatchNorm1d"](), 2, condition=torch.arange(3))
    parts = Real(x, x[:9], x[:9], x[:9], conditions=Real(labels, *[labels[:9]] * 3))
    (said,) = said_by(gan, parts, caplog)
    assert "in eval mode" in said


class Scored(nn.Module):
    """A discriminator of the second value alone, by any function."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x[:, 0] / 5 + 0.3 * x[:, 1])


SOUND = {
    "logit": (lambda v: v, "logit"),
    "prob": (lambda v: v.sigmoid(), "prob"),
    "critic": (lambda v: 30 * v, "critic"),
    "critic in [0, 1]": (lambda v: v.sigmoid(), "critic"),
    "weak": (lambda v: 0.01 * v, "logit"),
    "positive": (lambda v: v + 9, "logit"),
    "wide": (lambda v: 0.5 + v, "logit"),
}


@pytest.mark.parametrize("kind", SOUND)
def test_nothing_is_said_of_a_sound_discriminator(kind, caplog):
    function, output = SOUND[kind]
    gan = gt.GAN(Generator(), Scored(function), 2, output=output)
    assert said_by(gan, real_samples(), caplog) == []


@pytest.mark.parametrize(
    ("function", "output"),
    [
        (lambda v: -v, "logit"),
        (lambda v: -0.01 * v, "logit"),
        (lambda v: 3 - 100 * v, "critic"),
        (lambda v: (-v).sigmoid(), "prob"),
        (lambda v: -(v**3), "logit"),
        (lambda v: (-v).exp(), "critic"),
    ],
)
def test_labels_the_other_way_round_are_said(function, output, caplog):
    gan = gt.GAN(Generator(), Scored(function), 2, output=output)
    (said,) = said_by(gan, real_samples(), caplog)
    assert "scores generated samples above real ones (AUC 0.000)" in said
    assert "-D(x)" in said and "1 - D(x)" in said and "fit_ratio" in said


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_scores_that_are_all_one_are_said(scale, caplog):
    gan = gt.GAN(Generator(), Scored(lambda v: 0 * v + scale), 2, output="critic")
    (said,) = said_by(gan, real_samples(), caplog)
    assert f"gives {scale:.4g} for every real and generated sample" in said


@pytest.mark.parametrize(
    "function",
    [
        lambda v: v.tanh() / 2 + 0.5,
        lambda v: v.clamp(0, 1),
        lambda v: torch.special.ndtr(v),
        lambda v: 0.3 + 0.05 * v.tanh(),
    ],
)
def test_probabilities_that_pass_for_logits_are_said(function, caplog):
    gan = gt.GAN(Generator(), Scored(function), 2)
    (said,) = said_by(gan, real_samples(), caplog)
    assert "lie in [0, 1]" in said and "output='prob'" in said and "output='critic'" in said


def test_a_sigmoid_that_was_said_already_is_not_said_again(caplog):
    gan = gt.GAN(Generator(), Scored(torch.sigmoid), 2)
    assert "ends in a sigmoid" in caplog.text
    assert said_by(gan, real_samples(), caplog) == []


def test_a_guide_that_was_fitted_here_is_not_looked_at(caplog):
    gan = gt.GAN(Generator(), Scored(lambda v: -v), 2)
    assert said_by(gan.replace(shaped=True), real_samples(), caplog) == []
    assert said_by(gt.GAN(Generator(), None, 2), real_samples(), caplog) == []


def test_noise_is_not_called_a_fault(caplog):
    """Twenty discriminators that know nothing: none is 3 standard errors from .5 by chance."""
    torch.manual_seed(0)
    for seed in range(20):
        x = torch.randn(600, 2, generator=torch.Generator().manual_seed(seed))
        net = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 1))
        net[1].num_batches_tracked.fill_(1)
        assert said_by(gt.GAN(nn.Identity(), net, 2), x, caplog) == []


def test_the_auc_is_that_of_every_pair():
    real, made = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.0, 0.0])
    pairs = [(r > m) + 0.5 * (r == m) for r in real for m in made]
    assert auc(real, made) == pytest.approx(float(sum(pairs)) / 6)


def test_the_look_is_taken_once_for_the_same_networks_and_data():
    class Counted(Scored):
        seen = 0

        def forward(self, x):
            Counted.seen += len(x)
            return super().forward(x)

    network = Counted(lambda v: v)
    gan, x = gt.GAN(Generator(), network, 2), real_samples()
    parts = Real(x, x[:9], x[:9], x[:9])

    def spent(given: gt.GAN, data: Real) -> int:
        before = Counted.seen
        check_discriminator(given, data)
        return Counted.seen - before

    assert 1024 <= spent(gan, parts) < 1100
    assert spent(gan, parts) == spent(gan.replace(spread=1.0), parts) == 0
    assert spent(gan, Real(x + 1, x[:9], x[:9], x[:9])) > 0


def test_large_samples_are_fewer(monkeypatch, caplog):
    monkeypatch.setattr(checks, "VALUES", 128)
    gan = gt.GAN(Generator(), NORMS["BatchNorm1d"](), 2)
    assert "in eval mode" in said_by(gan, real_samples(), caplog)[0]


@pytest.mark.parametrize("kind", ["statistics", "direction"])
def test_a_fit_is_not_advised_to_fit(kind, caplog):
    score = NORMS["BatchNorm1d"]() if kind == "statistics" else Scored(lambda v: -v)
    gan = gt.GAN(Generator(), score, 2)
    gt.fit_ratio(gan, real_samples(), n=400, schedule=[(1, 1e-9)], batch=50)
    (said,) = [text for text in caplog.messages if text.startswith("discriminator ")]
    assert "judge by the ratio that is fitted now" in said and "fit_ratio" not in said
