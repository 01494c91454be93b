"""Does a sampler keep the contract that the engine, its manifests and its users rely on?

For your own mover or selector::

    from gantandem.testing import check_sampler

    def test_mine():
        check_sampler(MySampler(step_size=0.1))
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gantandem.engine.sampling import prepare, sample
from gantandem.errors import ConfigError, ContractError
from gantandem.gan import GAN
from gantandem.latent import Normal
from gantandem.nets.hashing import weights_hash
from gantandem.ratios.lookup import networks_for
from gantandem.rng import Key
from gantandem.samplers import from_config
from gantandem.samplers.base import Mover, Selector
from gantandem.samples import FIELDS, Samples
from gantandem.settings import to_config

__all__ = ["ContractError", "check_sampler", "toy_gan"]

SAMPLES = 150  # more than two widths, and no multiple of one
WIDTH, OTHER = 64, 128
ROUNDING = 1e-3
AGREE = 0.98


def toy_gan() -> GAN:
    """A two-dimensional GAN of small random networks, its layers named "0" to "2".

    It has seen real data, so that every setting left to be resolved can be.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
        discriminator = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
    gan = GAN(generator, discriminator, Normal(2))
    return gan.observe(0.5 + 0.5 * Key(1).normal(torch.arange(500), shape=(2,)))


def check_sampler(sampler: Mover | Selector, gan: GAN | None = None) -> None:
    """Check a mover or a selector; silent when it keeps the contract.

    Checked: settings survive JSON (``to_config``, ``from_config``), before and after ``prepare``,
    which depends on no seed; samples come in id order, with sane steps, attempts and passes; they
    depend on the seed alone, bit by bit, in one call or in several with ``start``, and for any n;
    lanes are done when ``lifetime`` says, if it says; another width changes nothing but rounding;
    the user's modules (training flags, ``requires_grad``, gradients, weights) and the global random
    state are left as found.

    Args:
        sampler: A mover or selector with the settings to check.
        gan: What to run it on, at most some thousand passes; None takes :func:`toy_gan`. Where no
            ratio was fitted on the sampler's law, another one judges.

    Raises:
        ContractError: If a check fails; the message says which and how.
    """
    if isinstance(sampler, type) or not isinstance(sampler, (Mover, Selector)):
        _fail("protocol", f"{sampler!r} is not an instance of a subclass of Mover or Selector")
    gan = toy_gan() if gan is None else gan
    _check_config(sampler, "as given")
    with _untouched(gan):
        whole = _draw(gan, sampler, SAMPLES)
        _check_fields(sampler, gan, whole)
        _check_prepared(sampler, gan, whole)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            again = _draw(gan, sampler, SAMPLES)
        _same_bits("determinism", "two calls with one seed", whole, again)
        _check_lifetime(sampler, gan)
        _check_pieces(sampler, gan, whole)
        _check_width(sampler, gan, whole)
        other = _draw(gan, sampler, SAMPLES, seed=1)
    if torch.equal(_rows(other.x), _rows(whole.x)):
        _fail("seed", "two seeds give the same samples")


def _draw(gan: GAN, sampler: Any, n: int, **options: Any) -> Samples:
    options = {"seed": 0, "width": WIDTH, "strict": False, "progress": False, **options}
    return sample(gan, sampler, n, **options)


def _fail(check: str, message: str) -> None:
    raise ContractError(f"check_sampler, {check}: {message}")


# -- settings -----------------------------------------------------------------------------------


