"""The tests can fail: every mutation of ``mutations.py`` is noticed by the test it names."""

from __future__ import annotations

import importlib
import inspect

import pytest

from mutations import MUTATIONS, Mutation


def run(mutation: Mutation, patch: pytest.MonkeyPatch) -> None:
    test = getattr(importlib.import_module(mutation.module), mutation.function)
    wanted = inspect.signature(test).parameters
    extra = {"monkeypatch": patch} if "monkeypatch" in wanted else {}
    test(**mutation.arguments, **extra)


@pytest.mark.parametrize("name", MUTATIONS)
def test_mutations_are_noticed(name):
    mutation = MUTATIONS[name]
    with pytest.MonkeyPatch.context() as patch:
        run(mutation, patch)  # it passes on the code as it is
    with pytest.MonkeyPatch.context() as patch:
        # What the first run prepared must not stand in for what is broken now.
        patch.setattr("gantandem.engine.preparing.keep", lambda gan, sampler, options, make: make())
        mutation.mutate(patch)
        # A GAN that several tests share holds what was prepared by the code as it is.
        patch.setattr("gantandem.engine.preparing.keep", lambda gan, sampler, options, make: make())
        with pytest.raises((AssertionError, RuntimeError, pytest.fail.Exception)) as noticed:
            run(mutation, patch)
    assert "adapt this mutation" not in str(noticed.value)
