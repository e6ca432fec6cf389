"""Words without MeCab: nothing of the system is read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from pipeline.inside.scoring import words

REPOSITORY = Path(__file__).parents[4]


def surfaces(text: str) -> list[str]:
    """Return the words of a text as they are written."""
    return [word.surface for word in words.split(words.normalized(text))]


def test_japanese_is_split_into_words() -> None:
    """Short units, as UniDic has them."""
    assert surfaces("会社員の小さなコツ") == ["会社", "員", "の", "小さな", "コツ"]


def test_white_space_is_no_word() -> None:
    """Ideographic space and line breaks included."""
    assert surfaces("朝　の\n時間 ") == ["朝", "の", "時間"]


def test_a_long_text_is_split_whole() -> None:
    """Sudachi takes 49,149 bytes at once."""
    assert len(surfaces("猫が好き。" * 8000)) == 4 * 8000


def test_the_signature_names_analyser_dictionary_and_unit() -> None:
    """Another dictionary gives other words, and so other scores."""
    name, version, dictionary, edition, unit = words.description().split("-")
    assert (name, dictionary, unit) == ("sudachipy", "small", "A")
    assert version.count(".") == 2
    assert len(edition) == 8


def test_no_file_of_a_mecab_is_read() -> None:
    """Seed 003's first error: `no such file or directory: /usr/local/etc/mecabrc`. Every opened file is looked at."""
    code = """
import sys
opened = []
sys.addaudithook(lambda event, data: opened.append(str(data[0])) if event == "open" else None)
from pipeline.inside.scoring import words
print(len(words.split("朝の時間")), [path for path in opened if "mecab" in path.lower()], "MeCab" in sys.modules)
"""
    environ = {**os.environ, "MECABRC": "/nowhere/mecabrc", "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout == "3 [] False\n"
