"""The ASGI application: health, the page, audio devices, plugins, and a turn of conversation."""

from __future__ import annotations

from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from bailing import __version__
from bailing.audio import AudioError, inventory
from bailing.config import Config
from bailing.plugins import answer, discover
from server.page import render


def create(config: Config) -> Starlette:
    """Return the application for a configuration; plugins are found here, once."""
    found = discover(config.plugins.disabled)

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok", "version": __version__})

    def page(_: Request) -> Response:
        return HTMLResponse(render(config, found))

    def audio(_: Request) -> Response:
        try:
            return JSONResponse(inventory())
        except AudioError as error:
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from error

    async def plugins(_: Request) -> Response:
        keys = ("name", "state", "description")
        return JSONResponse([{key: getattr(item, key) for key in keys} for item in found])

    async def say(request: Request) -> Response:
        text = (await request.body()).decode(errors="replace")
        if (reply := answer(found, text)) is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, "no plugin has an answer")
        return JSONResponse({"plugin": reply[0], "answer": reply[1]})

    return Starlette(
        routes=[
            Route("/", page),
            Route("/health", health),
            Route("/api/audio", audio),
            Route("/api/plugins", plugins),
            Route("/api/say", say, methods=["POST"]),
        ],
        exception_handlers={HTTPException: _refuse, Exception: _fail},
    )


async def _refuse(_: Request, error: Exception) -> Response:
    """Answer a refused request, an unknown address among them, in JSON."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _fail(_: Request, error: Exception) -> Response:
    """Answer what nobody foresaw; its traceback is in the log, not in the answer."""
    return JSONResponse({"error": type(error).__name__}, HTTPStatus.INTERNAL_SERVER_ERROR)
