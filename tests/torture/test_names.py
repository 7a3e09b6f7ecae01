"""Names and labels as weapons, through every command: nothing else is touched, and pages stay inert."""

import hashlib
import json
import random
import re
import xml.etree.ElementTree as ET

import pytest

from llm_mri_store.api.store import Store
from llm_mri_store.cli import main
from tests.cli.shell import shell
from tests.conftest import make_records
from tests.report.pages import Page

PWNED = "pwned"
"""In every weapon that is markup: as the name of an element or attribute, it would show."""

WEAPONS = [
    "..",
    "../up",
    "../../../../etc/passwd",
    "..\\..\\up",
    "/etc/passwd",
    "/tmp/llm-mri-pwned",
    "C:\\Windows\\win.ini",
    "\\\\host\\share",
    "~nobody-of-this-name",
    ".",
    "CON",
    "nul.txt",
    "com1",
    "a/b/c",
    "a:stream",
    "'",
    '"',
    "`id`",
    "$(touch pwned)",
    "; touch pwned",
    "| touch pwned",
    "' OR '1'='1",
    "'; DROP TABLE samples; --",
    "\"; COPY samples TO 'pwned'; --",
    "samples",
    "*",
    "%s%s%s%n",
    "{{constructor.constructor('pwned')()}}",
    "${pwned}",
    "{pwned!r} {0.__class__}",
    "<script>pwned</script>",
    "</script><script>pwned</script><!--",
    "<img src=x onerror=pwned>",
    "\"><svg/onload=pwned><pwned a='",
    "javascript:pwned",
    "[bold red]pwned[/] [link=http://pwned]",
    "-rf",
    "--help",
    "--store=/tmp/pwned",
    "",
    " ",
    "a\nb\r\nc",
    "\x1b]0;pwned\x07\x1b[2J",
    "a\0b",
    "\u202egnp.exe",
    "\ufeff\u200b\u2028",
    "e\u0301\U0001f9e0",
    "x" * 10_000,
    "=cmd|' /C calc'!A0",
]

