"""Commands: what callers ask to be recorded, in the interchange form (JSON Lines, one command a line).

Here a command is checked for its form alone; the laws need the ledger and live in `ledger.service.judge`. The types
below are the form: msgspec holds what comes to them, in 0.6 µs where pydantic took 8, and `complaint` says in our words
what is wrong with what does not fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ledger.clock import format_moment, parse_moment
from ledger.errors import LedgerError, Malformed
from ledger.model.canonical import SAFE_INTEGER, canonical_content, canonical_plain, digest_of_bytes
from ledger.model.complaint import complaint, json_name
from ledger.model.entry import RECORD_KINDS
from ledger.model.reference import (
    check_digest,
    check_key,
    check_name,
    is_plain_key,
    is_plain_name,
    names_entry,
    parse_reference,
)

REASON_CHARACTERS_MAX = 10_000

Name = Annotated[str, Meta(description="Printable NFC text of at most 512 bytes.")]
Key = Annotated[str, Meta(description="The stable name of what this is about. A dependency must have one.")]
Ref = Annotated[str, Meta(description="key, key@3, key@sha256:9f2c11aa or @42.")]
# The length too: `$` matches before a line feed at the end.
Digest = Annotated[str, Meta(pattern="^sha256:[0-9a-f]{64}$", max_length=len("sha256:") + 64)]
Reason = Annotated[str, Meta(max_length=REASON_CHARACTERS_MAX)]
Moment = Annotated[int, Meta(extra_json_schema={"type": "string", "format": "date-time"})]
Mode = Literal["revoked", "wrong_from_birth", "quarantined", "erased"]

# Written out for type checkers; a test holds it against RECORD_KINDS.
RecordKind = Literal["belief", "approval", "mutation", "dependency", "decision", "context"]

MOMENTS = ("occurred_at", "valid_until", "effective_at")
"""Fields that hold times: texts (or aware datetimes in Python) as they come, microseconds here."""


class _Command(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, tag_field="op", dict=True):
    """What every command may carry."""

    actor: Annotated[Name | None, Meta(description="Who does this.")] = None
    occurred_at: Annotated[Moment | None, Meta(description="When it happened outside (RFC 3339 with zone).")] = None
    idempotency_key: Annotated[
        Name | None, Meta(description="The same command under the same key is answered, not repeated.")
    ] = None

    # Not fields: nobody sends them.
    sent_digest: ClassVar[str] = ""
    """Digest of the command as it was sent; its idempotency key aside."""

    def sent_as(self, digest: str) -> Self:
        """Note the digest of what was sent."""
        self.__dict__["sent_digest"] = digest
        return self

    def under_key(self, idempotency_key: str) -> Self:
        """Give a command that came without one an idempotency key."""
        msgspec.structs.force_setattr(self, "idempotency_key", idempotency_key)
        return self

    def check(self) -> None:
        """What types cannot say. Raises Malformed with the field."""
        if self.actor is not None and not is_plain_name(self.actor):
            _check("actor", _check_name, self.actor)
        check_idempotency_key(self.idempotency_key)


class RecordCommand(_Command, frozen=True, tag="record"):
    """Record a version of what a key is about."""

    kind: RecordKind
    key: Key | None = None
    content: Annotated[Any, Meta(description="Any JSON, up to 1 MiB and 64 levels.")] = UNSET
    content_digest: Annotated[
        Digest | None, Meta(description="In place of content that was erased; only in exports.")
    ] = None
    because: Annotated[
        tuple[Annotated[tuple[Ref, ...], Meta(min_length=1)], ...],
        Meta(description="Justifications: any one suffices, all premises of one must stand."),
    ] = ()
    cites: Annotated[tuple[Ref, ...], Meta(description="Provenance; shown, never propagated.")] = ()
    supersedes: Annotated[tuple[Ref, ...], Meta(description="Other keys that this replaces from now on.")] = ()
    amends: Annotated[
        Annotated[int, Meta(ge=1, le=SAFE_INTEGER)] | None,
        Meta(description="The current version, whose edition this joins."),
    ] = None
    expects: Annotated[
        Annotated[int, Meta(ge=0, le=SAFE_INTEGER)] | None,
        Meta(description="Refuse unless this version is current; 0: the key has none."),
    ] = None
    restate: Annotated[bool, Meta(description="Start a new edition although the content is the same.")] = False
    require_fresh: Annotated[
        bool, Meta(description="Refuse unless one justification named stands at the batch's end.")
    ] = False
    valid_until: Annotated[
        Moment | UnsetType | None, Meta(description="When it expires; null removes, absent keeps.")
    ] = UNSET

    content_form: ClassVar[str | None] = None
    """The canonical JSON of the content; None if it was erased before it came here."""

    @property
    def digest(self) -> str:
        """Digest of the content, settled when the command was parsed."""
        assert self.content_digest is not None
        return self.content_digest

    def check(self) -> None:
        super().check()
        if (self.content is UNSET) == (self.content_digest is None):
            raise Malformed(
                "content is missing" if self.content is UNSET else "content and content_digest exclude each other"
            )
        if self.key is not None:
            if not is_plain_key(self.key):
                _check("key", check_key, self.key)
        elif self.kind == "dependency":
            raise Malformed("a dependency needs a key")
        elif self.restate or self.amends is not None or self.expects is not None:
            raise Malformed("amends, expects and restate need a key")
        if self.restate and self.amends is not None:
            raise Malformed("restate starts a new edition, amends joins one: give one of them")
        for number, premises in enumerate(self.because):
            if not all(map(names_entry, premises)):  # as in logs that were exported: no field needs a name then
                _check_refs(f"because.{number}", premises)
        if self.cites:
            _check_refs("cites", self.cites)
        if self.supersedes:
            _check_refs("supersedes", self.supersedes)


class RevokeCommand(_Command, frozen=True, tag="revoke"):
    """Withdraw an edition, or the support an entry added."""

    target: Ref
    mode: Mode = "revoked"
    reason: Reason | None = None
    effective_at: Annotated[
        Moment | None, Meta(description="Until when it stood, not after now; only with mode revoked.")
    ] = None

    def check(self) -> None:
        super().check()
        _check("target", parse_reference, self.target)
        _check_reason(self.reason)
        if self.effective_at is not None and self.mode != "revoked":
            raise Malformed(f"effective_at goes with mode revoked, not {self.mode}")


class ReinstateCommand(_Command, frozen=True, tag="reinstate"):
    """Lift withdrawals."""

    target: Ref
    lifts: Annotated[
        list[Name],
        Meta(description="The withdrawals to lift: @31, or the idempotency key of the command that made it."),
    ] = []
    reason: Reason | None = None

    def check(self) -> None:
        super().check()
        _check("target", parse_reference, self.target)
        _check_reason(self.reason)
        for number, name in enumerate(self.lifts):
            _check(f"lifts.{number}", _check_name, name)


class VerifyCommand(_Command, frozen=True, tag="verify"):
    """Say what was seen on looking again."""

    target: Ref | None = None
    digest: Digest | None = None
    targets: Annotated[
        Annotated[list[tuple[Ref, Digest]], Meta(min_length=1)] | None,
        Meta(description="Pairs of reference and digest."),
    ] = None

    @property
    def looks(self) -> list[tuple[str, str]]:
        """What was looked at: pairs of reference and digest."""
        return self.targets if self.targets is not None else [(self.target or "", self.digest or "")]

    def check(self) -> None:
        super().check()
        single = self.target is not None and self.digest is not None
        if single == (self.targets is not None) or (self.target is None) != (self.digest is None):
            raise Malformed("give target and digest, or targets with pairs of both")
        for number, (ref, digest) in enumerate(self.looks):
            field = "" if single else f"targets.{number}"
            _check(f"{field}.0" if field else "target", parse_reference, ref)
            _check(f"{field}.1" if field else "digest", check_digest, digest)


class ExpireCommand(_Command, frozen=True, tag="expire"):
    """Note an expiry; only in exports, where the numbers must come out the same."""

    target: Ref

    def check(self) -> None:
        super().check()
        _check("target", parse_reference, self.target)


SingleCommand = RecordCommand | RevokeCommand | ReinstateCommand | VerifyCommand | ExpireCommand


ExpectsImpact = Annotated[
    Digest | None, Meta(description="Refuse unless it does exactly what `impact` told: the digest of that.")
]


class BatchCommand(_Command, frozen=True, tag="batch"):
    """Several commands, all or none."""

    commands: Annotated[list[SingleCommand], Meta(min_length=1)]
    expects_impact: ExpectsImpact = None


Command = SingleCommand | BatchCommand

_TYPES: dict[str, type[SingleCommand]] = {
    "record": RecordCommand,
    "revoke": RevokeCommand,
    "reinstate": ReinstateCommand,
    "verify": VerifyCommand,
    "expire": ExpireCommand,
}
OPS = (*_TYPES, "batch")


def parse_command(data: Any) -> Command:
    """A command from JSON values (or the same in Python, where times may be aware datetimes).

    Raises Malformed naming field and expectation, TooLarge for content over its limits.
    """
    if type(data) is not dict and not isinstance(data, Mapping):
        raise Malformed(f"a command is an object, not {json_name(data)}")
    op = data.get("op")
    if op == "batch":
        return _parse_batch(data)
    kind = _TYPES.get(op) if isinstance(op, str) else None
    if kind is None:
        raise Malformed(_no_operation(data), field="op")
    command = _form(data, kind)
    sent = _as_sent(data)
    if isinstance(command, RecordCommand):
        sent["content"] = _take_content(command)
    # Validated fields hold neither floats nor other keys than their own.
    return command.sent_as(digest_of_bytes(canonical_plain(sent)))


def _no_operation(data: Mapping[str, Any]) -> str:
    if "op" in data:
        return f"{data['op']!r} is no operation; expected one of {', '.join(OPS)}"
    if "hash" in data:  # of an entry, or of a tag
        return "op is missing; it looks like a line of a verbatim export: use `restore`"
    return "op is missing"


def _parse_batch(data: Mapping[str, Any]) -> BatchCommand:
    commands = data.get("commands")
    if not isinstance(commands, list | tuple) or not commands:
        raise Malformed("commands must be a list of at least one command", field="commands")
    parsed: list[SingleCommand] = []
    for position, item in enumerate(commands):
        try:
            one = parse_command(item)
            if isinstance(one, BatchCommand):
                raise Malformed("a batch holds no batches", field="op")
            parsed.append(one)
        except LedgerError as error:
            raise error.at(command=position) from error
    rest = {name: value for name, value in data.items() if name != "commands"}
    envelope = _form(rest, _BatchEnvelope)
    batch = BatchCommand(
        commands=parsed,
        actor=envelope.actor,
        occurred_at=envelope.occurred_at,
        idempotency_key=envelope.idempotency_key,
        expects_impact=envelope.expects_impact,
    )
    sent = _as_sent(rest)
    sent["commands"] = [[command.sent_digest, command.idempotency_key] for command in parsed]
    return batch.sent_as(digest_of_bytes(canonical_plain(sent)))


class _BatchEnvelope(_Command, frozen=True, tag="batch"):
    """A batch without its commands: they are parsed one by one, each with its position."""

    expects_impact: ExpectsImpact = None


C = TypeVar("C", bound=_Command)


def _form(data: Mapping[str, Any], kind: type[C]) -> C:
    """Hold values to a type. Raises Malformed."""
    fields = data if type(data) is dict else dict(data)
    for name in MOMENTS:
        if fields.get(name) is not None:
            fields = {**fields, name: _check(name, parse_moment, fields[name])}
    try:
        command = msgspec.convert(fields, kind)
    except (msgspec.ValidationError, UnicodeEncodeError):
        command = _form_of_texts(fields, kind)
    command.check()
    return command


def _form_of_texts(fields: dict[str, Any], kind: type[C]) -> C:
    """The same where some texts may be of a class of their own, as the members of a StrEnum are."""
    plain = {name: value if name == "content" else _plain_texts(value) for name, value in fields.items()}
    try:
        return msgspec.convert(plain, kind)
    except msgspec.ValidationError as error:
        raise complaint(error, plain, kind) from error
    except UnicodeEncodeError as error:  # of the name of a field
        raise Malformed(f"not text that UTF-8 can hold: {error}") from error


def _plain_texts(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain_texts(item) for item in value]
    return str.__str__(value) if isinstance(value, str) else value


def interchange_schema() -> dict[str, Any]:
    """The JSON Schema of one line of the interchange."""
    schema = msgspec.json.schema(Command)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Ledger interchange, one line",
        **schema,
    }


def _take_content(command: RecordCommand) -> str:
    """Settle content and its digest on the command; what stands for the content in the command's own digest."""
    if command.content_digest is not None:
        return "erased " + command.content_digest
    try:
        form = canonical_content(command.content)
    except LedgerError as error:
        error.at(field="content")
        raise
    digest = digest_of_bytes(form)
    command.__dict__["content_form"] = form.decode()
    msgspec.structs.force_setattr(command, "content_digest", digest)
    return digest


