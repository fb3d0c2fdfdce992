"""Which line of a stale text would have misled: one close to the question that today's pages say nowhere."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher

from examples.flask_docs.history import History
from ledger.guard import Guarded
from ledger.model.verdict import Verdict

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
    """Indented, and no paragraph of an admonition: those start with a capital and hold no code."""
    indented = bool(lines) and lines[0].startswith((" ", "\t"))
    return indented and (
        not lines[0].strip()[:1].isupper()
        or bool(re.search(r"[={}$<>]|\w\(", re.sub(r"``.*?``|`.*?`", "", " ".join(lines))))
    )


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
        """How rare the words are that they share; less for a line that only announces what follows."""
        shared = _words(question) & _words(statement)
        weight = sum(math.log(1 + len(self._said) / (1 + self._rarity[word])) for word in shared)
        return weight * 0.8 if statement.endswith(":") else weight

    def closest(self, question: str, candidates: Sequence[str]) -> str | None:
        """The candidate that says most about the question, the first of equals."""
        return max(candidates, key=lambda statement: self.weight(question, statement), default=None)


class Telling:
    """What an index of one release would have told that today's documentation does not say."""

    def __init__(self, history: History, then: str, today: str) -> None:
        self._today_texts = history.texts(today)
        self._then = Statements(history.texts(then).values())
        self._today = Statements(self._today_texts.values())

    def difference(self, question: str, guarded: Guarded) -> tuple[str | None, str | None]:
        """The most telling line of what was withheld, and what today's section says in its place."""
        found = [
            (self._weight(question, place, told, instead), _completed(told, item["text"]), instead)
            for place, (item, verdict) in enumerate(guarded.withheld)
            if (told := self._misleading(question, item["text"]))
            for instead in [self._instead(told, verdict)]
        ]
        return max(found, key=lambda line: line[0])[1:] if found else (None, None)

    def _weight(self, question: str, place: int, told: str, instead: str | None) -> float:
        """Less the further down it was found, a little more when there is something to hold against it."""
        return self._then.weight(question, told) / (1 + place / 4) * (1.15 if instead else 1)

    def _misleading(self, question: str, stale_text: str) -> str | None:
        """The statement nearest to the question that is made nowhere today; None if all of them still are."""
        return self._then.closest(question, [line for line in statements(stale_text) if not self._today.says(line)])

    def _instead(self, told: str, verdict: Verdict) -> str | None:
        """What today's section says that was said nowhere then, and is most alike."""
        if verdict.successor is None:
            return None
        text = self._today_texts[verdict.successor.rpartition("@")[0]]
        new = [line for line in statements(text) if not self._then.says(line)]
        return max(new, key=lambda line: SequenceMatcher(None, told, line).ratio(), default=None)


def _completed(line: str, text: str) -> str:
    """A line that announces something, with what it announces."""
    lines = statements(text)
    following = lines[lines.index(line) + 1 :] if line.endswith(":") else []
    return f"{line} {following[0]}" if following else line


def _norm(statement: str) -> str:
    return re.sub(r"\W+", " ", statement.lower())


def _words(text: str) -> set[str]:
    return {word.removesuffix("s") for word in re.findall(r"\w\w+", text.lower())}