TARGETS = {
    # Weapon in each place where a command takes a name.
    "show": ("show", "--", "W"),
    "show json": ("show", "--format", "json", "--", "W"),
    "verify": ("verify", "--", "W"),
    "repair": ("repair", "-y", "--", "W"),
    "prune": ("prune", "-y", "--", "W"),
    "rm": ("rm", "-y", "--", "W"),
    "rm reduction": ("rm", "-y", "--", "tiny/W"),
    "rm of": ("rm", "-y", "--", "W/pca-2"),
    "reduce": ("reduce", "-q", "--", "W"),
    "reduce name": ("reduce", "tiny", "-q", "--grid", "3", "--name", "W"),
    "reduce like": ("reduce", "tiny", "-q", "--name", "other", "--like", "W"),
    "reduce like reduction": ("reduce", "tiny", "-q", "--name", "other", "--like", "tiny/W"),
    "heatmap": ("heatmap", "--", "W"),
    "heatmap reduction": ("heatmap", "tiny", "-r", "W"),
    "heatmap label": ("heatmap", "tiny", "--layer", "1", "--label", "W"),
    "graph": ("graph", "tiny", "--label", "W"),
    "graph threshold": ("graph", "tiny", "--threshold", "W"),
    "metrics": ("metrics", "tiny", "-q", "--label", "W"),
    "contrast": ("contrast", "-q", "--", "tiny", "W", "b"),
    "contrast b": ("contrast", "-q", "--", "tiny", "a", "W"),
    "contrast strata": ("contrast", "tiny", "a", "b", "-q", "--permutations", "9", "--strata", "W"),
    "contrast groups": ("contrast", "tiny", "a", "b", "-q", "--permutations", "9", "--groups", "W"),
    "contrast name": ("contrast", "tiny", "a", "b", "-q", "--permutations", "9", "--name", "W"),
    "contrast twin": ("contrast", "tiny", "a", "b", "-q", "--permutations", "9", "--twin", "W"),
    "edges": ("edges", "-q", "--", "tiny", "W", "b"),
    "edges name": ("edges", "tiny", "a", "b", "-q", "--permutations", "9", "--name", "W"),
    "compare": ("compare", "-q", "--", "tiny", "W", "b"),
    "compare name": ("compare", "tiny", "a", "b", "-q", "--permutations", "9", "--name", "W"),
    "information": ("information", "tiny", "-q", "--label", "W"),
    "information name": ("information", "tiny", "-q", "--permutations", "9", "--name", "W"),
    "probe": ("probe", "tiny", "-q", "--target", "W"),
    "probe groups": ("probe", "tiny", "-q", "--groups", "W"),
    "probe metric": ("probe", "tiny", "-q", "--splits", "2", "--repeats", "1", "--metric", "W"),
    "plot points": ("plot", "points", "-o", "OUT", "--", "W"),
    "plot flow": ("plot", "flow", "tiny", "-o", "OUT", "--label", "W"),
    "plot regions": ("plot", "regions", "tiny", "--layer", "1", "-o", "OUT", "--label", "W"),
    "plot metrics": ("plot", "metrics", "tiny", "-o", "OUT", "--metric", "W"),
    "plot quality": ("plot", "quality", "-q", "-o", "OUT", "--", "W"),
    "plot heatmaps": ("plot", "heatmaps", "-o", "OUT", "--", "W"),
    "plot map-quality": ("plot", "map-quality", "-o", "OUT", "--", "W"),
    "report": ("report", "-q", "-o", "OUT", "--", "W"),
    "report label": ("report", "tiny", "-q", "--no-probe", "-o", "OUT", "--label", "W"),
    "serve": ("serve", "-q", "--", "W"),
    "serve reduction": ("serve", "tiny", "-q", "-r", "W"),
    "sql": ("sql", "--", "W"),
    "sql scan": ("sql", "SELECT 1", "--scan", "W"),
    "sql reduction": ("sql", "SELECT 1", "--scan", "tiny", "-r", "W"),
    "sql parameter": ("sql", "heatmap", "--scan", "tiny", "-p", "W"),
    "sql parameter value": ("sql", "SELECT $x AS x", "--scan", "tiny", "-p", "x=W"),
    "sites": ("sites", "--", "W"),
    "scan model": ("scan", "-q", "--", "W", "CORPUS"),
    "scan corpus": ("scan", "-q", "--", "MODEL", "W"),
    "scan name": ("scan", "MODEL", "CORPUS", "-q", "--name", "W"),
    "scan column": ("scan", "MODEL", "CORPUS", "-q", "--name", "other", "--label-column", "W"),
    "scan text column": ("scan", "MODEL", "CORPUS", "-q", "--name", "other", "--text-column", "W"),
    "scan site": ("scan", "MODEL", "CORPUS", "-q", "--name", "other", "--site", "W"),
    "scan split": ("scan", "MODEL", "CORPUS", "-q", "--name", "other", "--split", "W"),
    "import": ("import", "--samples", "CORPUS", "--", "W"),
    "import samples": ("import", "--samples", "W", "--", "CORPUS"),
    "import name": ("import", "ARRAY", "--samples", "CORPUS", "--layer", "1", "-q", "--name", "W"),
    "ls store": ("ls", "--store", "W"),
    "demo": ("demo", "--out", "STORE", "--", "W"),
}
SLOW = {
    "scan name",
    "information name",
    "compare name",
    "edges name",
    "contrast name",
    "probe metric",
    "plot metrics",
    "report",
}

pytestmark = pytest.mark.timeout(3600)


def test_every_command_is_tried():
    assert {words[0] for words in TARGETS.values()} == set(main.commands)


def chosen(things, is_full, n, seed):
    """All of them in the full form, else a few."""
    return list(things) if is_full else random.Random(seed).sample(list(things), n)


@pytest.fixture
def room(tmp_path, tiny_store, tiny_bert, tiny_corpus, monkeypatch):
    """Files around a store that must stay as they are, the output folder, and what commands are given."""
    import numpy as np

    array = tmp_path / "array.npy"
    np.save(array, np.random.default_rng(0).normal(size=(24, 4)).astype(np.float32))
    (tmp_path / "out").mkdir()
    (tmp_path / "home").mkdir()
    (tmp_path / "up").mkdir()
    (tmp_path / "up" / "precious.txt").write_text("precious")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LLM_MRI_STORE", str(tiny_store))
    # An empty name is none, and a page of the only scan would be served until Ctrl-C.
    monkeypatch.setattr("llm_mri_store.api.serving.serve", lambda *_, **__: None)
    given = {
        "MODEL": tiny_bert,
        "CORPUS": tiny_corpus,
        "ARRAY": array,
        "OUT": tmp_path / "out" / "page.html",
        "STORE": tiny_store,
    }
    return tmp_path, {name: str(path) for name, path in given.items()}


