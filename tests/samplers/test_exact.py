"""Samplers that claim a law have it: closed-form targets and enumerated chains.

Seeds are fixed, so nothing here is flaky; thresholds are p-values, so that a failure is a fact.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from gantandem import DRS, OBRS, Direct, Key, Metropolis, Rejection, sample
from gantandem.errors import NonFiniteError
from gantandem.samplers import Chain, Proposal
from targets import DATA, PROPOSAL, TARGETS, chi_square, discrete, gaussian, skewed

N = 6_000
RARE = 1e-4  # an exact sampler gives a smaller p-value in one of 10,000 runs


def exact_samplers(target):
    peak = target.max_ratio
    return {
        "rejection": Rejection(log_max=float(np.log(peak))),
        "obrs": OBRS(expected=1.05 * peak, pilot=20_000),
        "metropolis": Metropolis(proposals=40),
    }


def proposals(log_ratio):
    ids = torch.arange(len(log_ratio))
    return Proposal(ids, torch.zeros_like(ids), log_ratio)


def check_exact(target, sampler, n=N, seed=0):
    out = sample(target.gan, sampler, n, seed=seed, width=1024)
    assert target.worst(out.x) > RARE, target.p_values(out.x.double().numpy())
    return out


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("kind", ["rejection", "obrs", "metropolis"])
def test_samples_follow_the_data(name, kind):
    target = TARGETS[name]()
    n = 5_000 if kind == "metropolis" else N
    out = check_exact(target, exact_samplers(target)[kind], n)
    assert out.accepted.all()


@pytest.mark.parametrize("name", TARGETS)
def test_targets_notice_the_plain_generator(name):
    target = TARGETS[name]()
    out = sample(target.gan, Direct(), N)
    assert target.worst(out.x) < 1e-12


def test_rejection_finds_its_bound_on_a_pilot():
    target = skewed()
    out = check_exact(target, Rejection(pilot=20_000))
    assert out.manifest["sampler"]["log_max"] == pytest.approx(np.log(2), abs=1e-6)


def test_rejection_spends_max_ratio_proposals_a_sample():
    target = gaussian()
    out = sample(target.gan, exact_samplers(target)["rejection"], N)
    # Attempts are geometric with mean M and variance M (M - 1).
    m = target.max_ratio
    assert float(out.attempts.double().mean()) == pytest.approx(m, abs=4 * m / N**0.5)
    assert out.manifest["proposals"] == int(out.attempts.sum())


def test_rejection_counts_proposals_above_a_wrong_bound():
    target = discrete()
    out = sample(target.gan, Rejection(log_max=0.5), 2000)
    share = PROPOSAL[np.log(DATA / PROPOSAL) > 0.5].sum()
    made = out.manifest["proposals"]
    assert out.manifest["events"]["excess"] == pytest.approx(
        share * made, abs=4 * (made * share * (1 - share)) ** 0.5
    )


def test_a_ratio_that_looks_unbounded_is_said(caplog):
    ratio = torch.cat([torch.zeros(9_999), torch.tensor([5.0])]).double()
    Rejection().prepare(lambda n: proposals(ratio))
    assert "no bound" in caplog.text


@pytest.mark.parametrize("budget", [1.3, 1.7, 2.0, 4.0, 1e6])
def test_obrs_law_and_acceptance(budget):
    """The law of q min(c r, 1) for at most K proposals; exact when K is at least max r."""
    target = discrete()
    out = sample(target.gan, OBRS(expected=budget, pilot=40_000), N)
    r = DATA / PROPOSAL
    low, high = 1 / target.max_ratio, 1e3
    for _ in range(200):
        c = (low + high) / 2
        low, high = (c, high) if (PROPOSAL * np.minimum(c * r, 1)).sum() < 1 / budget else (low, c)
    law = PROPOSAL * np.minimum(c * r, 1)
    spent = 1 / law.sum()
    law *= spent
    assert spent == pytest.approx(min(budget, target.max_ratio))
    assert out.manifest["sampler"]["log_scale"] == pytest.approx(np.log(c), abs=0.03)
    assert chi_square(out.x, law) > RARE
    if budget >= target.max_ratio:
        assert np.allclose(law, DATA)
    else:
        assert chi_square(out.x, DATA) < 1e-6
    assert out.manifest["proposals"] / N == pytest.approx(spent, rel=0.03)


def _solved(log_ratio, expected):
    return OBRS(expected=expected).prepare(lambda n: proposals(log_ratio)).log_scale


@pytest.mark.parametrize("offset", [-1e6, -2_000.0, -60.0, 0.0, 700.0, 2_000.0, 1e6])
@pytest.mark.parametrize("expected", [1.0, 1.5, 8.0, 1e9])
def test_obrs_finds_its_constant_at_any_scale_of_the_ratios(offset, expected):
    log_ratio = torch.linspace(-3, 2, 500, dtype=torch.float64)
    scale = _solved(log_ratio, expected)
    assert _solved(log_ratio + offset, expected) == pytest.approx(scale - offset, abs=1e-8)
    mean = float((log_ratio + scale).clamp(max=0).exp().mean())
    most = float((log_ratio - 2).exp().mean())
    assert mean == pytest.approx(max(1 / expected, most), rel=1e-9)


@pytest.mark.parametrize("spread", [5.0, 800.0, 5_000.0])
def test_obrs_accepts_one_in_k_of_ratios_of_any_spread(spread):
    log_ratio = torch.linspace(-spread, spread, 1_000, dtype=torch.float64)
    scale = _solved(log_ratio, 4.0)
    assert float((log_ratio + scale).clamp(max=0).exp().mean()) == pytest.approx(0.25, rel=1e-9)


def test_obrs_takes_ratios_of_zero_for_what_they_are(caplog):
    log_ratio = torch.zeros(100, dtype=torch.float64)
    log_ratio[:40] = -torch.inf
    assert _solved(log_ratio, 5.0) == _solved(log_ratio, 1.1) == 0.0
    log_ratio[40:70] = -1.0  # 30 of 1 and 30 of 1/e: one in two wants c r = 2/3 of the latter
    assert _solved(log_ratio, 2.0) == pytest.approx(1 + np.log(2 / 3))
    assert _solved(log_ratio, 1.2) == pytest.approx(1.0)  # all that can be accepted


@pytest.mark.parametrize(
    ("value", "said"), [(-torch.inf, "is 0"), (torch.nan, "NaN"), (torch.inf, "NaN or")]
)
@pytest.mark.parametrize("count", [1, 100])
def test_obrs_refuses_a_pilot_without_a_constant(value, said, count):
    if value == -torch.inf:
        count = 100
    log_ratio = torch.zeros(100, dtype=torch.float64)
    log_ratio[:count] = value
    with pytest.raises(NonFiniteError, match=said):
        _solved(log_ratio, 2.0)


@pytest.mark.parametrize(("spread", "heavy"), [(0.0, 0), (1.0, 0), (1.5, 0), (2.5, 1), (6.0, 1)])
def test_obrs_says_that_its_tail_is_heavy(spread, heavy):
    """A log-normal ratio has the effective share exp(-spread^2)."""
    log_ratio = spread * torch.randn(10_000, generator=torch.Generator().manual_seed(0)).double()
    said = OBRS().caution(proposals(log_ratio - 300))
    assert said.count("tail of the ratios is heavy") == heavy


@pytest.mark.parametrize("percentile", [None, 60.0, 95.0])
def test_drs_law(percentile):
    """The published rule's own law, q sigmoid(F), enumerated."""
    target, eps, n = discrete(), 1e-6, 6000
    sampler = DRS(percentile=percentile, eps=eps, pilot=20_000)
    out = sample(target.gan, sampler, n)
    delta = np.log(DATA / PROPOSAL) - np.log(target.max_ratio)
    logit = delta - np.log1p(-np.exp(delta - eps))
    if percentile is not None:
        order = np.argsort(logit)
        rank = np.searchsorted(np.cumsum(PROPOSAL[order]), percentile / 100)
        logit = logit - logit[order][rank]
    law = PROPOSAL / (1 + np.exp(-logit))
    assert chi_square(out.x, law / law.sum()) > RARE
    assert n / out.manifest["proposals"] == pytest.approx(law.sum(), rel=0.04)
    exact = percentile is None  # gamma = 0 and eps -> 0: the rule of exact rejection
    assert (chi_square(out.x, DATA) > RARE) == exact