def _check_config(sampler: Any, state: str) -> None:
    if not dataclasses.is_dataclass(sampler) or not sampler.__dataclass_params__.frozen:  # type: ignore
        _fail("settings", "a sampler must be a frozen dataclass: @dataclass(frozen=True)")
    try:
        text = json.dumps(to_config(sampler), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ContractError(
            f"check_sampler, settings ({state}): not JSON ({error}); allowed are finite numbers, "
            "strings, booleans, None, tuples of these and nested samplers"
        ) from error
    try:
        back = from_config(json.loads(text))
    except ConfigError as error:
        raise ContractError(
            f"check_sampler, settings ({state}): from_config cannot read {text} ({error}); the "
            "class must be importable at the top level of its module"
        ) from error
    if back != sampler:
        _fail(f"settings ({state})", f"from_config gives {back} for {sampler}")


def _check_prepared(sampler: Any, gan: GAN, whole: Samples) -> None:
    prepared, _ = prepare(gan, sampler, width=WIDTH, strict=False)
    _check_config(prepared, "prepared")
    _check_same_config(to_config(prepared), whole.manifest["sampler"], "another call of prepare")
    twice, _ = prepare(gan, prepared, width=OTHER, strict=False)  # at WIDTH it is remembered
    _check_same_config(to_config(twice), to_config(prepared), "preparing what is prepared")
    other = _draw(gan, sampler, 1, seed=7)
    _check_same_config(other.manifest["sampler"], whole.manifest["sampler"], "another seed")


def _check_same_config(got: Any, wanted: Any, what: str) -> None:
    if got != wanted:
        _fail("prepare", f"{what} gives other constants: {got} instead of {wanted}")


# -- samples ------------------------------------------------------------------------------------


def _check_fields(sampler: Any, gan: GAN, out: Samples) -> None:
    n, budget = len(out), sampler.budget if isinstance(sampler, Selector) else 1
    if not torch.equal(out.ids, torch.arange(SAMPLES, device=out.ids.device)):
        _fail("id order", f"the ids are not 0 to {SAMPLES - 1} in order")
    wanted = tuple(gan.decode(out.z[:1], gan.conditions(out.ids[:1])).shape[1:])
    shapes = {"x": (n, *wanted), **{f: (n,) for f in FIELDS if f not in ("x", "z")}}
    for name, shape in shapes.items():
        if tuple(getattr(out, name).shape) != shape:
            _fail("shapes", f"{name} has shape {tuple(getattr(out, name).shape)}, not {shape}")
    if not bool(out.x[out.accepted].isfinite().all()):
        _fail("values", "an accepted sample is not finite")
    if out.steps.dtype != torch.int64 or bool((out.steps < 0).any()):
        _fail("steps", "steps must be int64, 0 or more")
    if bool((out.attempts < 1).any()) or bool((out.attempts > budget).any()):
        least, most = int(out.attempts.min()), int(out.attempts.max())
        _fail("attempts", f"between {least} and {most}; allowed is 1 to the budget {budget}")
    made = out.manifest["proposals"]
    if made != int(out.attempts.sum()):
        _fail("attempts", f"they sum up to {int(out.attempts.sum())} of {made} proposals judged")
    if out.manifest["passes"] < made:
        _fail("passes", f"{out.manifest['passes']} for {made} proposals: cost() says too little")


def _check_lifetime(sampler: Any, gan: GAN) -> None:
    prepared, _ = prepare(gan, sampler, width=WIDTH, strict=False)
    mover = prepared.proposal if isinstance(prepared, Selector) else prepared
    key, ids = Key(0), torch.arange(WIDTH, device=gan.device)
    attempts = torch.zeros_like(ids)
    told = mover.lifetime(key, ids.cpu(), attempts.cpu())
    if told is None:
        return
    if told.shape != ids.shape or told.dtype != torch.int64 or bool((told < 1).any()):
        _fail("lifetime", f"lifetime() must give ({WIDTH},) int64 of 1 or more, or None")
    networks = networks_for(gan, mover)
    with networks.frozen():
        state = mover.init(networks, key, ids, attempts)
        for step in range(1, int(told.max()) + 1):
            state, moved = mover.step(networks, key, state)
            done, due = moved.done.cpu(), told == step
            if not bool(done[due].all()) or bool(done[told > step].any()):
                _fail("lifetime", f"lifetime() and step() disagree on what is done at step {step}")


def _check_pieces(sampler: Any, gan: GAN, whole: Samples) -> None:
    cuts = (0, 1, 70, SAMPLES)
    parts = [
        _draw(gan, sampler, stop - start, start=start)
        for start, stop in zip(cuts, cuts[1:], strict=False)
    ]
    joined = Samples.join(parts, {})
    _same_bits("several calls", "one call and three with start=", whole, joined)
    shorter = _draw(gan, sampler, SAMPLES - 40)
    cut = {f: getattr(whole, f)[: len(shorter)] for f in FIELDS}
    first = dataclasses.replace(whole, **cut)
    _same_bits(
        "number of samples", "the first samples of a longer and a shorter run", first, shorter
    )


def _same_bits(check: str, what: str, a: Samples, b: Samples) -> None:
    for name in FIELDS:
        left, right = _rows(getattr(a, name)), _rows(getattr(b, name))
        same = left.shape == right.shape
        if not same or not torch.equal(left, right):
            count = int((left != right).any(1).sum()) if same else "all"
            _fail(
                check,
                f"{what} differ in {name} (rows: {count} of {len(left)}); a sample may "
                "depend on (key, id, attempt) alone, never on its place in the batch",
            )


def _check_width(sampler: Any, gan: GAN, whole: Samples) -> None:
    other = _draw(gan, sampler, SAMPLES, width=OTHER)
    a, b = (_rows(s.x.double()) for s in (whole, other))
    scale = float(a[a.isfinite()].std()) + 1e-12
    near = ((a - b).abs() <= ROUNDING * scale).all(1) | (a == b).all(1)
    share = float(near.double().mean())
    if share < AGREE:
        _fail(
            "width",
            f"at widths {WIDTH} and {OTHER} only {share:.0%} of the samples agree up to rounding; "
            "lanes must not depend on each other or on how many there are",
        )


def _rows(value: Tensor) -> Tensor:
    """View as (N, features), with NaN equal to itself."""
    flat = value.reshape(len(value), -1)
    return torch.nan_to_num(flat, nan=1e30) if flat.is_floating_point() else flat


# -- what must stay as it is --------------------------------------------------------------------


@contextlib.contextmanager
def _untouched(gan: GAN) -> Iterator[None]:
    """Raise if the block changes a network, or the random state of torch, numpy or Python."""
    scores = [gan.guide, *(ratio.score for ratio in gan.ratios.values())]
    networks = [gan.generator, *(score.network for score in scores if score is not None)]
    modules = [m for network in networks for m in network.modules()]
    watched: dict[str, Callable[[], Any]] = {
        "a training flag": lambda: [m.training for m in modules],
        "requires_grad": lambda: [p.requires_grad for m in networks for p in m.parameters()],
        "the gradient of a weight": lambda: [_grad(p) for m in networks for p in m.parameters()],
        "a weight or buffer": lambda: [weights_hash(m) for m in networks],
        "torch's global random state": lambda: torch.get_rng_state().tolist(),
        "numpy's global random state": lambda: np.random.get_state()[1].tolist(),  # type: ignore
        "Python's global random state": random.getstate,
    }
    flags = [(m, m.training) for m in modules]
    try:
        # Odd modes on purpose: sampling must cope with any and give them back.
        for index, module in enumerate(modules):
            module.training = index % 2 == 0
        before = {name: look() for name, look in watched.items()}
        yield
        for name, look in watched.items():
            if look() != before[name]:
                _fail("side effects", f"sampling changed {name}")
    finally:
        for module, flag in flags:
            module.training = flag


def _grad(parameter: nn.Parameter) -> list[float] | None:
    return None if parameter.grad is None else parameter.grad.flatten().tolist()
