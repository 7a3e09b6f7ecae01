"""A real server over real HTTP: who is answered, with what, and how it ends."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from llm_mri_store.api.reduction import Reduction
from tests.live.server import serving
from tests.store.stores import random_store, tree_digest

LAYER, CELL = 1, 6
CELL_X, CELL_Y = divmod(CELL, 4)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return random_store(tmp_path_factory.mktemp("live") / "store", n=300)


@pytest.fixture(scope="module")
def server(store):
    before = tree_digest(store.root)
    with serving(store.root) as server:
        yield server
    assert tree_digest(store.root) == before, "the server wrote to the store"


@pytest.fixture(scope="module")
def reduction(store):
    return Reduction(store, "big", "pca-2")


def test_the_page_is_the_reports_and_may_ask_its_server(server):
    page = server.get()
    assert page.status == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    words = page.body.decode()
    assert '"mode":"live"' in words.replace(" ", "")
    assert "connect-src 'self'" in words.split("<title>")[0]
    assert "No test of this reduction was kept yet." in words


def test_texts_are_those_that_sql_gives_page_by_page(server, reduction):
    asked = {"layer": LAYER, "cell_x": CELL_X, "cell_y": CELL_Y}
    for label in (None, "a"):
        every = reduction.ask("cell_texts", **asked, label=label, limit=10_000).rows()
        assert len(every) > 2
        told = {"layer": LAYER, "cell": CELL, "limit": 2} | ({} if label is None else {"label": label})
        rows = []
        for offset in range(0, len(every), 2):
            page = server.get("api/texts", **told, offset=offset).json
            assert (page["n"], page["n_shown"]) == (len(every), len(every))
            rows += page["rows"]
        assert rows == [{"id": row["sample_id"], "label": row["label"], "text": row["text"]} for row in every]
        behind = server.get("api/texts", **told, offset=len(every)).json
        assert (behind["n"], behind["rows"]) == (len(every), [])


def test_words_are_those_that_sql_gives(server, reduction):
    asked = {"layer": LAYER, "cell_x": CELL_X, "cell_y": CELL_Y, "reduce_frequent": True}
    terms = reduction.ask("cell_terms", **asked)["term"]
    assert terms
    assert server.get("api/terms", layer=LAYER, cell=CELL).json == terms


def test_points_are_those_that_sql_gives(server, reduction):
    rows = reduction.ask("layer_points", layer=LAYER).rows()
    points = server.get("api/points", layer=LAYER).json
    assert points["id"] == [row["sample_id"] for row in rows]
    assert points["label"] == [row["label"] for row in rows]
    assert points["cell"] == [row["cell_x"] * 4 + row["cell_y"] for row in rows]
    assert points["x"] == pytest.approx([row["x"] for row in rows], rel=1e-3)
    assert points["y"] == pytest.approx([row["y"] for row in rows], rel=1e-3)


def test_an_empty_cell_has_no_texts(server, reduction):
    full = {
        (row["cell_x"], row["cell_y"]) for row in reduction.ask("label_shares", layer=0, labels=["c"]).rows()
    }
    empty = next(cell for cell in range(16) if divmod(cell, 4) not in full)
    assert server.get("api/texts", layer=0, cell=empty, label="c").json == {"n": 0, "n_shown": 0, "rows": []}


@pytest.mark.parametrize(
    "end", ["", "api/texts", "api/terms?layer=1&cell=6", "api/points?layer=1", "favicon.ico"]
)
def test_without_its_token_there_is_nothing(server, end):
    other = server.token[:-1] + ("a" if server.token[-1] != "a" else "b")
    for token in (
        other,
        server.token[:-1],
        f"{server.token}a",
        server.token.swapcase(),
        "%00",
        "%F0%9F",
        "x" * 9000,
    ):
        answer = server.send("GET", f"/{token}/{end}")
        assert answer.status in (404, 400)
        assert server.token.encode() not in answer.body
    for path in ("/", f"/{end}", f"//{server.token}/{end}", f"/x/../{server.token}/{end}"):
        assert server.send("GET", path).status == 404


@pytest.mark.parametrize(
    "place", ["x", "api", "api/", "api/texts/", "../", "api/texts/../texts", "scan.json", "%2e%2e/"]
)
def test_other_places_are_not_found(server, place):
    answer = server.get(place)
    assert answer.status == 404
    assert "llm-mri serve" in answer.error


def test_the_address_without_its_last_slash_leads_to_the_page(server):
    answer = server.send("GET", f"/{server.token}")
    assert (answer.status, answer.headers["location"]) == (307, f"/{server.token}/")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "a b", "[::1", None]
)
def test_a_request_to_another_name_is_refused(server, host):
    answer = server.send("GET", f"/{server.token}/", {"Host": host})
    assert answer.status in (400, 403)
    assert b"<html" not in answer.body


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1", "[::1]:8000"])
def test_the_machine_goes_by_its_own_names(server, host):
    assert server.send("GET", f"/{server.token}/api/points?layer=1", {"Host": host}).status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW"])
def test_it_only_reads(server, method):
    for body in (b"", b"DROP TABLE samples"):
        answer = server.send(method, f"/{server.token}/api/points?layer=1", body=body)
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


def test_a_head_request_has_the_headers_alone(server):
    whole = server.get("api/points", layer=1)
    head = server.send("HEAD", f"/{server.token}/api/points?layer=1")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == whole.headers["content-length"]


@pytest.mark.parametrize("path", ["/{}/", "/{}/api/points?layer=1", "/{}/api/points", "/{}/x", "/x", "/{}"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_every_answer_has_the_headers_of_a_private_page(server, path, method):
    headers = server.send(method, path.format(server.token)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "connect-src 'self'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "server" not in headers
    assert "access-control-allow-origin" not in headers


HOSTILE = [
    "'; DROP TABLE samples; --",
    "a' OR '1'='1",
    "ä\u202eb",
    "\U0001f600" * 40,
    "$label",
    "x" * 9000,
    "\0",
    "a,b",
]


@pytest.mark.parametrize("label", HOSTILE)
def test_a_label_is_a_value_whatever_it_says(server, label):
    answer = server.get("api/texts", layer=LAYER, cell=CELL, label=label)
    assert answer.status == 400
    assert "is not in scan 'big'" in answer.error


@pytest.mark.parametrize(
    ("place", "query", "words"),
    [
        ("texts", "cell=1", "layer must be a whole number from 0 to 999999999, got nothing"),
        ("texts", "layer=1", "cell must be a whole number"),
        ("texts", "layer=one&cell=1", "layer must be a whole number from 0 to 999999999, got 'one'"),
        ("texts", "layer=1e0&cell=1", "layer must be a whole number"),
        ("texts", "layer=%D9%A1&cell=1", "layer must be a whole number"),
        ("texts", "layer=-1&cell=1", "layer must be a whole number"),
        ("texts", "layer=1&cell=" + "9" * 5000, "cell must be a whole number"),
        ("texts", "layer=999999999&cell=1", "layer 999999999 is not in scan 'big'; there are: 0, 1, 2"),
        ("texts", "layer=1&cell=16", "cell must be from 0 to 15, got 16"),
        ("texts", "layer=1&cell=1&limit=0", "limit must be from 1 to 200, got 0"),
        ("texts", "layer=1&cell=1&limit=201", "limit must be from 1 to 200, got 201"),
        ("texts", "layer=1&cell=1&label=", "label '' is not in scan 'big'"),
        ("texts", "layer=1&cell=1&label=%FF%FE", "is not in scan 'big'"),
        ("texts", "layer=1&cell=1&cell=2", "each parameter can be given once"),
        ("texts", "layer=1&cell=1&sql=SELECT", "parameter 'sql' is not known; there are: layer, cell, label"),
        ("texts", "layer=1&cell=1&label=" + "x" * 20_000, "a label has at most 10,000 characters"),
        ("terms", "layer=1&cell=99", "cell must be from 0 to 15"),
        ("terms", "layer=1&cell=1&label=a", "parameter 'label' is not known"),
        ("points", "", "layer must be a whole number"),
        ("points", "layer=7", "layer 7 is not in scan 'big'"),
        ("points", "layer=NULL", "layer must be a whole number"),
    ],
)
def test_a_parameter_that_cannot_be_is_refused_in_a_sentence(server, place, query, words):
    answer = server.send("GET", f"/{server.token}/api/{place}?{query}")
    assert answer.status == 400
    assert words in answer.error


def test_an_offset_behind_the_end_is_no_error(server):
    answer = server.get("api/texts", layer=LAYER, cell=CELL, offset=999_999_999).json
    assert answer["rows"] == []
    assert answer["n"] > 0


def test_many_questions_at_once_are_all_answered(server):
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda cell: server.get("api/terms", layer=1, cell=cell % 16), range(24)))
    assert {answer.status for answer in found} == {200}
    assert [one.json for one in found[:8]] == [one.json for one in found[16:]]


def test_ctrl_c_ends_it_with_exit_code_0_and_no_traceback(store):
    with serving(store.root, "--quiet") as server:
        assert server.get("api/points", layer=1).status == 200
        begun = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - begun < 10
        assert server.process.stderr.read() == ""


def test_it_ends_although_a_browser_keeps_its_connection_open(store):
    import http.client

    with serving(store.root) as server:
        connection = http.client.HTTPConnection(server.place)
        connection.request("GET", f"/{server.token}/api/points?layer=1")
        assert connection.getresponse().read()
        assert server.stop() == 0
        connection.close()
        assert server.process.stderr.read() == "serving big/pca-2; Ctrl-C ends it\n"


SLOW = """
from llm_mri_store.api import live_source
from llm_mri_store.store.connection import fetch

