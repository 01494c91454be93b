"""A sample is a function of (seed, id): not of n, calls, processes, batches or interruptions."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from gantandem import (
    GAN,
    OBRS,
    Direct,
    Metropolis,
    Refine,
    Samples,
    Uniform,
    prepare,
    sample,
    sample_iter,
)
from gantandem.engine.run import Run
from gantandem.engine.window import LOOK_AHEAD
from gantandem.errors import BudgetError
from gantandem.networks.score import Score
from gantandem.ratios.ratio import Ratio
from gantandem.rng import Key
from gantandem.samples import FIELDS
from gantandem.testing import toy_gan
from memory import live_bytes, new_only
from targets import Formula

REFINE = Refine(steps=4, defensive=0.5)


SAMPLERS = {
    "direct": Direct(),
    "refine": REFINE,
    "latent": Refine(steps=5, layer="latent", stop="best"),
    "metropolis": Metropolis(proposal=REFINE, proposals=3),
    "obrs": OBRS(proposal=Refine(steps=3), expected=2, pilot=64),
}


def same(a: Samples, b: Samples) -> None:
    for name in FIELDS:
        left, right = (torch.nan_to_num(getattr(s, name).double(), 1e30) for s in (a, b))
        assert torch.equal(left, right), name


def head(out: Samples, n: int, start: int = 0) -> Samples:
    return Samples(**{f: getattr(out, f)[start : start + n] for f in FIELDS}, manifest={})


def draw(sampler, n, gan=None, **options):
    options = {"width": 64, "strict": False, **options}
    return sample(toy_gan() if gan is None else gan, sampler, n, **options)


# -- n, calls, processes ------------------------------------------------------------------------


@pytest.mark.parametrize("name", SAMPLERS)
def test_any_number_of_samples(name):
    whole = draw(SAMPLERS[name], 300)
    for n in (1, 32, 257):
        same(draw(SAMPLERS[name], n), head(whole, n))


@pytest.mark.parametrize("name", SAMPLERS)
def test_one_call_or_five(name):
    whole = draw(SAMPLERS[name], 200, seed=5)
    parts = [draw(SAMPLERS[name], 40, seed=5, start=40 * i) for i in range(5)]
    same(Samples.join(parts, {}), whole)


def test_streaming_gives_the_same_samples():
    whole = draw(SAMPLERS["metropolis"], 300)
    blocks = list(sample_iter(toy_gan(), SAMPLERS["metropolis"], 300, width=64, strict=False))
    same(Samples.join(blocks, {}), whole)
    assert all(len(block) >= 64 for block in blocks[:-1])
    assert [b.manifest["returned"] for b in blocks] == np.cumsum([len(b) for b in blocks]).tolist()


@pytest.mark.slow
def test_two_processes_make_what_one_makes(tmp_path):
    """Ids 0 to 149 here and 150 to 299 in another interpreter."""
    code = (
        "import sys; from test_invariance import SAMPLERS, draw\n"
        "for name in ('metropolis', 'obrs'):\n"
        "    draw(SAMPLERS[name], 150, start=150, seed=3).save(f'{sys.argv[1]}/{name}.npz')\n"
    )
    here, source = Path(__file__).parent, Path(__file__).parents[2] / "src"
    paths = [str(here), str(here.parent / "helpers"), str(source)]
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {paths}\n{code}", str(tmp_path)]
    other = subprocess.Popen(command)
    whole = {name: draw(SAMPLERS[name], 300, seed=3) for name in ("metropolis", "obrs")}
    assert other.wait(timeout=120) == 0
    for name, out in whole.items():
        same(Samples.load(tmp_path / f"{name}.npz"), head(out, 150, 150))


@pytest.mark.parametrize("name", SAMPLERS)
def test_another_width_changes_only_rounding(name):
    a, b = (draw(SAMPLERS[name], 300, width=width) for width in (64, 80))  # 80: 128 lanes on a CPU
    # Rounding may tip an acceptance or the sign of a tiny Adam step, once in a long while.
    near = ((a.x - b.x).abs() < 1e-4).all(1)
    assert near.double().mean() > 0.99
    assert (a.attempts == b.attempts).double().mean() > 0.99


@pytest.mark.parametrize("seed", [1, 2**64 - 1])
def test_another_seed_gives_other_samples(seed):
    a, b = draw(Direct(), 100), draw(Direct(), 100, seed=seed)
    assert not (a.z == b.z).any()


def test_samples_of_wide_batches_do_not_depend_on_their_row():
    """Activations whose vector and scalar code may round differently, on awkward shapes."""

    class Awkward(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(3, 7), nn.Linear(7, 1)

        def forward(self, z):
            return torch.tanh(self.second(torch.nn.functional.gelu(self.first(z)))) + z[:, :1]

    with torch.random.fork_rng():
        torch.manual_seed(0)
        gan = GAN(Awkward(), nn.Sequential(nn.Linear(1, 5), nn.Softplus(), nn.Linear(5, 1)), 3)
    sampler = Metropolis(proposals=6)
    for width in (16, 48, 80, 192, 1024):
        whole = draw(sampler, 200, gan, width=width)
        same(draw(sampler, 61, gan, start=139, width=width), head(whole, 61, 139))


def test_networks_only_ever_see_the_full_width():
    """So that compiled kernels fit and no value depends on how many rows are left."""
    sizes = set()

    class Spy(nn.Module):
        def forward(self, x):
            sizes.add(len(x))
            return x

    gan = toy_gan()
    guide, judge = gan.guide.network, nn.Sequential(Spy(), nn.Linear(2, 1))
    gan = GAN(nn.Sequential(Spy(), gan.generator), nn.Sequential(guide, Spy()), 2)
    mover, _ = prepare(gan, Refine(steps=4, step_size=0.1))
    gan = gan.with_ratio(gan.law(mover), Ratio(Score(judge)))
    frozen, ratio = OBRS(proposal=mover, log_scale=-0.5), gan.ratio(mover)
    gan.cut("data")
    sizes.clear()
    for n in (1, 50, 70):
        list(Run(gan.networks, frozen, n, Key(0), width=48, ratio=ratio).blocks())
    assert sizes == {64}  # on a CPU lanes come by 64


# -- order, look-ahead, memory ------------------------------------------------------------------

SEEN: list[int] = []


@dataclass(frozen=True, kw_only=True)
class Watched(Refine):
    """Notes the highest id it was asked to start."""

    name: ClassVar[str] = "watched"

    def init(self, gan, key, ids, attempts):
        SEEN.append(int(ids.max()))
        return super().init(gan, key, ids, attempts)


@pytest.mark.parametrize("selector", [None, Metropolis(proposals=3)], ids=["mover", "selector"])
def test_order_and_look_ahead(selector):
    """Blocks are contiguous, and nothing works over 8 widths ahead of what was emitted."""
    width, n = 64, 1600
    # One in twenty takes long, so that the others run ahead as far as they may.
    mover = Watched(steps=60, step_size=0.05, stop="last", unrefined=0.95)
    sampler = mover if selector is None else Metropolis(proposal=mover, proposals=3)
    SEEN.clear()
    emitted = 0
    for block in sample_iter(toy_gan(), sampler, n, width=width, strict=False):
        assert torch.equal(block.ids, torch.arange(emitted, emitted + len(block)))
        assert max(SEEN) < emitted + LOOK_AHEAD * width
        emitted += len(block)
    assert emitted == n
    assert max(SEEN) == n - 1


@new_only()
def test_memory_of_streaming_does_not_grow():
    """From the third block to the sixteenth, in one stream, by less than one block."""
    sampler = Metropolis(proposal=Refine(steps=2, step_size=0.1), proposals=2)
    stream = sample_iter(toy_gan(), sampler, 30 * 64, width=64, strict=False)
    for _ in range(3):
        block = next(stream)
    size = sum(getattr(block, field).nbytes for field in block.fields)
    del block
    held = live_bytes()
    for _ in range(13):
        next(stream)
    assert live_bytes() - held < size


@pytest.mark.parametrize("n", [1, 63, 64, 65])
def test_waste_and_passes_of_small_runs(n):
    """A padded pool is waste and not passes: passes count what the samples needed."""
    out = draw(Refine(steps=4, stop="last", step_size=0.1), n, width=64)
    assert out.manifest["passes"] == n * (1 + 3 * 5)
    assert out.manifest["waste"] == pytest.approx(1 - n / (64 * -(-n // 64)), abs=0.01)


def test_passes_follow_the_mean_number_of_steps():
    n = 3000
    out = draw(Refine(steps=20, step_size=0.01), n, width=64)
    assert out.manifest["passes"] == n + 3 * int((out.steps + 1).sum())
    assert float(out.steps.double().mean()) == pytest.approx(10, abs=4 * 6.06 / n**0.5)
    assert out.manifest["waste"] < 0.1


def test_short_runs_are_not_favoured():
    """Uniform stops stay uniform, whichever proposal happens to finish first."""
    from scipy import stats

    out = draw(Refine(steps=20, step_size=0.01), 4000, width=64)
    counts = torch.bincount(out.steps, minlength=21).numpy()
    assert stats.chisquare(counts).pvalue > 1e-4


# -- files, broken lanes, budgets ---------------------------------------------------------------


def cliff() -> GAN:
    """Fresh samples score well; what refinement pushes over the edge at 1 does not."""
    return GAN(
        Formula(lambda z: z, torch.float32),
        Formula(lambda x: torch.where(x[:, 0] > 1, torch.nan, 4 * x[:, 0]), torch.float32),
        Uniform(1, -1.0, 1.0),
    )


PUSH = Refine(steps=10, step_size=0.1, update="sgd", stop="last")


def test_broken_proposals_are_rejected():
    sampler = Metropolis(proposal=PUSH, proposals=12)
    out = draw(sampler, 200, cliff())
    assert out.manifest["events"]["nonfinite"] > 50
    assert out.accepted.all() and out.x.isfinite().all() and out.log_ratio.isfinite().all()


def test_an_exhausted_budget_is_an_error_that_says_what_to_do(monkeypatch):
    monkeypatch.setattr("gantandem.engine.preparing.REFUSED_SHARE", 1.0)
    with pytest.raises(BudgetError, match="ids used up.*raise the budget"):
        draw(OBRS(log_scale=-3.0, max_attempts=4), 100)


def test_a_few_exhausted_ids_are_flagged_and_counted(monkeypatch):
    monkeypatch.setattr("gantandem.engine.preparing.REFUSED_SHARE", 1.0)
    monkeypatch.setattr("gantandem.engine.account.EXHAUSTED_SHARE", 1.0)
    out = draw(OBRS(log_scale=-3.0, max_attempts=4), 100)
    exhausted = ~out.accepted
    assert 0 < int(exhausted.sum()) == out.manifest["events"]["exhausted"] < 100
    assert bool((out.attempts[exhausted] == 4).all())
