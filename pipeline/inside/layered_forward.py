"""What a model says of texts, with one of its layers in memory at a time: each is loaded once, for all texts.

The library's own forward pass is run three times over. First on the texts, with layers that note what they are called
with and do nothing: the embeddings, masks and positions of every text. Then each layer by itself. Then with layers that
hand on what the last one returned: the final norm and the output layer. So every number comes from the library's own
modules, on tensors of the shapes that the whole model would have had, and has the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from . import main_memory, weights
from .job import JobError, progress
from .model_parts import ModelParts, put_into

Texts = Sequence[Sequence[int]]
"""Ids of texts of one length, which go through the model together."""

NAME_ONE = "or name the merge that you want in the recipe, merge.onto: it is made without being measured."

Forward = Callable[..., Any]


@dataclass
class _Batch:
    """Texts on their way: `hidden` [texts, positions, hidden size], and what else each layer is called with."""

    hidden: torch.Tensor
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)


class LayeredModel:
    """A causal language model that is asked layer by layer. Its weights stay in its folder."""

    def __init__(self, folder: Path, dtype: torch.dtype | str, place: str, attention: str) -> None:
        """Read what the model is made of. Raises `JobError` where its layers cannot be told from the rest."""
        self._parts = ModelParts(folder, dtype, place, attention)
        self._model = self._parts.skeleton()
        self._place = place
        self._decoder = self._model.get_decoder()
        self._layers = _layers_of(self._decoder, self._parts.config)
        # Noted before an adapter wraps modules: their weights have other names then, and are the same.
        self._owners = {name: _owner(self._model, name) for name in self._parts.names}
        prefixes = {id(module): f"{name}." for name, module in self._model.named_modules() if name}
        self._of_layer = [_below(self._owners, prefixes[id(layer)]) for layer in self._layers]
        rest = sorted(self._owners.keys() - {name for names in self._of_layer for name in names})
        self._opening = _below(rest, prefixes.get(id(self._decoder), ""))
        embeddings = prefixes[id(self._model.get_input_embeddings())]
        self._closing = [name for name in rest if not name.startswith(embeddings)]

    @property
    def vocabulary(self) -> int:
        """How many logits a position has."""
        return int(self._model.get_output_embeddings().weight.shape[0])

    def add_adapter(self, base: Path, adapter: Path) -> None:
        """Put an adapter on it that was trained on the base in the folder `base`; raises as `weights.load_adapter`."""
        weights.load_adapter(self._model, base, adapter)

    def logits(self, texts: Sequence[Texts]) -> Iterator[torch.Tensor]:
        """Yield the logits of each element of `texts`: [texts, positions, vocabulary], in the model's type.

        Raises `JobError` when main memory cannot hold what that takes, and for a model whose layers do more than to
        follow one another.
        """
        self._check_memory(sum(len(one) * len(one[0]) for one in texts), max(len(one) * len(one[0]) for one in texts))
        with self._loaded(self._opening):
            batches = [self._begun(one) for one in texts]
        for number, layer in enumerate(self._layers):
            with self._loaded(self._of_layer[number]), torch.inference_mode():
                for batch in batches:
                    arguments, named = batch.calls[number]
                    batch.hidden = _states(layer(batch.hidden, *arguments, **named))
            progress("model.layer", number + 1, len(self._layers))
        with self._loaded(self._closing):
            while batches:
                yield self._ended(batches.pop(0))

    def _begun(self, texts: Texts) -> _Batch:
        """Return texts as the first layer would get them, and how each layer would be called."""
        notes: list[tuple[torch.Tensor, tuple[Any, ...], dict[str, Any]]] = []

        def note(hidden_states: torch.Tensor, *arguments: Any, **named: Any) -> torch.Tensor:
            notes.append((hidden_states, arguments, named))
            return hidden_states

        with _instead(self._layers, note), torch.inference_mode():
            self._decoder(input_ids=torch.tensor(texts, device=self._place), use_cache=False)
        if len(notes) != len(self._layers) or any(one[0] is not notes[0][0] for one in notes):
            raise not_layered("a layer is not called with what the one before it returned")
        return _Batch(notes[0][0], [(arguments, named) for _, arguments, named in notes])

    def _ended(self, batch: _Batch) -> torch.Tensor:
        """Return the logits of texts that have gone through all layers."""
        with _instead(self._layers, lambda *_, **__: batch.hidden), torch.inference_mode():
            logits: torch.Tensor = self._model(inputs_embeds=batch.hidden, use_cache=False).logits
        return logits

    @contextmanager
    def _loaded(self, names: Sequence[str]) -> Iterator[None]:
        """Load weights of the model, and let them go."""
        found = self._parts.load(names)
        kept = {name: getattr(*self._owners[name]) for name in names}
        for name in names:
            put_into(*self._owners[name], found.pop(name))
        try:
            yield
        finally:
            for name, hollow in kept.items():
                put_into(*self._owners[name], hollow)

    def _check_memory(self, positions: int, longest: int) -> None:
        """Raise `JobError` unless main memory holds the largest part, beside it the texts and a tensor on its way."""
        free = main_memory.available() if torch.device(self._place).type == "cpu" else None
        size = self._parts.size
        parts = [self._opening, self._closing, *self._of_layer]
        states = positions * int(self._parts.config.get_text_config().hidden_size) * _FLOAT_BYTES
        logits = 2 * longest * self.vocabulary * _FLOAT_BYTES
        needed = max(map(size, parts)) + max(size([name]) for name in self._owners) + states + logits
        if free is not None and needed > free:
            raise JobError(
                "Main memory cannot hold one layer of the model at a time, and the texts that go through it.",
                where=f"{needed / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free",
                advice=f"Take a machine with more memory, {NAME_ONE}",
            )


_FLOAT_BYTES = 4


def not_layered(why: str) -> JobError:
    """Return the error for a model whose layers cannot be run one by one."""
    what = f"The model cannot be run layer by layer: {why}."
    return JobError(what, where="config.json", advice=f"Take another base, {NAME_ONE}")


def _layers_of(decoder: Any, config: Any) -> list[Any]:
    """Return the repeating layers of a decoder, first to last: its only list of as many as config.json says."""
    count = config.get_text_config().num_hidden_layers
    lists = [one for one in decoder.children() if isinstance(one, torch.nn.ModuleList) and len(one) == count]
    if len(lists) != 1:
        raise not_layered(f"it has {len(lists)} lists of {count} layers")
    return list(lists[0])


def _owner(model: Any, name: str) -> tuple[Any, str]:
    """Return the module that has a weight, and what the weight is called there."""
    owner, _, attribute = name.rpartition(".")
    return model.get_submodule(owner), attribute


def _below(names: Iterable[str], prefix: str) -> list[str]:
    return sorted(name for name in names if name.startswith(prefix))


def _states(returned: Any) -> torch.Tensor:
    """Return the hidden states of what a layer returned. Raises `JobError` for what is not them alone."""
    if not isinstance(returned, torch.Tensor):
        raise not_layered(f"a layer returns a {type(returned).__name__}")
    return returned


@contextmanager
def _instead(layers: Sequence[Any], forward: Forward) -> Iterator[None]:
    """Let `forward` answer for every layer, which stays where it is: models ask layers for more than their output."""
    for layer in layers:
        layer.forward = forward
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward
