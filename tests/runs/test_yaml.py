"""What is written as YAML is read as it was."""

from __future__ import annotations

import json

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gantandem.files import Loader, dump_yaml
from gantandem.runs.reading import read_yaml

HASHES = ["907232344369e231", "1e3", "0000000000000000", "1234567890123456", "0x10", "1_0", "1.5E2"]
TEXTS = st.one_of(
    st.sampled_from([*HASHES, "null", "yes", "~", "2020-01-01", "=", "<<", ".inf", "12:30:45"]),
    st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=8),
    st.from_regex(r"[0-9]{1,8}e[0-9]{1,4}", fullmatch=True),
)


def read(content: bytes):
    return yaml.load(content.decode(), Loader)  # noqa: S506 - a subclass of SafeLoader


@settings(deadline=None)
@given(st.dictionaries(TEXTS, st.one_of(TEXTS, st.floats(allow_nan=False), st.integers())))
def test_texts_and_numbers_come_back(values):
    back = read(dump_yaml(values))
    assert back == values
    assert [type(value) for value in back.values()] == [type(value) for value in values.values()]


def test_hashes_in_a_file_stay_texts(tmp_path):
    content = {"weights": {"ratios": {one: one for one in HASHES}}, "twice": [HASHES, HASHES]}
    (tmp_path / "run.yaml").write_bytes(dump_yaml(content))
    assert json.dumps(read_yaml(tmp_path / "run.yaml")) == json.dumps(content)
