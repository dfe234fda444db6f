"""A small server with OpenAI's API, whose texts are those of the stub engine. A test may script what it answers instead."""

import contextlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from jobs.generation import Message, Prompt, SamplingParams
from workers.engines.stub.words import completion_words, prompt_text


@dataclass
class Reply:
    """What the server sends. `cut` bytes at the end of the content are not sent, and the connection is closed."""

    status: int = 200
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int = 0


@dataclass
class Call:
    """What the server was asked: the path, the body and the headers by lower-case names."""

    path: str
    body: dict[str, Any]
    headers: dict[str, str]


Script = Callable[[Call, int], Reply | None]
"""Gives the reply to a call, and how many calls came before it; None for the usual reply. It may wait."""


@dataclass
class Server:
    """A running server. `calls` are the calls so far, and `most_at_once` the most that were open together."""

    url: str
    script: Script
    calls: list[Call] = field(default_factory=list)
    most_at_once: int = 0
    closing: threading.Event = field(default_factory=threading.Event)
    _open: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reply(self, call: Call) -> Reply:
        with self._lock:
            before = len(self.calls)
            self.calls.append(call)
            self._open += 1
            self.most_at_once = max(self.most_at_once, self._open)
        try:
            return self.script(call, before) or usual(call)
        finally:
            with self._lock:
                self._open -= 1


@contextlib.contextmanager
def serving(script: Script = lambda *_: None) -> Iterator[Server]:
    """Run a server on a free port of 127.0.0.1 while the block lasts."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send(Reply(content=json.dumps({"object": "list", "data": [{"id": "m"}, {"id": "tiny"}]}).encode()))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            headers = {name.lower(): value for name, value in self.headers.items()}
            with contextlib.suppress(OSError):  # the client has gone
                self._send(server.reply(Call(self.path, body, headers)))

        def _send(self, reply: Reply) -> None:
            self.send_response(reply.status)
            for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.content)))
            self.end_headers()
            self.wfile.write(reply.content[: len(reply.content) - reply.cut])
            if reply.cut:
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
            pass

    http_server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http_server.daemon_threads = True
    server = Server(f"http://127.0.0.1:{http_server.server_port}/v1", script)
    thread = threading.Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        http_server.shutdown()
        http_server.server_close()
        thread.join()


def usual(call: Call) -> Reply:
    """Return the stub's text for a call, with a usage in words."""
    body = call.body
    names = ("temperature", "top_p", "min_tokens", "seed", "max_tokens")
    params = SamplingParams(
        **{"temperature": 1.0, **{name: body[name] for name in names if name in body}}, stop=tuple(body.get("stop", ()))
    )
    messages = tuple(Message(one["role"], one["content"]) for one in body.get("messages", ()))
    prompt = Prompt(messages=messages, text=body.get("prompt", ""), params=params)
    words, finish = completion_words(prompt)
    text = " ".join(words)
    choice = {"text": text} if "prompt" in body else {"message": {"role": "assistant", "content": text}}
    return answered({**choice, "finish_reason": finish}, len(prompt_text(prompt).split()), len(words))


def answered(choice: Mapping[str, Any], prompt_tokens: Any = 3, completion_tokens: Any = 2, **usage: Any) -> Reply:
    """Return a reply with one choice and a usage."""
    counts = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens, **usage}
    return Reply(content=json.dumps({"choices": [choice], "usage": counts}).encode())
