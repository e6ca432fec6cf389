"""Reading recipes: everything that is wrong is told at once, each with its place and what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import RecipeError
from pipeline.gates.names import NAMES
from pipeline.loading import find_recipe, load_recipe, read_recipe, shipped_recipes
from pipeline.quantization_types import NEED_IMATRIX
from pipeline.recipe_errors import known_paths

GOOD = """\
name = "mine"
description = "a test"
[base]
source = "folder"
path = "base"
[data]
source = "files"
files = ["rows.jsonl"]
[prompt]
user = "{theme}"
"""
GATE = next(iter(NAMES))


def problems(text: str) -> list[str]:
    """Return the problems of a recipe's text, as a user reads them."""
    return [str(problem) for problem in read_recipe(text, "r.toml")[1]]


def with_line(line: str, table: str) -> str:
    """Return the good recipe with one more line in a table, as line 2 from its end at most."""
    head = f"[{table}]\n"
    return GOOD.replace(head, head + line + "\n") if head in GOOD else f"{GOOD}{head}{line}\n"


def test_good_recipe() -> None:
    """A recipe with only what is required has no problems."""
    recipe, found = read_recipe(GOOD, "r.toml")
    assert found == []
    assert recipe is not None
    assert recipe.split.train == 0.8


class TestOneProblem:
    """Each kind of problem: place, key, what is wrong, what is expected, the nearest name."""

    @pytest.mark.parametrize(
        ("line", "table", "expected"),
        [
            ("rnak = 8", "train.lora", "r.toml:12: train.lora.rnak is not a known key; did you mean 'rank'?"),
            ("rank = 8", "train", "r.toml:12: train.rank is not a known key; did you mean train.lora.rank?"),
            ("Batch_Size = 8", "train", "r.toml:12: train.Batch_Size is not a known key; did you mean 'batch_size'?"),
            ("x = 1", "trian", "r.toml:11: trian is not a known table; did you mean 'train'?"),
            ("x = 1", "train.lroa", "r.toml:11: train.lroa is not a known table; did you mean 'lora'?"),
            ("x = 1", "gates.trainin", "r.toml:11: gates.trainin is not a known table; did you mean 'training'?"),
            (
                "revison = 1",
                "base",
                "r.toml:4: base.revison is not a known key; known here: source, path, pre_tokenizer, licence",
            ),
            ("epochs = true", "train", "r.toml:12: train.epochs is a truth value (true); expected a number"),
            ("epochs = '2'", "train", "r.toml:12: train.epochs is text ('2'); expected a number"),
            ("batch_size = 2.5", "train", "r.toml:12: train.batch_size is a number (2.5); expected a whole number"),
            ("batch_size = 0", "train", "r.toml:12: train.batch_size is 0; expected greater than or equal to 1"),
            ("epochs = inf", "train", "r.toml:12: train.epochs is a number (inf); expected a finite number"),
            ("types = 'Q4_K_M'", "quantize", "r.toml:12: quantize.types is text ('Q4_K_M'); expected a list"),
            ("types = []", "quantize", "r.toml:12: quantize.types is empty; expected at least 1 item"),
            (
                "scheduler = 'cosin'",
                "train",
                (
                    "r.toml:12: train.scheduler is 'cosin'; expected one of cosine, linear, constant;"
                    " did you mean 'cosine'?"
                ),
            ),
            (
                "drop_tag_lists = 1979-05-27",
                "clean",
                "r.toml:12: clean.drop_tag_lists is a date or time (1979-05-27); expected true or false",
            ),
            ("lora = 3", "train", "r.toml:12: train.lora is a whole number (3); expected a table"),
        ],
    )  # fmt: skip
    def test_types_and_names(self, line: str, table: str, expected: str) -> None:
        """A wrong key or value is told with its line, its key and what would be right."""
        assert problems(with_line(line, table)) == [expected]

    def test_missing_key(self) -> None:
        """A missing key is told with what belongs there, at the table that lacks it."""
        text = GOOD.replace('path = "base"\n', "")
        assert problems(text) == ["r.toml:3: base.path is missing; expected the folder, relative to the recipe file"]

    def test_missing_table(self) -> None:
        """A missing table has no line."""
        text = GOOD.replace('[prompt]\nuser = "{theme}"\n', "")
        assert problems(text) == ["r.toml: prompt is missing; expected how a row becomes a conversation"]

    def test_unknown_kind(self) -> None:
        """A kind of base that does not exist is told at its key, without hiding anything else."""
        text = GOOD.replace('"folder"', '"fodler"')
        kinds = "seedling, seedling-llama, folder, hub"
        assert problems(text) == [f"r.toml:4: base.source is 'fodler'; expected one of {kinds}; did you mean 'folder'?"]

    def test_missing_kind(self) -> None:
        """A base without its kind says which there are."""
        text = GOOD.replace('source = "folder"\n', "")
        assert problems(text) == [
            "r.toml:3: base.source is missing; expected one of seedling, seedling-llama, folder, hub"
        ]

    @pytest.mark.parametrize("revision", ["main", "v1.0", "40c0698", "4" * 39, "G" * 40, "A" * 40])
    def test_revision_that_can_move(self, revision: str) -> None:
        """A branch, a tag or a short commit id is no revision; the key has no trace of the kind."""
        text = GOOD.replace('"folder"\npath = "base"', f'"hub"\nrepo = "a/b"\nrevision = "{revision}"')
        (found,) = problems(text)
        assert found.startswith(f"r.toml:6: base.revision is {revision!r}; expected a full commit id")

    def test_digest_of_another_length(self) -> None:
        """A file's digest must be a sha256; a file name with dots is quoted in the key."""
        text = GOOD.replace('"folder"\npath = "base"', '"hub"\nrepo = "a/b"\n[base.files]\n"config.json" = "abc"')
        assert problems(text) == [
            "r.toml:7: base.files.\"config.json\" is 'abc'; expected a sha256 of 64 lower-case hex digits"
        ]

    def test_a_list_of_wrong_items_is_not_too_short(self) -> None:
        """One mistake is told once."""
        found = problems(with_line('model = "x"\npairs = [["base"]]', "judge"))
        assert [one.partition(": ")[2] for one in found] == ["judge.pairs[0][1] is missing"]

    def test_waivers_as_one_table(self) -> None:
        """Waivers are a list of tables; one table is told how to be written."""
        (found,) = problems(with_line('gate = "x"', "waivers"))
        assert "each headed [[waivers]]" in found

    def test_waiver_without_reason(self) -> None:
        """A reason that says nothing is no reason."""
        text = f'{GOOD}[[waivers]]\ngate = "{GATE}"\nreason = "because"\n'
        assert problems(text) == ["r.toml:13: waivers[0].reason is 'because'; expected at least 20 characters"]


