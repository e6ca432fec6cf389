"""A real client against an endpoint that misbehaves: what is tried again, what is told, what is kept."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import EndpointError, InterruptedRunError
from tests.support.judge_server import JudgeServer, prefers_longer
from tests.support.judged import Bench, read, row

KEY = "sk-test-0123456789abcdefghij"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Two prompts, four questions."""
    bench = Bench(tmp_path)
    bench.answers([row(1, "短い", "もっと長い答え"), row(2, "これは長い答え", "短い")])
    return bench


def failure(bench: Bench, settings: dict[str, Any], **table: Any) -> EndpointError:
    """Return the error with which judging ends."""
    with pytest.raises(EndpointError) as caught:
        bench.run(settings, **table)
    assert caught.value.exit_code == 31
    assert caught.value.where.startswith("http://127.0.0.1:")
    assert caught.value.__context__ is None
    return caught.value


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_passes_by_itself_is_tried_again(bench: Bench, status: int) -> None:
    """Through the client's own retries."""
    with JudgeServer() as server:
        server.faults.statuses = [status]
        bench.run(server.settings())
    assert len(server.asked) == 5


def test_a_cut_answer_is_tried_again(bench: Bench) -> None:
    """Half an answer is none."""
    with JudgeServer() as server:
        server.faults.cuts = [40]
        assert read(bench.run(server.settings()))["pairs"][0]["verdicts"] == 4
    assert len(server.asked) == 5


@pytest.mark.parametrize(
    ("status", "told", "advice"),
    [
        (400, "refuses the request (400): something is wrong", "judge.answer_format"),
        (401, "wants a key (401)", "judge.key_variable"),
        (403, "does not let this key use the model (403)", "rights"),
        (404, "knows no such model, or no such path (404)", "judge.model"),
        (413, "finds the request too long", "judge.rubric"),
        (422, "refuses the request (422)", "judge.leave_out"),
        (429, "asks to slow down (429)", "judge.concurrency"),
        (500, "failed (500): something is wrong", "log"),
        (302, "sends us elsewhere (302)", "base_url"),
        (418, "answered with status 418", "run again"),
    ],
)
def test_each_refusal_has_its_own_advice(bench: Bench, status: int, told: str, advice: str) -> None:
    """With the endpoint's own words where they help."""
    with JudgeServer() as server:
        server.faults.statuses = [status] * 20
        error = failure(bench, server.settings(retries=0, concurrency=1))
    assert told in error.what
    assert advice in error.advice
    assert len(server.asked) == 1


def test_a_wrong_path_is_told(bench: Bench) -> None:
    """A base_url without /v1."""
    with JudgeServer() as server:
        settings = server.settings()
        error = failure(bench, {**settings, "base_url": settings["base_url"].removesuffix("/v1")})
    assert "/v1" in error.advice


def test_an_endpoint_that_is_down_is_told(bench: Bench) -> None:
    """Nobody listens."""
    with JudgeServer() as server:
        settings = server.settings(retries=0)
    error = failure(bench, settings)
    assert "cannot be reached" in error.what
    assert "start it" in error.advice


def test_an_endpoint_that_cuts_every_answer_is_told(bench: Bench) -> None:
    """Not the same as one that is down."""
    with JudgeServer() as server:
        server.faults.cuts = [40] * 20
        error = failure(bench, server.settings(retries=0))
    assert "cut the connection" in error.what


def test_a_slow_endpoint_is_told(bench: Bench) -> None:
    """With the limit and the setting that raises it."""
    with JudgeServer() as server:
        server.faults.stall = True
        error = failure(bench, server.settings(timeout_s=0.2, retries=0))
    assert "did not answer within 0.2 s" in error.what
    assert "judge.timeout_s" in error.advice


@pytest.mark.parametrize(
    "body",
    ["<html>Welcome</html>", "", "[]", "{}", '{"choices": []}', '{"choices": [{"message": {"content": 5}}]}', "null"],
)
def test_nonsense_is_told(bench: Bench, body: str) -> None:
    """What answers there is no OpenAI-compatible service."""
    with JudgeServer() as server:
        server.faults.bodies = [body] * 20
        error = failure(bench, server.settings())
    assert "answered with" in error.what
    assert "OpenAI-compatible" in error.advice


def test_what_was_answered_before_an_error_is_not_asked_again(bench: Bench) -> None:
    """The next run goes on from there."""
    with JudgeServer() as server:
        server.faults.bodies = [server.completion(_question(0)), "{}"]
        failure(bench, server.settings(concurrency=1))
        before = len(server.asked)
        bench.run(server.settings(concurrency=1))
    assert before == 2
    assert len(server.asked) == before + 3


def _question(_: int) -> dict[str, Any]:
    return {"messages": [{"content": json.dumps({"answer_a": "短い", "answer_b": "もっと長い答え"})}]}


