"""What the figures share: the samplers compared, and how their rows are summed up and written."""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from gantandem._version import __version__
from gantandem.errors import ConfigError
from gantandem.runs import Workspace, fit_run, shape_run, write_json

SAMPLERS = ("direct", "drs", "metropolis", "refine", "collaborative")
NUMBERS = ("good", "kl", "js", "modes", "within_mode_std_main", "sliced_w1")
TWO_SAMPLE = "c2st"
"""AUC of boosted trees, generated against real; rows of earlier versions lack it."""
TITLES = ("good", "KL", "JS", "modes", "spread", "sliced W1", "passes")
_FORMATS = ("{:.4f}", "{:.4f}", "{:.4f}", "{:.0f}", "{:.3f}", "{:.3f}", "{:.0f}")


def read_kept(path: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What an earlier call left in a result file, so that only what is missing is run.

    Args:
        path: The file; ``{}`` comes back when there is none.
        settings: What decides a row, by the key it has in the file. The version counts too.

    Raises:
        ConfigError: If the file is not a result, or was made with other settings.
    """
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        different = {
            key: (content.get(key), wanted)
            for key, wanted in {**settings, "version": __version__}.items()
            if content.get(key) != wanted
        }
    except (ValueError, AttributeError) as error:
        raise ConfigError(f"{path}: not a result of an experiment ({error}); remove it") from None
    if different:
        what = "; ".join(
            f"{key} {had!r}, asked for {want!r}" for key, (had, want) in different.items()
        )
        raise ConfigError(
            f"{path} holds results of other settings ({what}), which would be mixed with new ones. "
            "Use another --out, or remove the file"
        )
    return content


def shape_and_fit(work: Workspace) -> dict[str, dict[str, Any]]:
    """Shape a run's guide and fit both its ratios; what that took, for ``setup`` of metrics."""
    begin = time.perf_counter()
    shaped = shape_run(work)
    fit_run(work)
    seconds = round(time.perf_counter() - begin, 1)
    updates, threads = shaped.history[-1]["update"], torch.get_num_threads()
    return {"shape and fit": {"seconds": seconds, "updates": updates, "threads": threads}}


def spent_note(founds: Iterable[Mapping[str, Any]]) -> str:
    """What :func:`shape_and_fit` took, as a sentence; the time by its median over results."""
    founds = list(founds)
    every = [found["setup"]["shape and fit"] for found in founds]
    seconds = statistics.median(one["seconds"] for one in every)
    budgets = {found["samplers"]["collaborative"]["sampler"]["expected"] for found in founds}
    judged = f"`collaborative` is OBRS with K = {' or '.join(f'{k:g}' for k in sorted(budgets))}."
    if not all("updates" in one for one in every):  # rows of an earlier version
        return f"Shaping and both ratio fits took {seconds:.0f} s (median); {judged}"
    updates, threads = (
        ", ".join(f"{value:,}" for value in sorted({one[key] for one in every}))
        for key in ("updates", "threads")
    )
    return (
        f"Default recipe: {updates} shaping updates on the pool of lanes, then both ratio fits, on "
        f"{threads} thread; together {seconds:.0f} s (median) on a shared machine; {judged}"
    )


def command(figure: str, options: Mapping[str, tuple[Iterable[Any], Sequence[Any]]]) -> str:
    """The command that makes a result: options that differ from their defaults are spelt out.

    Args:
        figure: Its name.
        options: By name, what the result holds and the default.
    """
    words = ["python -m experiments", figure]
    for name, (given, default) in options.items():
        texts = [str(value) for value in given]
        if texts != [str(value) for value in default]:
            words.append(f"--{name} {','.join(texts)}")
    return " ".join(words)


def number(value: Any) -> float:
    """A metric as one number: a list (the two main modes) by its mean; undefined is NaN."""
    if isinstance(value, list):
        return statistics.fmean(number(one) for one in value)
    return math.nan if value is None else float(value)


def median(founds: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Median of every number of every sampler, over the results that have that sampler.

    Args:
        founds: Contents of ``metrics.json``, one a seed.
    """
    founds = list(founds)
    result: dict[str, dict[str, float]] = {}
    for name in {name: None for found in founds for name in found["samplers"]}:
        rows = [found["samplers"][name] for found in founds if name in found["samplers"]]
        tested = all(TWO_SAMPLE in row["metrics"] for row in rows)
        result[name] = {
            key: _defined_median(number(row["metrics"][key]) for row in rows)
            for key in ((*NUMBERS, TWO_SAMPLE) if tested else NUMBERS)
        }
        result[name]["passes_per_sample"] = statistics.median(
            row["passes_per_sample"] for row in rows
        )
    return result


def _defined_median(values: Iterable[float]) -> float:
    """Median of the numbers that are defined; NaN has no place in an order."""
    known = [value for value in values if not math.isnan(value)]
    return statistics.median(known) if known else math.nan


def over(seeds: Iterable[str]) -> str:
    """Over which seeds a number is: "seed 0" or "median over seeds 0, 1"."""
    names = list(seeds)
    return f"seed {names[0]}" if len(names) == 1 else f"median over seeds {', '.join(names)}"


def over_stages(seeds: Mapping[str, Mapping[str, Any]]) -> str:
    """Over which seeds the numbers of every stage are, where stages differ in that.

    Args:
        seeds: What there is of each, by stage.
    """
    stages = sorted({int(stage) for of_seed in seeds.values() for stage in of_seed})
    having = {
        stage: [seed for seed, of_seed in seeds.items() if str(stage) in of_seed]
        for stage in stages
    }
    if len({tuple(some) for some in having.values()}) == 1:
        return over(seeds)
    every = "; ".join(f"{stage:,}: {', '.join(some)}" for stage, some in having.items())
    return f"median over the seeds of each stage ({every})"


def row_values(row: Mapping[str, Any]) -> list[float]:
    """The numbers of a sampler's row, in the order of ``TITLES``."""
    return [number(row["metrics"][key]) for key in NUMBERS] + [row["passes_per_sample"]]


def line(name: str, values: Sequence[float], *last: str) -> str:
    """A row of a Markdown table: a name, the numbers of ``TITLES``, and last cells if given."""
    cells = [form.format(value) for form, value in zip(_FORMATS, values, strict=False)]
    cells += [*[""] * (len(_FORMATS) - len(cells)), *last]
    return f"| {name} | " + " | ".join(cells) + " |"


def write_page(
    out: Path,
    name: str,
    result: Mapping[str, Any],
    page: Callable[[Any], str],
    picture: Callable[[Any], Any],
    alt: str,
) -> Path:
    """Write a result as NAME.json, NAME.png and NAME.md, the picture under the page's title."""
    write_json(out / f"{name}.json", result)
    picture(result).savefig(out / f"{name}.png", dpi=110)
    head, rest = page(result).split("\n\n", 1)
    path = out / f"{name}.md"
    path.write_text(f"{head}\n\n![{alt}]({name}.png)\n\n{rest}", encoding="utf-8")
    return path
