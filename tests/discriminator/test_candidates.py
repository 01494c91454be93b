"""Which candidates take part in a fit, for data of any shape, and which is kept."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import gantandem as gt
from gantandem.discriminator import judging
from gantandem.errors import InputError, NonFiniteError
from gantandem.nets.ratio import ConvRatio, MLPRatio, is_image, ratio_spec

QUICK = {"n": 400, "schedule": [(6, 1e-3)], "batch": 50, "progress": False}


class Makes(nn.Module):
    """A generator of any shape; a label moves its samples."""

    def __init__(self, shape, scale=0.7):
        super().__init__()
        self.shape, self.scale = shape, scale

    def forward(self, z, cond=None):
        x = self.scale * z
        if cond is not None:
            x = x + cond.reshape(len(z), -1).float().mean(1, keepdim=True)
        return x.reshape(len(z), *self.shape)


def cloud(n, shape, seed=0, shift=0.0):
    return shift + torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed))


def tried(gan) -> dict[str, dict]:
    return {row["name"]: row for row in gan.ratio(gt.Direct()).chosen["candidates"]}


SHAPES = [(1,), (7,), (2, 150), (24, 5), (2, 6, 6, 6), (3, 8, 8), (1, 3, 9), (2, 2, 2, 2, 2)]


CASES = [(shape, None) for shape in SHAPES]
CASES += [(shape, kind) for shape in [(7,), (2, 150), (3, 8, 8)] for kind in ("labels", "numbers")]


@pytest.mark.parametrize("shape, kind", CASES, ids=str)
def test_any_shape_has_a_ratio_without_a_network(shape, kind):
    n, size = 300, torch.Size(shape).numel()
    known = {None: None, "labels": torch.arange(n) % 3, "numbers": cloud(n, (2,), 5)}[kind]
    gan = gt.GAN(Makes(shape), None, size, condition=known)
    real = cloud(n, shape) if known is None else (cloud(n, shape), known)
    fitted = gt.fit_ratio(gan, real, **QUICK)
    rows = size + {None: 0, "labels": 1, "numbers": 2}[kind]
    more = [] if is_image(shape) or rows > 256 else ["linear", "trees"]
    assert list(tried(fitted)) == ["network", *more]
    out = gt.sample(fitted, gt.Metropolis(proposals=2), 16, width=64, progress=False)
    assert out.x.shape == (16, *shape) and out.log_ratio.isfinite().all()


@pytest.mark.parametrize("side", [4, 28, 64, 65, 1024])
def test_large_images_need_few_weights(side):
    network = ConvRatio(3, side, side).eval()
    assert sum(weight.numel() for weight in network.parameters()) < 5e6
    if side <= 65:
        assert network(torch.zeros(2, 3, side, side)).shape == (2,)
    assert ratio_spec((3, side, side))["net"] == "conv-ratio"


def test_small_images_have_the_network_they_had():
    """Pooling sets in above 64 x 64: what was saved of smaller images still loads."""
    assert not any(isinstance(m, nn.AdaptiveAvgPool2d) for m in ConvRatio(1, 64, 64).modules())
    assert any(isinstance(m, nn.AdaptiveAvgPool2d) for m in ConvRatio(1, 65, 16).modules())


def test_columns_of_any_scale_are_standardised():
    own = MLPRatio((2, 2))
    x = 1e4 + 1e3 * cloud(500, (2, 2))
    x[:, 1, 1] = 7.0  # never varies
    own.standardise(x)
    seen = (x.flatten(1) - own.mean) / own.std
    assert seen[:, :3].std(0).allclose(torch.ones(3), atol=1e-3) and (seen[:, 3] == 0).all()
    assert own(x).isfinite().all()


# -- the user's discriminator takes part --------------------------------------------------------


class Spread(nn.Module):
    """Knows that real samples are wider; its score is of the given kind."""

    def __init__(self, output, shape):
        super().__init__()
        self.norm = nn.BatchNorm1d(1) if output == "batch" else nn.Identity()
        self.last = nn.Linear(1, 1)
        self.output, self.dims = output, tuple(range(1, len(shape) + 1))
        with torch.no_grad():
            self.last.weight.fill_(3.0)
            self.last.bias.fill_(-2.0)

    def forward(self, x):
        score = self.last(self.norm(x.square().mean(self.dims)[:, None]))
        if self.output == "prob":
            return score.sigmoid()
        return {"hinge": score.tanh(), "wgan": 40 * score, "lsgan": 0.5 + 0.1 * score}.get(
            self.output, score
        )


OUTPUTS = ["logit", "prob", "hinge", "wgan", "lsgan", "batch"]


@pytest.mark.parametrize(
    "output, shape",
    [*((output, (2, 4, 4)) for output in OUTPUTS), ("logit", (16,)), ("prob", (3, 5, 2, 2))],
    ids=str,
)
def test_a_discriminator_of_any_kind_takes_part(output, shape):
    own = Spread(output, shape)
    if output == "batch":  # statistics of neither kind of sample
        own.norm.running_mean.fill_(9.0)
        own.norm.num_batches_tracked.fill_(1)
    before = copy.deepcopy(own.state_dict())
    size = torch.Size(shape).numel()
    kind = "logit" if output == "batch" else output
    gan = gt.GAN(Makes(shape), own, size, output=kind)
    fitted = gt.fit_ratio(gan, cloud(600, shape), **QUICK)
    rows = tried(fitted)
    assert ("refreshed" in rows) == (output == "batch")
    assert {"shipped", "network"} <= rows.keys()
    # It ranks well, so its calibrated loss is far below that of a new network so soon.
    best = min(rows[name]["log_loss"] for name in ("shipped", "network"))
    assert best < 0.6
    fresh = gt.fit_ratio(gt.GAN(Makes(shape), None, size), cloud(600, shape), **QUICK)
    assert tried(fresh)["network"]["log_loss"] > best
    assert all(torch.equal(value, before[name]) for name, value in own.state_dict().items())
    assert gan.guide.network is own and fitted.guide.network is own
    gt.diagnose(fitted, cloud(600, shape))


def test_a_discriminator_that_tells_nothing_is_not_kept():
    blind = nn.Sequential(nn.Linear(4, 1))
    nn.init.zeros_(blind[0].weight)
    gan = gt.GAN(Makes((4,)), blind, 4)
    fitted = gt.fit_ratio(gan, cloud(1500, (4,)), **{**QUICK, "n": 2000})
    assert fitted.ratio(gt.Direct()).chosen["name"] == "trees"


class Sure(nn.Module):
    """A score of +inf on real samples: their loss is 0, and no ratio is infinite."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return torch.where(x[:, 0] > 5, torch.inf, self.weight * x[:, 0])


