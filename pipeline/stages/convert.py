"""`convert`: the merged model as one F16 GGUF file, by llama.cpp's pinned converter."""

from __future__ import annotations

from functools import partial
from typing import Any

from pipeline.recipe import Recipe
from pipeline.recipe_digest import recipe_digest
from pipeline.recipe_sources import Base, FolderBase, HubBase
from pipeline.stages.room import PAPERS_BYTES, Room, Sizes
from pipeline.stages.stage import Input, Stage


def stages(recipe: Recipe) -> tuple[Stage, ...]:
    """Return the stage `convert`. What it writes about the model is in its parameters, beside two small inputs."""
    return (
        Stage(
            name="convert",
            family="convert",
            version=2,
            environment="training",
            parameters={
                "name": recipe.name,
                "base": {"pre_tokenizer": recipe.base.pre_tokenizer, **_named(recipe.base)},
                "data": _data(recipe),
                "release": _release(recipe),
                "recipe_sha256": recipe_digest(recipe),
            },
            summary="Hugging Face model to F16 GGUF",
            program="convert",
            after=("verify-merged",),
            inputs={
                "model": Input("merge", ("model/**",)),
                "adapter": Input("train", ("adapter/adapter_model.safetensors",)),
                "data": Input("fetch-data", ("source.json",)),
            },
            vendored=True,
            room=partial(_room, recipe),
        ),
    )


def _room(recipe: Recipe, sizes: Sizes) -> Room:
    """Return 16 bits for each weight, and a hundredth for norms and biases, which are stored in 32.

    The merged model has 16 bits, or 32; where it has those of the base, 16 are assumed: the most for the file.
    """
    weights = sizes["model"] // 2 if recipe.merge.dtype == "float32" else sizes["model"]
    return Room(published=weights + weights // 100 + PAPERS_BYTES)


def _named(base: Base) -> dict[str, Any]:
    """Return what the base is called, and where from. A folder's name is its user's, so a folder has none."""
    if isinstance(base, HubBase):
        owner, name = base.repo.split("/")
        return {"name": name, "organization": owner, "version": base.revision}
    return {} if isinstance(base, FolderBase) else {"name": base.source}


def _data(recipe: Recipe) -> dict[str, Any]:
    """Return what made-up data are called; a user's files are named by the input."""
    return {} if recipe.data.source == "files" else {"name": recipe.data.source}


def _release(recipe: Recipe) -> dict[str, Any]:
    """Return what the release says about the model: only what the file shall hold, so that only that converts anew.

    Without a licence of its own the model stands under its base's.
    """
    release = recipe.release
    return {
        "title": release.title or recipe.name,
        "version": release.version,
        "author": release.author,
        "licence": release.licence or recipe.base.licence,
    }
