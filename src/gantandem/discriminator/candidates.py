"""What may become a ratio: the shipped discriminator, a network fitted anew, a line, trees."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gantandem.adapt.sigmoid import BeforeSigmoid
from gantandem.condition import is_labels
from gantandem.data.real import PARTS, Real, Rows
from gantandem.discriminator.fitting import Evidence, Options, fit_network
from gantandem.discriminator.parts import frozen_copy, logits, seeded, take, trainable
from gantandem.errors import InputError
from gantandem.gan import GAN
from gantandem.nets import build
from gantandem.nets.boosted import BoostedRatio, LinearRatio, columns
from gantandem.nets.features import FeatureRatio
from gantandem.nets.ratio import MLPRatio, is_image, ratio_spec
from gantandem.networks.held import random_state
from gantandem.networks.score import Score
from gantandem.networks.statistics import in_batches, refresh_statistics
from gantandem.rng import Key

logger = logging.getLogger(__name__)

COLUMNS = 256
"""Lines and trees look at samples of at most so many numbers."""
TREES, DEPTH, IN_LEAF, TREE_RATE = 150, 5, 40, 0.2
"""Most trees, questions to a leaf, fewest samples in a leaf, and the share each tree adds."""
BINS = 255
"""Most values of a column that trees tell apart."""
ROWS = 200_000
"""Trees grow on at most so many real samples, and as many proposals."""
SHRINKAGE = (0.01, 1.0)
"""Inverse strengths of the line's penalty; the better one on held-out samples is kept."""
REFRESHED = 32, 64
"""Batches, and samples of one, that statistics are refreshed on."""


class Candidate(NamedTuple):
    """A score that may become a ratio, by what it is called, and how to rebuild its network."""

    name: str
    score: Score
    spec: dict[str, Any]


def candidates(
    gan: GAN, parts: Real, shown: Evidence, options: Options, *, anew: bool = False
) -> Iterator[Candidate]:
    """Everything that suits the data, in the order in which it is made.

    ``shipped`` is the guide as it is, and ``refreshed`` the guide with its normalisation
    statistics taken anew, if it keeps any; ``network`` is the better one of them trained further,
    or a new network where there is no guide that can be, or with ``anew``. Where samples are up
    to 256 numbers and no images, ``linear`` is a regularised line and ``trees`` are boosted trees
    that also see the best network's logit.
    """
    found: list[Candidate] = []
    if gan.guide is not None:
        found.append(Candidate("shipped", gan.guide, dict(gan.specs.get("guide", {}))))
        yield found[0]
        if in_batches(gan.guide.network) is not None:
            network = refresh_statistics(gan.guide.network, _mixed(shown)).eval()
            score = Score(network.requires_grad_(False), gan.guide.output)
            found.append(Candidate("refreshed", score, found[0].spec))
            yield found[1]
    losses = [_rank_loss(gan, one.score, shown) for one in found]
    best = found[losses.index(min(losses))] if found else None
    network = _network(gan, parts, shown, options, None if anew else best)
    yield network
    x, cond = shown.made
    numbers = columns(x[:1], None if cond is None else cond[:1]).numel()
    if is_image(tuple(x.shape[1:])) or numbers > COLUMNS:
        return
    yield _line(shown)
    losses.append(_rank_loss(gan, network.score, shown))
    base = [*found, network][losses.index(min(losses))]
    with gan.networks.frozen():
        grown = _trees(base, shown)
    if grown is not None:
        yield grown


def learners(
    gan: GAN, parts: Real, network: nn.Module | None
) -> list[Callable[[], nn.Module | None]]:
    """What makes copies of what a fit may train, for what they cost, the first choice first.

    None stands for a head alone. A new network comes after the guide.
    """
    if isinstance(network, FeatureRatio):
        return [lambda: None]
    if network is not None:
        return [lambda: frozen_copy(network)]

    def new() -> nn.Module:
        x, cond = take(parts.rows("fit"), torch.arange(2))
        with random_state(gan.device):
            return frozen_copy(build(new_spec(gan, parts, x, cond)).to(gan.device))

    guide = gan.guide
    return [new] if guide is None else [lambda: frozen_copy(guide.network), new]


