"""A page over HTTP: answers the questions of its explorer, to one who knows the address and to nobody else.

The address holds a token. The server only answers reading requests addressed to a name it is meant to have,
so that a page from elsewhere cannot ask it through the reader's browser.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llm_mri_store.errors import InvalidInput, LlmMriError, QueryTimeout, StoreError, UnknownName

_STATUS: Final = ((QueryTimeout, 504), (StoreError, 503), (InvalidInput, 400), (UnknownName, 400))
_HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'unsafe-inline'; img-src data: blob:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""Headers of every answer. The page itself says further which scripts are its own."""

_WHOLE_NUMBER: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_LONGEST_LABEL: Final = 10_000
_NOT_FOUND: Final = "There is nothing here; the address must be the one that llm-mri serve printed."


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveAnswers:
    """What the server answers with. Each is called in a thread, and may end in an error of this package.

    Attributes:
        page: the page.
        texts: of layer, cell, label or None, offset, limit: ``n``, ``n_shown`` and ``rows``.
        terms: of layer and cell: its most typical words.
        points: of a layer: ``x``, ``y``, ``cell``, ``label``, ``id``.
    """

    page: Callable[[], str]
    texts: Callable[[int, int, str | None, int, int], Mapping[str, Any]]
    terms: Callable[[int, int], list[str]]
    points: Callable[[int], Mapping[str, Any]]


def live_app(
    answers: LiveAnswers, *, token: str, hosts: Collection[str], at_once: int = 2, waiting: int = 32
) -> ASGIApp:
    """The server as an ASGI application, everything below ``/<token>/``.

    Args:
        answers: what it answers with.
        token: what an address must begin with.
        hosts: names a request may be addressed to; ``*`` stands for every numeric address.
        at_once: questions answered at a time.
        waiting: further ones that may wait; more are told to come again.
    """
    desk = _Desk(CapacityLimiter(at_once), at_once + waiting)

    async def page(_: Request) -> Response:
        return await desk.answer(lambda: HTMLResponse(answers.page()))

    async def texts(request: Request) -> Response:
        def read() -> Response:
            given = _parameters(request, ("layer", "cell", "label", "offset", "limit"))
            numbers = (_number(given, "layer"), _number(given, "cell"))
            pages = (_number(given, "offset", 0), _number(given, "limit", 50))
            return JSONResponse(answers.texts(*numbers, given.get("label"), *pages))

        return await desk.answer(read)

    async def terms(request: Request) -> Response:
        def read() -> Response:
            given = _parameters(request, ("layer", "cell"))
            return JSONResponse(answers.terms(_number(given, "layer"), _number(given, "cell")))

        return await desk.answer(read)

    async def points(request: Request) -> Response:
        def read() -> Response:
            return JSONResponse(answers.points(_number(_parameters(request, ("layer",)), "layer")))

        return await desk.answer(read)

    async def not_found(_: Request, __: Exception) -> Response:
        return _refusal(404, _NOT_FOUND)

    places = {"/": page, "/api/texts": texts, "/api/terms": terms, "/api/points": points}
    app = Starlette(
        routes=[Route(path, endpoint) for path, endpoint in places.items()],
        exception_handlers={404: not_found},
    )
    app.router.redirect_slashes = False
    return _guarded(app, token.encode(), frozenset(hosts))


@dataclass(slots=True)
class _Desk:
    """Answers a few questions at a time, in threads, and turns errors of ours into answers."""

    limiter: CapacityLimiter
    most: int
    n_here: int = 0

    async def answer(self, read: Callable[[], Response]) -> Response:
        if self.n_here >= self.most:
            return _refusal(503, "too many questions at once; ask again in a moment", {"retry-after": "1"})
        self.n_here += 1
        try:
            return await run_sync(_told, read, limiter=self.limiter)
        finally:
            self.n_here -= 1


def _told(read: Callable[[], Response]) -> Response:
    try:
        return read()
    except LlmMriError as error:
        status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
        return _refusal(status, str(error))


def _refusal(status: int, why: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"error": why}, status_code=status, headers=headers)


def _parameters(request: Request, known: Collection[str]) -> dict[str, str]:
    """The parameters of a question, each given once.

    Raises:
        InvalidInput: one is not known, or given twice.
    """
    given = request.query_params.multi_items()
    for name, _ in given:
        if name not in known:
            raise InvalidInput(f"parameter {name[:40]!r} is not known; there are: {', '.join(known)}")
    if len(dict(given)) < len(given):
        raise InvalidInput("each parameter can be given once")
    found = dict(given)
    if len(found.get("label", "")) > _LONGEST_LABEL:
        raise InvalidInput(f"a label has at most {_LONGEST_LABEL:,} characters")
    return found


def _number(given: Mapping[str, str], name: str, default: int | None = None) -> int:
    """A parameter that is a whole number.

    Raises:
        InvalidInput: it is missing, or is none.
    """
    words = given.get(name)
    if words is None and default is not None:
        return default
    if words is None or not _WHOLE_NUMBER.fullmatch(words):
        got = "nothing" if words is None else repr(words[:40])
        raise InvalidInput(f"{name} must be a whole number from 0 to 999999999, got {got}")
    return int(words)


def _guarded(app: ASGIApp, token: bytes, hosts: frozenset[str]) -> ASGIApp:
    """An application that only those reach who name a host it has, read only, and know the token."""

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            # Nothing is kept open: no websocket, and no start or end to wait for.
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
                message["headers"] = [*message.get("headers", ()), *own]
            await send(message)

        given, slash, place = scope["path"].removeprefix("/").partition("/")
        chosen: ASGIApp
        if not _is_expected(scope, hosts):
            chosen = PlainTextResponse("This server has another name.", status_code=403)
        elif scope["method"] not in ("GET", "HEAD"):
            chosen = PlainTextResponse("This server only reads.", 405, headers={"allow": "GET, HEAD"})
        elif not secrets.compare_digest(given.encode(errors="replace"), token):
            chosen = _refusal(404, _NOT_FOUND)
        elif not slash:
            chosen = RedirectResponse(f"/{given}/")
        else:
            chosen, scope = app, {**scope, "path": f"/{place}", "root_path": ""}
        await chosen(scope, receive, send_guarded)

    return guard


def _is_expected(scope: Scope, hosts: frozenset[str]) -> bool:
    """Whether the host a request is addressed to is one of the server's names."""
    named = [value for name, value in scope["headers"] if name == b"host"]
    if len(named) != 1:
        return False
    host = re.fullmatch(r"(\[[0-9a-f:.]+\]|[^:\[\]]+)(:[0-9]+)?", named[0].decode("latin-1").lower())
    if host is None:
        return False
    name = host[1].strip("[]")
    return name in hosts - {"*"} or ("*" in hosts and _is_address(name))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