def test_drs_by_default_is_never_stricter_than_exact_rejection():
    """At the 95th percentile this target has a gamma above 0; the default then takes 0."""
    target = discrete()
    strict, default = (sample(target.gan, sampler, 6000) for sampler in (DRS(percentile=95), DRS()))
    assert strict.manifest["sampler"]["gamma"] > 0 == default.manifest["sampler"]["gamma"]
    assert default.manifest["proposals"] < strict.manifest["proposals"]
    assert chi_square(default.x, DATA) > RARE > chi_square(strict.x, DATA)


def transition() -> np.ndarray:
    """P[i, j] of the independence chain with min(1, r_j / r_i)."""
    r = DATA / PROPOSAL
    p = PROPOSAL[None, :] * np.minimum(1, r[None, :] / r[:, None])
    np.fill_diagonal(p, 0)
    return p + np.diag(1 - p.sum(1))


def test_the_enumerated_chain_leaves_the_data_invariant():
    assert np.allclose(DATA @ transition(), DATA)


def test_judge_has_the_transition_matrix():
    """From every state, 40,000 judgements; each entry within 4.5 standard errors."""
    n, states = 40_000, len(DATA)
    log_r = torch.tensor(np.log(DATA / PROPOSAL))
    edges = torch.tensor(np.cumsum(PROPOSAL)[:-1])
    key, sampler = Key(11), Metropolis(proposals=100)
    counted = np.zeros((states, states))
    for i in range(states):
        ids = torch.arange(n) + i * n
        u = key.fold("proposed").uniform(ids).double()
        j = (u[:, None] >= edges).sum(1)
        chain = held(log_r[i].expand(n))
        after = sampler.judge(key, chain, Proposal(ids, torch.ones_like(ids), log_r[j]))
        state = torch.where(after.keep, j, i)
        assert torch.equal(after.log_ratio, log_r[state])
        assert not after.done.any()
        counted[i] = np.bincount(state, minlength=states) / n
    wanted = transition()
    error = np.sqrt(wanted * (1 - wanted) / n)
    assert (np.abs(counted - wanted) <= 4.5 * error).all(), counted - wanted


