"""Shows workers/engines/remote: every request ends with a text or a code whatever the server does, and the key stays secret."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from jobs.catalog import ModelCard
from jobs.errors import CODES, ModelUnavailable
from jobs.generation import Completion, GenerationRequest, Message, Prompt, SamplingParams
from tests.support.servers.openai_server import Call, Reply, Server, answered, serving
from workers.engines.registry import load, make_engine
from workers.engines.remote import engine as engine_module
from workers.engines.remote.engine import RemoteEngine, RemoteModel
from workers.engines.remote.options import RemoteOptions

KEY = "sk-a-key-that-nobody-may-read"
CHAT = {"message": {"role": "assistant", "content": "Two words"}, "finish_reason": "stop"}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "FIRST_BACKOFF_S", 0.001)
    monkeypatch.setattr(engine_module, "LONGEST_BACKOFF_S", 0.01)
    monkeypatch.setenv("THE_KEY", KEY)


@pytest.fixture
def engine_at() -> Iterator[Callable[..., RemoteEngine]]:
    made: list[RemoteEngine] = []

    def make(server: Server, slots: int = 4, **options: Any) -> RemoteEngine:
        found = load("m", card_of(server, slots, **options), cache_dir=None).engine  # type: ignore[arg-type]
        assert isinstance(found, RemoteEngine)
        made.append(found)
        return found

    yield make
    for one in made:
        one.close()


def card_of(server: Server, slots: int = 4, **options: Any) -> ModelCard:
    given = {"key_variable": "THE_KEY", "patience_s": 20.0, "request_s": 10.0, **options}
    return ModelCard(engine="remote", source=server.url, slots=slots, options=given)


def chat(name: str = "r", content: str = "Say two words.", **params: Any) -> GenerationRequest:
    params = {"max_tokens": 20, "temperature": 0.5, "seed": 7, **params}
    return GenerationRequest(name, Prompt(messages=(Message("user", content),), params=SamplingParams(**params)))


def done(engine: RemoteEngine, *requests: GenerationRequest) -> dict[str, Completion]:
    for one in requests:
        engine.submit(one)
    found: dict[str, Completion] = {}
    while len(found) < len(requests):
        found |= {one.request_id: one for one in engine.step()}
    assert engine.step() == []
    return found


def once(reply: Reply) -> Callable[[Call, int], Reply | None]:
    """The first call gets `reply`, and all others a good answer."""
    return lambda _, before: reply if before == 0 else answered(CHAT)


def test_a_chat_is_sent_as_openai_writes_it_and_its_usage_is_the_servers(engine_at: Any) -> None:
    usage = {"prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 1}}
    message = {**CHAT["message"], "reasoning_content": "Hm."}  # type: ignore[dict-item]
    with serving(lambda *_: answered({**CHAT, "message": message}, 9, 3, **usage)) as server:
        engine = engine_at(server)
        prompt = Prompt(
            messages=(Message("system", "Be kind."), Message("user", "Hi")),
            params=SamplingParams(
                max_tokens=20, temperature=0.5, top_p=0.9, seed=7, stop=("\n",), repetition_penalty=1.1
            ),
            schema={"type": "object"},
        )
        found = done(engine, GenerationRequest("r", prompt))["r"]
        stats = engine.stats()
    call = server.calls[0]
    assert call.path == "/v1/chat/completions"
    assert call.headers["authorization"] == f"Bearer {KEY}"
    assert call.body == {
        "model": "m",
        "max_tokens": 20,
        "temperature": 0.5,
        "seed": 7,
        "top_p": 0.9,
        "stop": ["\n"],
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}},
    }
    assert (found.text, found.finish_reason, found.reasoning, found.constraint) == (
        "Two words",
        "stop",
        "Hm.",
        "partial",
    )
    assert (found.prompt_tokens, found.cached_prompt_tokens) == (9, 4)
    assert (found.completion_tokens, found.reasoning_tokens, found.device_ns) == (3, 1, 0)
    assert (stats.prompt_tokens, stats.completion_tokens, stats.busy_ns, stats.device) == (9, 3, 0, "remote")


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(429, b'{"error": {"message": "slow down"}}', {"Retry-After": "0.01"}), id="429"),
        pytest.param(Reply(429, b"", {"Retry-After": "nonsense"}), id="429 with nonsense"),
        pytest.param(Reply(503, b"<html>busy</html>", {"Content-Type": "text/html"}), id="503 in HTML"),
        pytest.param(Reply(500), id="500"),
        pytest.param(Reply(401, b"who are you"), id="401"),
        pytest.param(Reply(200, b"<html>hello</html>", {"Content-Type": "text/html"}), id="HTML with 200"),
        pytest.param(Reply(200, b'{"choices": [{"mess', cut=0), id="half a JSON"),
        pytest.param(Reply(200, b'{"choices": []}' * 40, cut=300), id="cut off"),
        pytest.param(Reply(200, b"[" * 100_000), id="deep"),
        pytest.param(Reply(200, b"null"), id="null"),
        pytest.param(Reply(200, b'{"choices": []}'), id="no choices"),
        pytest.param(Reply(200, b'{"choices": [7]}'), id="a choice that is a number"),
        pytest.param(answered({"message": {"content": None}, "finish_reason": "stop"}), id="no text"),
        pytest.param(answered({**CHAT, "finish_reason": "tool_calls"}), id="another end"),
        pytest.param(answered(CHAT, None), id="no count"),
        pytest.param(answered(CHAT, -1), id="negative"),
        pytest.param(answered(CHAT, True), id="a truth value"),
        pytest.param(answered(CHAT, 3, 10**9), id="more than asked for"),
        pytest.param(answered(CHAT, 10**9), id="more than was sent"),
        pytest.param(answered(CHAT, 3, 2.5), id="half a token"),
        pytest.param(answered(CHAT, prompt_tokens_details={"cached_tokens": 4}), id="more cached than read"),
        pytest.param(Reply(200, json.dumps({"choices": [CHAT]}).encode()), id="no usage"),
    ],
)
def test_what_is_no_answer_is_asked_for_again(reply: Reply, engine_at: Any) -> None:
    with serving(once(reply)) as server:
        found = done(engine_at(server), chat())["r"]
    assert (found.text, found.fault, len(server.calls)) == ("Two words", None, 2)


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        pytest.param(Reply(500), "remote_unavailable", id="500"),
        pytest.param(Reply(429, b"", {"Retry-After": "90"}), "remote_unavailable", id="longer than our patience"),
        pytest.param(Reply(200, b"<html>"), "remote_invalid", id="HTML"),
        pytest.param(answered(CHAT, 3, -2), "remote_invalid", id="a lie"),
    ],
)
def test_patience_ends_with_a_fault_that_may_be_retried(reply: Reply, code: str, engine_at: Any) -> None:
    with serving(lambda *_: reply) as server:
        found = done(engine_at(server, patience_s=0.05), chat())["r"]
    assert found.fault is not None
    assert (found.finish_reason, found.fault.code, found.fault.retryable) == ("error", code, True)
    assert code in CODES


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        pytest.param(Reply(400, b'{"error": {"message": "bad temperature"}}'), "remote_refused", id="400"),
        pytest.param(Reply(404, b'{"detail": "no model"}'), "remote_refused", id="404"),
        pytest.param(Reply(302, b"", {"Location": "http://127.0.0.1:1/"}), "remote_refused", id="a redirect"),
        pytest.param(Reply(413), "prompt_too_long", id="413"),
        pytest.param(
            Reply(400, b'{"error": {"message": "too many", "code": "context_length_exceeded"}}'),
            "prompt_too_long",
            id="too long",
        ),
        pytest.param(answered({**CHAT, "finish_reason": "content_filter"}), "content_filtered", id="filtered"),
    ],
)
def test_a_refusal_ends_one_request_at_once(reply: Reply, code: str, engine_at: Any) -> None:
    def script(call: Call, _: int) -> Reply | None:
        return reply if call.body["messages"][0]["content"] == "bad" else None

    with serving(script) as server:
        found = done(engine_at(server), chat("a"), chat("b", "bad"), chat("c", "And more."))
    assert found["b"].fault is not None
    assert (found["b"].fault.code, found["b"].fault.retryable) == (code, False)
    assert (found["a"].fault, found["c"].fault, len(server.calls)) == (None, None, 3)
    assert code in CODES


@pytest.mark.parametrize("status", [400, 401, 500])
def test_a_server_that_repeats_our_key_does_not_bring_it_into_an_error(
    status: int, engine_at: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    said = json.dumps({"error": {"message": f"wrong key {KEY}"}}).encode()
    with serving(lambda *_: Reply(status, said)) as server:
        found = done(engine_at(server, patience_s=0.0), chat())["r"]
    assert found.fault is not None
    assert KEY not in found.fault.message
    assert "wrong key ***" in found.fault.message
    assert KEY not in "".join(capsys.readouterr())


def test_patience_begins_when_a_request_is_sent() -> None:
    """The second request waits for the only slot for longer than the patience. Its first try fails, and it is sent again."""
    now_ns = [0]

    def script(_: Call, before: int) -> Reply:
        now_ns[0] += 1_000_000_000_000 if before == 0 else 0
        return Reply(500) if before == 1 else answered(CHAT)

    with serving(script) as server:
        model = RemoteModel(server.url, "m", RemoteOptions(patience_s=300.0))
        engine = RemoteEngine(model, slots=1, clock_ns=lambda: now_ns[0])
        found = done(engine, chat("a"), chat("b"))
        engine.close()
    assert {one.fault for one in found.values()} == {None}
    assert len(server.calls) == 3


def test_a_server_that_hangs_keeps_no_request_for_ever(engine_at: Any) -> None:
    def hang(*_: object) -> Reply:
        server.closing.wait(30)
        return Reply(500)

    with serving(hang) as server:
        found = done(engine_at(server, request_s=0.05, patience_s=0.1), chat("a"), chat("b"))
    assert {one.fault.code for one in found.values() if one.fault} == {"remote_unavailable"}
    assert "no answer within 0.05 s" in str(found["a"].fault)


def test_a_request_in_flight_can_be_cancelled_and_asked_again(engine_at: Any) -> None:
    begun = threading.Event()

    def script(_: Call, before: int) -> Reply:
        if before == 0:
            begun.set()
            server.closing.wait(30)
        return answered(CHAT)

    with serving(script) as server:
        engine = engine_at(server, request_s=60.0)
        engine.submit(chat())
        assert begun.wait(30)
        assert (engine.stats().running, engine.stats().waiting) == (1, 0)
        engine.cancel("r")
        ended: list[Completion] = []
        while not ended:
            ended += engine.step()
        assert [one.finish_reason for one in ended] == ["cancelled"]
        assert done(engine, chat())["r"].text == "Two words"


def test_no_more_requests_are_open_than_there_are_slots(engine_at: Any) -> None:
    gate = threading.Barrier(3, timeout=30)

    def script(*_: object) -> None:
        gate.wait()

    with serving(script) as server:
        found = done(engine_at(server, slots=3), *(chat(str(n), f"Say {n}.") for n in range(12)))
        assert server.most_at_once == 3
    assert {one.fault for one in found.values()} == {None}


def test_a_busy_server_gets_fewer_requests_at_once(engine_at: Any) -> None:
    """After refusals the engine has at most half as many requests in flight, and all of them end with a text."""

    def script(_: Call, before: int) -> Reply | None:
        return Reply(429, b"", {"Retry-After": "0"}) if before < 8 else None

    with serving(script) as server:
        engine = engine_at(server, slots=8)
        found = done(engine, *(chat(str(n), f"Say {n}.") for n in range(16)))
    assert {one.fault for one in found.values()} == {None}
    assert engine._pace.limit < 8


def test_a_limit_of_requests_a_minute_is_kept(engine_at: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from workers.engines.remote.pace import Pace

    started: list[float] = []
    start = Pace.start
    monkeypatch.setattr(Pace, "start", lambda pace: started.append(start(pace)) or started[-1])  # type: ignore[func-returns-value]
    with serving() as server:
        done(engine_at(server, requests_per_minute=3_000), *(chat(str(n)) for n in range(6)))
    assert all(later - earlier >= 0.0199 for earlier, later in pairwise(started))


def test_a_text_is_continued_and_the_stub_agrees_with_itself(engine_at: Any) -> None:
    with serving() as server:
        prompt = Prompt(text="The night train", params=SamplingParams(max_tokens=9, seed=3))
        found = done(engine_at(server), GenerationRequest("r", prompt))["r"]
        again = done(engine_at(server), GenerationRequest("r", prompt))["r"]
    assert server.calls[0].path == "/v1/completions"
    assert (server.calls[0].body["prompt"], found.text) == ("The night train", again.text)
    assert len(found.text.split()) == found.completion_tokens


def test_an_adapter_is_named_in_place_of_the_model() -> None:
    with serving() as server:
        adapters = {"brand": "brand-7"}
        engine = RemoteEngine(RemoteModel(server.url, "m", RemoteOptions(), adapters=adapters), slots=1)
        asked = [replace(chat(name).prompt, adapter=name or None) for name in ("", "brand", "other")]
        found = done(engine, *(GenerationRequest(f"{prompt.adapter}", prompt) for prompt in asked))
        engine.close()
    assert sorted(call.body["model"] for call in server.calls) == ["brand-7", "m"]
    assert (found["None"].fault, found["brand"].fault) == (None, None)
    assert found["other"].fault is not None
    assert found["other"].fault.code == "unknown_adapter"


@pytest.mark.parametrize("name", ["top_k", "min_p", "min_tokens", "stop_token_ids"])
def test_parameters_that_openai_does_not_have_need_the_dialect(name: str, engine_at: Any) -> None:
    value: Any = {"top_k": 5, "min_p": 0.1, "min_tokens": 2, "stop_token_ids": (3,)}[name]
    with serving() as server:
        refused = done(engine_at(server), chat(**{name: value}))["r"]
        taken = done(engine_at(server, dialect="vllm"), chat(**{name: value}))["r"]
    assert refused.fault is not None
    assert (refused.fault.code, name in refused.fault.message) == ("unsupported_parameter", True)
    assert taken.fault is None
    assert [call.body[name] for call in server.calls] == [list(value) if name == "stop_token_ids" else value]


def test_thoughts_have_tokens_of_their_own_only_if_the_row_does_not_count_them(engine_at: Any) -> None:
    with serving() as server:
        engine = engine_at(server, thinks=True, limit_name="max_completion_tokens")
        counted = chat("counted")
        free = GenerationRequest("free", counted.prompt, thoughts_count=False)
        done(engine, counted)
        done(engine, free)
    assert [call.body["max_completion_tokens"] for call in server.calls] == [20, 20 + 2_048]


# -- loading -----------------------------------------------------------------------------------------------------------


def test_a_model_that_cannot_be_used_is_refused_when_it_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def failure(card: ModelCard) -> str:
        with pytest.raises(ModelUnavailable) as raised:
            make_engine("other", card, None)  # type: ignore[arg-type]
        return str(raised.value)

    with serving() as server:
        assert "has no model 'other'; it has m, tiny: name one in the option model" in failure(card_of(server))
        monkeypatch.delenv("THE_KEY")
        assert "the variable THE_KEY is not set on this machine" in failure(card_of(server))
        monkeypatch.setenv("THE_KEY", "with\na line")
        assert "holds no key" in failure(card_of(server))
        assert "does not know the option tempo" in failure(card_of(server, tempo=1))
    assert "does not answer" in failure(card_of(server, key_variable=""))


def test_a_receipt_says_where_a_text_came_from(engine_at: Any) -> None:
    with serving() as server:
        found = load("m", card_of(server, seeds=True), cache_dir=None)  # type: ignore[arg-type]
        found.engine.close()
    host = server.url.removeprefix("http://").removesuffix("/v1")
    assert found.name == "remote"
    assert found.identity == {"model_revision": f"{host}/m", "server": host, "reproducible": "yes"}


@pytest.mark.parametrize(
    "source",
    [
        "",
        "m",
        "ftp://host/v1",
        "http://",
        "https://host/v1?key=1",
        "https://user:secret@host/v1",
        "https://ho st/v1",
        "http://h:x/",
    ],
)
def test_a_source_that_is_no_address_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match="remote model") as raised:
        ModelCard(engine="remote", source=source)
    assert "secret@" not in str(raised.value.errors()[0]["msg"])  # type: ignore[attr-defined]