class TestBetweenKeys:
    """Problems that no key has by itself."""

    def test_shares(self) -> None:
        """Shares must add up to 1."""
        (found,) = problems(with_line("train = 0.9", "split"))
        assert found == (
            "r.toml:11: split has shares that add up to 1.1 (0.9 + 0.1 + 0.1); expected train + validation + test = 1"
        )

    def test_shares_in_binary(self) -> None:
        """0.7 + 0.15 + 0.15 is 1 although not in binary."""
        assert problems(with_line("train = 0.7\nvalidation = 0.15\ntest = 0.15", "split")) == []

    @pytest.mark.parametrize(
        ("template", "message"),
        [
            (
                "{thme}",
                (
                    "uses {thme}, which is not in columns.input; expected the input columns as {theme};"
                    " did you mean 'theme'?"
                ),
            ),
            ("text", "uses no column"),
            ("{theme!r}", "formats {theme}"),
            ("{theme:>9}", "formats {theme}"),
            ("{theme.x}", "uses {theme.x}"),
            ("{}", "uses {}"),
            ("{theme", "is not a template"),
            ("{theme} } ", "is not a template"),
        ],
    )  # fmt: skip
    def test_template(self, template: str, message: str) -> None:
        """A template uses declared columns, each as {name} and nothing else."""
        (found,) = problems(GOOD.replace('user = "{theme}"', f'user = "{template}"'))
        assert found.startswith("r.toml:10: prompt.user ")
        assert message in found

    def test_braces_of_the_text(self) -> None:
        """Doubled braces are braces of the text itself."""
        assert problems(GOOD.replace('user = "{theme}"', 'user = "{{x}} {theme}"')) == []

    def test_answer_in_the_prompt(self) -> None:
        """The answer's column must not be an input: the model would only have to copy it."""
        (found,) = problems(with_line('input = ["theme", "title"]', "columns"))
        assert "columns.output is 'title', also an input" in found

    def test_lengths(self) -> None:
        """The shortest answer is not longer than the longest."""
        (found,) = problems(with_line("min_chars = 9\nmax_chars = 8", "clean"))
        assert found == "r.toml:12: clean.min_chars is 9, over max_chars (8); expected min_chars <= max_chars"

    def test_file_of_another_form(self) -> None:
        """Rows are read from known forms only."""
        (found,) = problems(GOOD.replace("rows.jsonl", "rows.xlsx"))
        assert "data.files names 'rows.xlsx'; expected files that end in .jsonl" in found

    def test_two_files_of_one_name(self) -> None:
        """Rows are reported by file name and line, so names must differ."""
        (found,) = problems(GOOD.replace('"rows.jsonl"', '"a/rows.jsonl", "b/rows.jsonl"'))
        assert "names two files 'rows.jsonl'" in found

    @pytest.mark.parametrize(("name", "near"), [("q4_k_m", "Q4_K_M"), ("Q4_KM", "Q4_K_M"), ("Q8", "Q8_0"), ("XYZ", "")])
    def test_quantization(self, name: str, near: str) -> None:
        """An unknown type is answered with the nearest one."""
        (found,) = problems(with_line(f'types = ["{name}"]', "quantize"))
        assert f"quantize.types names {name!r}" in found
        assert (f"did you mean {near!r}?" if near else "known: ") in found

    def test_type_twice(self) -> None:
        """One file per type."""
        (found,) = problems(with_line('types = ["Q8_0", "Q8_0"]', "quantize"))
        assert "names 'Q8_0' twice" in found

    @pytest.mark.parametrize("name", sorted(NEED_IMATRIX))
    def test_a_type_that_needs_an_importance_matrix(self, name: str) -> None:
        """Told at loading, not after the training; with the matrix there is no problem."""
        (found,) = problems(with_line(f'types = ["{name}"]', "quantize"))
        assert f"quantize.types names {name!r}, which llama.cpp makes only with an importance matrix" in found
        assert "quantize.imatrix = true" in found
        assert problems(with_line(f'types = ["{name}"]\nimatrix = true', "quantize")) == []

    def test_an_importance_matrix_for_nothing(self) -> None:
        """Types that make no use of one."""
        (found,) = problems(with_line('types = ["Q8_0", "BF16"]\nimatrix = true', "quantize"))
        assert "quantize.imatrix is true, and no type makes use of it (Q8_0, BF16)" in found
        assert problems(with_line('types = ["Q8_0", "Q4_K_M"]\nimatrix = true', "quantize")) == []

    def test_chunks_longer_than_all_tokens(self) -> None:
        """Of an importance matrix."""
        (found,) = problems(with_line("imatrix = true\nimatrix_tokens = 1024\nimatrix_chunk_tokens = 2048", "quantize"))
        assert "quantize.imatrix_chunk_tokens is 2048, over imatrix_tokens (1024)" in found

    def test_misspelt_projection(self) -> None:
        """PEFT passes over a target that matches nothing: a near miss of a projection is told."""
        (found,) = problems(with_line('targets = ["q_proj", "k_porj"]', "train.lora"))
        assert "names 'k_porj'" in found
        assert "did you mean 'k_proj'?" in found

    def test_projection_of_another_architecture(self) -> None:
        """A name that is like none of the seven may be right for another model."""
        assert problems(with_line('targets = ["Wqkv"]', "train.lora")) == []

    def test_4bit_without_unsloth(self) -> None:
        """TRL trains on the rounded weights, on any processor."""
        assert problems(with_line("load_in_4bit = true", "train")) == []

    def test_choice_of_a_merge_where_there_is_one(self) -> None:
        """Only a training on 4 bits leaves two merges to choose from."""
        (found,) = problems(with_line('onto = "plain"', "merge"))
        assert "merge.onto is 'plain', but training loads the base as it is" in found

    def test_4bit_copy_without_4bit(self) -> None:
        """A 4-bit copy that nothing loads is a mistake."""
        hub = GOOD.replace('"folder"\npath = "base"', '"hub"\nrepo = "a/b"\n[base.training]\nrepo = "c/d"')
        (found,) = problems(hub)
        assert "base.training names 4-bit weights, but train.load_in_4bit is false" in found

    def test_window_longer_than_the_text(self) -> None:
        """A window fits into the text."""
        (found,) = problems(with_line("tokens = 256\nwindow_tokens = 512", "parity"))
        assert "parity.window_tokens is 512, over tokens (256)" in found

    def test_gate_that_does_not_exist(self) -> None:
        """A waiver names a gate that there is; the nearest one is told."""
        text = f'{GOOD}[[waivers]]\ngate = "{GATE}s"\nreason = "a reason that is long enough"\n'
        (found,) = problems(text)
        assert found.startswith(f"r.toml:12: waivers[0].gate is '{GATE}s', and there is no such gate")
        assert f"did you mean {GATE!r}?" in found

    @pytest.mark.parametrize(
        "rest", ["", 'reason = "short"\n', "reason = 3\n", 'reason = "long enough, with a slip"\nuntill = 1\n']
    )
    def test_gate_that_does_not_exist_beside_another_problem(self, rest: str) -> None:
        """A missing, short or wrong reason, or an unknown key, hides no misspelt gate."""
        found = problems(f'{GOOD}[[waivers]]\ngate = "{GATE}s"\n{rest}')
        assert len(found) == 2
        assert any(
            text.startswith("r.toml:12: waivers[0].gate is") and f"did you mean {GATE!r}?" in text for text in found
        )

    def test_gate_waived_twice(self) -> None:
        """Two waivers of one gate would be two reasons for one exception."""
        waiver = f'[[waivers]]\ngate = "{GATE}"\nreason = "a reason that is long enough"\n'
        assert problems(GOOD + waiver + waiver) == [
            f"r.toml:15: waivers[1].gate is '{GATE}' once more; expected one waiver per gate, with one reason"
        ]


