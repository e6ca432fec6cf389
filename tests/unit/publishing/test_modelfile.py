"""Reading the release's Modelfile."""

from __future__ import annotations

import pytest

from pipeline.errors import ReleaseError
from pipeline.publishing.oci.modelfile import read_modelfile


def test_every_instruction() -> None:
    """Texts over several lines, in quotes and without; numbers; stops in a list."""
    text = '''# comment
FROM ./model-Q4_K_M.gguf
SYSTEM """Two
lines with "quotes".
"""
template {{ .Prompt }}
PARAMETER temperature 0.5
PARAMETER stop "<|im_end|>"
PARAMETER stop two words
PARAMETER penalize_newline false
LICENSE """Model: CC0-1.0
Data: MIT"""
license Apache-2.0
REQUIRES 0.9.0
'''
    found = read_modelfile(text, "Modelfile")
    assert (found.model, found.template) == ("model-Q4_K_M.gguf", "{{ .Prompt }}")
    assert found.system == 'Two\nlines with "quotes".\n'
    assert found.licence == "Model: CC0-1.0\nData: MIT\nApache-2.0"
    assert found.parameters == {"temperature": 0.5, "stop": ["<|im_end|>", "two words"], "penalize_newline": False}


@pytest.mark.parametrize("text", ["FROM x\nADAPTER y", 'SYSTEM """no end', "nonsense", "EVIL x", "PARAMETER stop"])
def test_what_would_be_lost_is_refused(text: str) -> None:
    """An instruction without a place in the artifact, and what is none."""
    with pytest.raises(ReleaseError, match="Modelfile"):
        read_modelfile(text, "Modelfile")
