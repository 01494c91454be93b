"""Every network is checked where it comes in: as a generator, a guide or a ratio."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from gantandem.adapt.base import unwrapped
from gantandem.adapt.inputs import full
from gantandem.adapt.outputs import shown
from gantandem.adapt.sigmoid import warn_probabilities
from gantandem.condition import is_labels
from gantandem.errors import InputError
from gantandem.latent import check_latent
from gantandem.networks.advice import for_call, said, shape_hint, tried
from gantandem.networks.answers import for_output
from gantandem.networks.held import held
from gantandem.networks.probe import check_rows
from gantandem.networks.score import Output, Score, typed
from gantandem.networks.statistics import warn_unfilled
from gantandem.rng import Key

if TYPE_CHECKING:
    from gantandem.networks.networks import Networks

LABELS = 32
"""At most this many labels are tried, at even distances among those that are asked for."""
LOOKED_AT = 1024
"""Ids whose labels are looked at, where they come from a function."""
_REFUSALS = (RuntimeError, TypeError, ValueError, LookupError, AttributeError, AssertionError)


def as_network(network: Any, role: str) -> nn.Module:
    """Refuse what is no network, and take the wrappers of compiling and of parallelism off.

    Raises:
        InputError: If it is no ``nn.Module``. A function hides its weights: they could not be
            held still, nor could a law name them.
    """
    if isinstance(network, nn.Module):
        return unwrapped(network)
    got = network.__name__ if isinstance(network, type) else type(network).__name__
    hint = "make an object of it" if isinstance(network, type) else "wrap it"
    raise InputError(
        f"{role}: got {got}, allowed is an nn.Module, because its weights and modes must be "
        f"known; {hint}: class Net(nn.Module), the networks it calls as its attributes"
    )


def as_score(network: Any, output: Output = "logit") -> Score | None:
    """Read a network as what scores samples; None and scores stay as they are."""
    if network is None or isinstance(network, Score):
        return network
    return Score(as_network(network, "discriminator"), output)


def check_networks(
    networks: Networks, scores: Sequence[Score | None], *, generator: bool = False
) -> None:
    """Check networks on a few latents.

    Args:
        networks: Whose generator makes the samples.
        scores: What scores them; None is left out.
        generator: Check the generator as well.

    Raises:
        InputError: If one does not fit the others, or mixes the rows of a batch.
    """
    own = [score for score in scores if score is not None]
    if not (own or generator):
        return
    with networks.frozen(), held([score.network for score in own], networks.device):
        if generator:
            check_latent(networks.latent, networks.device)
        z, cond = networks.examples()
        try:
            if generator:
                x = check_generator(networks.generator, z, cond, own)
            else:
                x = networks.decode(z, cond)
            for score in own:
                check_score(score, x, cond)
        except InputError:
            try_labels(networks, own, again=True, most=False)  # it may be a label's fault
            raise
        try_labels(networks, own, again=True)


def check_changed(networks: Networks, known: Sequence[Score], changes: Collection[str]) -> None:
    """Check what is new in the networks of a GAN made from another one.

    Args:
        networks: The new ones.
        known: What scored samples before.
        changes: Names of attributes that were changed.

    Raises:
        InputError: As :func:`check_networks`.
    """
    fresh = [score for score in networks.scores if all(score is not one for one in known)]
    if {"generator", "latent", "condition"}.intersection(changes):
        check_networks(networks, [networks.guide], generator=True)
    check_networks(networks, fresh)
    if "generator" in changes:
        warn_unfilled(networks.generator, "generator")
    if any(networks.guide is score for score in fresh):
        warn_unfilled(fresh[0].network, "discriminator")


def try_labels(
    networks: Networks, scores: Sequence[Score | None], *, again: bool = False, most: bool = True
) -> None:
    """Try the labels that a GAN is asked for, one row each.

    Args:
        networks: Whose generator and conditions.
        scores: What scores its samples.
        again: Try those that were tried before, too.
        most: Refuse them also where every label fails, for which it may not be to blame.

    Raises:
        InputError: If a network does not know one.
    """
    asked = networks.condition
    if callable(asked) and not isinstance(asked, Tensor):
        asked = networks.conditions(torch.arange(LOOKED_AT, device=networks.device))
    if asked is None or not is_labels(asked):
        return
    places = labels_to_try(asked)
    labels = asked[places]
    new = torch.tensor([again or label not in networks.tried for label in labels.tolist()])
    if bool(new.any()):
        ids = places.to(networks.device)[new.to(networks.device)]
        z = networks.latent.draw(Key(0).fold("example"), ids)
        own = [score for score in scores if score is not None]
        with networks.frozen():
            known = labels[new.to(labels.device)].to(networks.device)
            check_labels(networks.generator, own, z, known, most=most)
    networks.tried = networks.tried.union(labels.tolist())


def check_generator(
    generator: nn.Module, z: Tensor, cond: Tensor | None, scores: Sequence[Score] = ()
) -> Tensor:
    """Refuse one that does not fit its latent, makes no number, or whose rows depend on others.

    Args:
        generator: Called as ``generator(z)`` or ``generator(z, cond)``; in eval mode.
        z: (N, d) latents, N >= 4.
        cond: (N, ...) conditions, or None.
        scores: What will score its samples: of several outputs the one that they take is named.

    Returns:
        (N, *x_shape) samples.

    Raises:
        InputError: Then.
    """
    kind, beside = type(generator).__name__, () if cond is None else (cond,)
    with _unwritten(generator, "generator"):
        try:
            x = generator(z, *beside)
        except _REFUSALS as error:
            hint = shape_hint(generator, z, beside)
            advice = "" if hint else for_call(generator, "generator", z, cond)
            raise InputError(
                f"generator {kind} does not take latents of shape {tuple(z.shape)}{hint} "
                f"({said(error)}){advice}"
            ) from error
    if not isinstance(x, Tensor) or x.shape[:1] != z.shape[:1]:
        accepts = (lambda made: scores[0](made, cond)) if scores else None
        advice = for_output(x, len(z), scores=False, accepts=accepts)
        raise InputError(
            f"generator {kind}: got {shown(x)} for {len(z)} latents; it must return one tensor "
            f"with a row for each latent{advice or tried(generator, 'generator', z, cond)}"
        )
    if not bool(x.isfinite().any()):
        raise InputError(f"generator {kind}: of {len(z)} latents it makes NaN or infinity alone")
    check_rows(generator, generator, (z, *beside), "generator")
    one = generator(z[:1], *(c[:1] for c in beside))
    if one.shape != x[:1].shape:
        raise InputError(
            f"generator {kind}: got {tuple(one.shape)} for one latent and {tuple(x.shape)} for "
            f"{len(z)}; the first axis must stay, so use squeeze(1) or flatten(1), not squeeze()"
        )
    return full(x)


def check_score(score: Score, x: Tensor, cond: Tensor | None, role: str = "discriminator") -> None:
    """Refuse what does not take samples, or scores them by their companions.

    Args:
        score: In eval mode.
        x: (N, *x_shape) samples of the generator, N >= 4.
        cond: (N, ...) conditions, or None.
        role: For the message.

    Raises:
        InputError: Then.
    """

    def scored(rows: slice) -> None:
        try:
            score(x[rows], None if cond is None else cond[rows])
        except InputError:
            raise
        except _REFUSALS as error:
            given = typed(score.network, x[rows], None if cond is None else cond[rows])
            raise InputError(
                f"{role} {type(score.network).__name__} does not take the generator's output "
                f"of shape {tuple(x[rows].shape)}: {said(error)}"
                f"{for_call(score.network, role, *given)}"
            ) from error

    with _unwritten(score.network, role):
        scored(slice(None))
    given = tuple(typed(score.network, x, cond))
    check_rows(score.network, score.network, given, role)
    scored(slice(1))  # what is left over of some chunks
    if score.output == "logit":
        warn_probabilities(score.network, *given)


@contextlib.contextmanager
def _unwritten(network: nn.Module, role: str) -> Iterator[None]:
    """Refuse a forward that writes into its weights: those could not be put back."""
    named = [(n, p, p._version, p.data_ptr()) for n, p in _matrices(network)]
    yield
    for name, weight, version, place in named:
        if (weight._version, weight.data_ptr()) != (version, place):
            raise InputError(
                f"{role} {type(network).__name__}: its forward writes into its own weight "
                f"{name!r}even in eval mode, so every call changes the network. Compute a new "
                "tensor from the weight instead, or write only in train mode"
            )


def _matrices(network: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """The weights that are not copied while a network is held (see ``gantandem.networks.held``)."""
    for name, module in network.named_modules():
        if getattr(module, "max_norm", None) is None:
            for own, weight in module.named_parameters(name, recurse=False):
                if weight.dim() > 1 and not weight.is_inference():
                    yield own, weight


def labels_to_try(labels: Tensor) -> Tensor:
    """Places of distinct labels, the smallest and the largest among them, at most 32.

    Args:
        labels: (M,) integers.
    """
    values, inverse = labels.unique(return_inverse=True)
    order = torch.arange(len(labels), device=labels.device)
    places = torch.zeros_like(values).scatter_(0, inverse, order)
    if len(places) > LABELS:
        evenly = torch.linspace(0, len(places) - 1, LABELS, device=labels.device)
        places = places[evenly.round().long()]
    return places


def check_labels(
    generator: nn.Module, scores: list[Score], z: Tensor, labels: Tensor, *, most: bool = True
) -> None:
    """Refuse labels that a network does not know: each is tried once.

    Args:
        generator: In eval mode.
        scores: What judges or guides its samples.
        z: (N, d) latents.
        labels: (N,) integers.
        most: Refuse them also where every one fails.

    Raises:
        InputError: Naming the labels that fail.
    """

    def failure(rows: slice) -> Exception | None:
        try:
            x = generator(z[rows], labels[rows])
            for score in scores:
                score(x, labels[rows])
        except _REFUSALS as error:
            return error
        return None

    if failure(slice(None)) is None:
        return
    tried = {int(label): failure(slice(i, i + 1)) for i, label in enumerate(labels)}
    failed = [label for label, error in tried.items() if error is not None]
    if failed and (most or len(failed) < len(tried)):
        raise InputError(
            f"condition: the networks do not know the label {failed[0]} ({tried[failed[0]]}), "
            f"one of {len(failed)} that fail; ask for labels that they were trained on"
        )
