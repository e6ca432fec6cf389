"""Hostile files that a stranger hands over, each read by one command.

Builders' lists, a Modelfile, a server's log, votes, questions, the header of a model that is to fit a card, the
identity of a release, and a base that somebody stored in 4 bits.
"""

from __future__ import annotations

import base64
import json
import math
import sqlite3
import struct
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.inside.model_memory import read_model
from pipeline.inside.unanswerable import read_questions
from pipeline.offloading import speed
from pipeline.publishing.oci.modelfile import read_modelfile
from pipeline.publishing.release import read_identity
from pipeline.rating.answers import Item, Pair
from pipeline.rating.votes import CHOICES, NAME, Rater, Votes, read_votes
from pipeline.releasing.statement_types import STATEMENT
from pipeline.reproducing.built_list import PREDICATE, read_list
from pipeline.reproducing.crosscheck import crosscheck, render
from tests.fuzz.hostile import DEPTH, NAMES, VALUES, damaged, damaged_json
from tests.fuzz.profile import fuzzed
from tests.fuzz.property import result_or_error
from tests.fuzz.test_gguf import file, key, tensor, text
from tests.support.release_folder import MODELFILE, RECIPE

STATEMENT_OF_A_LIST: Final[dict[str, Any]] = {
    "_type": STATEMENT,
    "subject": [{"name": "train/adapter.json", "digest": {"sha256": "a" * 64}}],
    "predicateType": PREDICATE,
    "predicate": {"recipe": "seedling", "project": {"gitCommit": "b" * 40}, "builder": {"system": "linux"}},
}


def signed(payload: bytes) -> bytes:
    """Return an envelope with a payload, and a signature of nobody."""
    encoded = base64.b64encode(payload).decode()
    signature = {"keyid": "c" * 64, "sig": base64.b64encode(b"\0" * 64).decode()}
    envelope = {"payloadType": "application/vnd.in-toto+json", "payload": encoded, "signatures": [signature]}
    return json.dumps(envelope).encode()


_ENVELOPE: Final = json.loads(signed(json.dumps(STATEMENT_OF_A_LIST).encode()))


@fuzzed()
@given(content=st.one_of(damaged_json(_ENVELOPE), damaged_json(STATEMENT_OF_A_LIST).map(signed)))
@example(content=b"[" * DEPTH)
@example(content=signed(b"[" * DEPTH))
@example(content=json.dumps({**_ENVELOPE, "signatures": [7]}).encode())
@example(content=json.dumps({**_ENVELOPE, "signatures": []}).encode())
@example(content=signed(json.dumps({**STATEMENT_OF_A_LIST, "predicateType": "\x1b]0;title\x07\u202e"}).encode()))
def test_lists(content: bytes, tmp_path: Path) -> None:
    """A list that nobody vouches for, held against another: what is shown of it is names of files with digests."""
    path = tmp_path / "list.json"
    path.write_bytes(content)
    found = result_or_error(lambda: read_list(path, {}))
    if found is None:
        return
    assert found.signer == ""
    digests = [sha256 for files in found.files.values() for sha256 in files.values()]
    assert all(len(one) == 64 for one in digests)
    assert render([found, found], crosscheck([found, found]))


def test_a_sound_list_is_read(tmp_path: Path) -> None:
    """What is refused above is refused for its faults."""
    path = tmp_path / "list.json"
    path.write_bytes(json.dumps(_ENVELOPE).encode())
    assert read_list(path, {}).files == {"train": {"adapter.json": "a" * 64}}


_TEXTS: Final = st.one_of(
    damaged(MODELFILE.encode()).map(lambda content: content.decode(errors="replace")),
    st.builds(
        lambda words, value: f"FROM ./a.gguf\n{' '.join(words)} {value}\n",
        st.lists(st.sampled_from(["PARAMETER", "stop", "temperature", "TEMPLATE", '"""', "MESSAGE", "\x1b[2J"])),
        st.one_of(VALUES.map(json.dumps), NAMES),
    ),
)


@fuzzed()
@given(content=_TEXTS)
@example(content="PARAMETER x " + "[" * 100_000)
@example(content="PARAMETER x " + "9" * 5000)
@example(content="PARAMETER x NaN")
@example(content='TEMPLATE """' + '"' * 5)
@example(content='PARAMETER x "')
def test_modelfiles(content: str) -> None:
    """Parameters are numbers or texts, whatever stands there."""
    found = result_or_error(lambda: read_modelfile(content, "Modelfile"))
    for value in found.parameters.values() if found is not None else ():
        assert isinstance(value, (int, float, bool, str, list))


LOG: Final = b"""\
load_tensors: offloaded 20/41 layers to GPU
prompt eval time =     500.00 ms /    20 tokens (   25.00 ms per token,    40.00 tokens per second)
       eval time =   10000.00 ms /    20 tokens (  500.00 ms per token,     2.00 tokens per second)
[ Prompt: 35.1 t/s | Generation: 5.8 t/s ]
"""


