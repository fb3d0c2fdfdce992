"""A check as the bytes that go over a wire, put together from what was said before.

Verdicts are a function of log and clock, so what was said of a reference holds until the index changes; then the memo
it is kept in is emptied. A thousand references at 10,000 entries cost 0.4 ms to judge and write down, and 0.1 ms to put
together; a bare endpoint that parses as many and sends as much takes 0.2 ms in all.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import NamedTuple

import msgspec

from ledger.clock import format_moment
from ledger.model.canonical import well_formed
from ledger.model.verdict import FRESH, Report, Verdict
from ledger.service.figures import Label
from ledger.validity.verdicts import Reader

SAID_MAX = 50_000
"""References remembered of a ledger, some 200 bytes each; then it starts anew. Who invents names fills no memory."""

_encode = msgspec.json.Encoder().encode


class Answer(NamedTuple):
    """The answer to a check, `{"revision":…,"clock":…,"verdicts":[…]}`, and the verdicts it is made of."""

    body: bytes
    verdicts: Sequence[bytes]

    def others(self) -> list[Label]:
        """State and reason of each verdict that says more than fresh."""
        # By their type: 16 ns a reference, where anything that looks into them takes five times that.
        return [verdict.label for verdict in self.verdicts if type(verdict) is _Other]


class _Other(bytes):
    """The JSON of a verdict that says more than fresh."""

    label: Label


class _Said:
    """What was said since anything changed, as JSON, by reference."""

    def __init__(self) -> None:
        self.json: dict[str, bytes] = {}

    def of_all(self, reader: Reader, refs: Sequence[str]) -> Sequence[bytes]:
        """The JSON of each reference."""
        try:
            return _each(self.json, refs)
        except KeyError:
            self._judge(reader, refs)
            return _each(self.json, refs)

    def _judge(self, reader: Reader, refs: Sequence[str]) -> None:
        """Say something of those of which nothing was said yet."""
        missing = [ref for ref in refs if ref not in self.json] if self.json else refs
        if len(self.json) + len(missing) > SAID_MAX:
            self.json.clear()
            missing = refs
        safe = _stand_as_they_are(missing)
        for ref, one in zip(missing, reader.check(missing), strict=True):
            if isinstance(one, Verdict):
                self.json[ref] = _told(one)
            elif safe:
                self.json[ref] = f'{{"ref":"{ref}","state":"fresh","id":"@{one}"}}'.encode()
            else:
                self.json[ref] = _encode(Verdict(ref, FRESH, None, f"@{one}"))


def answer(reader: Reader, revision: str, refs: Sequence[str]) -> Answer:
    """What a check without `max_age` answers. The owner of the index holds its lock."""
    said: _Said = reader.index.memo.get("said") or reader.index.memo.setdefault("said", _Said())
    return _whole(revision, reader.index.clock_us, said.of_all(reader, refs))


def answer_of(report: Report) -> Answer:
    """The same of a report that is there already."""
    return _whole(report.revision, report.clock_us, [_told(verdict) for verdict in report.verdicts])


def _stand_as_they_are(refs: Sequence[str]) -> bool:
    """Whether every one of these texts may stand between quotes."""
    try:
        return b"\\" not in _encode(refs)
    except UnicodeEncodeError:
        return False


def _told(verdict: Verdict) -> bytes:
    if verdict.plain:
        return _encode(verdict)
    try:
        other = _Other(_encode(verdict))
    except UnicodeEncodeError:  # what was asked is no text, and is shown as one
        other = _Other(_encode(msgspec.structs.replace(verdict, ref=well_formed(verdict.ref))))
    other.label = verdict.state, verdict.reason
    return other


def _each(said: dict[str, bytes], refs: Sequence[str]) -> Sequence[bytes]:
    """Raises KeyError if one is missing. By `itemgetter` it takes two thirds of the time of a loop."""
    if len(refs) < 2:
        return [said[ref] for ref in refs]
    found: tuple[bytes, ...] = itemgetter(*refs)(said)
    return found


def _whole(revision: str, clock_us: int, verdicts: Sequence[bytes]) -> Answer:
    head = f'{{"revision":"{revision}","clock":"{format_moment(clock_us)}","verdicts":['
    return Answer(b"".join((head.encode(), b",".join(verdicts), b"]}")), verdicts)
