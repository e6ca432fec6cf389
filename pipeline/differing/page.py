"""A comparison in words, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pipeline.differing.compare import FileDifference, PartDifference

_SHOWN: Final = 12
"""Entries of one kind that are shown of a file; `--log json` has them all."""


def render(found: Sequence[PartDifference], first: str, second: str) -> str:
    """Return the comparison: the first part that differs is named first, then each with its files."""
    differing = [one for one in found if one.files]
    if not differing:
        count = sum(one.equal for one in found)
        return f"{first} and {second}: {count} {_plural(count, 'file')}, all equal"
    lines = [f"first:  {first}", f"second: {second}"]
    if len(found) > 1:
        lines.append(f"{len(differing)} of {len(found)} stages differ, the first is {differing[0].part}")
    for part in found:
        lines += _part(part) if part.files else []
    return "\n".join(lines)


def _part(part: PartDifference) -> Iterator[str]:
    yield ""
    name = f"{part.part}: " if part.part else ""
    total = part.equal + len(part.files)
    verb = "differs" if len(part.files) == 1 else "differ"
    yield f"{name}{len(part.files)} of {total} {_plural(total, 'file')} {verb}"
    yield from _cut([f"  key: {one['path']}: {one['first']} → {one['second']}" for one in part.components])
    for file in part.files:
        yield f"  {file.path}: {file.state}"
        yield from (f"    {line}" for line in _details(file))


def _details(file: FileDifference) -> Iterator[str]:
    details = file.details or {}
    if file.kind == "fields":
        yield from _cut(_fields(details["fields"]))
    elif file.kind == "rows":
        yield from _rows(details)
    elif file.kind == "lines":
        yield from _cut(details["changes"], details["more"])
    elif file.kind == "bytes":
        yield from _bytes(details)
    elif file.kind == "tensors":
        yield from _tensors(details)


def _fields(fields: Sequence[Mapping[str, str]]) -> list[str]:
    return [f"{one['path'] or '(whole)'}: {one['first']} → {one['second']}" for one in fields] or [
        "the same values, written otherwise"
    ]


def _rows(details: Mapping[str, Any]) -> Iterator[str]:
    yield f"rows: {details['rows'][0]:,} and {details['rows'][1]:,}"
    yield from _cut([f"- line {one['line']}: {one['row']}" for one in details["missing"]])
    yield from _cut([f"+ line {one['line']}: {one['row']}" for one in details["extra"]])
    changed = [
        f"id {one['id']} (lines {one['lines'][0]} and {one['lines'][1]}), {field}"
        for one in details["changed"]
        for field in _fields(one["fields"])
    ]
    yield from _cut(changed)
    if details["moved"]:
        yield "rows stand in another order"


def _bytes(details: Mapping[str, Any]) -> Iterator[str]:
    first, second = details["sizes"]
    yield f"{first:,} and {second:,} bytes" if first != second else f"{first:,} bytes"
    yield f"the first byte that differs is at offset {details['offset']:,}"


def _tensors(details: Mapping[str, Any]) -> Iterator[str]:
    if "unreadable" in details:
        yield from (f"the {side} one cannot be read: {why}" for side, why in details["unreadable"].items())
        return
    yield from _cut([f"metadata {line}" for line in (_fields(details["metadata"]) if details["metadata"] else [])])
    tensors = details["tensors"]
    yield from _cut([f"tensor only in the first: {name}" for name in tensors["missing"]])
    yield from _cut([f"tensor only in the second: {name}" for name in tensors["extra"]])
    if tensors["moved"]:
        yield "tensors stand in another order"
    total = tensors["equal"] + len(tensors["changed"])
    yield f"{len(tensors['changed'])} of {total} shared {_plural(total, 'tensor')} differ"
    yield from _cut([_tensor(one) for one in tensors["changed"]])


def _tensor(one: Mapping[str, Any]) -> str:
    told = [f"type {one['type'][0]} → {one['type'][1]}"] if "type" in one else []
    if "differing" not in one:
        told.append(f"shape {one['shape'][0]} → {one['shape'][1]}")
    elif not one["differing"]:
        told.append("the same numbers, stored otherwise")
    else:
        mean = "not measured" if one["mean"] is None else f"{one['mean']:.3g}"
        told.append(
            f"{one['differing']:,} of {one['numbers']:,} numbers differ, first at {one['index']}:"
            f" {one['first']} → {one['second']}; largest difference {one['largest']:.3g}, mean {mean}"
        )
    return f"{one['name'] or 'array'}: {', '.join(told)}"


def _cut(lines: Sequence[str], more: int = 0) -> list[str]:
    left = max(0, len(lines) - _SHOWN) + more
    return [*lines[:_SHOWN], *([f"and {left:,} more"] if left else [])]


def _plural(count: int, word: str) -> str:
    return word if count == 1 else f"{word}s"
