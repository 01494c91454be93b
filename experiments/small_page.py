"""The page and the picture of the study of small GANs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.small import ALIKE, CHAINS, DRAWS, NOISE, REAL

_FARTHER, _ALIKE, _NEARER = "#c0392b", "#9aa4ae", "#2f6fde"


def small_page(result: dict[str, Any]) -> str:
    """The result as a Markdown page: what was farther, then every row."""
    gans, n = result["gans"], result["n"]
    rows = [row for found in gans.values() for row in found["samplers"].values()]
    measured = [row for row in rows if "farther" in row]
    farther = sum(row["farther"] for row in measured)
    lines = [
        "# Small GANs of one's own, every sampler at its defaults",
        "",
        f"Made by `{result['command']}`; every number is in `small.json` beside this page. Five",
        f"kinds of data, {REAL:,} real samples each, and a pair of MLPs trained on them for",
        f"{result['iterations']:,} iterations in the plain way. Every sampler runs at its",
        "defaults: `fit_ratio(gan, real)` for selectors and chains on plain samples, `shape` and",
        "`fit_ratio` for the shaped ones, the discriminator as it was trained for the rest. What",
        "`fit_ratio` does was chosen on other GANs; the steps of `ula`, `dgflow`, `dot`,",
        "`latent_opt` and of `refine` along an unshaped guide, the default of `drs` and the rules",
        "for the strength were corrected where GANs of seed 0 showed a fault, so that seed 1 is",
        "the test of them.",
        "",
        "One question: is any sampler farther from the data than plain draws? *Farther* means that",
        "its sliced Wasserstein-1 distance to fresh real samples is above the mean of",
        f"{DRAWS} sets of plain draws by more than {NOISE:g} of their standard deviations, and by",
        f"more than {ALIKE:.0%} of it. Each row has {n:,} samples",
        f"({', '.join(sorted(CHAINS))}: {n // 4:,}).",
        "",
        f"**{farther} of {len(measured)} rows are farther than plain draws.**",
        "",
        "| GAN | plain W1 | floor | ratio | strength | mean r | ESS | warned | farther |",
        "| --- | ---: | ---: | --- | ---: | ---: | ---: | --- | --- |",
    ]
    for key, found in gans.items():
        ratio = found["ratios"]["plain"]
        mean, spread = found["plain"][str(n)]
        cells = (
            key,
            f"{mean:.3f} ± {spread:.3f}",
            f"{found['floor']['sliced_w1']:.3f}",
            ratio["name"],
            f"{ratio['strength']:g}",
            f"{ratio['mean_ratio']:.2f}",
            f"{100 * ratio['effective_share']:.0f}%",
            "yes" if ratio["warnings"] else "no",
            ", ".join(found["farther"]) or "none",
        )
        lines.append("| " + " | ".join(cells) + " |")
    names = list(next(iter(gans.values()))["samplers"])
    lines += [
        "",
        "## Sliced W1 of a sampler over that of plain draws",
        "",
        "Below 1 is nearer to the data. Bold: farther, beyond noise.",
        "",
        "| sampler | " + " | ".join(gans) + " |",
        "| --- |" + " ---: |" * len(gans),
    ]
    for name in names:
        cells = [_share(found, name) for found in gans.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "## C2ST",
        "",
        "AUC of boosted trees that tell samples from as many real ones; .5 is indistinguishable.",
        "",
        "| sampler | " + " | ".join(gans) + " |",
        "| --- |" + " ---: |" * len(gans),
    ]
    for name in names:
        values = [found["samplers"][name].get("c2st") for found in gans.values()]
        lines.append(
            f"| {name} | " + " | ".join("" if v is None else f"{v:.3f}" for v in values) + " |"
        )
    failed = [
        f"* {key}, {name}: {row['error']}"
        for key, found in gans.items()
        for name, row in found["samplers"].items()
        if "error" in row
    ]
    if failed:
        lines += ["", "## Refused", "", "No samples came of these, and a message said why:", ""]
        lines += failed
    return "\n".join(lines) + "\n"


def _ratio(found: Mapping[str, Any], name: str) -> float | None:
    row = found["samplers"][name]
    if "sliced_w1" not in row:
        return None
    return row["sliced_w1"] / found["plain"][str(row["n"])][0]


def _share(found: Mapping[str, Any], name: str) -> str:
    value = _ratio(found, name)
    if value is None:
        return "refused"
    text = f"{value:.2f}"
    return f"**{text}**" if found["samplers"][name]["farther"] else text


def small_picture(result: dict[str, Any]) -> Any:
    """Each sampler's distance over that of plain draws, one dot a GAN."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    gans = result["gans"]
    names = list(next(iter(gans.values()))["samplers"])
    figure = Figure(figsize=(8, 0.32 * len(names) + 1.4), layout="constrained")
    axes = figure.subplots()
    for at, name in enumerate(names):
        for found in gans.values():
            value = _ratio(found, name)
            if value is None:
                continue
            far = found["samplers"][name]["farther"]
            colour = _FARTHER if far else _NEARER if value < 1 else _ALIKE
            axes.plot(value, at, "o", color=colour, alpha=0.7, markersize=6, markeredgewidth=0)
    axes.axvline(1, color="#24292f", linewidth=1)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xscale("log")
    shown = (0.1, 0.2, 0.5, 1, 2, 5)
    axes.set_xticks(shown, [f"{value:g}" for value in shown])
    axes.set_xticks([], minor=True)
    low, high = axes.dataLim.intervalx
    axes.set_xlim(0.9 * low, 1.1 * max(high, 1.0))
    axes.set_xlabel("sliced Wasserstein-1 to the data, over that of plain draws (left is nearer)")
    axes.spines[["top", "right"]].set_visible(False)
    kinds = {"nearer": _NEARER, "alike, within noise": _ALIKE, "farther": _FARTHER}
    axes.legend(
        handles=[
            Line2D([], [], color=colour, marker="o", linewidth=0, label=label)
            for label, colour in kinds.items()
        ],
        frameon=False,
        fontsize=8,
    )
    return figure
