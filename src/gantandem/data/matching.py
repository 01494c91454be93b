"""Do real samples look like what the generator makes: their shape, type and range?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gantandem.condition import check_condition, like
from gantandem.data.incoming import read
from gantandem.data.real import Rows, Stored
from gantandem.errors import DataError
from gantandem.rng import Key

if TYPE_CHECKING:
    from gantandem.networks.networks import Networks

PROBE, ENOUGH = 256, 2**18
"""Samples of a generator that are looked at, at most; fewer where they have so many values."""
AT_ONCE = 2**24
"""Values that are looked at together, at most."""

LOOKED_AT = 2048
"""Samples whose range is looked at, at most."""
WIDE = 16
"""Samples of fewer values are points and tables, which may lie anywhere."""
SHARE = 0.05
APART = 100.0

Shape = tuple[int, ...]


def probe(networks: Networks) -> Tensor:
    """A few samples of the generator, (M, *x_shape), on its device: those of no seed."""
    ids = torch.arange(PROBE, device=networks.device)
    z, cond = networks.latent.draw(Key(0).fold("probe of data"), ids), networks.conditions(ids)
    made: list[Tensor] = []
    with networks.frozen():
        for rows in Rows(z, cond).split(8):
            made.append(networks.decode(*rows))
            if sum(x.numel() for x in made) > ENOUGH:
                break
    return torch.cat(made)


def pieces(x: Tensor | Stored) -> Iterator[Tensor]:
    """All samples, as many at a time as should be in memory."""
    size = max(1, AT_ONCE // max(1, math.prod(x.shape[1:])))
    for start in range(0, len(x), size):
        yield x[start : start + size]


def take_in(
    networks: Networks, data: Any, where: str, *, made: Tensor | None = None, least: int = 1
) -> Rows:
    """Read real samples with their conditions, and see that they suit this GAN.

    Args:
        networks: Whose generator and conditions they must suit.
        data: What :data:`RealData` names, except a ``Real``.
        where: For messages.
        made: Samples of ``probe(networks)``, if they are at hand.
        least: Samples that are needed.

    Returns:
        Samples of the generator's type, and their conditions.

    Raises:
        DataError: If there are too few, some are not finite, or they differ in shape.
        InputError: If conditions are missing, superfluous or of another kind.
    """
    made = probe(networks) if made is None else made
    shape = tuple(made.shape[1:])
    x, cond, meant = read(data, where, shape)
    check_shape(tuple(x.shape[1:]), shape, where)
    if len(x) < least:
        parts = "s are needed to fit, select, calibrate and test on separate parts"
        raise DataError(
            f"{where}: got {len(x) or 'no'} samples; at least {least} sample"
            f"{parts if least > 1 else ' is needed'}"
        )
    few = min(len(x), LOOKED_AT, max(64, AT_ONCE // max(1, math.prod(shape))))
    note = check_range(x[torch.linspace(0, len(x) - 1, few).long()], made, where)
    if note is not None:
        networks.say(f"range: {note.rpartition(';')[2]}", note)
    x = typed(x, made.dtype, where)
    check_finite(x, where)
    own = networks.example_conditions()
    cond = None if own is None and not meant else like(own, cond)
    check_condition(own, cond, len(x), where)
    return Rows(x, cond)  # type: ignore  # what stays in its file is read where it is used


def typed(x: Tensor | Stored, dtype: torch.dtype, where: str) -> Tensor | Stored:
    """Samples as the generator's type.

    Raises:
        DataError: If the generator makes integers, and the samples are none.
    """
    if not dtype.is_floating_point and x.dtype.is_floating_point:
        raise DataError(
            f"{where}: got {x.dtype}, but the generator makes {dtype}; convert the data"
        )
    return x if x.dtype == dtype else x.to(dtype)


def check_finite(x: Tensor | Stored, where: str) -> None:
    """Refuse samples with a value that is not finite.

    Raises:
        DataError: Then, with the places of the first ones.
    """
    found = [~part.flatten(1).isfinite().all(1) for part in pieces(x)]
    broken = torch.cat(found).nonzero().flatten().tolist()
    if broken:
        raise DataError(
            f"{where}: {len(broken)} of {len(x)} samples hold values that are NaN or infinite as "
            f"{str(x.dtype).removeprefix('torch.')} (at {', '.join(map(str, broken[:5]))}"
            f"{', ...' if len(broken) > 5 else ''}); remove those samples"
        )


def spread_of(x: Tensor | Stored) -> float:
    """Standard deviation of a value, over the samples; the mean square of it over all values."""
    if isinstance(x, Tensor):
        return float(x.double().flatten(1).var(0).mean().sqrt())
    mean = sum(part.double().sum(0) for part in pieces(x)) / len(x)
    square = sum((part.double() - mean).square().sum(0) for part in pieces(x))
    return float(torch.as_tensor(square / (len(x) - 1)).mean().sqrt())


def check_shape(got: Shape, want: Shape, where: str) -> None:
    """Refuse samples of another shape than the generator's, and say how to map them.

    Args:
        got: ``x_shape`` of the real samples.
        want: ``x_shape`` of the generated ones.
        where: For the message.

    Raises:
        DataError: If they differ.
    """
    if got == want:
        return
    advice = ", then ".join(_steps(got, want)) or "reshape them"
    raise DataError(
        f"{where}: the samples have shape {_text(got)} but the generator makes "
        f"{_text(want)}. The data must be {_text(('N', *want))}: {advice}"
    )


def _text(shape: tuple[int | str, ...]) -> str:
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def _steps(got: Shape, want: Shape) -> list[str]:
    """What turns samples of one shape into another, as code."""
    if not got:
        return ["(N,) numbers make (N, 1) samples: real[:, None]"] if want == (1,) else []
    if len(got) == len(want) == 3:
        return _image_steps(got, want)
    if want == (1, *got):
        return ["add the channel axis: real[:, None]"]
    if got == (1, *want):
        return ["take the channel axis away: real[:, 0]"]
    if math.prod(got) == math.prod(want):
        return [f"give each that shape: real.reshape(-1, {', '.join(map(str, want))})"]
    if got[1:] == want:
        return ["these are batches, join them: real.flatten(0, 1)"]
    return []


def _image_steps(got: Shape, want: Shape) -> list[str]:
    steps = []
    channels = (1, 3, 4)
    if got[2] in channels and got[0] not in channels and want[0] in channels:
        got = (got[2], *got[:2])
        steps.append("put the channels first: real.permute(0, 3, 1, 2)")
    elif got[0] in channels and want[2] in channels and want[0] not in channels:
        return ["put the channels last: real.permute(0, 2, 3, 1)"]
    if got[0] != want[0]:
        of = {(1, 3): "real.expand(-1, 3, -1, -1)", (3, 1): "real.mean(1, keepdim=True)"}
        change = of.get((got[0], want[0]), f"real[:, :{want[0]}]" if got[0] > want[0] else "")
        steps.append(f"make {want[0]} channels of {got[0]}" + (f": {change}" if change else ""))
    if got[1:] != want[1:]:
        steps.append(
            f"resize: torch.nn.functional.interpolate(real, size={want[1:]}, mode='bilinear', "
            "antialias=True)"
        )
    return steps


def check_range(real: Tensor, made: Tensor, where: str) -> str | None:
    """Compare the range of real samples with that of generated ones.

    Nothing is said of what may be the generator's fault (a range that it does not fill), nor of
    points and tables, unless one of their values lives on another scale altogether.

    Args:
        real: (N, *x_shape) as they were given.
        made: (M, *x_shape) of the generator.
        where: For the message.

    Returns:
        What seems wrong, and how to map the data; None if nothing does.

    Raises:
        DataError: If the data are bytes, and their range is another one.
    """
    r, g = (x.detach().flatten(1).double().cpu() for x in (real, made))
    r, g = (x[x.isfinite().all(1)] for x in (r, g))
    if not len(g) or not len(r):
        return None
    advice = _mapping(r, g) if r.shape[1] >= WIDE or real.dtype == torch.uint8 else _scale(r, g)
    if advice is None:
        return None
    spans = [f"[{float(x.min()):.3g}, {float(x.max()):.3g}]" for x in (r, g)]
    message = (
        f"{where}: the data lie in {spans[0]} and the generator's samples in {spans[1]}. A "
        f"discriminator could tell them apart by this range alone; {advice}"
    )
    if real.dtype == torch.uint8:
        raise DataError(message)
    return message


def _mapping(r: Tensor, g: Tensor) -> str | None:
    """Which of the usual ranges of images each has, where they differ for certain."""
    low, high, g_low, g_high = (float(v) for v in (r.min(), r.max(), g.min(), g.max()))
    small = max(abs(g_low), abs(g_high)) <= 2
    signed = g_low < -0.9 and small
    if low >= 0 and 16 < high <= 256 and small:
        wanted = ("[-1, 1]: real / 127.5 - 1", "[0, 1]: real / 255")[g_low >= -0.05]
        return f"map bytes to {wanted}"
    if g_low >= -1 and 16 < g_high <= 256 and max(abs(low), abs(high)) <= 2:
        return f"map to bytes: {'(real + 1) * 127.5' if low < -0.05 else 'real * 255'}"
    if signed and low >= 0 and 0.5 < high <= 1.001 and _beyond(g, -0.05, math.inf) > SHARE:
        return "map [0, 1] to [-1, 1]: real * 2 - 1"
    both = 0 <= g_low and 0.5 < g_high <= 1.001 and -1.001 <= low < -0.5 and high <= 1.001
    if both and _beyond(r, -0.05, math.inf) > SHARE:
        return "map [-1, 1] to [0, 1]: (real + 1) / 2"
    bounds = (-1.001, 1.001) if g_low < 0 else (-0.001, 1.001)
    if 0.9 < g_high <= 1.001 and g_low >= -1.001 and _beyond(r, *bounds) > SHARE:
        span = "[-1, 1]" if g_low < 0 else "[0, 1]"
        return f"undo what normalised them (real * std + mean), then map to {span}"
    if 0.9 < high <= 1.001 and -1.001 <= low and _beyond(g, -1.2, 1.2) > 4 * SHARE:
        return "normalise them as the generator's training data were: (real - mean) / std"
    spreads = (float(r.std()), float(g.std()))
    if min(spreads) > 0 and max(abs(low), abs(high)) > 3 and spreads[0] > APART * spreads[1]:
        return "map them as the generator's training data were"
    return None


def _beyond(x: Tensor, low: float, high: float) -> float:
    return float(((x < low) | (x > high)).double().mean())


def _scale(r: Tensor, g: Tensor) -> str | None:
    """A value of points or of a table that is on another scale, and nowhere near."""
    levels = torch.tensor([0.05, 0.95], dtype=torch.float64)
    real, made = r.quantile(levels, 0), g.quantile(levels, 0)
    wide, own = real[1] - real[0], made[1] - made[0]
    narrow = torch.minimum(wide, own)
    apart = torch.maximum(real[0] - made[1], made[0] - real[1]) > APART * narrow
    other = (torch.maximum(wide, own) > APART * narrow) & (narrow > 0)
    places = (apart & other).nonzero().flatten().tolist()
    if not places:
        return None
    return f"map column {places[0]} as the generator's training data were, standardised for example"
