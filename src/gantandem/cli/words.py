"""The library's messages in the words of the command line."""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Callable
from typing import Any

import yaml

COMMANDS = {"fit_ratio": "fit-ratio", "calibrate": "calibrate", "diagnose": "diagnose"}
"""Functions that messages of the library name, and the command that does the same for a run."""
_SHAPE = r"\(([\d, ]+)\)"
_CODE = r"(?:\(?real(?: [-+*/] |\.|\[)|torch\.nn\.functional\.|\(real [-+])"
"""How lines begin that map data in Python; what they do stands in words before the colon."""
WORDS: dict[str, str | Callable[[re.Match[str]], str]] = {
    r"pass trust=True \(in a command: --trust\)": "pass --trust",
    r", or give the networks yourself: GAN\.load\([^)]*\)": "",
    r"\b(?:pass )?(overwrite|trust|resume)=True(?: \(--\1\))?": r"pass --\1",
    r"\bresume and overwrite\b": "--resume and --overwrite",
    rf"pass latent={_SHAPE}, or Uniform\({_SHAPE}\)": lambda m: f"pass --latent normal:{_by(m[1])}",
    r"pass latent=(\d+)": r"pass --latent normal:\1",
    rf"pass latent={_SHAPE}": lambda m: f"pass --latent normal:{_by(m[1])}",
    r" with latent=(\d+)": r" --latent normal:\1",
    r"\bweights_([gd])\b": r"--weights-\1",
    r"\badapt_([gd])\b": r"--adapt-\1",
    r"\boutput='(\w+)'": r"--output \1",
    r"^(latent|condition|key|output): (got|its shape|'labels')": r"--\1: \2",
    r"\bgive data\b$": "pass --data",
    rf": {_CODE}.*?(?=, then |$)": "",
    r" \(real [*+][^()]*\)": "",
}
"""What messages say in Python's words, as a pattern, and what to type instead."""


def _by(shape: str) -> str:
    return "x".join(shape.replace(" ", "").strip(",").split(","))


def as_command(text: str, *, imports: bool = False) -> str:
    """A message of the library in the words of the command line.

    To one that names a function the command is added that a user of runs would type.

    Args:
        text: The message.
        imports: Whether the command takes networks, and so adapters as options.
    """
    text = _adapters(text) if imports else text
    for pattern, words in WORDS.items():
        text = re.sub(pattern, words, text)
    named = [name for name in COMMANDS if re.search(rf"(?<![\w:]){name}\(", text)]
    if not named:
        return text
    commands = " or ".join(f"gantandem {COMMANDS[name]} RUN" for name in named)
    return f"{text} (for a run folder: {commands})"


def _adapters(text: str) -> str:
    """Lines such as ``adapt.Item(D, 0)`` as options: ``--adapt-d item=0``, the innermost first."""
    from gantandem.adapt import ADAPTERS

    names = {kind.__name__: name for name, kind in ADAPTERS.items()}
    start = 0
    while (start := text.find("adapt.", start)) >= 0:
        for end in (m.end() for m in re.finditer(r"\)", text[start:])):
            line = text[start : start + end]
            if line.count("(") == line.count(")"):
                options = _options(line, names)
                text = text[:start] + options + text[start + end :]
                start += len(options)
                break
        else:
            break
    return text


def _options(line: str, names: dict[str, str]) -> str:
    """The options that one line stands for; the line itself where a value is none of YAML's."""
    from gantandem import adapt

    try:
        node: Any = ast.parse(line, mode="eval").body
        options: list[str] = []
        while isinstance(node, ast.Call):
            name = node.func.attr  # type: ignore[attr-defined]
            parameters = list(inspect.signature(getattr(adapt, name)).parameters)[1:]
            given = {**dict(zip(parameters, node.args[1:], strict=False))}
            given |= {str(word.arg): word.value for word in node.keywords}
            values = {key: _yaml(ast.literal_eval(value)) for key, value in given.items()}
            first, *others = values.items() or [("", "")]
            more = "".join(f",{key}={value}" for key, value in others)
            value = f"{first[1]}{more}"
            option = names[name] + (f"={value}" if value else "")
            quoted = f"'{option}'" if re.search(r"[ {}\[\]\"]", option) else option
            options.insert(0, quoted)
            node = node.args[0]
        letter = node.id.lower()
    except (AttributeError, KeyError, IndexError, SyntaxError, ValueError):
        return line
    return " ".join(f"--adapt-{letter} {option}" for option in options)


def _yaml(value: Any) -> str:
    plain = isinstance(value, str) and yaml.safe_load(value) == value
    return value if plain else json.dumps(value)
