"""``python -m experiments``: repeat studies and benchmarks by name, or list them."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments import STUDIES
from experiments.bench import BENCHMARKS, run_benchmarks
from experiments.faults import KILLS, run_faults, table, write_faults
from experiments.fig4 import ALL_STAGES
from experiments.study import N
from gantandem.errors import ConfigError, GANtandemError, near, need
from gantandem.runs import write_json

_LIST = "\n".join(f"  {study.name:10} {study.what}" for study in STUDIES.values())
_EPILOG = f"""\
studies, or 'all' of them:
{_LIST}

benchmarks, after the word 'bench' (all by default):
  {", ".join(BENCHMARKS)}

broken and odd input through every door, after the word 'fuzz' (all doors by default)

commands killed at random moments and given again, after the word 'faults' (all by default)

examples:
  python -m experiments fig4 table1 --seeds 0,1
  python -m experiments bench --json docs/results/bench.json
  python -m experiments fuzz --json docs/results/fuzz.json
  python -m experiments faults --json docs/results/faults.json
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
        description="Repeat the papers' figures, this project's studies and its benchmarks.\n"
        "A study keeps the finished rows in its folder: a second call adds what is missing.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME", help="studies, or 'bench' and benchmarks")
    add("--out", "-o", type=Path, default=Path("runs/reproduce"), help="folder (%(default)s)")
    add("--seeds", type=_numbers, help="such as 0,1,2; each study has its own default")
    add("--paper", type=_numbers, default=[], help="fig3, fig4: seeds of the published methods")
    add("--stages", type=_stages, help="fig4 (or 'all' nine), mnist: generator iterations")
    add("-n", "--n", type=_positive, default=N, help="samples of each sampler (%(default)s)")
    add("--json", type=Path, metavar="FILE", help="bench, fuzz, faults: write it there")
    add("--inputs", type=_positive, help="fuzz: inputs in all (100,000)")
    add("--kills", type=_positive, default=KILLS, help="faults: of each command (%(default)s)")
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
        elif given.names[0] == "fuzz":
            return _fuzz(given)
        elif given.names[0] == "faults":
            return _faults(given)
        else:
            _study(given)
    except GANtandemError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        print(f"interrupted{': ' if str(stop) else ''}{stop}", file=sys.stderr)
        return 130
    return 0


def _fuzz(given: argparse.Namespace) -> int:
    need("hypothesis", "dev")
    from experiments.fuzz import DOORS, TOTAL, run_fuzz

    names = given.names[1:] or list(DOORS)
    for name in names:
        if name not in DOORS:
            raise ConfigError(f"unknown door {name!r}; {near(name, DOORS)}")
    result = run_fuzz(given.inputs or TOTAL, names)
    if given.json is not None:
        write_json(given.json, result)
    print(f"{result['inputs']:,} inputs, {result['faults']} faults")
    return int(result["faults"] > 0)


def _faults(given: argparse.Namespace) -> int:
    result = run_faults(given.names[1:], given.kills)
    if given.json is not None:
        write_faults(given.json, result)
    print(table(result))
    return int(result["survived"] < result["kills"])


def _study(given: argparse.Namespace) -> None:
    names = list(STUDIES) if "all" in given.names else given.names
    for name in names:
        if name not in STUDIES:
            raise ConfigError(f"unknown study {name!r}; {near(name, ['all', 'bench', *STUDIES])}")
    keys = ("seeds", "stages", "paper", "n")
    for name in names:
        settings = {key: getattr(given, key) for key in keys}
        print(f"written: {STUDIES[name].write(given.out, **settings)}")


if __name__ == "__main__":
    sys.exit(main())
