"""Frames into lines."""

from __future__ import annotations

from pipeline.executors.docker.streaming import lines


def test_a_line_may_come_in_pieces() -> None:
    """Frames end anywhere, also inside a Japanese sign."""
    whole = "題名\n次".encode()
    assert list(lines([(whole[:2], None), (whole[2:], None)])) == ["題名", "次"]


def test_the_two_streams_are_not_mixed() -> None:
    """A line of one does not break into a line of the other."""
    assert list(lines([(b"plain ", None), (None, b'{"event"'), (b"words\n", None), (None, b": 1}\n")])) == [
        "plain words",
        '{"event": 1}',
    ]


def test_the_last_line_needs_no_line_break() -> None:
    """What a crash says last counts."""
    assert list(lines([(b"a\nb", b"c")])) == ["a", "b", "c"]


def test_bytes_that_are_no_text_do_not_stop_the_stream() -> None:
    """They are shown as what they are not."""
    assert list(lines([(b"\xff\xfe\n", None)])) == ["\ufffd\ufffd"]


def test_a_line_without_an_end_does_not_fill_the_memory() -> None:
    """It is passed on in pieces."""
    assert len(list(lines((b"x" * 700_000, None) for _ in range(4)))) == 2
