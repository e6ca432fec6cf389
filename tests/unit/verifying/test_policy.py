"""Policies: read whole, or refused with every problem."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.verifying.policy import read_policy


def written(tmp_path: Path, text: str) -> Path:
    """Write a policy."""
    path = tmp_path / "policy.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_policy_of_the_documentation_is_read(tmp_path: Path) -> None:
    """What docs/verifying.md shows."""
    text = (Path(__file__).parents[3] / "docs" / "verifying.md").read_text(encoding="utf-8")
    shown = text.split("```toml\n", 1)[1].split("```", 1)[0]
    policy = read_policy(written(tmp_path, shown))
    assert len(policy.keys) == 1
    assert policy.key_files == (str(tmp_path / "maintainer.pub"),)
    assert policy.certificates[0].roots == (str(tmp_path / "company-root.pem"),)
    assert policy.sigstore[0].issuer == "https://token.actions.githubusercontent.com"
    assert policy.accepted_waivers == ("generation.copies",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it trusts nobody"),
        ('accepted_waivers = ["a"]', "it trusts nobody"),
        ('keys = ["abc"]', "keys[0] is 'abc'"),
        ('key_file = ["a.pub"]', "did you mean 'key_files'?"),
        ("[[certificates]]\n", "certificates[0].roots is missing"),
        ("[[certificates]]\nroots = []\n", "certificates[0].roots"),
        ('[[sigstore]]\nidentity = "x"\n', "sigstore[0].issuer is missing"),
        ("keys = 7", "keys is a whole number"),
        ("keys = [", "it cannot be read"),
        ("a." * 300 + "b = 1", "it cannot be read"),
        ("#" * 200_000, "more than"),
    ],
)
def test_what_is_wrong_is_told(text: str, words: str, tmp_path: Path) -> None:
    """Exit code 2, each with its key."""
    with pytest.raises(UsageError) as caught:
        read_policy(written(tmp_path, text))
    assert words in caught.value.what
    assert "docs/verifying.md" in caught.value.advice


def test_every_problem_at_once(tmp_path: Path) -> None:
    """With its line."""
    with pytest.raises(UsageError) as caught:
        read_policy(written(tmp_path, 'keys = ["x"]\n\n[[sigstore]]\nissuer = 3\n'))
    assert "policy.toml:1: keys[0]" in caught.value.what
    assert "sigstore[0].identity is missing" in caught.value.what
    assert "policy.toml:4: sigstore[0].issuer" in caught.value.what
