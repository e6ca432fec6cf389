"""What both commands say of themselves to somebody who has only the command line."""

from __future__ import annotations

import argparse

import pytest

from bench.gpu import command, pack

PARSERS = {"bench.gpu": command.parser(), "bench.gpu.pack": pack.parser()}


@pytest.fixture(params=PARSERS)
def made(request: pytest.FixtureRequest) -> argparse.ArgumentParser:
    """One command line."""
    return PARSERS[request.param]


def test_every_argument_is_explained(made: argparse.ArgumentParser) -> None:
    """And an option that has a default names it."""
    for action in made._actions:
        assert action.help, action.dest
        if action.option_strings and action.default not in (None, False, argparse.SUPPRESS):
            assert "default: " in action.help, action.dest


def test_exit_codes_are_told_and_no_markup_is_left(made: argparse.ArgumentParser) -> None:
    """A terminal shows what is written."""
    text = made.format_help()
    assert "exit code: 0 when" in text
    assert "``" not in text


def test_parts_have_an_example_and_a_list() -> None:
    """The list is that of the sets."""
    text = command.parser().format_help()
    assert "model-1.7b,train-1.7b" in text
    assert "check-14b-merge" in text
    assert "1 without a card" in text


def test_what_the_machine_brings_is_told() -> None:
    """Packages that are not packed, and what compiles."""
    text = pack.parser().format_help()
    assert all(name in text for name in ("torch", "transformers", "peft", "accelerate", "safetensors", "nvcc", "ninja"))