class TestProcesses:
    """Several processes have to take the steps of one."""

    @pytest.mark.parametrize(
        ("lines", "expected"),
        [
            (
                "processes = 2\nbatch_size = 4\naccumulation = 1",
                (
                    "train.processes is 2, and 2 processes cannot share the 1 forward passes of a step (batch_size 4 x"
                    " accumulation 1 = 4 rows); expected accumulation a multiple of processes; the same 4 rows a step:"
                    " batch_size = 2, accumulation = 2"
                ),
            ),
            (
                "processes = 3\nbatch_size = 2\naccumulation = 4",
                (
                    "train.processes is 3, and 3 processes cannot share the 4 forward passes of a step (batch_size 2 x"
                    " accumulation 4 = 8 rows); expected accumulation a multiple of processes"
                ),
            ),
            (
                "processes = 2\ntrainer = 'unsloth'",
                (
                    "train.processes is 2 with trainer 'unsloth', which replaces parts of Accelerate, how"
                    " processes start"
                    " among them: nobody has tried whether several of them take the steps of one; expected 1, or"
                    " trainer"
                    " 'trl-cuda'"
                ),
            ),
            (
                "sharding = 'fsdp'",
                "train.sharding is 'fsdp' with one process, which shares with nobody; expected processes = 2",
            ),
            (
                "processes = 2\nsharding = 'fsdp'\ntrainer = 'trl-cuda'\nload_in_4bit = true",
                (
                    "train.sharding is 'fsdp' with weights that bitsandbytes packs in 4 bits: a stored 4-bit copy holds"
                    " bytes, and FSDP shares out floating-point numbers only; expected 'none', or load_in_4bit ="
                    " false; a"
                    ' model of 14 B in 4 bits fits one card of 40 GB, and sharding = "none" trains it on several'
                ),
            ),
            (
                "processes = 2\nsharding = 'fsdp'\ntrainer = 'trl-cuda'\noptimizer = 'adamw_8bit'",
                (
                    "train.optimizer is 'adamw_8bit' with sharding 'fsdp': its 8-bit state cannot be shared out;"
                    " expected"
                    " adamw_torch"
                ),
            ),
            (
                "packing = true\ntrainer = 'unsloth'",
                (
                    "train.packing is true with trainer 'unsloth', which chooses its attention by card and packages:"
                    " whether that keeps rows apart is not known before it runs; expected false, or trainer 'trl-cuda'"
                ),
            ),
            (
                "packing = true\nbatch_size = 1\naccumulation = 8",
                (
                    "train.packing is true with batch_size 1: a forward pass has one row, and nothing to lay beside"
                    " it; expected batch_size of 2 or more; the same 8 rows a step: batch_size = 8, accumulation = 1"
                ),
            ),
            (
                "deterministic = false",
                (
                    "train.deterministic is false with trainer 'trl', which is deterministic at no cost; expected"
                    " true, or"
                    " trainer 'trl-cuda' or 'unsloth'"
                ),
            ),
        ],
    )
    def test_what_cannot_be_is_told_with_what_can(self, lines: str, expected: str) -> None:
        """The message says why, and which values would do."""
        (found,) = problems(with_line(lines, "train"))
        assert found.partition(": ")[2] == expected

    @pytest.mark.parametrize(
        "lines",
        [
            "processes = 2",
            "processes = 4\nsharding = 'fsdp'\nload_in_4bit = true",
            "processes = 2\ntrainer = 'trl-cuda'\nload_in_4bit = true\noptimizer = 'adamw_8bit'",
            "processes = 2\ntrainer = 'trl-cuda'\nsharding = 'fsdp'\ndeterministic = false",
        ],
    )
    def test_what_can_be_is_let_through(self, lines: str) -> None:
        """Values of NF4 that `trl` holds unpacked can be shared out, packed weights can be copied."""
        assert problems(with_line(lines, "train")) == []