def test_a_second_run_asks_nothing_and_writes_the_same_bytes(bench: Bench) -> None:
    """Not even for a key or an endpoint: none is needed."""
    with JudgeServer() as server:
        first = bench.run(server.settings())
    second = bench.run({})
    assert len(server.asked) == 4
    for name in ("judge.json", "judgements.jsonl"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_no_more_requests_at_once_than_were_allowed(bench: Bench) -> None:
    """And not fewer, if there are enough."""
    bench.answers([row(at, "短い", f"長い答え{at}") for at in range(21)])
    three = threading.Barrier(3)  # that many have to be there before one is answered, and more would be counted

    def together(asked: Any) -> str:
        with contextlib.suppress(threading.BrokenBarrierError):
            three.wait(timeout=20)
        return prefers_longer(asked)

    with JudgeServer(together) as server:
        bench.run(server.settings(concurrency=3, timeout_s=60.0))
    assert server.most_at_once == 3


def test_a_stopped_run_ends_at_once(bench: Bench) -> None:
    """Also while the endpoint keeps silent."""
    with JudgeServer() as server:
        server.faults.stall = True

        def stop() -> None:
            server.arrived.wait()
            bench.cancelled.set()

        threading.Thread(target=stop).start()
        started = time.monotonic()
        with pytest.raises(InterruptedRunError):
            bench.run(server.settings(timeout_s=60.0))
    assert time.monotonic() - started < 30  # not when the endpoint has been waited for


def test_two_runs_at_once_ask_each_question_once(bench: Bench, tmp_path: Path) -> None:
    """They share the room: one waits for the other's answers, and both write the same bytes."""
    bench.answers([row(at, "短い", f"長い答え{at}") for at in range(10)])
    other = Bench(tmp_path / "other")
    other.answers([row(at, "短い", f"長い答え{at}") for at in range(10)])
    other.cache = bench.cache
    outputs: list[Path] = []

    def slowly(asked: Any) -> str:
        time.sleep(0.02)
        return prefers_longer(asked)

    with JudgeServer(slowly) as server:
        runs = [
            threading.Thread(target=lambda one=one: outputs.append(one.run(server.settings())))
            for one in (bench, other)
        ]
        for run in runs:
            run.start()
        for run in runs:
            run.join()
    assert len(server.asked) == 20
    first, second = ((output / "judge.json").read_bytes() for output in outputs)
    assert first == second


def test_the_key_is_sent_where_one_is_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the header, and nothing of OpenAI's own settings with it."""
    monkeypatch.setenv("JUDGE_KEY", KEY)
    with JudgeServer() as server:
        bench.run(server.settings(key_variable="JUDGE_KEY"))
    assert set(server.keys) == {KEY}


def test_no_key_of_another_service_is_sent(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loopback server gets nothing of what OpenAI's own variables hold."""
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, KEY)
    with JudgeServer() as server:
        bench.run(server.settings())
    assert len(server.headers) == 4
    assert KEY not in "".join(server.headers)


def test_a_certificate_that_nobody_vouches_for_is_told(bench: Bench, tmp_path: Path) -> None:
    """It is not the same as a service that is down."""
    file = tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(file), "-out"]
    subprocess.run([*command, str(tmp_path / "public.pem")], check=True, capture_output=True)
    file.write_text(file.read_text() + (tmp_path / "public.pem").read_text())
    with JudgeServer(certificate=file) as server, pytest.raises(EndpointError) as caught:
        bench.run(server.settings(retries=0))
    assert "certificate that is not trusted" in caught.value.what
    assert server.asked == []


def test_half_a_character_in_an_answer_breaks_nothing(bench: Bench) -> None:
    """JSON can name one that no file can hold."""
    with JudgeServer() as server:
        server.message = {"content": "\ud83d"}
        found = read(bench.run(server.settings(), show_data_rows=True))
    assert "not the JSON object asked for" in found["pairs"][0]["win_rate"]["reason"]


@pytest.mark.parametrize("status", [400, 401, 403, 429, 500])
def test_an_error_that_echoes_the_key_is_not_repeated(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """Its words are withheld as a whole."""
    monkeypatch.setenv("JUDGE_KEY", KEY)
    with JudgeServer() as server:
        server.faults.statuses, server.faults.echo = [status] * 20, True
        error = failure(bench, server.settings(key_variable="JUDGE_KEY", retries=0))
    assert KEY not in repr(error) + str(error)
    assert "its words are not repeated" in error.what


def test_an_answer_that_holds_the_key_is_not_kept(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that does that is not to be used."""
    monkeypatch.setenv("JUDGE_KEY", KEY)
    with JudgeServer(lambda _: json.dumps({"reason": f"your key is {KEY}", "verdict": "A"})) as server:
        error = failure(bench, server.settings(key_variable="JUDGE_KEY"))
    assert "sent the key back" in error.what
    assert not any(KEY.encode() in path.read_bytes() for path in bench.folder.rglob("*") if path.is_file())
