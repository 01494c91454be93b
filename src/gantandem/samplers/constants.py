"""What selectors find on their pilots: one number, or one for each condition.

A ratio r(x | c) is normalised for every condition c by itself, so what one in K, or the largest
ratio, means differs from class to class: a constant shared by all lets some classes pay for others.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Annotated, Any

import torch
from torch import Tensor

from gantandem.errors import InputError, NonFiniteError
from gantandem.samplers.base import Proposal
from gantandem.settings import Rule

logger = logging.getLogger(__name__)

MOST_CONDITIONS = 1000
"""Up to so many different conditions have constants of their own."""

_NUMBERS = Rule("a finite number, or pairs of a condition and its number", lambda value: True)
Constant = Annotated[float | tuple[tuple[object, float], ...], _NUMBERS]
"""One number; or pairs of a condition (a label, or the numbers of a row) and its number."""


def by_condition(name: str, pilot: Proposal, *, quiet: bool = False) -> dict[Any, Tensor]:
    """The pilot's log ratios by condition; under None all together, where conditions differ.

    A log ratio of -inf (a ratio of 0) is one that is never accepted, and may occur.

    Raises:
        NonFiniteError: If one is NaN or +inf, or no proposal of some condition can be accepted.
    """
    log_ratio = pilot.log_ratio
    if bool(log_ratio.isnan().any()) or bool((log_ratio == torch.inf).any()):
        raise NonFiniteError(
            f"{name}: the pilot has log ratios that are NaN or +inf; allowed are numbers and -inf "
            "(a ratio of 0). Check the network that judges"
        )
    groups: dict[Any, Tensor] = {None: log_ratio}
    if pilot.condition is not None:
        rows, place = _rows(pilot.condition).unique(dim=0, return_inverse=True)
        if len(rows) <= MOST_CONDITIONS:
            labels = pilot.condition.dim() == 1
            keys = [row[0] if labels else tuple(row) for row in rows.tolist()]
            groups = {key: log_ratio[place == index] for index, key in enumerate(keys)}
        elif not quiet:
            logger.warning(
                "%s: %d of %d pilot proposals have different conditions, too many to find a "
                "constant for each. All conditions share one constant, so some take more "
                "proposals than others",
                name,
                len(rows),
                len(log_ratio),
            )
    for key, values in groups.items():
        if not bool(values.isfinite().any()):
            raise NonFiniteError(
                f"{name}: every ratio of the pilot{_of(key)} ({len(values)} proposals) is 0, so "
                "nothing can be accepted. Check the weights and the input range of the network "
                "that judges, or fit a ratio with fit_ratio()"
            )
    return groups


def pack(found: Mapping[Any, float]) -> Constant:
    """What a setting holds of one number for each condition."""
    return found[None] if None in found else tuple(found.items())


def at(constant: Constant, key: Any) -> float:
    """The number of one condition."""
    return dict(constant)[key] if isinstance(constant, tuple) else constant


def look_up(constant: Constant | None, new: Proposal) -> float | Tensor:
    """The number that holds for each proposal.

    Raises:
        InputError: If the selector was not prepared, or a condition is new to it.
    """
    if constant is None:
        raise InputError("this selector was not prepared; sample() prepares it, or call prepare")
    if not isinstance(constant, tuple):
        return constant
    if new.condition is None:
        raise InputError(
            "this selector has a constant for each condition, but the GAN has no condition; "
            "prepare it with this GAN"
        )
    rows = _rows(new.condition)
    keys = [key if isinstance(key, tuple) else (key,) for key, _ in constant]
    same = rows[:, None] == torch.tensor(keys, dtype=rows.dtype, device=rows.device)
    same = same.all(2)
    if not bool(same.any(1).all()):
        strange = rows[int((~same.any(1)).nonzero()[0])].tolist()
        raise InputError(
            f"condition {strange[0] if len(strange) == 1 else strange}: the selector was prepared "
            "without this condition. Pass a GAN whose condition holds all conditions that you "
            "draw, as a tensor: gan.with_condition(labels)"
        )
    numbers = torch.tensor([number for _, number in constant], dtype=torch.float64)
    return numbers.to(rows.device)[same.int().argmax(1)]


def worst(found: Mapping[Any, float]) -> tuple[float, str]:
    """The least number, and the words that name its condition."""
    key = min(found, key=lambda key: found[key])
    return found[key], _of(key)


def _of(key: Any) -> str:
    return "" if key is None else f" under condition {key}"


def _rows(condition: Tensor) -> Tensor:
    return condition.reshape(len(condition), -1)