class TestAllAtOnce:
    """Many problems in one file."""

    TEXT = (
        GOOD.replace("{theme}", "{thme}").replace("rows.jsonl", "rows.txt").replace("[data]", "[data]\nrow = 1")
        + "[train]\nepochs = 'x'\nload_in_4bit = true\n[split]\ntrain = 0.9\n[nonsense]\n"
    )

    def test_every_problem_in_the_order_of_lines(self) -> None:
        """Wrong keys, wrong values and wrong combinations come together, sorted by line."""
        found = problems(self.TEXT)
        keys = [text.split(" ")[1] for text in found]
        assert keys == ["data.row", "data.files", "prompt.user", "train.epochs", "split", "nonsense"]

    def test_one_error(self, tmp_path: Path) -> None:
        """They come as one error with the exit code of recipes, the file, and where to read on."""
        path = tmp_path / "r.toml"
        path.write_text(self.TEXT, encoding="utf-8")
        with pytest.raises(RecipeError, match="6 problems") as caught:
            load_recipe(path)
        assert caught.value.exit_code == 20
        assert caught.value.where == str(path)
        assert f"{path}:8: data.row" in caught.value.what or f"{path}:7: data.row" in caught.value.what
        assert "docs/recipes.md" in caught.value.advice


class TestText:
    """The file as such."""

    @pytest.mark.parametrize(
        ("text", "place"),
        [
            ("name = \n", "r.toml:1:8"),
            ("a = 1\nb = [1,\n", "r.toml:2:8"),
            ("a = 1\na = 2\n", "r.toml:2:6"),
            ("\x00", "r.toml:1:1"),
        ],
    )
    def test_syntax(self, text: str, place: str) -> None:
        """A syntax error is told with line and column."""
        (found,) = problems(text)
        assert found.startswith(f"{place}: not valid TOML")

    def test_byte_order_mark(self, tmp_path: Path) -> None:
        """A byte order mark, which Windows editors write, does no harm."""
        path = tmp_path / "r.toml"
        path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
        assert load_recipe(path).name == "mine"

    def test_windows_line_ends(self, tmp_path: Path) -> None:
        """CRLF does not move lines."""
        path = tmp_path / "r.toml"
        path.write_bytes((GOOD + "[train]\nepoch = 1\n").replace("\n", "\r\n").encode())
        with pytest.raises(RecipeError, match=r"r\.toml:12: train\.epoch "):
            load_recipe(path)

    def test_another_encoding(self, tmp_path: Path) -> None:
        """A file in CP932 is told as that, with the line."""
        path = tmp_path / "r.toml"
        path.write_bytes(GOOD.replace("a test", "題名").encode("cp932"))
        with pytest.raises(RecipeError, match="not UTF-8: byte 0x91 on line 2") as caught:
            load_recipe(path)
        assert caught.value.where == f"{path}:2"

    def test_folder_instead_of_a_file(self, tmp_path: Path) -> None:
        """A folder is no recipe."""
        with pytest.raises(RecipeError, match="is a folder"):
            load_recipe(tmp_path)


