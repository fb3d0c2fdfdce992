"""Documents into sections: pure, text in, sections out; nothing is lost but labels and blank lines around.

reStructuredText and plain text are cut at underlined titles, by the rules of docutils (on the 3,244 headings
of eight releases of Flask's documentation both agree); Markdown at the headings that CommonMark sees.
"""

from __future__ import annotations

import hashlib
import re
import string
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markdown_it import MarkdownIt

TOP = "top"
"""The anchor of what a document starts with: its preamble, its only title."""

ANCHOR_BYTES_MAX = 200
"""A key has 512 bytes (`ledger.model.reference`); the rest is for the prefix and the path."""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and its own text, down to the next heading of any level."""

    anchor: str  # unique within the document, the same for as long as the headings above stay the same
    heading: str  # as written; empty when the text stands before the first heading
    text: str  # LF line ends, no trailing spaces, no outer blank lines


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading in lines: `start` is its first one, `end` the one after its last; level 1 is the highest."""

    start: int
    end: int
    level: int
    title: str


def sections_of(text: str, suffix: str) -> list[Section]:
    """The sections of a document that hold text, in order.

    `suffix` is the file's, such as ".rst"; what is not ".md" is read as reStructuredText, whose underlined
    titles are those of plain text.
    """
    lines = [line.rstrip() for line in re.split(r"\r\n|\r|\n", text.removeprefix("\ufeff"))]
    headings = _markdown_headings(lines) if suffix.lower() == ".md" else _rst_headings(lines)
    drop_labels = suffix.lower() == ".rst"
    anchors = _anchors(headings)
    found = [Section(TOP, "", _text(lines[: headings[0].start if headings else None], drop_labels))]
    for heading, anchor, end in zip(headings, anchors, _ends(headings, len(lines)), strict=True):
        found.append(Section(anchor, heading.title, _text(lines[heading.end : end], drop_labels)))
    return [section for section in _joined_top(found) if section.text]


def _ends(headings: Sequence[Heading], line_count: int) -> list[int]:
    return [heading.start for heading in headings[1:]] + ([line_count] if headings else [])


def _joined_top(found: list[Section]) -> list[Section]:
    """A preamble and the text below the only title are one section: both are the document's top."""
    if len(found) < 2 or found[1].anchor != TOP:
        return found
    preamble, title, *others = found
    text = "\n\n".join(part for part in (preamble.text, title.text) if part)
    return [Section(TOP, title.heading, text), *others]


_LABEL = re.compile(r"\.\. _(?:`[^`]+`|[^`:][^:]*):")


def _text(lines: Sequence[str], drop_labels: bool) -> str:
    """Without blank lines around, and without labels at its end: those belong to the heading that follows."""
    end = len(lines)
    while end and (not lines[end - 1] or (drop_labels and _LABEL.fullmatch(lines[end - 1]))):
        end -= 1
    start = 0
    while start < end and not lines[start]:
        start += 1
    return "\n".join(lines[start:end])


# --- anchors ------------------------------------------------------------------------------------------------


def _anchors(headings: Sequence[Heading]) -> list[str]:
    """One for each heading: the slugs of the headings above it and its own.

    The title of a document (its only heading of the highest level, and its first) stands in no path: renaming
    it changes one section instead of withdrawing all.
    """
    top_level = min((heading.level for heading in headings), default=0)
    titled = (
        bool(headings)
        and [heading.level for heading in headings].count(top_level) == 1
        and headings[0].level == top_level
    )
    taken = {TOP}
    anchors = []
    for path in _paths(headings[titled:]):
        anchors.append(_unique("/".join(map(_slug, path)), taken))
    return [TOP, *anchors] if titled else anchors


def _paths(headings: Sequence[Heading]) -> Iterator[list[str]]:
    above: list[Heading] = []
    for heading in headings:
        while above and above[-1].level >= heading.level:
            above.pop()
        above.append(heading)
        yield [step.title for step in above]


_ROLE = re.compile(r":[a-zA-Z][\w.+:-]*:(?=`)")
_TARGET = re.compile(r"\s*<[^<>`]+>(?=`)")
_NO_WORD = re.compile(r"[\W_]+")


def _slug(title: str) -> str:
    """Words in lower case joined by hyphens, without markup of links and roles; letters of any script."""
    plain = _ROLE.sub("", _TARGET.sub("", title))
    return _NO_WORD.sub("-", unicodedata.normalize("NFC", plain.lower())).strip("-") or "section"


def _unique(anchor: str, taken: set[str]) -> str:
    anchor = _shortened(anchor)
    free, count = anchor, 1
    while free in taken:
        count += 1
        free = f"{anchor}-{count}"
    taken.add(free)
    return free