def digests(folder, *, apart=("out", "tiny-store")):
    """Digest of every file in a folder, and its folders; those apart left out."""
    return {
        path.relative_to(folder).as_posix(): (
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        )
        for path in sorted(folder.rglob("*"))
        if path.relative_to(folder).parts[0] not in apart
    }


def assert_harmless(ran, words):
    """Exit code 0, 1 or 2; of a failure one sentence, without a word of Python's."""
    assert ran.exception is None or isinstance(ran.exception, SystemExit), (words, repr(ran.exception))
    assert ran.exit_code in {0, 1, 2}, words
    assert "Traceback" not in ran.output, words
    if ran.exit_code == 1:
        assert ran.stdout == "", words
        sentences = [line for line in ran.stderr.split("\n") if line.startswith("llm-mri: ")]
        assert len(sentences) == 1, (words, ran.stderr)
        # DuckDB's words on wrong SQL show the place, over several lines.
        assert words[0] == "sql" or ran.stderr.split("\n")[-2] == sentences[0], (words, ran.stderr)
        assert len(sentences[0]) < 5000, words
    # Of a wrong usage click repeats the words it was given.
    assert ran.exit_code == 2 or not re.search("[\x00\x07\x1b]", ran.stderr), (words, ran.stderr)
    if "csv" not in words:
        assert ran.exit_code == 2 or not re.search("[\x00\x07\x1b]", ran.stdout), (words, ran.stdout)


def test_a_weapon_as_any_argument_touches_nothing_else(room, is_full, figures):
    folder, given = room
    before = digests(folder)
    n_commands = 0
    fast = [name for name in TARGETS if name not in SLOW]
    # No argument of a process can hold a NUL.
    arguments = [one for one in WEAPONS if "\0" not in one]
    for seed, weapon in enumerate(chosen(arguments, is_full, 8, seed=1)):
        for name in chosen(TARGETS if is_full else fast, is_full, 6, seed):
            words = [
                part.replace("W", weapon) if part.endswith(("W", "W/pca-2")) else given.get(part, part)
                for part in TARGETS[name]
            ]
            assert_harmless(shell(*words), words)
            assert digests(folder) == before, words
            n_commands += 1
    assert Store(given["STORE"]).scans["tiny"].is_complete
    figures["names: arguments"] = {"weapons": len(arguments), "commands": n_commands}


CHARTS = {
    "heatmap.html": ("heatmap", "s", "--layer", "1", "--label", "L"),
    "heatmap.svg": ("heatmap", "s", "--layer", "1", "--label", "L"),
    "graph.html": ("graph", "s", "--label", "L"),
    "graph.graphml": ("graph", "s", "--label", "L"),
    "contrast.html": ("contrast", "-q", "--permutations", "19", "--", "s", "L", "M"),
    "contrast.svg": ("contrast", "-q", "--permutations", "19", "--", "s", "L", "M"),
    "compare.html": ("compare", "-q", "--permutations", "19", "--", "s", "L", "M"),
    "information.html": ("information", "s", "-q", "--permutations", "19"),
    "probe.html": ("probe", "s", "-q", "--splits", "2", "--repeats", "1"),
    "flow.html": ("plot", "flow", "s"),
    "flow.svg": ("plot", "flow", "s"),
    "regions.html": ("plot", "regions", "s", "--layer", "1"),
    "points.svg": ("plot", "points", "s"),
    "metrics.html": ("plot", "metrics", "s", "--metric", "n_nodes", "--metric", "n_edges"),
    "report.html": ("report", "s", "-q", "--permutations", "19", "--no-probe", "--title", "L"),
}
PRINTED = (
    ("show", "s"),
    ("show", "s", "--format", "csv"),
    ("heatmap", "s", "--layer", "1", "--label", "L"),
    ("graph", "s", "--label", "L"),
    ("metrics", "s", "-q", "--label", "L"),
    ("edges", "-q", "--permutations", "19", "--", "s", "L", "M"),
    ("contrast", "-q", "--permutations", "19", "--methods", "--", "s", "L", "M"),
    ("sql", "SELECT * FROM samples LIMIT 3", "--scan", "s"),
    ("ls",),
    ("verify", "-q"),
)


ASKED = (("sql", "FROM samples"), ("sql", "DESCRIBE samples"), ("show",), ("ls",), ("verify",))


