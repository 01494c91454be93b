"""Stateless random numbers: known answers, independence of every part of the key, laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from asking import Asking
from gantandem import Key
from gantandem.errors import InputError
from gantandem.rng import philox, stable

N = 40_000
RARE = 1e-4


def words(counter, key):
    columns = [torch.tensor([value]) for value in counter]
    return [f"{int(word):08x}" for word in philox(columns, key)]


FULL = 0xFFFFFFFF


@pytest.mark.parametrize(
    "counter, key, answer",
    [
        ((0, 0, 0, 0), (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ((FULL,) * 4, (FULL,) * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_philox_known_answers(counter, key, answer):
    """The vectors published with Random123 (kat_vectors, philox4x32 10)."""
    assert words(counter, key) == answer.split()


def test_a_device_is_sent_nothing_but_once():
    """Nor asked. The meta device stands for one that cannot be read."""
    key, ids = Key(7).fold("sent"), torch.arange(64, device="meta")
    draws = (
        lambda: key.normal(ids, 0 * ids, 0 * ids, (3,)),
        lambda: key.log_uniform(ids, 0 * ids),
        lambda: key.integers(7, ids),
    )
    with Asking() as asking:
        draws[0]()
    assert asking.seen
    with Asking() as asking:
        assert all(draw().device.type == "meta" for draw in draws)
    assert not asking.seen


def test_bits_put_block_step_attempt_and_id_in_the_counter():
    """So that every one of them, and the seed's two halves, reaches the cipher."""
    key = Key(0x299F31D0_A4093822)
    ids = torch.tensor([0x03707344])
    got = key.bits(ids, attempts=0x13198A2E, step=0x85A308D3, count=4 * 3)
    block = [torch.tensor([v]) for v in (2, 0x85A308D3, 0x13198A2E, 0x03707344)]
    assert got[0, 8:].tolist() == [int(w) for w in philox(block, (0xA4093822, 0x299F31D0))]


def draws(key=0, purpose="a", ids=None, attempt=0, step=0):
    ids = torch.arange(N) if ids is None else ids
    return Key(key).fold(purpose).normal(ids, attempt, step).double().numpy()


@pytest.mark.parametrize(
    "change",
    [
        {"key": 1},
        {"key": 2**63},
        {"purpose": "b"},
        {"purpose": 0},
        {"attempt": 1},
        {"step": 1},
        {"ids": torch.arange(N) + 1},
        {"ids": torch.arange(N) + N},
    ],
    ids=str,
)
def test_every_part_of_the_key_gives_independent_numbers(change):
    a, b = draws(), draws(**change)
    assert (a == b).mean() < 1e-3
    correlation = float((a * b).mean()) * math.sqrt(N)
    assert 2 * stats.norm.sf(abs(correlation)) > RARE
    # Dependence that correlation does not see.
    squares = float(((a**2 - 1) * (b**2 - 1)).mean()) / 2 * math.sqrt(N)
    assert 2 * stats.norm.sf(abs(squares)) > RARE


def test_columns_of_one_draw_are_independent():
    x = Key(5).normal(torch.arange(N), shape=(6,)).double().numpy()
    off = (np.corrcoef(x.T) - np.eye(6)) * math.sqrt(N)
    assert np.abs(off).max() < stats.norm.isf(RARE / 30)


def test_uniform_law_and_bounds():
    u = Key(1).uniform(torch.arange(N), shape=(8,))
    assert u.dtype == torch.float32
    assert 0 < float(u.min()) and float(u.max()) < 1
    assert stats.kstest(u.double().flatten().numpy(), "uniform").pvalue > RARE


@pytest.mark.parametrize("word", [0, FULL])
def test_extreme_words_stay_inside(word, monkeypatch):
    """The lowest and the highest 32 bits give numbers inside (0, 1), finite logs and normals."""
    monkeypatch.setattr(
        Key, "bits", lambda self, ids, *a, count=4, **k: torch.full((len(ids), a[-1]), word)
    )
    key, ids = Key(0), torch.arange(3)
    assert bool(((key.uniform(ids) > 0) & (key.uniform(ids) < 1)).all())
    assert bool(((key.log_uniform(ids) < 0) & key.log_uniform(ids).isfinite()).all())
    assert bool(key.normal(ids, shape=(2,)).isfinite().all())
    assert bool((key.integers(10, ids) == (9 if word else 0)).all())


