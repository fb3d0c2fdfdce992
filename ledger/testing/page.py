"""Ledger pages: what is done, line by line, and what comes of it.

    record  dependency policy/refund {"limit": 500}      -> @1 recorded fresh
    record  belief refund-ok true because policy/refund  -> @2 recorded fresh
    record  dependency policy/refund {"limit": 200}     -> @3 recorded fresh, fell policy/refund@1 refund-ok@1
    check   refund-ok                                    -> stale unsupported, cause @3

What a line may say (`…` in an expectation stands for any text; a line without one only has to pass):

    record  KIND KEY CONTENT   KEY - for none; CONTENT is JSON without outer spaces, or a word
            because a & b | c  cites a b  supersedes a b  amends N  expects N  restate  require_fresh
            valid_until +10s   or null
    revoke  REF [MODE]         effective_at -5s  reason "…"
    reinstate REF              lifts @3 KEY
    verify  REF CONTENT        & REF CONTENT …; CONTENT may be a digest
    batch                      the lines indented under it, as one; refused as a whole
            on any of these:   by ACTOR  at -5s (occurred_at)  idempotency_key KEY
    impact                     of the lines indented under it -> fell p@1 b@1, revived q@1, needs pay@1; or nothing
    wait    10s                -5s sets the clock back
    check   REF …              max_age 60s; the verdicts, separated by ;
    why     REF                -> @3 > policy/refund@1 superseded > refund-ok@1 unsupported
    names   REF                -> policy/refund@2
    content REF                -> {"limit":200}, or nothing
    entries [KIND …]           -> @1 @2 @3
    remediation                -> needs pay@1 by @4; lapsed ship@1 by @3
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from typing import Any

from ledger.app import AsyncLedger
from ledger.clock import SECOND, format_moment
from ledger.errors import LedgerError
from ledger.model.canonical import digest_of
from ledger.model.impact import Extent, Impact
from ledger.model.result import Effect, Result
from ledger.model.verdict import Verdict
from ledger.testing.clock import ManualClock

_FLAGS = ("restate", "require_fresh")
_LISTS = ("because", "cites", "supersedes", "lifts")
_NUMBERS = ("amends", "expects")
_MOMENTS = {"valid_until": "valid_until", "effective_at": "effective_at", "at": "occurred_at"}
_TEXTS = {"by": "actor", "reason": "reason", "idempotency_key": "idempotency_key"}
_OPTIONS = {*_FLAGS, *_LISTS, *_NUMBERS, *_MOMENTS, *_TEXTS}
_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}

_ARROW = re.compile(r"\s->\s+")
_ANY = re.compile(r"\s*…\s*")
_DURATION = re.compile(r"([+-]?[\d.]+)([smhd])")
_JSON = json.JSONDecoder()


class _Word(str):
    """Text that stood without quotes, and may be a number, true or null."""


class Page:
    """A ledger and the hand that writes in it: `await page(lines)`."""

    def __init__(self, ledger: AsyncLedger, clock: ManualClock) -> None:
        self.ledger = ledger
        self.clock = clock

    async def __call__(self, text: str) -> None:
        """Play the lines in order. Raises AssertionError for the first that comes out otherwise."""
        __tracebackhide__ = True
        for number, line, within in _lines(text):
            act, expected = _split(line)
            try:
                came = await self._play(act, within)
            except LedgerError as error:
                _compare(number, line, expected, *_refusal(error))
            else:
                _compare(number, line, expected, came)

    async def _play(self, act: str, within: list[tuple[int, str]]) -> str:
        op, *words = _tokens(act)
        match op:
            case "batch":
                return await self._batch(words, within)
            case "impact":
                return foreseen(await self.ledger.impact([self._command(*_head_and_tail(line)) for _, line in within]))
            case "record" | "revoke" | "reinstate" | "verify":
                return told(await self._single(self._command(op, words)))
            case "wait":
                self.clock.wait(_seconds(words[0]))
                return ""
            case "check":
                refs, max_age_s = (words[:-2], _seconds(words[-1])) if "max_age" in words else (words, None)
                verdicts = (await self.ledger.check(refs, max_age_s=max_age_s)).verdicts
                return "; ".join(map(judged, verdicts))
            case "why":
                path = (await self.ledger.why(words[0])).path
                return " > ".join(f"{step.entry.ref} {step.reason or ''}".strip() for step in path) or "nothing"
            case "names":
                return (await self.ledger.entry(words[0])).ref
            case "content":
                content = (await self.ledger.entry(words[0])).content
                return "nothing" if content is None else json.dumps(content, separators=(",", ":"))
            case "entries":
                return " ".join(entry.id for entry in await self.ledger.entries(kinds=words or None)) or "none"
            case "remediation":
                remedies = await self.ledger.remediation()
                acts = [(one.entry.ref, " ".join(one.causes), one.needed) for one in remedies]
                return (
                    "; ".join(f"{'needs' if needed else 'lapsed'} {ref} by {by}" for ref, by, needed in acts) or "none"
                )
        raise AssertionError(f"a page cannot say {op!r}")

    async def _batch(self, words: list[Any], within: list[tuple[int, str]]) -> str:
        __tracebackhide__ = True
        lines = [(number, line, *_split(line)) for number, line in within]
        commands = [self._command(*_head_and_tail(act)) for _, _, act, _ in lines]
        answer = await self.ledger.apply(commands, **self._options(words))
        for (number, line, _, expected), result in zip(lines, answer.results, strict=True):
            _compare(number, line, expected, told(result))
        return "replayed" if answer.replayed else "done"

    async def _single(self, command: dict[str, Any]) -> Result:
        if "targets" in command:
            return (await self.ledger.apply([command])).results[0]
        op = command.pop("op")
        result: Result = await getattr(self.ledger, op)(**command)
        return result

    def _command(self, op: str, words: list[Any]) -> dict[str, Any]:
        first = next((at for at, word in enumerate(words) if isinstance(word, _Word) and word in _OPTIONS), len(words))
        said = words[:first]
        command: dict[str, Any] = {"op": op}
        match op:
            case "record":
                kind, key, content = said
                command |= {"kind": str(kind), "content": _content(content)}
                command |= {} if key == "-" else {"key": str(key)}
            case "revoke":
                command |= dict(zip(("target", "mode"), map(str, said), strict=False))
            case "reinstate":
                command |= {"target": str(said[0])}
            case "verify":
                looks = [(str(ref), _digest(content)) for ref, content in _parted(said, "&")]
                single = dict(zip(("target", "digest"), looks[0], strict=True))
                command |= single if len(looks) == 1 else {"targets": looks}
        return command | self._options(words[first:])

    def _options(self, words: list[Any]) -> dict[str, Any]:
        options: dict[str, Any] = {}
        rest = list(words)
        while rest:
            name = str(rest.pop(0))
            if name in _FLAGS:
                options[name] = True
            elif name in _NUMBERS:
                options[name] = int(rest.pop(0))
            elif name in _MOMENTS:
                options[_MOMENTS[name]] = self._moment(rest.pop(0))
            elif name in _TEXTS:
                options[_TEXTS[name]] = str(rest.pop(0))
            else:
                assert name in _LISTS, f"a page cannot say {name!r}"
                named = []
                while rest and rest[0] not in _OPTIONS:
                    named.append(rest.pop(0))
                options[name] = _justifications(named) if name == "because" else list(map(str, named))
        return options

    def _moment(self, word: str) -> str | None:
        if not _DURATION.fullmatch(word):
            return None if word == "null" else str(word)
        return format_moment(self.clock.now_us + round(_seconds(word) * SECOND))


# -- how answers are told ------------------------------------------------------------------------------------


def told(result: Result) -> str:
    """A result as a page expects it: `@3 recorded fresh, fell policy@1 refund-ok@1`."""
    parts = [f"{result.entry} {result.outcome} {_state(result.verdict)}"]
    parts += [f"stands {' '.join(result.stands)}"] if result.stands else []
    parts += [f"fell {_effect(result.fell)}"] if result.fell.count else []
    parts += [f"revived {_effect(result.revived)}"] if result.revived.count else []
    return ", ".join(parts + ["replayed"] * result.replayed)


def foreseen(impact: Impact) -> str:
    """What would happen, as a page expects it: `fell p@1 b@1, needs pay@1`."""
    facts: dict[str, Effect | Extent] = {"fell": impact.fell, "revived": impact.revived, "needs": impact.remediation}
    return ", ".join(f"{name} {_effect(fact)}" for name, fact in facts.items() if fact.count) or "nothing"


def judged(verdict: Verdict) -> str:
    """A verdict as a page expects it: `stale superseded, cause @3, successor policy@2`."""
    facts = {"cause": verdict.cause, "successor": verdict.successor}
    return ", ".join([_state(verdict), *(f"{name} {fact}" for name, fact in facts.items() if fact)])


def _state(verdict: Verdict) -> str:
    return verdict.state if verdict.reason is None else f"{verdict.state} {verdict.reason}"


def _effect(effect: Effect | Extent) -> str:
    return " ".join(effect.first if effect.count == len(effect.first) else (*effect.first, f"({effect.count} in all)"))


def _refusal(error: LedgerError) -> tuple[str, str]:
    """With the place in the batch and what stands, where told; and the same with the sentence for people."""
    command, standing = error.details.get("command"), error.details.get("standing")
    short = f"refused {error.code}"
    short += "" if command is None else f", command {command}"
    short += "" if standing is None else f", standing {' '.join(standing)}"
    return short, f"{short}: {error.message}"


def _compare(number: int, line: str, expected: str | None, *came: str) -> None:
    """`came` may be told in several ways; the expectation must be one of them."""
    __tracebackhide__ = True
    if expected is None:
        if not came[0].startswith("refused"):
            return
    elif any(re.fullmatch(".*".join(map(re.escape, _ANY.split(expected))), text) for text in came):
        return
    raise AssertionError(f"line {number} of the page says\n    {line}\nbut what came is\n    {came[-1] or 'nothing'}")


# -- how lines are read --------------------------------------------------------------------------------------


def _lines(text: str) -> Iterator[tuple[int, str, list[tuple[int, str]]]]:
    """(number, line, the numbered lines indented under it); empty lines and comments (#) left out."""
    numbered = [(number, line) for number, line in enumerate(textwrap.dedent(text.strip("\n")).splitlines(), start=1)]
    said = [(number, line.rstrip()) for number, line in numbered if line.strip() and not line.lstrip().startswith("#")]
    while said:
        number, line = said.pop(0)
        within = []
        while said and said[0][1].startswith(" "):
            within.append((said[0][0], said.pop(0)[1].strip()))
        yield number, line, within


def _split(line: str) -> tuple[str, str | None]:
    act, *expected = _ARROW.split(line, maxsplit=1)
    return act.strip(), expected[0].strip() if expected else None


def _head_and_tail(act: str) -> tuple[str, list[Any]]:
    op, *words = _tokens(act)
    return op, words


def _tokens(act: str) -> Iterator[Any]:
    """JSON where it begins with a bracket or a quote, words elsewhere."""
    rest = act.strip()
    while rest:
        if rest[0] in '{["':
            value, end = _JSON.raw_decode(rest)
        else:
            value = _Word(rest.split(maxsplit=1)[0])
            end = len(value)
        yield value
        rest = rest[end:].lstrip()


def _content(said: Any) -> Any:
    if not isinstance(said, _Word):
        return said
    try:
        return json.loads(said)
    except ValueError:
        return str(said)


def _digest(said: Any) -> str:
    return str(said) if str(said).startswith("sha256:") else digest_of(_content(said))


def _seconds(word: str) -> float:
    number, unit = _DURATION.fullmatch(word).groups()  # type: ignore[union-attr]
    return float(number) * _UNITS_S[unit]


def _justifications(words: list[Any]) -> list[list[str]]:
    return [[str(ref) for (ref,) in _parted(premises, "&")] for premises in _parted(words, "|")]


def _parted(words: list[Any], mark: str) -> list[list[Any]]:
    parts: list[list[Any]] = [[]]
    for word in words:
        if word == mark:
            parts.append([])
        else:
            parts[-1].append(word)
    return parts
