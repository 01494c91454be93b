"""``python -m experiments``: repeat studies and benchmarks by name."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments import FIGURES, run_figures
from experiments.bench import BENCHMARKS, run_benchmarks
from experiments.fig4 import ALL_STAGES
from gantandem.errors import GANtandemError
from gantandem.runs import write_json

_EPILOG = f"""\
studies: all, {", ".join(FIGURES)}
benchmarks: {", ".join(BENCHMARKS)}

examples:
  python -m experiments fig4 table1 --seeds 0,1
  python -m experiments bench --json docs/results/bench.json
"""


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        message = f"{text!r} is not a list of numbers such as 0,1,2"
        raise argparse.ArgumentTypeError(message) from None


def _stages(text: str) -> Sequence[int]:
    return ALL_STAGES if text == "all" else _numbers(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 1 or more")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m experiments",
        description="Repeat the papers' figures and this project's studies. Finished rows that "
        "the folder holds are kept, so that a second call adds only what is missing.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME", help="studies, or 'bench' and benchmarks")
    add("--out", "-o", type=Path, default=Path("runs/reproduce"), help="folder (%(default)s)")
    add("--seeds", type=_numbers, help="such as 0,1,2; each study has its own default")
    add("--paper", type=_numbers, default=[], help="fig3, fig4: seeds of the published methods")
    add("--stages", type=_stages, help="fig4 (or 'all' nine), mnist: generator iterations")
    add("-n", "--n", type=_positive, default=10_000, help="samples of each sampler (%(default)s)")
    add("--json", type=Path, metavar="FILE", help="bench: write the result there")
    add("--runs", type=_positive, default=5, help="bench: interleaved runs (%(default)s)")
    return parser


def main(words: Sequence[str] | None = None) -> int:
    """Run what is named, or say what there is; returns the exit status.

    Args:
        words: Of the command line; None takes those of the process.
    """
    parser = _parser()
    given = parser.parse_intermixed_args(words)
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    for name in ("experiments", "gantandem.runs"):
        logging.getLogger(name).setLevel(logging.INFO)
    try:
        if not given.names:
            parser.print_help()
        elif given.names[0] == "bench":
            result = run_benchmarks(given.names[1:], given.runs)
            if given.json is not None:
                write_json(given.json, result)
            print(json.dumps(result["results"], indent=1))
        else:
            for page in run_figures(
                given.names,
                given.out,
                seeds=given.seeds,
                paper_seeds=given.paper,
                stages=given.stages,
                n=given.n,
            ):
                print(f"written: {page}")
    except GANtandemError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        print(f"interrupted{': ' if str(stop) else ''}{stop}", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
