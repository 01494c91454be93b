"""Ctrl-C at any time: the ids that are kept have no gap and no twins, and nothing is half done."""

from __future__ import annotations

import contextlib
import signal
import threading

import pytest
import torch

from gantandem import OBRS, Direct, sample
from gantandem.engine import sampling
from gantandem.engine.run import Run
from gantandem.networks.networks import Networks
from gantandem.progress import Interrupted, keeping, terminable, uninterrupted
from gantandem.testing import toy_gan

SAMPLERS = [Direct(), OBRS(expected=3, log_scale=-1.0)]


def press():
    signal.raise_signal(signal.SIGINT)


class Once:
    """Presses Ctrl-C at one of its calls, and never again."""

    def __init__(self, call=3):
        self.left, self.finished = call, 0

    def __call__(self, size=0):
        if self.left > 0:
            self.finished += size
        self.left -= 1
        if self.left == 0:
            press()


def before_emission(patch, once):
    whole = Run._emit

    def emit(self, **options):
        if once.left == 1:
            once()
        block = whole(self, **options)
        if block is not None and once.left > 1:
            once(len(block))
        return block

    patch.setattr(Run, "_emit", emit)


def after_emission(patch, once):
    whole = Run._emit

    def emit(self, **options):
        block = whole(self, **options)
        if block is not None:
            once(len(block))
        return block

    patch.setattr(Run, "_emit", emit)


def in_the_progress_bar(patch, once):
    patch.setattr(sampling, "track", lambda *_: contextlib.nullcontext(once))


def as_networks_thaw(patch, once):
    whole, turn, begun = Networks.frozen, Run._turn, []

    @contextlib.contextmanager
    def frozen(self):
        with whole(self):
            yield
        if begun:  # not while the sampler is prepared: then there is nothing to keep
            once()

    patch.setattr(Networks, "frozen", frozen)
    patch.setattr(Run, "_turn", lambda self: (begun.append(1), turn(self))[1])


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda s: s.name)
@pytest.mark.parametrize(
    "place", [before_emission, after_emission, in_the_progress_bar, as_networks_thaw]
)
def test_what_is_kept_is_a_prefix(place, sampler, monkeypatch):
    gan = toy_gan()
    options = {"width": 64, "strict": False, "progress": False}
    whole = sample(gan, sampler, 900, **options)
    once = Once()
    with monkeypatch.context() as patch:
        place(patch, once)
        with pytest.raises(KeyboardInterrupt) as stop:
            sample(gan, sampler, 900, **options)
    out = stop.value.samples
    assert once.left <= 0 and out.manifest["interrupted"]
    assert out.ids.tolist() == list(range(len(out)))
    assert max(64, once.finished) <= len(out) < 900
    assert out.manifest["returned"] == len(out)
    assert torch.equal(out.x, whole.x[: len(out)])


# -- the mechanism ------------------------------------------------------------------------------


def test_ctrl_c_waits_for_the_end_of_a_block_and_nothing_is_left_behind():
    before, done = signal.getsignal(signal.SIGINT), []
    with pytest.raises(Interrupted):
        with uninterrupted():
            press()
            done.append("the rest of the block")
    assert done and signal.getsignal(signal.SIGINT) is before
    with uninterrupted():
        pass  # what was pressed then is forgotten


def test_ctrl_c_waits_until_a_long_block_asks():
    done = []
    with pytest.raises(Interrupted):
        with uninterrupted() as check:
            for turn in range(5):
                check()
                if turn == 2:
                    press()
                done.append(turn)
    assert done == [0, 1, 2]


def test_a_second_ctrl_c_does_not_wait():
    done = []
    with pytest.raises(KeyboardInterrupt):
        with uninterrupted():
            press()
            done.append(1)
            press()
            done.append(2)
    assert done == [1]


def test_an_inner_block_leaves_it_to_the_outer_one():
    done = []
    with pytest.raises(Interrupted):
        with uninterrupted():
            with uninterrupted() as check:
                press()
                check()
            done.append("outer")
    assert done


@pytest.mark.parametrize("handler", [signal.SIG_IGN, "own"])
def test_a_handler_of_the_users_own_is_asked(handler):
    seen = []
    own = (lambda number, frame: seen.append(number)) if handler == "own" else handler
    before = signal.signal(signal.SIGINT, own)
    try:
        with uninterrupted():
            press()
            assert not seen
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == ([signal.SIGINT] if handler == "own" else [])


def test_another_thread_may_sample_too():
    found = []
    thread = threading.Thread(target=lambda: found.append(sample(toy_gan(), Direct(), 70)))
    thread.start()
    thread.join()
    assert len(found[0]) == 70


@pytest.mark.parametrize("deaf", [False, True])
def test_a_request_to_terminate_is_ctrl_c_which_waits_even_where_ctrl_c_is_ignored(deaf):
    before, done = signal.getsignal(signal.SIGTERM), []
    ctrl_c = signal.signal(signal.SIGINT, signal.SIG_IGN) if deaf else None
    try:
        with pytest.raises(Interrupted):
            with terminable(), uninterrupted():
                signal.raise_signal(signal.SIGTERM)
                done.append(1)
    finally:
        if deaf:
            signal.signal(signal.SIGINT, ctrl_c)
    assert done and signal.getsignal(signal.SIGTERM) is before


def test_a_request_to_terminate_stays_with_who_handles_it():
    seen = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    try:
        with terminable(), uninterrupted():
            signal.raise_signal(signal.SIGTERM)
            assert seen
    finally:
        signal.signal(signal.SIGTERM, before)


def test_what_is_kept_is_said():
    with pytest.raises(KeyboardInterrupt, match="^two rows$") as stop:
        with keeping(lambda: "two rows", [1, 2]):
            with keeping(lambda: "one row"):
                raise KeyboardInterrupt
    assert stop.value.finished == [1, 2]
