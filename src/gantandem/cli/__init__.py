"""The ``gantandem`` command. Heavy imports wait inside the commands, so that help is quick."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

from gantandem._version import __version__
from gantandem.cli import draw, improve, judge, make, own
from gantandem.cli.frame import Group, set_up_log
from gantandem.errors import ConfigError

__all__ = ["app", "main"]

app = typer.Typer(
    cls=Group,
    name="gantandem",
    help="Draw better samples from trained GANs: shape the discriminator, refine, accept, measure.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (make, own, improve, draw, judge):
    module.register(app)


def _moved(ctx: typer.Context) -> None:
    now = {"bench": "python -m experiments bench", "reproduce": "python -m experiments"}
    where = now[str(ctx.info_name)]
    raise ConfigError(
        f"`gantandem {ctx.info_name}` is now `{where}`; run it in a clone of GANtandem"
    )


for name in ("bench", "reproduce"):
    anything = {"allow_extra_args": True, "ignore_unknown_options": True}
    app.command(name, hidden=True, context_settings=anything)(_moved)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"gantandem {__version__}")
        raise typer.Exit()


@app.callback()
def root(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Show only errors and results.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Set up what all commands share."""
    set_up_log(verbose=verbose, quiet=quiet)


def main() -> None:
    """Run the command line. What a terminal cannot show, an ASCII one say, becomes a ``?``."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    app()
