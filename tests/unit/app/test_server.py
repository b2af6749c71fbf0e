from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import Callable, MutableMapping
from typing import Any

import pytest

pytest.importorskip("yaml", reason="the app's image has PyYAML")
pytest.importorskip("starlette", reason="the app's image has Starlette")

Ask = Callable[..., tuple[int, str]]


@pytest.fixture
def ask() -> Ask:
    """Send one request to the application, without a server: its status and its body."""
    config = importlib.import_module("bailing.config").Config()
    app = importlib.import_module("server.app").create(config)

    def ask(path: str, method: str = "GET", body: bytes = b"") -> tuple[int, str]:
        sent: list[MutableMapping[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        scope = {"type": "http", "method": method, "path": path, "headers": [], "query_string": b""}
        asyncio.run(app(scope, receive, send))
        return sent[0]["status"], b"".join(part["body"] for part in sent[1:]).decode()

    return ask


def test_health(ask: Ask) -> None:
    status, body = ask("/health")
    assert (status, json.loads(body)["status"]) == (200, "ok")


def test_the_page_names_the_plugins(ask: Ask) -> None:
    status, body = ask("/")
    assert (status, "<td>clock" in body) == (200, True)


def test_the_audio_is_there_or_said_to_be_missing(ask: Ask) -> None:
    status, body = ask("/api/audio")
    assert (status, "devices" in json.loads(body)) in {(200, True), (503, False)}


def test_a_turn_of_conversation(ask: Ask) -> None:
    status, body = ask("/api/say", "POST", b"hello")
    assert (status, json.loads(body)) == (200, {"plugin": "echo", "answer": "hello"})


@pytest.mark.parametrize(("path", "refusal"), [("/nope", 404), ("/api/say", 405)])
def test_a_refusal_is_json(ask: Ask, path: str, refusal: int) -> None:
    status, body = ask(path)
    assert (status, "error" in json.loads(body)) == (refusal, True)
