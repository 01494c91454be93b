"""What the scores of a shipped discriminator give away beside real data, said in one line each."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gantandem.adapt.sigmoid import ends_in_sigmoid
from gantandem.data.real import Real, Rows
from gantandem.discriminator.held_out import rows_hash
from gantandem.discriminator.parts import asked_alike, take
from gantandem.gan import GAN
from gantandem.nets.hashing import weights_hash
from gantandem.networks.score import Score, typed
from gantandem.networks.statistics import in_batches, kept_statistics, refresh_statistics
from gantandem.rng import Key

SAMPLES = 512
"""Real, and as many generated, samples that are scored, where they are not large."""
VALUES = 2**26
"""At most so many numbers are held at a time, but 32 samples at least."""
BATCH = 64
LATER = "fit a ratio: gan = gt.fit_ratio(gan, real, proposal=gt.Direct())"
NOW = "judge by the ratio that is fitted now, which compares it with others on held-out samples"
"""What to do instead of using it as it is."""
WORSE = 0.05
"""An AUC is worse than another if it is lower by more than this and its noise."""


def check_discriminator(gan: GAN, parts: Real, *, fitting: bool = False) -> None:
    """Score real and generated samples by the shipped discriminator, and say what is wrong.

    Said are: statistics of normalisation layers that fit neither kind of sample, labels the other
    way round, probabilities taken for logits, and scores that are all the same. A guide that was
    shaped or fitted here is not looked at: it was trained as it is used.

    Args:
        gan: With or without a guide.
        parts: Real data; some of the ``fit`` part is scored.
        fitting: A ratio is being fitted, and need not be advised.
    """
    remedy = NOW if fitting else LATER
    guide = gan.guide
    fitted = [r.score for r in gan.ratios.values() if r.origin == "fitted"]
    if guide is None or gan.shaped or any(score is guide for score in fitted):
        return
    data = rows_hash(parts.fit[:16]).tolist()
    looked = f"looked {weights_hash(gan.generator)} {weights_hash(guide.network)} {data}"
    if not gan.networks.first(looked):
        return
    with gan.networks.frozen():
        real, made = _both(gan, parts.rows("fit"))
        on_real, on_made = _scores(guide, real), _scores(guide, made)
        if not bool(torch.cat([on_real, on_made]).isfinite().all()):
            return  # refused by the engine, with ids
        said = _check_batches(gan, guide, real, made, auc(on_real, on_made), remedy)
        few = [v for v in made.map(lambda value: value[:2]) if v is not None]
        known = ends_in_sigmoid(
            guide.network, *typed(guide.network, *few)
        )  # said when the GAN was made
    _check_values(gan, guide, torch.cat([on_real, on_made]), known, remedy)
    if not said:
        _check_direction(gan, guide, on_real, on_made, remedy)


def auc(real: Tensor, made: Tensor) -> float:
    """Chance that a real sample scores higher than a generated one; a tie counts one half."""
    order = made.sort().values
    below = torch.searchsorted(order, real) + torch.searchsorted(order, real, right=True)
    return float(below.double().mean() / 2 / len(made))


def auc_noise(real: int, made: int) -> float:
    """Standard error of the AUC of two samples from one law."""
    return math.sqrt((real + made + 1) / (12 * real * made))


def _both(gan: GAN, rows: Rows) -> tuple[Rows, Rows]:
    key = Key(0).fold("check discriminator")
    count = min(SAMPLES, max(32, VALUES // rows.x[:1].numel()))
    real = take(rows, torch.randperm(len(rows.x), generator=key.generator())[:count])
    asked = asked_alike(gan, real, "check discriminator")
    ids = torch.arange(len(real.x), device=gan.device)
    made = [asked.decode(gan.latent.draw(key, i), asked.conditions(i)) for i in ids.split(BATCH)]
    return real.to(gan.device), Rows(torch.cat(made), asked.conditions(ids))


def _scores(score: Callable[..., Tensor], rows: Rows) -> Tensor:
    """Score in batches of nearly one size: BatchNorm takes none of one row."""
    size = -(-len(rows.x) // -(-len(rows.x) // BATCH))
    return torch.cat([score(*part).double() for part in rows.split(size)])


def _check_batches(
    gan: GAN, guide: Score, real: Rows, made: Rows, kept: float, remedy: str
) -> bool:
    """Compare what the kept statistics tell apart with what those of each batch do."""
    own = in_batches(guide.network)
    if own is None:
        return False
    score = Score(own, guide.output)
    alone = auc(_scores(score, real), _scores(score, made))
    noise = auc_noise(len(real.x), len(made.x))
    if alone < 0.5 or alone - kept <= WORSE + 3 * noise:
        return False
    half = len(real.x) // 2
    mixed = [
        tuple(torch.cat(both) for both in zip(*pair, strict=True) if both[0] is not None)
        for pair in zip(
            *(rows.map(lambda v: v[:half]).split(BATCH // 2) for rows in (real, made)), strict=True
        )
    ]
    score = Score(refresh_statistics(guide.network, mixed).eval(), guide.output)
    anew = auc(*(_scores(score, rows.map(lambda v: v[half:])) for rows in (real, made)))
    kinds = sorted({type(layer).__name__ for _, layer, _ in kept_statistics(own)})
    refreshed = "D = gt.refresh_statistics(D, batches of half real, half generated samples)"
    helps = anew - kept > WORSE
    gan.networks.say(
        f"statistics {id(guide.network)}",
        f"discriminator {type(guide.network).__name__}: its scores tell real from generated "
        f"samples with AUC {kept:.3f} as it is used, in eval mode, where with the statistics of "
        f"each batch it is {alone:.3f}: what its {' and '.join(kinds)} layers keep fits neither "
        "kind of sample. "
        + (f"Make a GAN with {refreshed}: AUC {anew:.3f}; or " if helps else "")
        + (remedy if helps else remedy[:1].upper() + remedy[1:])
        + ("" if helps else f" (gt.refresh_statistics gives AUC {anew:.3f})"),
    )
    return True


def _check_values(gan: GAN, guide: Score, both: Tensor, known: bool, remedy: str) -> None:
    kind = f"discriminator {type(guide.network).__name__}"
    low, high = float(both.min()), float(both.max())
    if low == high:
        gan.networks.say(
            f"constant {id(guide.network)}",
            f"{kind}: gives {low:.4g} for every real and generated sample, so that it refines "
            "nothing and accepts everything. Check its weights and the range of its input, or "
            f"{remedy}",
        )
    elif guide.output == "logit" and low >= 0 and high <= 1 and not known:
        gan.networks.say(
            f"squashed {id(guide.network)}",
            f"{kind}: all scores of {len(both):,} samples lie in [0, 1], from {low:.3g} to "
            f"{high:.3g}, but output='logit'. Pass output='prob' if it ends in a sigmoid, or "
            "output='critic' if it was trained by least squares",
        )


def _check_direction(gan: GAN, guide: Score, real: Tensor, made: Tensor, remedy: str) -> None:
    apart = auc(real, made)
    if apart < 0.5 - 3 * auc_noise(len(real), len(made)):
        gan.networks.say(
            f"reversed {id(guide.network)}",
            f"discriminator {type(guide.network).__name__}: scores generated samples above real "
            f"ones (AUC {apart:.3f}), so that refining and accepting by it lead away from the "
            "data. If 1 means generated, pass a network that returns -D(x) (1 - D(x) for "
            f"output='prob'); else {remedy}",
        )