def _as_sent(data: Mapping[str, Any]) -> dict[str, Any]:
    """What makes two commands the same: all of them but the key they are repeated under."""
    sent = dict(data)
    sent.pop("idempotency_key", None)
    for name in MOMENTS:
        if isinstance(moment := sent.get(name), datetime):
            sent[name] = format_moment(parse_moment(moment))
    return sent


# -- checks of one field ----------------------------------------------------------------------------------------------

T = TypeVar("T")
R = TypeVar("R")


def _check(field: str, check: Callable[[T], R], value: T) -> R:
    """Add the field to a refusal."""
    try:
        return check(value)
    except Malformed as error:
        raise Malformed(f"{field}: {error.message}", field=field) from error


def check_idempotency_key(name: str | None) -> None:
    """Whether it may be one. Raises Malformed."""
    if name is not None and not is_plain_name(name):
        _check("idempotency_key", _check_name, name)


def _check_refs(field: str, refs: Iterable[str]) -> None:
    for number, ref in enumerate(refs):
        if not names_entry(ref):
            _check(f"{field}.{number}", parse_reference, ref)


def _check_name(name: str) -> str:
    return check_name(name, "name")


def _check_reason(reason: str | None) -> None:
    if reason is not None and any(not one.isprintable() and one not in "\n\t" for one in reason):
        raise Malformed("reason: the reason holds control characters", field="reason")


assert RecordKind.__args__ == RECORD_KINDS  # type: ignore[attr-defined]
