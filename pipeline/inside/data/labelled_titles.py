"""What the tag-list classifier is judged on: titles labelled by hand, half of the last set kept out of its making."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from . import labels_held_out, labels_tuned


def judge_classifier(is_tag_list: Callable[[str], bool]) -> dict[str, Any]:
    """Return precision and recall on the rows that were kept out, the same on the tuned ones, and every error."""
    held_out = _measured(labels_held_out.TITLES, labels_held_out.TAG_LISTS, is_tag_list)
    tuned = _measured(labels_tuned.TITLES, labels_tuned.TAG_LISTS, is_tag_list)
    return {
        **held_out,
        "tuned": {name: tuned[name] for name in ("titles", "tag_lists", "precision", "recall")},
        "lost_titles": held_out["lost_titles"] + tuned["lost_titles"],
        "missed_tag_lists": held_out["missed_tag_lists"] + tuned["missed_tag_lists"],
    }


def _measured(titles: Iterable[str], tag_lists: Iterable[str], is_tag_list: Callable[[str], bool]) -> dict[str, Any]:
    real, tags = list(titles), list(tag_lists)
    lost = [title for title in real if is_tag_list(title)]
    missed = [title for title in tags if not is_tag_list(title)]
    found = len(tags) - len(missed)
    return {
        "titles": len(real) + len(tags),
        "tag_lists": len(tags),
        "precision": found / max(found + len(lost), 1),
        "recall": found / max(len(tags), 1),
        "lost_titles": lost,
        "missed_tag_lists": missed,
    }
