"""Which line of a stale text would have misled: a statement that today's documentation makes nowhere, close to the question."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher

LENGTH_MIN, LENGTH_MAX = 20, 260
"""Characters. Shorter ones are fragments, longer ones are no line."""


def statements(text: str) -> list[str]:
    """Sentences and lines of code of a section of reStructuredText, without markup."""
    found: list[str] = []
    for block in re.split(r"\n\s*\n", text):
        lines = [line for line in block.split("\n") if not re.match(r"\s*(\.\. |:[\w-]+:(?!`)|[-=~+|]{3,})", line)]
        if _is_code(lines):
            found += lines
        else:
            found += re.split(r"(?<=[.!?:]) +", " ".join(line.strip() for line in lines))
    plain = (_plain(statement) for statement in found)
    return [statement for statement in plain if LENGTH_MIN <= len(statement) <= LENGTH_MAX]


def _is_code(lines: Sequence[str]) -> bool:
    """Indented, and not a paragraph of an admonition: those start as sentences do and hold no assignments, calls or tags."""
    indented = bool(lines) and lines[0].startswith((" ", "\t"))
    return indented and (not lines[0].strip()[:1].isupper() or bool(re.search(r"[={}$<>]|\w\(", re.sub(r"``.*?``|`.*?`", "", " ".join(lines)))))


def _plain(statement: str) -> str:
    without_roles = re.sub(r":[\w:+.-]+:`[~!]?([^`<]*?)(?:\s*<[^>]*>)?`", r"\1", statement)
    without_links = re.sub(r"`([^`<]+?)(?:\s*<[^>]*>)?`__?", r"\1", without_roles)
    return " ".join(re.sub(r"\*\*|``|::$", lambda mark: ":" if mark[0] == "::" else "", without_links).split())


class Statements:
    """What one release says, and how rare its words are."""

    def __init__(self, texts: Iterable[str]) -> None:
        said = [statement for text in texts for statement in statements(text)]
        self._said = {_norm(statement) for statement in said}
        self._rarity = Counter(word for statement in said for word in _words(statement))

    def says(self, statement: str) -> bool:
        return _norm(statement) in self._said

    def weight(self, question: str, statement: str) -> float:
        """Sum over the words they share, of how rare each one is; less for a line that only announces what follows."""
        shared = _words(question) & _words(statement)
        weight = sum(math.log(1 + len(self._said) / (1 + self._rarity[word])) for word in shared)
        return weight * 0.8 if statement.endswith(":") else weight

    def closest(self, question: str, candidates: Sequence[str]) -> str | None:
        """The candidate that says most about the question, the first of equals."""
        return max(candidates, key=lambda statement: self.weight(question, statement), default=None)


def misleading(question: str, stale_text: str, then: Statements, today: Statements) -> str | None:
    """The statement nearest to the question that today's documentation no longer makes; None if it still says it all."""
    return then.closest(question, [statement for statement in statements(stale_text) if not today.says(statement)])


def instead(told: str, today_text: str, then: Statements) -> str | None:
    """What today's section says in place of `told`: its new statement that is most alike; None if it only left things out."""
    new = [statement for statement in statements(today_text) if not then.says(statement)]
    return max(new, key=lambda statement: SequenceMatcher(None, told, statement).ratio(), default=None)


def _norm(statement: str) -> str:
    return re.sub(r"\W+", " ", statement.lower())


def _words(text: str) -> set[str]:
    return {word.removesuffix("s") for word in re.findall(r"\w\w+", text.lower())}
