"""The application by itself: what it does with errors, and with more questions than it can answer."""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from llm_mri_store.errors import LlmMriError, QueryTimeout, StoreBusy, StoreCorrupt, UnknownName
from llm_mri_store.report.live import LiveAnswers, live_app


def run(coroutine):
    """What a coroutine comes to; in a thread, as a browser of other tests may have its loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


def fail(error):
    def answer(*_):
        raise error

    return answer


def answers(**given):
    some = {"page": lambda: "page", "texts": lambda *_: {}, "terms": lambda *_: [], "points": lambda *_: {}}
    return LiveAnswers(**(some | given))


async def call(app, path, *, kind="http", method="GET", headers=((b"host", b"localhost"),)):
    """Status, headers and body of an answer."""
    sent = []
    path, _, query = path.partition("?")
    scope = {
        "type": kind,
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": list(headers),
        "scheme": "http",
        "server": ("localhost", 80),
    }

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    if kind != "http":
        return sent
    body = b"".join(one.get("body", b"") for one in sent[1:])
    return sent[0]["status"], {name.decode(): value.decode() for name, value in sent[0]["headers"]}, body


def made(**given):
    return live_app(answers(**given), token="secret", hosts={"localhost"})


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (QueryTimeout("too long"), 504),
        (StoreCorrupt("damaged"), 503),
        (StoreBusy("busy"), 503),
        (UnknownName("layer", 9, known=[1], where="scan 'x'"), 400),
        (LlmMriError("something else"), 500),
    ],
)
def test_each_error_of_ours_is_a_status_and_its_sentence(error, status):
    found, _, body = run(call(made(points=fail(error)), "/secret/api/points?layer=1"))
    assert (found, json.loads(body)) == (status, {"error": str(error)})


def test_a_page_that_cannot_be_made_says_why():
    found, _, body = run(call(made(page=fail(StoreCorrupt("damaged"))), "/secret/"))
    assert (found, json.loads(body)) == (503, {"error": "damaged"})


def test_more_questions_than_may_wait_are_told_to_come_again():
    begun, go_on = threading.Semaphore(0), threading.Event()
    most_at_once, at_once, lock = 0, 0, threading.Lock()

    def terms(*_):
        nonlocal most_at_once, at_once
        with lock:
            at_once += 1
            most_at_once = max(most_at_once, at_once)
        begun.release()
        go_on.wait(20)
        with lock:
            at_once -= 1
        return []

    async def all_of_them():
        app = live_app(answers(terms=terms), token="t", hosts={"localhost"}, at_once=2, waiting=3)
        asked = [asyncio.create_task(call(app, "/t/api/terms?layer=1&cell=1")) for _ in range(9)]
        await asyncio.to_thread(lambda: [begun.acquire(timeout=20) for _ in range(2)])
        refused = [one for one in asked if one.done()]
        go_on.set()
        return [one.result() for one in refused], await asyncio.gather(*asked)

    refused, every = run(all_of_them())
    assert [status for status, _, _ in refused] == [503] * 4
    assert all(headers["retry-after"] == "1" for _, headers, _ in refused)
    assert sorted(status for status, _, _ in every) == [200] * 5 + [503] * 4
    assert most_at_once == 2


def test_a_socket_is_closed_and_a_lifespan_is_nothing():
    assert run(call(made(), "/secret/", kind="websocket")) == [{"type": "websocket.close", "code": 1008}]
    assert run(call(made(), "/secret/", kind="lifespan")) == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([(b"host", b"localhost:1")], 200),
        ([(b"host", b"localhost"), (b"host", b"evil")], 403),
        ([(b"host", b"localhost\xff")], 403),
        ([], 403),
    ],
)
def test_exactly_one_host_is_named(headers, status):
    assert run(call(made(), "/secret/", headers=headers))[0] == status


def test_every_numeric_address_is_a_name_where_all_are_listened_at():
    app = live_app(answers(), token="t", hosts={"*"})
    for host, status in ((b"10.0.0.1:80", 200), (b"[fe80::1]", 200), (b"a.example", 403), (b"*", 403)):
        assert run(call(app, "/t/", headers=[(b"host", host)]))[0] == status
