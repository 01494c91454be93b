"""Reservoirs: one of M by its ratio (SIR), and the chain of such choices (i-SIR)."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from test_acceptance import check_selector, proposal, uniform
from test_exact import RARE, check_exact, held, transition

from gantandem import ISIR, SIR, Direct, Key, Metropolis, Refine, from_config, sample
from gantandem.errors import InputError, NonFiniteError
from gantandem.samplers import Chain, Proposal
from gantandem.testing import toy_gan
from reference_networks import GAN_, SEED, N
from targets import DATA, PROPOSAL, TARGETS, chi_square, discrete

R = DATA / PROPOSAL
STATES = range(len(DATA))


def law_of_one_in(m: int) -> np.ndarray:
    """P(the one kept of m is j), summed over every way the m can fall."""
    law = np.zeros(len(DATA))
    for drawn in itertools.product(STATES, repeat=m):
        chance = PROPOSAL[list(drawn)].prod()
        for j in drawn:
            law[j] += chance * R[j] / R[list(drawn)].sum()
    return law


def isir_transition(points: int) -> np.ndarray:
    """P[i, j]: the current i and every way the N - 1 fresh points can fall."""
    p = np.zeros((len(DATA), len(DATA)))
    for i in STATES:
        for fresh in itertools.product(STATES, repeat=points - 1):
            chance, there = PROPOSAL[list(fresh)].prod(), [i, *fresh]
            for j in there:
                p[i, j] += chance * R[j] / R[there].sum()
    return p


# -- laws ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("m", [1, 2, 3, 5])
def test_law_of_sir(m):
    out = sample(discrete().gan, SIR(proposals=m), 15_000)
    law = law_of_one_in(m)
    assert law.sum() == pytest.approx(1)
    assert chi_square(out.x, law) > RARE
    assert chi_square(out.x, DATA) < 1e-6
    assert bool((out.attempts == m).all()) and bool(out.accepted.all())


@pytest.mark.slow
def test_sir_tends_to_the_data():
    distance = [np.abs(law_of_one_in(m) - DATA).sum() for m in (1, 2, 4, 6)]
    assert (np.diff(distance) < 0).all() and distance[-1] < 0.3 * distance[0]
    assert discrete().worst(sample(discrete().gan, SIR(proposals=100), 2_500).x) > RARE


@pytest.mark.parametrize("points", [2, 3, 4])
def test_isir_leaves_the_data_invariant_and_judge_has_its_transition_matrix(points):
    """From every state, 40,000 rounds of judgements; each entry within 4.5 standard errors."""
    n, wanted = 40_000, isir_transition(points)
    assert np.allclose(wanted.sum(1), 1) and np.allclose(DATA @ wanted, DATA)
    log_r, edges = torch.tensor(np.log(R)), torch.tensor(np.cumsum(PROPOSAL)[:-1])
    key, sampler = Key(12), ISIR(points=points, rounds=5)
    counted = np.zeros_like(wanted)
    for i in STATES:
        ids = torch.arange(n) + i * n
        # A total left over from an earlier round, which must not count.
        chain = held(log_r[i].expand(n))._replace(log_total=torch.full((n,), 3.0).double())
        state = torch.full((n,), i)
        for attempt in range(points, 2 * points - 1):  # the second round
            u = key.fold("proposed").uniform(ids, attempt).double()
            j = (u[:, None] >= edges).sum(1)
            chain = sampler.judge(
                key, chain, Proposal(ids, torch.full_like(ids, attempt), log_r[j])
            )
            state = torch.where(chain.keep, j, state)
            assert torch.equal(chain.log_ratio, log_r[state])
        counted[i] = np.bincount(state, minlength=len(DATA)) / n
    error = np.sqrt(wanted * (1 - wanted) / n)
    assert (np.abs(counted - wanted) <= 4.5 * error).all(), counted - wanted


@pytest.mark.parametrize("points, rounds", [(2, 1), (2, 3), (3, 2), (4, 1)])
def test_law_after_some_rounds(points, rounds):
    """q P^rounds through the whole engine, while it is still far from the data's law."""
    out = sample(discrete().gan, ISIR(points=points, rounds=rounds), 15_000)
    law = PROPOSAL @ np.linalg.matrix_power(isir_transition(points), rounds)
    assert chi_square(out.x, law) > RARE
    assert chi_square(out.x, DATA) < 1e-6
    assert bool((out.attempts == 1 + rounds * (points - 1)).all())


def test_two_points_are_not_metropolis():
    """Barker's choice, r_j / (r_i + r_j), leaves a state less often than min(1, r_j / r_i)."""
    barker, metropolis = isir_transition(2), transition()
    assert np.allclose(DATA @ metropolis, DATA)
    assert (np.diag(barker) > np.diag(metropolis)).all()


@pytest.mark.parametrize("name", TARGETS)
def test_isir_is_exact(name):
    target = TARGETS[name]()
    out = check_exact(target, ISIR(points=5, rounds=8), n=2_048)
    assert bool(out.accepted.all())


# -- the slow versions --------------------------------------------------------------------------


def chosen(ratios: list[float], uniforms: list[float]) -> int:
    """Read backwards: the last one to be chosen, of share r_k among those up to k."""
    for k in range(len(ratios) - 1, 0, -1):
        if uniforms[k] < ratios[k] / sum(ratios[: k + 1]):
            return k
    return 0


@pytest.mark.parametrize("m", [1, 2, 12])
def test_sir_by_the_slow_version(m):
    def slow(sample_id):
        key = Key(SEED)
        drawn = [proposal(GAN_, key, sample_id, a) for a in range(m)]
        u = [uniform(key, sample_id, a) for a in range(m)]
        x, log_ratio = drawn[chosen([math.exp(d) for _, d in drawn], u)]
        return {"x": x, "log_ratio": log_ratio, "attempts": m}

    check_selector(SIR(proposals=m), [slow(i) for i in range(N)])