def test_scores_that_are_not_finite_are_no_candidate(caplog):
    gan = gt.GAN(Makes((2,)), None, 2)
    with pytest.raises(NonFiniteError, match="no candidate gives finite scores"):
        gt.fit_ratio(gan, cloud(300, (2,), shift=10.0), network=Sure(), **QUICK)
    assert "network gives scores that are not finite" in caplog.text


# -- accepted samples choose --------------------------------------------------------------------


@pytest.mark.parametrize("favourite", ["shipped", "network", "linear", "trees"])
def test_the_candidate_whose_accepted_samples_are_nearest_is_kept(favourite, monkeypatch):
    turn = []
    judge = judging.judge

    def noting(candidate, *args):
        turn.append(candidate.name)
        return judge(candidate, *args)

    monkeypatch.setattr("gantandem.discriminator.ratio.judge", noting)
    monkeypatch.setattr("gantandem.discriminator.ratio.chance", lambda real, distance: 0.0)

    def distance(accepted, real):
        assert accepted.shape[1:] == real.shape[1:] == (2,)
        return 1.0 if turn[-1] == favourite else 2.0

    gan = gt.GAN(Makes((2,)), Spread("logit", (2,)), 2)
    fitted = gt.fit_ratio(gan, cloud(800, (2,)), distance=distance, **{**QUICK, "n": 1000})
    assert fitted.ratio(gt.Direct()).chosen["name"] == favourite
    assert turn == ["shipped", "network", "linear", "trees"]


def test_of_those_alike_the_lowest_loss_is_kept():
    gan = gt.GAN(Makes((2,)), Spread("logit", (2,)), 2)
    fit = {**QUICK, "n": 2000}
    fitted = gt.fit_ratio(gan, cloud(2000, (2,)), distance=lambda x, y: 1.0, **fit)
    rows = tried(fitted)
    kept = rows[fitted.ratio(gt.Direct()).chosen["name"]]
    assert kept["log_loss"] == min(row["log_loss"] for row in rows.values())
    assert all(row["strength"] == 1 for row in rows.values())


@pytest.mark.parametrize(
    "distance, error",
    [
        ("fid", InputError),
        (lambda x, y: "far", InputError),
        (lambda x, y: float("nan"), NonFiniteError),
    ],
    ids=["text", "gives text", "gives nan"],
)
def test_a_distance_is_a_function_that_gives_a_number(distance, error):
    gan = gt.GAN(nn.Identity(), None, 2)
    with pytest.raises(error, match="fit_ratio distance"):
        gt.fit_ratio(gan, cloud(200, (2,)), distance=distance, **QUICK)


def test_a_choice_by_a_handful_of_samples_is_said(caplog):
    gan = gt.GAN(Makes((2,)), None, 2)
    real = cloud(600, (2,))
    gt.fit_ratio(gan, real, **{**QUICK, "n": 30})
    assert "3 generated samples are held out" in caplog.text
    caplog.clear()
    gt.fit_ratio(gan, real, **{**QUICK, "n": 400})
    assert "are held out. With fewer" not in caplog.text
