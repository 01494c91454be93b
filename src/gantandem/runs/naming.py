"""Translators: their inputs, and samples that bear the names of these."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from gantandem.errors import InputError
from gantandem.files import file_name
from gantandem.gan import GAN
from gantandem.latent import Inputs, Latent

DEFAULT = 1_000
"""Samples that are drawn where nobody says how many."""
NUMBERED = re.compile(r"(?:(.*)-)?(\d{12})")


class Names:
    """The name of each id's file: ``horse-7`` for the input ``horse-7.jpg``, safe everywhere.

    Of an input in a folder the folder's name comes first, ``dark-0001``. Where inputs would share
    a name, or it ends in a number of an id, the id follows: ``horse-7-000000000003``; so it does
    where ids go on after the last input, which begin with the first one again.

    Args:
        names: Of the inputs, by row, seen from their folder.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._stems = [file_name("-".join(Path(name).with_suffix("").parts)) for name in names]
        times = Counter(stem.casefold() for stem in self._stems)
        self._plain = [
            times[stem.casefold()] == 1 and not NUMBERED.fullmatch(stem) for stem in self._stems
        ]
        self._own = {s for s, plain in zip(self._stems, self._plain, strict=True) if plain}

    def __call__(self, index: int) -> str:
        """The name of an id, without an ending."""
        place = index % len(self._stems)
        stem = self._stems[place]
        return stem if self._plain[place] and index == place else f"{stem}-{index:012d}"

    def holds(self, stem: str) -> bool:
        """Whether a name is that of some id."""
        found = NUMBERED.fullmatch(stem)
        return stem in self._own if found is None else self(int(found[2])) == stem


def translates(latent: Latent) -> bool:
    """Whether each id has an input of its own."""
    return isinstance(latent, Inputs) and latent.order == "each"


def count_of(latent: Latent, start: int = 0) -> int:
    """How many samples are drawn where nobody says it: every input once, or 1,000."""
    if isinstance(latent, Inputs) and translates(latent):
        return max(1, len(latent) - start)
    return DEFAULT


def given_inputs(gan: GAN, folder: str | Path) -> GAN:
    """A translator that takes the images of another folder.

    Raises:
        InputError: If the generator takes no images of a folder, or these do not fit.
        DataError: If the folder holds no images.
    """
    latent = gan.latent
    if not isinstance(latent, Inputs):
        raise InputError(f"inputs: the generator takes {latent}, not images")
    return gan.replace(latent=Inputs(folder, latent.order, latent.size))


def names_of(latent: Latent, folder: Path) -> Names | None:
    """The names of a translator's samples; None where its inputs are no files.

    Args:
        latent: Of the GAN.
        folder: Where its samples will be.

    Raises:
        InputError: If the folder is that of the inputs, or in it.
    """
    if not isinstance(latent, Inputs) or latent.names is None:
        return None
    inputs = Path(latent.to_file()["folder"])
    if inputs in (folder.resolve(), *folder.resolve().parents):
        place = "is" if inputs == folder.resolve() else "lies in"
        raise InputError(
            f"{folder} {place} the folder of the translator's inputs, {inputs}: samples written "
            "there would be read as inputs. Choose another folder (--out)"
        )
    return Names(latent.names) if translates(latent) else None
