"""Names that become paths, and YAML that would become gigabytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from gantandem.errors import ConfigError
from gantandem.files import file_name
from gantandem.reporting.evidence import samples_file
from gantandem.runs.reading import apply_overrides, read_yaml

NAMES = (
    "../../x", "/etc/passwd", "..", ".", "", "-rf", ".hidden", "a\\b", "C:\\x", "con", "NUL.txt",
    "a" * 300, "ä" * 300, "a\0b", "a\nb", "a\x1b[31m", "end.", "end ", "a:b", "\ud800", "a/b",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_name_stays_in_its_folder(name):
    safe = file_name(name)
    assert safe != name and safe.isascii() and safe.isprintable() and len(safe) < 200
    assert not set(safe) & set('/\\:*?"<>| ') and safe[0] not in ".-" and safe[-1] not in ". "
    assert samples_file(Path("/run"), name).parent == Path("/run/samples")
    assert len({file_name(one) for one in NAMES}) == len(NAMES), "no two share a file"


@pytest.mark.parametrize("name", ["direct", "obrs(refine steps=5)".replace(" ", ","), "my.Own-3"])
def test_a_plain_name_is_its_own(name):
    assert file_name(name) == name


LAUGHS = "a: &a [x, x]\n" + "\n".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefghi", "bcdefghij", strict=True)
)
BAD = {
    "aliases": (LAUGHS, "alias"),
    "itself": ("a: &a [*a]", "alias"),
    "merge": ("a: &a {x: 1}\nb: {<<: *a}", "alias"),
    "lists": ("a: " + "[" * 5000, "deep"),
    "mappings": ("{a: " * 5000, "deep"),
    "values": ("a: [" + "1," * 50_001 + "]", "values"),
    "size": ("a: '" + "x" * (1 << 23) + "'", "characters"),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.slow
def test_yaml_has_limits(kind, tmp_path):
    text, wanted = BAD[kind]
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(ConfigError, match=wanted):
        read_yaml(tmp_path / "recipe.yaml")


@pytest.mark.parametrize("value", ["[&a 1, *a]", "[" * 5000, "{a: " * 5000, "x" * (1 << 23) + "x"])
def test_a_typed_value_has_limits(value):
    with pytest.raises(ConfigError, match="alias|deep|characters"):
        apply_overrides({}, [f"x={value}"])
