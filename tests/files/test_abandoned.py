"""What a killed writer left beside a file goes when the file is written again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from gantandem.files import PREFIX, SUFFIX, check_place, write_atomic, write_bytes

KILLED = """
import sys, time
from gantandem.files import write_atomic

def slow(file):
    file.write(b"half")
    file.flush()
    print("writing", flush=True)
    time.sleep(60)

write_atomic(sys.argv[1], slow)
"""


def left(folder):
    return sorted(path.name for path in folder.glob(f"{PREFIX}*{SUFFIX}"))


@pytest.fixture
def writer(tmp_path):
    """A process in the middle of writing table.csv."""
    one = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "table.csv")], stdout=subprocess.PIPE
    )
    assert one.stdout is not None and one.stdout.readline() == b"writing\n"
    yield one
    one.kill()
    one.wait(timeout=10)


@pytest.mark.parametrize("write", [lambda path: write_bytes(path, b"new"), check_place])
def test_what_a_killed_writer_left_goes_with_the_next_one(tmp_path, writer, write):
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait(timeout=10)
    assert len(left(tmp_path)) == 1
    write_bytes(tmp_path / "another.csv", b"of another target")
    assert len(left(tmp_path)) == 1
    write(tmp_path / "table.csv")
    assert left(tmp_path) == []


@pytest.mark.skipif(os.name == "nt", reason="an open file cannot be removed there")
def test_what_another_process_is_writing_stays(tmp_path, writer):
    (mine,) = left(tmp_path)
    write_bytes(tmp_path / "table.csv", b"new")
    check_place(tmp_path / "table.csv")
    assert left(tmp_path) == [mine]


def test_links_and_folders_of_such_a_name_are_not_touched(tmp_path):
    mine = tmp_path / "mine"
    mine.write_text("mine")
    write_atomic(tmp_path / "table.csv", lambda file: (tmp_path / f"{file.name}x").touch())
    (name,) = (path.name.removesuffix("x") for path in tmp_path.glob(f"{PREFIX}*x"))
    (tmp_path / f"{name[:19]}l{SUFFIX}").symlink_to(mine)
    (tmp_path / f"{name[:19]}d{SUFFIX}").mkdir()
    write_bytes(tmp_path / "table.csv", b"new")
    assert len(left(tmp_path)) == 2 and mine.read_text() == "mine"