def scan_of(folder, given, labels, name):
    """A store whose scan ``s`` has these labels, each four times, also as texts."""
    corpus = folder / f"{name}.jsonl"
    rows = [
        {**row, "text": f"{row['text']} {labels[place % len(labels)]}", "label": labels[place % len(labels)]}
        for place, row in enumerate(make_records(4 * len(labels), seed=2))
    ]
    corpus.write_text("".join(json.dumps(row) + "\n" for row in rows))
    store = folder / "out" / name
    for words in (
        ("scan", given["MODEL"], corpus, "-q", "--name", "s", "--pooling", "mean", "--model-name", labels[0]),
        ("reduce", "s", "-q", "--grid", "3"),
    ):
        ran = shell(*words, "--store", store)
        assert ran.exit_code == 0, ran.output
    return store


ABOUT_LENGTH = {"class", "data-head"}
"""Attributes that a table's cell has where its words are long, which some weapons are."""


def elements(path):
    """What a chart or page is built of: each kind of element with the names of its attributes."""
    if path.suffix == ".html":
        page = Page(path.read_text())
        assert page.faults == []
        return {(tag, *sorted(set(attributes) - ABOUT_LENGTH)) for tag, attributes in page.elements}
    return {(one.tag, *sorted(one.attrib)) for one in ET.parse(path).iter()}


def test_charts_and_pages_of_labels_that_are_weapons_are_inert(room, is_full, figures):
    folder, given = room
    labels = [one for one in WEAPONS if one.strip()]
    weapons = labels if is_full else [one for one in labels if "<" in one or "{" in one][:6]
    plain = [f"label {place}" for place in range(len(weapons))]
    stores = {
        "weapons": scan_of(folder, given, weapons, "weapons"),
        "plain": scan_of(folder, given, plain, "plain"),
    }
    before = digests(folder)
    n_charts = 0
    pairs = list(zip(weapons, plain, strict=True))
    for seed, (weapon, harmless) in enumerate(pairs if is_full else pairs[:1]):
        other = pairs[(seed + 1) % len(pairs)]
        names = list(CHARTS) if is_full or not seed else []
        if is_full and seed % 12:
            names = [one for one in names if "L" in CHARTS[one] and one != "report.html"]
        for name in names if is_full else chosen(names, is_full, 3, seed=4):
            built = {}
            for kind, (label, against) in {
                "weapons": (weapon, other[0]),
                "plain": (harmless, other[1]),
            }.items():
                path = folder / "out" / f"{kind}-{name}"
                words = [{"L": label, "M": against}.get(part, part) for part in CHARTS[name]]
                option = ["--store", str(stores[kind]), "-o", str(path)]
                ran = shell(words[0], *([words.pop(1)] if words[0] == "plot" else []), *option, *words[1:])
                assert_harmless(ran, words)
                assert ran.exit_code == 0, (words, ran.output)
                built[kind] = elements(path)
            assert built["weapons"] <= built["plain"], name
            assert not [one for one in built["weapons"] if PWNED in str(one) or "onerror" in str(one)]
            n_charts += 1
        for words in PRINTED:
            words = [{"L": weapon, "M": other[0]}.get(part, part) for part in words]
            assert_harmless(shell(words[0], "--store", stores["weapons"], *words[1:]), words)
    assert digests(folder) == before
    figures["names: labels"] = {"labels": len(weapons), "charts and pages": n_charts}


def file_name(weapon):
    """The weapon as far as it can name a file."""
    return weapon.replace("/", "\u2215").replace("\0", "")[:200] + ".jsonl"


def test_a_corpus_whose_file_and_columns_are_weapons_is_read_or_refused(room, is_full, figures):
    folder, given = room
    n_read = 0
    for weapon in chosen(WEAPONS, is_full, 4, seed=6):
        corpus = folder / "up" / file_name(weapon)
        rows = [{"text": f"river {weapon}", "label": "ab"[place % 2], weapon: weapon} for place in range(6)]
        corpus.write_text("".join(json.dumps(row) + "\n" for row in rows))
        before = digests(folder)
        store = folder / "out" / "read"
        words = ("scan", "-q", "--store", store, "--", given["MODEL"], corpus)
        ran = shell(*words)
        assert_harmless(ran, words)
        n_read += ran.exit_code == 0
        if ran.exit_code == 0:
            for words in ASKED:
                assert_harmless(shell(words[0], "--store", store, *words[1:]), words)
            (scan,) = Store(store).scans.values()
            assert scan.is_complete
            assert shell("rm", scan.name, "-y", "--store", store).exit_code == 0
        assert digests(folder) == before
        corpus.unlink()
    figures["names: corpora"] = {"weapons": len(WEAPONS), "read": n_read}