def _rank_loss(gan: GAN, score: Score, shown: Evidence) -> float:
    """One minus the AUC on held-out samples: whatever the scale of a score."""
    from sklearn.metrics import roc_auc_score

    with gan.networks.frozen():  # a shipped network may have been left in train mode
        on_real, on_made = (_score(score, rows) for rows in (shown.out_real, shown.out_made))
    both = np.concatenate([on_real, on_made])
    if not np.isfinite(both).all():
        return 1.0
    return 1 - float(roc_auc_score(np.repeat([1, 0], [len(on_real), len(on_made)]), both))


def _score(score: Score, rows: Rows, batch: int = 1000) -> np.ndarray:
    with torch.no_grad():
        return torch.cat([score(*part).double() for part in rows.split(batch)]).cpu().numpy()


def _mixed(shown: Evidence) -> list[Any]:
    """Batches of half real and half generated samples."""
    count, size = REFRESHED
    noise = Key(0).fold("refresh").generator()
    batches = []
    for _ in range(count):
        real, made = (
            take(rows, torch.randint(len(rows.x), (size // 2,), generator=noise))
            for rows in (shown.real, shown.made)
        )
        real = real.to(made.x.device)
        x = torch.cat([real.x, made.x])
        if real.cond is None or made.cond is None:
            batches.append(x)
        else:
            batches.append((x, torch.cat([real.cond, made.cond])))
    return batches


def _network(
    gan: GAN, parts: Real, shown: Evidence, options: Options, best: Candidate | None
) -> Candidate:
    """Train the best shipped network further; without one, a new network for the data's shape."""
    if best is not None:
        try:
            own = trainable(best.score.network)
            view = best.score.as_logits(own, "fit_ratio")
        except InputError as error:
            logger.warning("%s. A new network is fitted instead", error)
        else:
            fitted = fit_network(view, shown, options, "fit ratio")
            output = "logit" if best.score.output == "critic" else best.score.output
            network = fitted if view is own else frozen_copy(own)
            return Candidate("network", Score(network, output), best.spec)
    x, cond = shown.made
    with seeded(Key(options.seed).fold("ratio network"), x.device):
        spec = new_spec(gan, parts, x, cond)
        own = build(spec).to(x.device)
    if isinstance(own, MLPRatio):
        own.standardise(torch.cat([shown.real.x[:10_000].to(x), x[:10_000]]))
    return Candidate("network", Score(fit_network(own, shown, options, "fit ratio")), spec)


def new_spec(gan: GAN, parts: Real, x: Tensor, cond: Tensor | None) -> dict[str, Any]:
    """Describe a new ratio network for the shapes of the data and the kind of conditions."""
    shape = tuple(x.shape[1:])
    if cond is None:
        return ratio_spec(shape)
    if is_labels(cond):
        return ratio_spec(shape, classes=count_classes(gan, parts))
    return ratio_spec(shape, cond_shape=tuple(cond.shape[1:]) or (1,))


def count_classes(gan: GAN, parts: Real) -> int:
    """One more than the largest label, of the real samples and of those the GAN is asked for."""
    known = [getattr(parts.conditions, part) for part in PARTS]
    known.append(
        gan.condition if isinstance(gan.condition, Tensor) else gan.networks.example_conditions()
    )
    low, high = min(int(v.min()) for v in known), max(int(v.max()) for v in known)
    if low < 0:
        raise InputError(f"fit_ratio: got the label {low}; labels are 0, 1, ...")
    return high + 1


def _table(rows: Rows) -> np.ndarray:
    return columns(*rows.map(lambda value: value[:ROWS])).cpu().numpy()


def _balanced(real: int, made: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and weights with which both kinds count alike (mean 1)."""
    half = (real + made) / 2
    return np.repeat([1.0, 0.0], [real, made]), np.repeat([half / real, half / made], [real, made])


def _line(shown: Evidence) -> Candidate:
    """A logistic regression with a penalty, on standardised columns."""
    from sklearn.linear_model import LogisticRegression

    real, made = _table(shown.real), _table(shown.made)
    both = np.concatenate([real, made])
    mean, std = both.mean(0), both.std(0)
    std = np.where(std > 0, std, 1.0)
    label, weight = _balanced(len(real), len(made))
    best: tuple[float, Any] = (np.inf, None)
    x, cond = shown.made
    shape = [int(size) for size in x.shape[1:]]
    beside = {} if cond is None else {"cond_shape": list(cond.shape[1:]), "conditional": True}
    spec = {"net": "linear-ratio", "x_shape": shape, **beside}
    for penalty in SHRINKAGE:
        model = LogisticRegression(C=penalty * 2 * len(real) / len(both), max_iter=300)
        model.fit((both - mean) / std, label, sample_weight=weight)
        own = LinearRatio(shape, **beside)
        slope = np.ravel(model.coef_) / std
        with torch.no_grad():
            own.weight.copy_(torch.from_numpy(slope)[None])
            own.bias.fill_(float(np.ravel(model.intercept_)[0] - slope @ mean))
        own = frozen_copy(own.to(x.device))
        on_real, on_made = logits(own, shown.out_real), logits(own, shown.out_made)
        loss = float(F.softplus(-on_real).mean() + F.softplus(on_made).mean())
        best = min(best, (loss, own), key=lambda pair: pair[0])
    return Candidate("linear", Score(best[1]), spec)


def _trees(base: Candidate, shown: Evidence) -> Candidate | None:
    """Boosted trees on the columns and the base's logit, as many as held-out samples bear out."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    def seen(rows: Rows) -> np.ndarray:
        rows = rows.map(lambda value: value[:ROWS])
        return np.column_stack([_table(rows), _score(base.score, rows.to(shown.made.x.device))])

    real, made = seen(shown.real), seen(shown.made)
    label, weight = _balanced(len(real), len(made))
    both = np.concatenate([real, made])
    edges = [bin_edges(column, weight) for column in both.T]
    model = HistGradientBoostingClassifier(
        max_iter=TREES, max_depth=DEPTH, min_samples_leaf=IN_LEAF, learning_rate=TREE_RATE,
        l2_regularization=1.0, early_stopping=False, random_state=0,  # pyright: ignore
    )  # fmt: skip
    model.fit(in_bins(both, edges), label, sample_weight=weight)
    held = seen(shown.out_real), seen(shown.out_made)
    binned = [in_bins(rows, edges) for rows in held]
    stages = zip(*map(model.staged_decision_function, binned), strict=True)
    losses = [np.logaddexp(0, -a).mean() + np.logaddexp(0, b).mean() for a, b in stages]
    count = int(np.argmin(losses)) + 1
    try:
        network, spec = _as_logits(base)
        network = BoostedRatio.grown(network, model, count, edges).to(shown.made.x.device)
        own = network.walk(torch.from_numpy(held[0]).to(shown.made.x.device)).cpu().numpy()
        wanted = _stage(model, binned[0], count)
    except (AttributeError, IndexError, KeyError, ValueError, TypeError) as error:
        other = "this version of scikit-learn stores its trees in another form"
        logger.warning("fit_ratio: boosted trees are left out: %s (%s)", other, error)
        return None
    if not np.allclose(own, wanted, atol=1e-6):
        logger.warning("fit_ratio: the trees could not be read from this scikit-learn")
        return None
    return Candidate("trees", Score(frozen_copy(network)), network.spec(spec))


def bin_edges(column: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Edges of at most 255 bins of equal weight; scikit-learn needs a sort for each of them."""
    order = np.argsort(column, kind="stable")
    column, total = column[order], weight[order].cumsum()
    distinct = np.unique(column)
    if len(distinct) <= BINS:
        return (distinct[:-1] + distinct[1:]) / 2
    at = np.searchsorted(total, np.arange(1, BINS) / BINS * total[-1])
    return np.unique((column[at] + column[np.minimum(at + 1, len(column) - 1)]) / 2)


def in_bins(rows: np.ndarray, edges: Sequence[np.ndarray]) -> np.ndarray:
    """The number of the bin of each value: that of the first edge that is not below it."""
    columns = zip(rows.T, edges, strict=True)
    return np.column_stack([np.searchsorted(edge, column) for column, edge in columns])


def _as_logits(one: Candidate) -> tuple[nn.Module, dict[str, Any]]:
    """A candidate's network as one whose answer is what its score says, and its description."""
    if one.score.output != "prob":
        return one.score.network, one.spec
    spec = {"net": "before-sigmoid", "network": one.spec} if one.spec else {}
    return BeforeSigmoid(one.score.network), spec


def _stage(model: Any, rows: np.ndarray, count: int) -> np.ndarray:
    for stage, value in enumerate(model.staged_decision_function(rows), 1):
        if stage == count:
            return value
    raise ValueError(f"{count} trees wanted")
