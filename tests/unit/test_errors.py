"""One tree of errors, each family with its own exit code."""

from __future__ import annotations

from pipeline import errors
from pipeline.errors import PipelineError, StoreError


def families(base: type[PipelineError]) -> list[type[PipelineError]]:
    """Every error class of the module `errors`."""
    return [item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, base)]


def test_exit_codes_are_unique() -> None:
    """A script can tell every family from every other."""
    codes = [family.exit_code for family in families(PipelineError)]
    assert len(codes) == len(set(codes))


def test_exit_codes_are_documented_in_the_help() -> None:
    """`--help` names every code."""
    from pipeline.arguments import _EPILOG

    for family in families(PipelineError):
        if family is not PipelineError and not issubclass(family, StoreError):
            assert str(family.exit_code) in _EPILOG


def test_a_message_says_what_where_and_what_to_do() -> None:
    """All three parts are shown; an empty one leaves no empty line."""
    assert str(StoreError("full", where="/disk", advice="free space")) == "full\n  where: /disk\n  do:    free space"
    assert str(StoreError("full")) == "full"
