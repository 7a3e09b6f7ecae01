"""A reduction's page over HTTP, live over the store: whoever knows its address reads, and nobody writes."""

from __future__ import annotations

import ipaddress
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from llm_mri_store.api.live_source import LiveSource
from llm_mri_store.errors import InvalidInput
from llm_mri_store.store.clock import Clock

if TYPE_CHECKING:
    from llm_mri_store.api.reduction import Reduction

LOOPBACK: Final = "127.0.0.1"

_LOOPBACK_NAMES: Final = frozenset({LOOPBACK, "localhost", "::1"})
_ANY: Final = frozenset({"0.0.0.0", "::"})
_GRACE_S: Final = 2
_TOKEN_BYTES: Final = 24


def serve(
    reduction: Reduction,
    *,
    host: str = LOOPBACK,
    port: int = 0,
    timeout_s: float = 30.0,
    ready: Callable[[str], None],
) -> None:
    """Serves the page until it is interrupted.

    Args:
        reduction: with a grid.
        host: name or address to listen at; others than the machine itself can reach any but loopback.
        port: 0 for one that is free.
        timeout_s: seconds after which a query is stopped.
        ready: told the address, once it can be asked.

    Raises:
        InvalidInput: starlette or uvicorn is not installed, or the place cannot be listened at.
        ReductionError: there is no grid.
        StoreCorrupt: a file of the store is damaged.
    """
    try:
        import uvicorn

        from llm_mri_store.report.live import LiveAnswers, live_app
    except ModuleNotFoundError as error:
        raise InvalidInput(
            "serving needs starlette and uvicorn; install them with pip install 'llm-mri-store[serve]'"
        ) from error
    if not timeout_s > 0:
        raise InvalidInput(f"the timeout must be a positive number of seconds, got {timeout_s}")
    clock = Clock(timeout_s)
    source = LiveSource(reduction, clock)
    source.page()
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    answers = LiveAnswers(page=source.page, texts=source.texts, terms=source.terms, points=source.points)
    app = live_app(answers, token=token, hosts=host_names(host))
    config = uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        http="h11",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    server = uvicorn.Server(config)
    server.handle_exit = _stopping(server.handle_exit, clock)  # type: ignore[assignment, method-assign]
    with _listening(host, port) as listener:
        shown = f"[{host}]" if ":" in host else host
        ready(f"http://{shown}:{listener.getsockname()[1]}/{token}/")
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listener])


def host_names(host: str) -> frozenset[str]:
    """Names that a request may be addressed to; ``*`` stands for every numeric address.

    >>> sorted(host_names("127.0.0.1"))
    ['127.0.0.1', '::1', 'localhost']
    """
    names = _LOOPBACK_NAMES | {host.lower()}
    return names | {"*", socket.gethostname().lower()} if host in _ANY else names


def is_loopback(host: str) -> bool:
    """True for a name or address that only this machine can reach.

    >>> is_loopback("localhost"), is_loopback("127.0.0.2"), is_loopback("0.0.0.0"), is_loopback("example.org")
    (True, True, False, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() in _LOOPBACK_NAMES


def _stopping(handle: Callable[[int, Any], None], clock: Clock) -> Callable[[int, Any], None]:
    """What handles a signal, and stops the queries that run."""

    def stop(number: int, frame: Any) -> None:
        clock.stopped.set()
        handle(number, frame)

    return stop


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise InvalidInput(
            f"port {port} of {host} cannot be listened at ({error}); choose another, or 0 for a free one"
        ) from error
    with listener:
        yield listener