@pytest.mark.parametrize("points, rounds", [(2, 4), (5, 3)])
def test_isir_by_the_slow_version(points, rounds):
    def slow(sample_id):
        key, attempt = Key(SEED), 1
        state = proposal(GAN_, key, sample_id, 0)
        for _ in range(rounds):
            attempts = range(attempt, attempt + points - 1)
            there = [state, *(proposal(GAN_, key, sample_id, a) for a in attempts)]
            u = [0.0, *(uniform(key, sample_id, a) for a in attempts)]
            state = there[chosen([math.exp(d) for _, d in there], u)]
            attempt += points - 1
        return {"x": state[0], "log_ratio": state[1], "attempts": attempt}

    check_selector(ISIR(points=points, rounds=rounds), [slow(i) for i in range(N)])


# -- ratios that are hardly numbers -------------------------------------------------------------


def judged(sampler, *ratios: float) -> tuple[Chain, list[int]]:
    """Judge 64 equal ids; which attempt each holds in the end."""
    n = 64
    ids, no = torch.arange(n), torch.zeros(n, dtype=torch.bool)
    low = torch.full((n,), -torch.inf, dtype=torch.float64)
    chain = Chain(low, low, ~no, no, torch.zeros(n).long(), no, no)
    state = torch.full((n,), -1)
    for attempt, ratio in enumerate(ratios):
        value = torch.full((n,), ratio, dtype=torch.float64)
        chain = sampler.judge(Key(1), chain, Proposal(ids, torch.full_like(ids, attempt), value))
        state = torch.where(chain.keep, attempt, state)
    return chain, sorted(set(state.tolist()))


BROKEN = [-math.inf, math.inf, math.nan]


@pytest.mark.parametrize(
    "sampler", [SIR(proposals=3), ISIR(points=3, rounds=1)], ids=["sir", "isir"]
)
@pytest.mark.parametrize("bad", BROKEN, ids=str)
def test_what_is_not_finite_is_never_chosen(sampler, bad):
    for ratios, places in [((bad, 1.0, bad), [1]), ((bad, bad, 1.0), [2]), ((1.0, bad, bad), [0])]:
        chain, where = judged(sampler, *ratios)
        assert where == places
        assert bool(chain.accepted.all()) and bool((chain.log_ratio == 1).all())
    chain, where = judged(sampler, bad, bad, bad)
    assert not chain.accepted.any() and bool(chain.done.all())
    assert bool((chain.log_ratio == -math.inf).all()), "what is left is said to be worthless"


@pytest.mark.parametrize(
    "sampler", [SIR(proposals=3), ISIR(points=3, rounds=1)], ids=["sir", "isir"]
)
def test_ratios_of_any_size_stay_in_log_space(sampler):
    assert judged(sampler, 1e4, 0.0, -1e4)[1] == [0]
    assert judged(sampler, -2e4, -1e4, -3e4)[1] == [1]
    assert judged(sampler, 1e9, 1e9, 0.0)[1] == [0, 1]
    assert judged(sampler, -1e4, -1e4, -1e4)[1] == [0, 1, 2]


@dataclass(frozen=True, kw_only=True)
class Lost(Direct):
    """Leaves the finite numbers every time."""

    name: ClassVar[str] = "lost"

    def step(self, gan, key, state):
        state, moved = super().step(gan, key, state)
        return state, moved._replace(x=moved.x / 0)


def test_a_mover_without_any_finite_proposal_is_blamed():
    for sampler in (SIR(proposals=3), ISIR(points=2, rounds=2)):
        with pytest.raises(NonFiniteError, match="lost: 20 of 20 proposals"):
            sample(toy_gan(), replace(sampler, proposal=Lost()), 20, width=16, strict=False)


# -- settings and engine ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: SIR(proposals=0), "sir proposals: got 0"),
        (lambda: ISIR(points=1), "isir points: got 1"),
        (lambda: ISIR(points=2.5), "isir points: got 2.5"),
        (lambda: ISIR(rounds=0), "isir rounds: got 0"),
    ],
)
def test_settings_out_of_range(make, words):
    with pytest.raises(InputError, match=words):
        make()


def test_by_name():
    assert from_config({"name": "sir", "proposals": 3, "proposal": "refine"}) == SIR(
        proposals=3, proposal=Refine()
    )
    assert from_config({"name": "isir", "points": 4}) == ISIR(points=4)


@pytest.mark.parametrize(
    "sampler", [SIR(proposals=7), ISIR(points=3, rounds=20)], ids=["sir", "isir"]
)
def test_attempts_ahead_of_their_turn_change_nothing(sampler):
    """Few ids on many lanes run attempts ahead, up to their budget; many ids on few do not."""
    mover = Refine(steps=5, layer="latent")  # lanes of unequal length
    sampler = replace(sampler, proposal=mover)
    ahead = sample(toy_gan(), sampler, 5, width=256, strict=False)
    one = sample(toy_gan(), sampler, 200, width=256, strict=False)
    assert torch.equal(ahead.x, one.x[:5]) and torch.equal(ahead.log_ratio, one.log_ratio[:5])
    assert bool((ahead.attempts == sampler.budget).all())
    assert ahead.manifest["proposals"] == 5 * sampler.budget


def test_one_image_is_held_however_many_are_judged():
    """Metropolis, SIR and i-SIR of 10 proposals all make 10 passes and keep one sample."""
    for sampler in (SIR(proposals=10), ISIR(points=4, rounds=3), Metropolis(proposals=10)):
        out = sample(discrete().gan, sampler, 50, width=64)
        assert out.manifest["passes"] == 50 * 10 and len(out.x) == 50