class TestNames:
    """What a recipe argument means."""

    def test_shipped_name(self) -> None:
        """A shipped recipe goes by its name."""
        assert find_recipe("seedling").name == "seedling.toml"

    def test_file_before_name(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file of the user's is taken before a shipped recipe."""
        (tmp_path / "seedling").write_text(GOOD, encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        assert load_recipe("seedling").name == "mine"

    @pytest.mark.parametrize(("name", "near"), [("seedlin", "seedling"), ("notai-title", "noteai-title")])
    def test_nearest_shipped_name(self, name: str, near: str) -> None:
        """A misspelt name is answered with the nearest."""
        with pytest.raises(RecipeError) as caught:
            load_recipe(name)
        assert caught.value.advice == f"did you mean {near}?"

    def test_nearest_file(self, tmp_path: Path) -> None:
        """A misspelt path is answered with the file beside it."""
        (tmp_path / "mine.toml").write_text(GOOD, encoding="utf-8")
        with pytest.raises(RecipeError) as caught:
            load_recipe(tmp_path / "mnie.toml")
        assert caught.value.advice == f"did you mean {tmp_path / 'mine.toml'}?"

    def test_nothing_near(self, tmp_path: Path) -> None:
        """Without a near name the shipped ones are listed."""
        with pytest.raises(RecipeError) as caught:
            load_recipe(tmp_path / "zzzzzz")
        assert "seedling" in caught.value.advice

    def test_no_way_out_of_the_shipped_folder(self) -> None:
        """A name with path parts is a path, not a shipped recipe's name."""
        with pytest.raises(RecipeError):
            find_recipe("../recipes/seedling")

    def test_folder_of_the_recipe(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The recipe knows its file's folder, absolute whatever was typed."""
        (tmp_path / "r.toml").write_text(GOOD, encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        assert load_recipe("r.toml").folder == tmp_path


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipe_has_no_problems(name: str) -> None:
    """Every shipped recipe is sound and carries its own name."""
    assert load_recipe(name).name == name


def test_no_shipped_recipe_is_lost() -> None:
    """The three recipes that the design names are there."""
    assert {"seedling", "noteai-title", "company-qa"} <= set(shipped_recipes())


def test_known_paths_reach_the_limits_of_gates() -> None:
    """The nearest table is looked for in gates too."""
    assert ("gates", "preflight", "lora_scale_warn") in set(known_paths())