def test_log_uniform_law():
    log_u = Key(2).log_uniform(torch.arange(N), 3)
    assert log_u.dtype == torch.float64
    assert stats.kstest(-log_u.numpy(), "expon").pvalue > RARE
    assert len(log_u.unique()) == N  # 52 bits, not 24


def test_normal_law():
    x = Key(3).normal(torch.arange(N), 2, 7, shape=(5,)).double().numpy().ravel()
    n = len(x)
    assert stats.kstest(x, "norm").pvalue > RARE
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        score = ((x**power).mean() - moment) / math.sqrt(variance / n)
        assert abs(score) < 4, power
    assert 4 < np.abs(x).max() < 6


def test_integers_are_uniform():
    counts = torch.bincount(Key(4).integers(51, torch.arange(N)), minlength=51)
    assert len(counts) == 51
    assert stats.chisquare(counts.numpy()).pvalue > RARE


DRAWS = {
    "bits": lambda key, ids, attempts: key.bits(ids, attempts, count=5),
    "uniform": lambda key, ids, attempts: key.uniform(ids, attempts, 2, (3,)),
    "log_uniform": lambda key, ids, attempts: key.log_uniform(ids, attempts),
    "normal": lambda key, ids, attempts: key.normal(ids, attempts, shape=(3, 5)),
    "integers": lambda key, ids, attempts: key.integers(7, ids, attempts),
}


@pytest.mark.parametrize("kind", DRAWS)
def test_numbers_do_not_depend_on_their_place(kind):
    """Drawn alone, in small groups, in another order or among thousands: the same bits."""
    draw, key = DRAWS[kind], Key(9)
    ids = torch.arange(3000) * 977 % 4001
    attempts = ids % 5
    whole = draw(key, ids, attempts)
    order = torch.randperm(3000, generator=torch.Generator().manual_seed(0))
    assert torch.equal(draw(key, ids[order], attempts[order]), whole[order])
    for size in (1, 7, 16, 48):
        for start in range(0, 200, size):
            part = slice(start, start + size)
            assert torch.equal(draw(key, ids[part], attempts[part]), whole[part]), (size, start)


def test_columns_do_not_depend_on_how_many_are_drawn():
    ids = torch.arange(50)
    long, short = Key(1).normal(ids, shape=(9,)), Key(1).normal(ids, shape=(4,))
    assert torch.equal(long[:, :4], short)


@pytest.mark.parametrize("length", [1, 15, 33, 32768, 40_000])
def test_stable_applies_the_function_and_ignores_the_place(length):
    x = torch.linspace(0.1, 5, 40_000)
    y = stable(torch.log, x[:length])
    assert torch.allclose(y, x[:length].log(), rtol=1e-6, atol=1e-7)
    assert torch.equal(stable(torch.log, x)[:length], y)
    assert stable(torch.log, x[:12].view(3, 4)).shape == (3, 4)


def test_nothing_touches_the_global_state():
    state = torch.get_rng_state()
    first = Key(0).normal(torch.arange(10))
    torch.manual_seed(123)
    assert torch.equal(Key(0).normal(torch.arange(10)), first)
    torch.set_rng_state(state)
    Key(0).fold("x").generator()
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("seed", [-1, 2**64, 0.5, "7", None])
def test_seed_out_of_range(seed):
    with pytest.raises(InputError, match="seed"):
        Key(seed)


def test_folding_is_stable_across_processes():
    """A recorded value: it may only change together with RNG_VERSION."""
    from gantandem.rng import RNG_VERSION

    assert RNG_VERSION == 1
    key = Key(0).fold("latent")
    assert key == Key(0).fold("latent") != Key(1).fold("latent")
    assert key.bits(torch.tensor([3]), 1, 2, 2).tolist() == RECORDED


RECORDED = [[3317925740, 366243891]]
