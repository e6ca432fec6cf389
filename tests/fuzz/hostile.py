"""What an attacker writes: strategies for names, values, damaged bytes and damaged JSON."""

from __future__ import annotations

import copy
import json
import struct
from typing import Any, Final

from hypothesis import strategies as st

NAMES: Final = st.sampled_from(
    [
        "../../escape",
        "/escape",
        "a/../../escape",
        "..",
        ".",
        "",
        "a\0b",
        "a\nb",
        "a\x1b]0;title\x07",
        "abc\u202egpj.exe",
        "\ud800",
        "\ufeffname",
        "a\\..\\b",
        "x" * 5000,
        "__metadata__",
        "__class__",
        "self",
        "event",
        "日本語",
    ]
)
"""Names with paths, NUL, controls, bidirectional marks, half surrogates, and names that mean something to somebody."""

NUMBERS: Final = st.sampled_from(
    [
        0,
        -1,
        1,
        2**31,
        2**32,
        2**53 + 1,
        2**63 - 1,
        2**63,
        2**64 - 1,
        -(2**63),
        10**30,
        10**4000,
        1e308,
        -0.0,
        0.5,
        float("nan"),
        float("inf"),
        float("-inf"),
    ]
)

COUNTS: Final = st.sampled_from([0, 1, 2**8, 2**16, 2**31, 2**32 - 1, 2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 1])
"""Lengths and counts as a header holds them."""

VALUES: Final = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, NAMES, st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.one_of(NAMES, st.text(max_size=4)), inner)),
    max_leaves=8,
)
"""JSON values of any type, hostile ones among them."""

DEPTH: Final = 200_000
"""Levels of nesting that no reader follows by recursion."""


@st.composite
def damaged(draw: st.DrawFn, valid: bytes) -> bytes:
    """Return a valid file with up to four damages: flipped bits, huge numbers, cuts, repeated or foreign parts."""
    data = bytearray(valid)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        kind = draw(st.sampled_from(["flip", "count", "count32", "cut", "repeat", "remove", "junk"]))
        length = draw(st.integers(1, 40))
        if kind == "flip" and data:
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "count":
            data[at : at + 8] = struct.pack("<Q", draw(COUNTS))
        elif kind == "count32":
            data[at : at + 4] = struct.pack("<I", draw(COUNTS) & 0xFFFFFFFF)
        elif kind == "cut":
            del data[at:]
        elif kind == "repeat":
            data[at:at] = data[at : at + length] * draw(st.integers(1, 50))
        elif kind == "remove":
            del data[at : at + length]
        else:
            data[at:at] = draw(
                st.sampled_from([b"\xff\xfe", b"\xef\xbb\xbf", b"\0" * 9, b"\xed\xa0\x80", b"\xff" * 16])
            )
    return bytes(data)


@st.composite
def damaged_json(draw: st.DrawFn, valid: Any) -> bytes:
    """Return JSON in which members are replaced, added, removed or nested deep; at times with damaged bytes too."""
    value = copy.deepcopy(valid)
    for _ in range(draw(st.integers(1, 3))):
        value = _changed(draw, value)
    text = json.dumps(value)
    if draw(st.integers(0, 9)) == 0:
        text = _nested(draw, text)
    if draw(st.integers(0, 9)) == 0:
        text = text.replace(":", ": " + "9" * 5000 + ', "more":', 1)
    encoded = text.encode(draw(st.sampled_from(["utf-8"] * 6 + ["utf-16", "utf-8-sig", "utf-32"])))
    return draw(damaged(encoded)) if draw(st.integers(0, 4)) == 0 else encoded


def _changed(draw: st.DrawFn, value: Any) -> Any:
    """Change one place of a JSON value, anywhere in it."""
    if isinstance(value, dict) and value and draw(st.integers(0, 5)):
        name = draw(st.sampled_from(sorted(value)))
        kind = draw(st.sampled_from(["inside", "inside", "replace", "remove", "add"]))
        if kind == "inside":
            return {**value, name: _changed(draw, value[name])}
        if kind == "replace":
            return {**value, name: draw(VALUES)}
        if kind == "remove":
            return {key: one for key, one in value.items() if key != name}
        return {**value, draw(NAMES): value[name]}
    if isinstance(value, list) and value and draw(st.integers(0, 5)):
        at = draw(st.integers(0, len(value) - 1))
        return [*value[:at], _changed(draw, value[at]), *value[at + draw(st.integers(0, 1)) :]]
    return draw(VALUES)


def _nested(draw: st.DrawFn, text: str) -> str:
    """Nest something in a JSON text deeper than a stack is high."""
    deep = draw(st.sampled_from(["[" * DEPTH + "]" * DEPTH, "[" * DEPTH, '{"a":' * DEPTH]))
    at = text.find(":")
    return deep if at < 0 or draw(st.booleans()) else f"{text[: at + 1]}{deep}, {text[at + 1 :]}"