SQL = "SELECT sum(a.range * b.range) FROM range(9000000) a, range(9000000) b"

def slow(reduction, layer, cell, *, clock):
    return fetch(reduction._selection(), SQL, clock=clock)

live_source.terms_of_cell = slow
from llm_mri_store.cli import main
main()
"""


def test_a_query_that_takes_too_long_is_stopped_and_others_are_answered_meanwhile(store):
    with serving(store.root, "--timeout", "3", script=SLOW) as server, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(server.get, "api/terms", layer=1, cell=6)
        assert server.get("api/texts", layer=1, cell=6).status == 200
        assert not asked.done()
        assert asked.result().status == 504
        assert asked.result().error == "the query ran longer than 3 s and was stopped; see --timeout"


def test_ctrl_c_stops_the_queries_that_run(store):
    with serving(store.root, "--timeout", "300", script=SLOW) as server, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(server.get, "api/terms", layer=1, cell=6)
        assert server.get("api/texts", layer=1, cell=6).status == 200
        begun = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - begun < 20
        assert asked.result().status == 504
        assert "Traceback" not in server.process.stderr.read()


def test_other_addresses_are_listened_at_on_request_and_with_a_warning(store):
    with serving(store.root, "--host", "0.0.0.0") as server:
        port = server.place.rpartition(":")[2]
        for host, status in ((f"127.0.0.1:{port}", 200), ("192.168.0.7", 200), ("evil.example", 403)):
            assert server.send("GET", f"/{server.token}/api/points?layer=1", {"Host": host}).status == status
        server.process.send_signal(signal.SIGINT)
        talk = server.process.communicate(timeout=30)[1]
        assert talk.startswith("warning: other machines may reach 0.0.0.0; whoever has the address can read")