def _shortened(anchor: str) -> str:
    if len(anchor.encode()) <= ANCHOR_BYTES_MAX:
        return anchor
    start = anchor.encode()[:ANCHOR_BYTES_MAX].decode(errors="ignore")
    return f"{start}-{hashlib.sha256(anchor.encode()).hexdigest()[:8]}"


# --- Markdown -----------------------------------------------------------------------------------------------

_COMMONMARK = MarkdownIt("commonmark")


def _markdown_headings(lines: Sequence[str]) -> list[Heading]:
    """Headings as CommonMark sees them: none in fences, indented code, comments, quotes and lists."""
    skipped = _front_matter(lines)
    tokens = _COMMONMARK.parse("\n".join(lines[skipped:]))
    return [
        Heading(
            token.map[0] + skipped,
            token.map[1] + skipped,
            int(token.tag[1]),
            " ".join(tokens[place + 1].content.split()),
        )
        for place, token in enumerate(tokens)
        if token.type == "heading_open" and token.level == 0 and token.map
    ]


def _front_matter(lines: Sequence[str]) -> int:
    """The lines of a leading `---` block; CommonMark would read its end as the underline of a heading."""
    if not lines or lines[0] != "---":
        return 0
    return next((place + 1 for place, line in enumerate(lines[1:], 1) if line in ("---", "...")), 0)


# --- reStructuredText ---------------------------------------------------------------------------------------

_ADORNMENT = re.compile(rf"([{re.escape(string.punctuation)}])\1*")
_OTHER_CONSTRUCT = re.compile(r"(?:\.\.|>>>|[-+*\u2022\u2023\u2043]|\||__)(?:\s|$)|:[^:`\s][^:`]*:(?:\s|$)")
_INDENT = (" ", "\t")


def _rst_headings(lines: Sequence[str]) -> list[Heading]:
    """Titles by the rules of docutils: a style's level is the order in which the styles appear."""
    styles: list[tuple[str, bool]] = []
    headings: list[Heading] = []
    place = 0
    while place < len(lines):
        heading = _title_at(lines, place, styles)
        if heading:
            headings.append(heading)
            place = heading.end
        else:
            place = _after_block(lines, place)
    return headings


def _title_at(lines: Sequence[str], place: int, styles: list[tuple[str, bool]]) -> Heading | None:
    for size, overlined, title in (
        (3, True, _overlined(lines, place)),
        (2, False, _underlined(lines, place)),
    ):
        if title:
            style = (lines[place + size - 1][0], overlined)
            if style not in styles:
                styles.append(style)
            return Heading(place, place + size, styles.index(style) + 1, " ".join(title.split()))
    return None


def _overlined(lines: Sequence[str], place: int) -> str | None:
    """The title between two equal adornments; it may be indented."""
    if place + 2 >= len(lines) or not _ADORNMENT.fullmatch(lines[place]) or lines[place] != lines[place + 2]:
        return None
    title = lines[place + 1]
    return title if title and _wide_enough(lines[place], title) and not _ADORNMENT.fullmatch(title) else None


def _underlined(lines: Sequence[str], place: int) -> str | None:
    if place + 1 >= len(lines) or not _ADORNMENT.fullmatch(lines[place + 1]):
        return None
    title = lines[place]
    if not title or title.startswith(_INDENT) or _ADORNMENT.fullmatch(title) or _OTHER_CONSTRUCT.match(title):
        return None
    return title if _wide_enough(lines[place + 1], title) else None


def _wide_enough(adornment: str, title: str) -> bool:
    """Of underlines shorter than their title, docutils takes those below four characters for text."""
    return len(adornment) >= min(4, _columns(title.rstrip()))


def _columns(text: str) -> int:
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(unicodedata.combining(character) != 0 for character in text)


def _after_block(lines: Sequence[str], place: int) -> int:
    """Where the next block may start: titles stand there only, never inside a paragraph or a literal."""
    if not lines[place] or lines[place].startswith((*_INDENT, "..")):  # what belongs to `..` is indented
        return place + 1
    end = place + 1
    while end < len(lines) and lines[end] and not lines[end].startswith(_INDENT):
        end += 1
    return _after_quoted_literal(lines, end) if lines[end - 1].endswith("::") else end


def _after_quoted_literal(lines: Sequence[str], place: int) -> int:
    """After `::` a block is literal without an indent too, if each line starts with the same punctuation."""
    start = place
    while start < len(lines) and not lines[start]:
        start += 1
    if start == len(lines) or lines[start][0] not in string.punctuation:
        return place
    end = start
    while end < len(lines) and lines[end].startswith(lines[start][0]):
        end += 1
    return end
