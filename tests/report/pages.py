"""What tests read out of a page without a browser: its elements, and whether they are closed."""

import json
from html.parser import HTMLParser

VOID = {"meta", "input", "br", "link", "img"}

HOSTILE = (
    "</script><script>alert(1)</script><!--<img src=http://example.org/x onerror=alert(2)>"
    "{{title}}\u2028${x}'\"&"
)


class Page(HTMLParser):
    """Elements with their attributes, the words of each script by its id, and what is wrongly nested."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.faults, self.words = [], [], [], []
        self.scripts = []
        self.feed(text)
        self.close()
        self.faults += [f"<{tag}> is not closed" for tag in self.open]

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open[-1] != tag:
            self.faults.append(f"</{tag}> closes {self.open[-1:]}")
        else:
            self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            attributes, words = self.scripts[-1]
            self.scripts[-1] = (attributes, words + data)
        elif self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self):
        return " ".join("".join(self.words).split())

    def json(self, id):
        (found,) = [words for attributes, words in self.scripts if attributes.get("id") == id]
        return json.loads(found)

    def ids(self):
        return [attributes["id"] for _, attributes in self.elements if "id" in attributes]

    def sections(self):
        return [attributes["id"] for tag, attributes in self.elements if tag == "section"]


def unfolded(part):
    """What ``unfolded`` of page.js gives, in Python."""
    if isinstance(part, list):
        return [unfolded(one) for one in part]
    if not isinstance(part, dict):
        return part
    if "$columns" not in part:
        return {name: unfolded(value) for name, value in part.items()}
    rows = [{} for _ in range(part["$n"])]
    for name, column in part["$columns"].items():
        values = column if isinstance(column, list) else [column["of"][place] for place in column["at"]]
        for row, value in zip(rows, values, strict=True):
            if value != {}:
                row[name] = value
    return rows
