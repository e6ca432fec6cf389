"""The seedling's data and base model: planted faults in their shares, the same bytes, no title in the base's text."""

from __future__ import annotations

import random
from collections import Counter

from pipeline.inside import seedling_corpus, seedling_data, seedling_titles, seedling_tokenizer, seedling_words

PARAMETERS = {"rows": 1600, "tag_list_share": 0.22, "duplicate_share": 0.06, "broken_share": 0.02, "seed": 42}


def test_faults_are_planted_in_the_shares_of_the_recipe() -> None:
    """1,600 rows with 22 % tag lists, 6 % duplicates and 2 % broken rows, rounded."""
    lines = seedling_data.make_lines(PARAMETERS)
    kinds = Counter(line.kind for line in lines)
    assert len(lines) == 1600
    assert kinds["tag-list"] == 352
    assert kinds["exact-duplicate"] + kinds["near-duplicate"] == 96
    assert sum(count for kind, count in kinds.items() if kind not in {"title", "tag-list"}) - 96 == 32


def test_the_same_seed_gives_the_same_rows_and_another_seed_others() -> None:
    """All chance comes from the seed."""
    texts = [line.text for line in seedling_data.make_lines(PARAMETERS)]
    assert texts == [line.text for line in seedling_data.make_lines(PARAMETERS)]
    assert texts != [line.text for line in seedling_data.make_lines({**PARAMETERS, "seed": 43})]


def test_the_base_models_text_holds_no_title_of_the_fine_tuning_set() -> None:
    """The base knows the words; the titles are new to it, and so is the instruction."""
    titles = {
        line.text.split('"title": "')[1].split('"')[0]
        for line in seedling_data.make_lines(PARAMETERS)
        if line.kind == "title"
    }
    parts = [part for text in seedling_corpus.make_corpus(2800, 7) for part, _ in seedling_tokenizer.render(text)]
    whole = "\n".join(parts)
    assert len(titles) > 1000
    assert [title for title in titles if title in whole] == []
    assert "記事タイトルを1つ生成" not in whole


def test_themes_hold_no_particle() -> None:
    """A theme such as AのB would teach a model of this size to go on with のBのB."""
    assert [theme for theme in seedling_words.all_themes() if set(theme) & set("のをとへ")] == []


def test_every_frame_names_the_theme_once_and_only_known_slots() -> None:
    """A title without its theme could not be learnt from the prompt."""
    for frame in seedling_titles.FRAMES:
        assert frame.count("{theme}") == 1
    titles = [seedling_titles.make_title("朝活", frame, random.Random(1)) for frame in seedling_titles.FRAMES]
    assert all("{" not in title and "朝活" in title for title in titles)


def test_special_tokens_are_single_and_the_vocabulary_is_full() -> None:
    """`<|im_end|>` is one token that no merge can split, and the row count is what the model is made for."""
    tokenizer = seedling_tokenizer.train_tokenizer(seedling_corpus.make_corpus(2800, 7, made_up=False))
    assert tokenizer.get_vocab_size() == seedling_tokenizer.VOCABULARY
    for token in ("<|im_start|>", "<|im_end|>", "<|endoftext|>"):
        assert len(tokenizer.encode(token, add_special_tokens=False).ids) == 1
    text = "「朝活」に関する記事タイトル\n絵文字🙂とＡＢＣ"
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_the_tokenizer_is_the_same_every_time() -> None:
    """Merges with equal counts come in one order."""
    corpus = seedling_corpus.make_corpus(2800, 8, made_up=False)
    again = seedling_corpus.make_corpus(2800, 8, made_up=False)
    first, second = (seedling_tokenizer.train_tokenizer(texts).to_str() for texts in (corpus, again))
    assert first == second