def logged(path: Path, content: bytes) -> speed.Logged:
    """Read a log. Whatever it says, the numbers are some."""
    path.write_bytes(content)
    found = speed.read_log(path)
    assert found.tokens_per_s is None or 0 <= found.tokens_per_s < 10**9
    assert all(one is None or 0 <= one < 10**9 for one in (found.layers, found.of))
    return found


@fuzzed()
@given(content=damaged(LOG))
@example(content=b"eval time = 1.2.3 tokens per second")
@example(content=b"Generation: ... t/s")
@example(content=b"Generation: " + b"9" * 5000 + b" t/s")
@example(content=b"offloaded " + b"9" * 5000 + b"/41 layers to GPU")
@example(content="offloaded \u0663/\u0664 layers to GPU".encode())
@example(content=b"\xff\xfe\x00\xd8")
def test_server_logs(content: bytes, tmp_path: Path) -> None:
    """Numbers of any form are numbers, or none."""
    logged(tmp_path / "server.log", content)


@pytest.mark.parametrize("line", [b"x", b"eval time =", b"1." * 50, b" " * 100], ids=["x", "name", "number", "blank"])
def test_a_log_without_line_breaks_takes_no_memory_and_no_hours(line: bytes, tmp_path: Path) -> None:
    """A line is read in pieces, in time that grows with its length alone."""
    found = logged(tmp_path / "server.log", line * (2_000_000 // len(line)) + b"\n" + LOG)
    assert found == speed.Logged(20, 41, 5.8)


def test_a_log_is_read_up_to_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows is not read: a file, or a device, may have no end."""
    monkeypatch.setattr(speed, "MAX_LOG_BYTES", 1 << 17)
    found = logged(tmp_path / "server.log", LOG + b"\n" * (1 << 18) + b"Generation: 1.0 t/s\n")
    assert found.tokens_per_s == 5.8
    assert speed.read_log(Path("/dev/zero")) == speed.Logged(None, None, None)


ITEM: Final = Item(Pair("base", "tuned"), "p", "題", "参考", "one", "two")


@pytest.fixture
def ratings(tmp_path: Path) -> Path:
    """A file with one vote."""
    with Votes(tmp_path / NAME) as votes:
        rater = votes.join("花子", again=False)
        assert isinstance(rater, Rater)
        votes.save(rater, ITEM, "first", form_first=True, comment="")
    return tmp_path / NAME


def altered(path: Path, *statements: str) -> None:
    """Change a file of votes as somebody else's program does. A statement that its tables refuse changes nothing."""
    database = sqlite3.connect(path, isolation_level=None)
    try:
        for statement in statements:
            database.execute(statement)
    finally:
        database.close()


_COLUMNS: Final = (
    *(("raters", column) for column in ("name", "token", "at")),
    *(("items", column) for column in ("against", "form", "prompt_id", "prompt", "reference", "form_text")),
    *(("votes", column) for column in ("choice", "form_first", "comment", "at")),
    ("settings", "value"),
)


@pytest.mark.parametrize("value", ["x'00ff'", "'no such choice'", "7", "1.5", "CAST(x'ff' AS TEXT)"])
@pytest.mark.parametrize(("table", "column"), _COLUMNS)
def test_votes_of_other_types(table: str, column: str, value: str, ratings: Path) -> None:
    """A vote that is read has text in its texts and one of the choices: anything else is told, with the file."""
    altered(ratings, f"UPDATE {table} SET {column} = {value}")  # noqa: S608 - of the lists above
    for vote in result_or_error(lambda: read_votes(ratings)) or ():
        texts = (vote.rater_name, vote.comment, vote.at, vote.item.prompt, vote.item.pair.form, vote.digest)
        assert all(isinstance(one, str) for one in texts)
        assert vote.choice in CHOICES

    def used() -> None:
        with Votes(ratings) as votes:
            rater = votes.join("花子", again=True)
            assert isinstance(rater, Rater)
            json.dumps([votes.seed, rater.name, rater.token, votes.rated(rater), votes.undo(rater, {ITEM.digest})])

    result_or_error(used)


@pytest.mark.parametrize(
    "statements",
    [
        ("DELETE FROM settings",),
        ("DROP TABLE settings",),
        ("DROP TABLE openings",),
        ("ALTER TABLE votes RENAME COLUMN choice TO chosen",),
        ("CREATE TRIGGER t BEFORE INSERT ON votes BEGIN DELETE FROM votes; END",),
        ("DROP TABLE openings", "CREATE VIEW openings AS SELECT 1 AS rater, 'x' AS digest, 2 AS at"),
        ("PRAGMA user_version = 2",),
        ("PRAGMA user_version = 0",),
    ],
)
def test_other_tables(statements: tuple[str, ...], ratings: Path) -> None:
    """Missing rows and tables, views and triggers, another version: an error that names the file."""
    altered(ratings, *statements)
    assert result_or_error(lambda: read_votes(ratings)) is None


@fuzzed()
@given(data=st.data())
def test_damaged_files_of_votes(data: st.DataObject, tmp_path: Path) -> None:
    """Bytes of any kind where the file of votes should be."""
    place = tmp_path / f"{len(list(tmp_path.iterdir()))}"
    place.mkdir()
    with Votes(place / "sound.sqlite") as votes:
        assert isinstance(votes.join("花子", again=False), Rater)
    sound = (place / "sound.sqlite").read_bytes()
    (place / NAME).write_bytes(data.draw(damaged(sound[:200])) + sound[200:])
    result_or_error(lambda: read_votes(place / NAME))


QUESTION: Final = {"theme": "月の裏側"}
_ROWS: Final = {"train": [{"id": "a", "input": {"theme": "焚き火"}, "output": "x"}], "test": []}


@fuzzed()
@given(lines=st.lists(st.one_of(damaged_json(QUESTION), VALUES.map(json.dumps).map(str.encode)), max_size=4))
@example(lines=[b"[" * DEPTH])
@example(lines=[b"\xef\xbb\xbf\xef\xbb\xbf{}"])
@example(lines=[json.dumps({"theme": "\ud800"}).encode()])
@example(lines=[b'{"theme": ' + b"9" * 5000 + b"}"])
def test_questions(lines: list[bytes], tmp_path: Path) -> None:
    """Every question that is taken has a text, and can be written."""
    path = tmp_path / "questions.jsonl"
    path.write_bytes(b"\n".join(lines))
    for row in result_or_error(lambda: read_questions(path, _ROWS, ("<|im_end|>",))) or ():
        assert row["input"]["theme"].strip()
        json.dumps(row, ensure_ascii=False).encode()


def model(**changed: bytes) -> bytes:
    """Return the GGUF header of a model with one layer; `changed` are values of its keys, an array or a number."""
    keys = {
        name: key(f"m.{name}", 4, struct.pack("<I", value))
        for name, value in {"block_count": 1, "embedding_length": 8, "context_length": 64}.items()
    }
    for name in ("attention.head_count", "attention.head_count_kv"):
        keys[name] = key(f"m.{name}", 4, struct.pack("<I", 2))
    keys |= {name.replace("__", "."): value for name, value in changed.items()}
    tensors = [tensor("token_embd.weight", (8, 4)), tensor("blk.0.attn_q.weight", (8, 8), offset=128)]
    return file([key("general.architecture", 8, text("m")), *keys.values()], tensors) + b"\0" * 512


def _array(name: str, count: int, kind: int = 4, *values: int) -> bytes:
    return key(name, 9, struct.pack(f"<IQ{len(values)}I", kind, count, *values))


@fuzzed()
@given(content=damaged(model()))
@example(content=model(block_count=key("m.block_count", 6, struct.pack("<f", math.inf))))
@example(content=model(block_count=key("m.block_count", 6, struct.pack("<f", math.nan))))
@example(content=model(block_count=key("m.block_count", 10, struct.pack("<Q", 2**63))))
@example(content=model(block_count=key("m.block_count", 8, text("9" * 5000))))
@example(content=model(attention__head_count=key("m.attention.head_count", 4, struct.pack("<I", 0))))
@example(content=model(attention__head_count=_array("m.attention.head_count", 0)))
@example(content=model(attention__head_count_kv=_array("m.attention.head_count_kv", 0)))
@example(content=model(context_length=_array("m.context_length", 1, 4, 7)))
@example(content=model().replace(b"blk.0.", b"blk.9."))
@example(content=model().replace(b"token_embd", b"token_xxxx"))
@example(content=model().replace(b"\x01m", b"\x01\xff"))
def test_models_that_are_to_fit(content: bytes, tmp_path: Path) -> None:
    """What `offload` and the card checks count in: whole numbers, or words."""
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    found = result_or_error(lambda: read_model([path]))
    if found is not None:
        assert all(type(one) is int for one in (*found.layers, found.embedding, found.heads, found.trained_context))
        assert min(*found.layers, found.embedding, *found.kv_values, found.heads, found.trained_context) >= 0


def test_a_sound_model_is_counted(tmp_path: Path) -> None:
    """What is refused above is refused for its faults."""
    (tmp_path / "model.gguf").write_bytes(model())
    assert read_model([tmp_path / "model.gguf"]).layers == (256,)


@fuzzed()
@given(
    content=st.one_of(
        damaged(RECIPE.format(version="1.0").encode()),
        VALUES.map(lambda value: f"name = {json.dumps(value)}\n[release]\nversion = {json.dumps(value)}".encode()),
    )
)
@example(content=b"name = " + b"[" * 100_000)
@example(content=b"name = 1979-05-27\n")
@example(content=b'name = "a"\nrelease = 7\n')
@example(content=b'name = "a"\n[release]\nversion = 1.0\n')
@example(content=b'name = "a"\n[release]\ntitle = ' + b"9" * 4000 + b"\n")
@example(content=b'name = "a"\n[release]\nlicence = {a = "b"}\n')
def test_identities(content: bytes) -> None:
    """Names by which a target is called: of a few plain signs."""
    found = result_or_error(lambda: read_identity(content, "recipe.toml"))
    if found is not None:
        assert found[0].isascii()
        assert found[1].isascii()
        assert "/" not in "".join(found[:2])


WEIGHT: Final = "a.weight"


@pytest.fixture(scope="module")
def four_bit() -> dict[str, Any]:
    """The entries of one weight that is stored in 4 bits, by their endings."""
    from tests.support.four_bit import made_weight, packed

    return packed(made_weight(64, 64), double=True)


_STATE: Final[dict[str, Any]] = {
    "quant_type": "nf4",
    "blocksize": 64,
    "dtype": "float32",
    "shape": [64, 64],
    "nested_blocksize": 256,
    "nested_dtype": "float32",
    "nested_offset": 0.25,
}


def values_of(stored: dict[str, Any], folder: Path) -> Any:
    """Write a weight's entries, and read the weight as training does."""
    from safetensors.torch import save_file

    from pipeline.inside.four_bit_copy import FourBitCopy

    entries = {f"{WEIGHT}{ending}": one.contiguous() for ending, one in stored.items()}
    save_file(entries, folder / "model.safetensors")
    copy = FourBitCopy(folder)
    shape = result_or_error(partial(copy.shape, WEIGHT))
    found = result_or_error(partial(copy.values, WEIGHT))
    assert found is None or tuple(found.shape) == shape
    for first, last in ((0, 32), (32, None), (0, 2**70)):
        part = result_or_error(partial(copy.part, WEIGHT, first, last))
        assert part is None or part.values() is not None
    return found


@fuzzed()
@given(state=damaged_json(_STATE))
@example(state=b"[]")
@example(state=b"")
@example(state=b"[" * 60_000)
@example(state=b"[" * 100_000)
@example(state=json.dumps({**_STATE, "dtype": "nn"}).encode())
@example(state=json.dumps({**_STATE, "dtype": ["float32"]}).encode())
@example(state=json.dumps({**_STATE, "shape": [-64, -64]}).encode())
@example(state=json.dumps({**_STATE, "shape": []}).encode())
@example(state=json.dumps({**_STATE, "shape": [64.0, 64]}).encode())
@example(state=json.dumps({**_STATE, "shape": [4096]}).encode())
@example(state=json.dumps({**_STATE, "nested_offset": "x"}).encode())
@example(state=json.dumps({**_STATE, "nested_offset": 10**4000}).encode())
@example(state=json.dumps({name: _STATE[name] for name in ("quant_type", "blocksize")}).encode())
def test_states(state: bytes, four_bit: dict[str, Any], tmp_path: Path) -> None:
    """What is written about a weight in 4 bits may say anything: the weight comes in its shape, or words."""
    import torch

    values_of({**four_bit, ".quant_state.bitsandbytes__nf4": torch.tensor(list(state), dtype=torch.uint8)}, tmp_path)


@pytest.mark.parametrize("ending", ["", ".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map"])
@pytest.mark.parametrize("change", ["gone", "float", "bytes", "short", "empty", "a number", "square"])
def test_entries_beside_a_weight(ending: str, change: str, four_bit: dict[str, Any], tmp_path: Path) -> None:
    """Scales and levels that are missing, of another type or of another length are no others' numbers."""
    import torch

    entries = dict(four_bit)
    found = entries.pop(ending)
    changed = {
        "gone": None,
        "float": found.to(torch.float64),
        "bytes": found.to(torch.uint8),
        "short": found[:-1].clone(),
        "empty": found[:0].clone(),
        "a number": found.reshape(-1)[0].clone(),
        "square": found[None].clone(),
    }
    if changed[change] is not None:
        entries[ending] = changed[change]
    values_of(entries, tmp_path)


def test_a_sound_weight_is_read(four_bit: dict[str, Any], tmp_path: Path) -> None:
    """What is refused above is refused for its faults, and a weight without scales is."""
    assert tuple(values_of(four_bit, tmp_path).shape) == (64, 64)
    without = {ending: one for ending, one in four_bit.items() if ending != ".absmax"}
    assert values_of(without, tmp_path) is None
