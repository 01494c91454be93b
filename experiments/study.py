"""What a study is: one record that says how it runs, what it keeps, and how it is shown."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import matplotlib
from matplotlib.figure import Figure

from gantandem._version import __version__
from gantandem.errors import ConfigError
from gantandem.runs import write_json

logger = logging.getLogger(__name__)

N = 10_000
"""Samples of each sampler, if nothing else is asked for."""
STYLE: dict[Any, bool] = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "legend.frameon": False,
}
T = TypeVar("T")


@dataclass(frozen=True)
class Study:
    """A study: its name, how it runs, and the page and the picture of what comes out.

    Attributes:
        name: On the command line, and of its three files.
        what: What its picture shows, in one line.
        run: Makes the result, as the JSON file holds it.
        page: The result as lines of Markdown, the title first.
        picture: The result as a picture.
        seeds: Those it takes if none are asked for; none if it has no choice of seeds.
        stages: Iterations at which the generator is stopped, likewise.
    """

    name: str
    what: str
    run: Callable[[Given], dict[str, Any]]
    page: Callable[[dict[str, Any]], list[str]]
    picture: Callable[[dict[str, Any]], Figure]
    seeds: tuple[int, ...] = (0,)
    stages: tuple[int, ...] = ()

    def result(
        self,
        out: Path,
        *,
        seeds: Sequence[int] | None = None,
        stages: Sequence[int] | None = None,
        paper: Sequence[int] = (),
        n: int = N,
        overrides: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Run what the folder does not hold yet.

        Args:
            out: Folder of the runs and of the JSON file; finished rows found there are kept.
            seeds: Each trains its own generator; None takes the study's own.
            stages: Iterations of the generator; None takes the study's own.
            paper: Seeds to run the published methods on too (figures 3 and 4).
            n: Samples of each sampler.
            overrides: ``key=value`` texts on the recipe.

        Returns:
            What the JSON file holds.

        Raises:
            ConfigError: If no seed or stage is given, or the folder holds results of other
                settings.
        """
        seeds = self.seeds if seeds is None else seeds
        stages = self.stages if stages is None else sorted(set(stages))
        if self.seeds and not seeds:
            raise ConfigError("seeds: got none; allowed are one or more")
        if self.stages and (not stages or stages[0] < 1):
            raise ConfigError(f"stages: got {[*stages]}; allowed are iterations of 1 or more")
        return self.run(
            Given(self, out, tuple(seeds), tuple(stages), tuple(paper), n, tuple(overrides))
        )

    def write(self, out: Path, **settings: Any) -> Path:
        """Make NAME.json, NAME.png and NAME.md; returns the page.

        Args:
            out: Folder of all of it.
            **settings: Of :meth:`result`.
        """
        result = self.result(out, **settings)
        write_json(out / f"{self.name}.json", result)
        self.draw(result).savefig(out / f"{self.name}.png", dpi=110)
        path = out / f"{self.name}.md"
        path.write_text(self.document(result), encoding="utf-8")
        return path

    def draw(self, result: dict[str, Any]) -> Figure:
        """The picture in the style of all of them."""
        with matplotlib.rc_context(STYLE):
            return self.picture(result)

    def document(self, result: dict[str, Any]) -> str:
        """The page with what made it, and its picture, under the title."""
        title, *lines = self.page(result)
        made = f"Made by `{result['command']}`; every number is in `{self.name}.json` beside it."
        picture = f"![{self.what}]({self.name}.png)"
        return "\n".join([title, "", picture, "", made, *lines]) + "\n"


@dataclass(frozen=True)
class Given:
    """What one call of a study is to make; the settings are those of :meth:`Study.result`."""

    study: Study
    out: Path
    seeds: tuple[int, ...]
    stages: tuple[int, ...]
    paper: tuple[int, ...]
    n: int
    overrides: tuple[str, ...]

    @property
    def path(self) -> Path:
        """The study's JSON file."""
        return self.out / f"{self.study.name}.json"

    def kept(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """What an earlier call left in the JSON file; nothing if there is none.

        Args:
            settings: What decides a row, by the key it has in the file. The version counts too.

        Raises:
            ConfigError: If the file is not a result, or was made with other settings.
        """
        if not self.path.is_file():
            return {}
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            different = [
                f"{key} {content.get(key)!r}, asked for {wanted!r}"
                for key, wanted in {**settings, "version": __version__}.items()
                if content.get(key) != wanted
            ]
        except (ValueError, AttributeError) as error:
            message = f"{self.path}: not a result of an experiment ({error}); remove it"
            raise ConfigError(message) from None
        if different:
            raise ConfigError(
                f"{self.path} holds results of other settings ({'; '.join(different)}), which "
                "would be mixed with new ones. Use another --out, or remove the file"
            )
        return content

    def missing(self, rows: Mapping[str, Any], keys: Iterable[T], of: str = "") -> Iterator[T]:
        """Those keys that the rows lack.

        Args:
            rows: By the text of their key.
            keys: All that are asked for.
            of: What the rows are of, for the log.
        """
        for key in keys:
            if str(key) not in rows:
                logger.info("%s: %s%s", self.study.name, of, key)
                yield key
            else:
                logger.info("%s: %s%s is kept from %s", self.study.name, of, key, self.path)

    def save(
        self, settings: Mapping[str, Any], found: Mapping[str, Any], **held: Iterable[Any]
    ) -> dict[str, Any]:
        """Write the JSON file, and return what it holds.

        Args:
            settings: What decides a row.
            found: The rows, and what is computed from them.
            **held: Which ``seeds``, ``stages`` and seeds of ``paper`` the rows are of.
        """
        usual = {"seeds": self.study.seeds, "stages": self.study.stages, "paper": (), "n": (N,)}
        words = ["python -m experiments", self.study.name]
        for name, values in {**held, "n": (self.n,)}.items():
            texts = [str(value) for value in values]
            if texts != [str(value) for value in usual[name]]:
                words.append(f"--{name} {','.join(texts)}")
        result = {**settings, "version": __version__, "command": " ".join(words), **found}
        write_json(self.path, result)
        return result


def by_number(rows: Mapping[str, T]) -> dict[str, T]:
    """Rows in the order of their keys, which are numbers."""
    return {key: rows[key] for key in sorted(rows, key=int)}
