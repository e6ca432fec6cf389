"""The part of a recipe that says how its result is handed out."""

from __future__ import annotations

from pydantic import Field

from pipeline.recipe_sources import Section


class Release(Section):
    """What a released model is called, and under which terms it is given."""

    title: str | None = Field(None, min_length=1, description="Name for people; without it the recipe's `name`.")
    version: str = Field(
        "0.1.0",
        pattern=r"^[0-9A-Za-z][0-9A-Za-z.+-]{0,63}$",
        description="Version of the released model. It stands in the GGUF files and in every paper of the release.",
    )
    author: str | None = Field(None, min_length=1, description="Who releases it: a person or an organization.")
    licence: str | None = Field(
        None,
        min_length=1,
        description="Licence of the released model, as an SPDX expression such as `Apache-2.0`, or `LicenseRef-…`."
        " Without it, and without the licences of base and data, nothing is released.",
    )
    split_gb: float = Field(
        50.0, gt=0, description="GGUF files larger than this many gigabytes (10^9 bytes) are released in parts."
    )
