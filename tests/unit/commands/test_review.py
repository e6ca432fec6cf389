"""`review`: from prepared rows to an overrule that counts in the next build."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from pipeline.arguments import parse
from pipeline.commands import review, run
from pipeline.errors import CorruptArtifactError, UsageError
from pipeline.reviewing.server import ReviewServer
from tests.support.interrupts import interrupts_heard
from tests.support.workplace import TITLES, Workplace

TAGS = "自己紹介｜子育て｜ワーママ｜30代"


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    """A place with a tag list among its rows, in which nothing has been built."""
    found = Workplace(tmp_path, monkeypatch)
    with (tmp_path / "rows.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({"theme": "題", "title": TAGS}, ensure_ascii=False) + "\n")
    return found


@contextmanager
def served(workplace: Workplace, monkeypatch: pytest.MonkeyPatch, *options: str) -> Iterator[str]:
    """Run the command in a thread; yield the page's address, and end the server as Ctrl-C would."""
    servers: list[ReviewServer] = []

    def start(*given: Any) -> ReviewServer:
        servers.append(ReviewServer(*given))
        return servers[0]

    monkeypatch.setattr(review, "ReviewServer", start)
    events: list[Mapping[str, Any]] = []
    ready = threading.Event()

    def hear(event: Mapping[str, Any]) -> None:
        events.append(event)
        if event["event"] == "review.serving":
            ready.set()

    arguments = parse(["review", *options, *workplace.arguments])
    thread = threading.Thread(target=review.main, args=(arguments, [hear]))
    thread.start()
    assert ready.wait(60), events
    try:
        yield str(events[-1]["url"])
    finally:
        servers[0].shutdown()
        thread.join()


def ask(url: str, body: Any = None) -> Any:
    """Ask the page's server as the page does."""
    parts = urlsplit(url)
    headers = {"Content-Type": "application/json", "Origin": f"http://{parts.netloc}"}
    connection = http.client.HTTPConnection(parts.netloc, timeout=20)
    method, data = ("GET", None) if body is None else ("POST", json.dumps(body))
    connection.request(method, f"{parts.path}?{parts.query}", data, headers)
    answer = connection.getresponse()
    found = json.loads(answer.read())
    connection.close()
    assert answer.status == 200, found
    return found


def overrule(url: str, kind: str, text: str = "") -> Any:
    """Overrule the first row of a kind."""
    found = ask(f"{url}rows?kinds={kind}&text={quote(text)}")["rows"][0]
    return ask(f"{url}overrule", {"n": found["n"], "overruled": True, "reason": ""})


def outputs(workplace: Workplace) -> list[str]:
    """Return the answers of all splits."""
    folder = workplace.build / "few" / "stages" / "prepare"
    paths = [folder / f"{name}.jsonl" for name in ("train", "validation", "test")]
    return [json.loads(line)["output"] for path in paths for line in path.read_text(encoding="utf-8").splitlines()]


