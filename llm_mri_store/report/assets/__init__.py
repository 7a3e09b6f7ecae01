"""The page's template, look and scripts, as they are shipped."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def asset(name: str) -> str:
    """The text of one of the files beside this module."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