def held(log_ratio) -> Chain:
    n = len(log_ratio)
    no = torch.zeros(n, dtype=torch.bool)
    return Chain(log_ratio, log_ratio.clone(), no, ~no, torch.zeros(n).long(), no, no)


@pytest.mark.parametrize("proposals", [1, 2, 3, 5])
def test_law_after_k_proposals_from_a_proposal(proposals):
    """q P^(K-1), through the whole engine, while it is still far from the data's law."""
    target = discrete()
    out = sample(target.gan, Metropolis(proposals=proposals), 15_000)
    law = PROPOSAL @ np.linalg.matrix_power(transition(), proposals - 1)
    assert chi_square(out.x, law) > RARE
    assert chi_square(out.x, DATA) < 1e-6
    assert bool((out.attempts == proposals).all())


def test_stuck_chains_are_counted():
    """Chains that never left their first proposal: enumerated over it."""
    target, n, k = discrete(), 20_000, 4
    out = sample(target.gan, Metropolis(proposals=k), n)
    r = DATA / PROPOSAL
    stay = 1 - (PROPOSAL[None, :] * np.minimum(1, r[None, :] / r[:, None])).sum(1)
    share = float((PROPOSAL * stay ** (k - 1)).sum())
    error = (n * share * (1 - share)) ** 0.5
    assert abs(out.manifest["events"]["stuck"] - n * share) < 4 * error


def test_samples_of_one_run_are_independent():
    """Neighbouring ids share nothing: no correlation at lags 1, 2, 8 and one pool width."""
    n = 10_000
    target = gaussian()
    x = sample(target.gan, Metropolis(proposals=3), n, width=512).x[:, 0].double().numpy()
    x = (x - x.mean()) / x.std()
    for lag in (1, 2, 8, 512):
        score = (x[lag:] * x[:-lag]).sum() / np.sqrt(n - lag)
        assert 2 * stats.norm.sf(abs(score)) > RARE, lag