def test_an_overrule_counts_in_the_next_build(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the recipe names the file: the page says which line it lacks, and afterwards that nothing is left to do."""
    workplace.prepare()
    assert TAGS not in outputs(workplace)
    with served(workplace, monkeypatch) as url:
        overrule(url, "tag-list")
        overrule(url, "train,validation,test", TITLES[0])
        told = ask(f"{url}summary")["overrules"]
        assert told["to_add"] == 'overrules = "overrules.jsonl"'
        assert (told["decisions"], told["not_built"]) == ({"keep": 1, "drop": 1}, 2)
    workplace.change('files = ["rows.jsonl"]', 'files = ["rows.jsonl"]\noverrules = "overrules.jsonl"')
    workplace.prepare()
    assert TAGS in outputs(workplace)
    assert TITLES[0] not in outputs(workplace)
    with served(workplace, monkeypatch) as url:
        summary = ask(f"{url}summary")
        assert (summary["overrules"]["to_add"], summary["overrules"]["not_built"]) == ("", 0)
        assert (summary["note"], summary["reasons"]) == ("", {"overruled": 1})


def test_the_gate_names_an_overrule_that_became_stale(workplace: Workplace) -> None:
    """The run goes on, and its manifest says which line has no effect."""
    (workplace.recipe.parent / "overrules.jsonl").write_text('\n{"decision": "keep", "row": "0000000000000000"}\n')
    workplace.change('files = ["rows.jsonl"]', 'files = ["rows.jsonl"]\noverrules = "overrules.jsonl"')
    workplace.prepare()
    keys = workplace.context().built_keys(None)
    manifest = workplace.context().store().manifest(keys["prepare"])
    assert manifest is not None
    (verdict,) = [item for item in manifest.gates if item["gate"] == "data.overrules"]
    assert verdict["outcome"] == "warned"
    assert verdict["evidence"][1].startswith("line 2, keep 0000000000000000: stale")


def test_another_wording_prepares_nothing_anew(workplace: Workplace) -> None:
    """The decisions count, not the words."""
    path = workplace.recipe.parent / "overrules.jsonl"
    path.write_text('{"decision": "keep", "row": "0000000000000000"}\n')
    workplace.change('files = ["rows.jsonl"]', 'files = ["rows.jsonl"]\noverrules = "overrules.jsonl"')
    workplace.prepare()
    before = workplace.context().built_keys(None)
    path.write_text('{"decision": "keep", "row": "0000000000000000", "reason": "in other words"}\n')
    workplace.prepare()
    after = workplace.context().built_keys(None)
    assert before["prepare"] == after["prepare"]
    assert before["fetch-overrules"] != after["fetch-overrules"]


def test_rows_that_a_gate_stopped_can_be_reviewed(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--prepare` runs up to the rows; that a gate stopped them is told above them."""
    workplace.change("rows_fail = 10", "rows_fail = 500")
    with served(workplace, monkeypatch, "--prepare") as url:
        summary = ask(f"{url}summary")
        assert summary["note"].startswith("data.clean-rows: 60 rows, limit ")
        assert ask(f"{url}rows")["total"] == 61


def test_what_is_there_is_not_prepared_again(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--prepare` looks at the last build, however old; the page says that it is older than the recipe."""
    workplace.prepare()
    workplace.change("[gates.data]", "[clean]\nmax_chars = 60\n\n[gates.data]")
    monkeypatch.setattr(run, "main", None)
    with served(workplace, monkeypatch, "--prepare") as url:
        assert ask(f"{url}summary")["note"].endswith("the recipe has other settings for it now")


def test_without_prepared_rows_it_says_what_to_do(workplace: Workplace) -> None:
    """And makes nothing."""
    with pytest.raises(UsageError, match="no rows of 'few' have been prepared here") as caught:
        workplace.answer(review.main, "review")
    assert "--to prepare" in caught.value.advice
    assert not workplace.build.exists()


def test_a_run_can_be_named(workplace: Workplace, tmp_path: Path) -> None:
    """As for `diagnose`; an unknown one is told with those that there are."""
    workplace.prepare()
    (name,) = [path.name for path in (workplace.build / "runs").iterdir()]
    options = parse(["review", name, *workplace.arguments, "--html", str(tmp_path / "page.html")])
    assert review.main(options, []) == 0
    assert TAGS in (tmp_path / "page.html").read_text(encoding="utf-8")
    with pytest.raises(UsageError, match="no run 'nonesuch'"):
        review.main(parse(["review", "nonesuch", *workplace.arguments]), [])


def test_damaged_rows_are_not_shown(workplace: Workplace) -> None:
    """A person would judge what nobody wrote."""
    workplace.prepare()
    (dropped,) = (workplace.build / "store" / "contents").glob("*/dropped.jsonl")
    dropped.chmod(0o644)
    dropped.write_text("")
    with pytest.raises(CorruptArtifactError, match=r"dropped\.jsonl"):
        workplace.answer(review.main, "review")


def test_nothing_is_left_of_the_index(workplace: Workplace, tmp_path: Path) -> None:
    """The build folder is as it was."""
    workplace.prepare()
    before = sorted(workplace.build.iterdir())
    assert review.main(parse(["review", *workplace.arguments, "--html", str(tmp_path / "page.html")]), []) == 0
    assert sorted(workplace.build.iterdir()) == before


def test_a_shipped_recipe_is_not_written_beside(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its folder is the package's."""
    monkeypatch.setattr(review, "SHIPPED", workplace.recipe.parent)
    assert "copy it beside your own files" in review._target(workplace.context()).why_not


def test_ctrl_c_ends_it_with_success(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is how it is meant to end."""
    workplace.prepare()
    events: list[str] = []

    def hear(event: Mapping[str, Any]) -> None:
        events.append(event["event"])
        if event["event"] == "review.serving":
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()

    with interrupts_heard():
        assert review.main(parse(["review", *workplace.arguments]), [hear]) == 0
    assert events[-1] == "review.ended"


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_wrong_port_is_a_wrong_command_line(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is read."""
    with pytest.raises(SystemExit):
        parse(["review", f"--port={port}"])
    assert "is no port" in capsys.readouterr().err
