"""What long work says where there is no terminal."""

from __future__ import annotations

import logging

from gantandem import progress


def test_lines_come_soon_and_then_more_rarely(monkeypatch, caplog):
    clock = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    caplog.set_level(logging.INFO, "gantandem.progress")
    with progress.track(1000, "digging", None) as update:
        for _ in range(1000):
            clock[0] += 1
            update(1)
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == "digging: 4 of 1000, about 17 minutes left" and len(lines) <= 10
    assert lines[-1].endswith("left") and "1000 of" not in lines[-1]


def test_a_slow_first_part_does_not_tell_of_the_others(monkeypatch, caplog):
    clock = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    caplog.set_level(logging.INFO, "gantandem.progress")
    with progress.track(101, "digging", None) as update:
        for seconds in (10, 1, 1, 1, 1):
            clock[0] += seconds
            update(1)
    assert [r.getMessage() for r in caplog.records] == ["digging: 4 of 101, about 2 minutes left"]
    caplog.clear()
    with progress.track(3, "digging", None) as update:  # of few parts the first must do
        clock[0] += 60
        update(1)
    assert [r.getMessage() for r in caplog.records] == ["digging: 1 of 3, about 2 minutes left"]


def test_work_that_is_done_at_once_says_nothing(caplog):
    caplog.set_level(logging.INFO, "gantandem.progress")
    with progress.track(5, "digging", None) as update:
        update(5)
    with progress.track(5, "digging", False) as update:
        update(1)
    assert not caplog.records


def test_times_in_words():
    said = [progress.in_words(seconds) for seconds in (0.2, 1, 89, 91, 5000, 9000)]
    assert said == ["1 second", "1 second", "89 seconds", "2 minutes", "83 minutes", "2.5 hours"]
