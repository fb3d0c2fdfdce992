"""Commands: what callers ask to be recorded, in the interchange form (JSON Lines, one command a line).

Here a command is checked for its form alone; the laws need the ledger and live in `ledger.service.judge`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from ledger.clock import format_moment, parse_moment
from ledger.errors import LedgerError, Malformed
from ledger.model.canonical import SAFE_INTEGER, canonical_content, canonical_plain, digest_of_bytes
from ledger.model.entry import RECORD_KINDS
from ledger.model.reference import check_digest, check_key, check_name, parse_reference

REASON_CHARACTERS_MAX = 10_000


def _checked(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Let pydantic collect our own refusals with the place they happened at."""

    def validate(value: Any) -> Any:
        try:
            return check(value)
        except Malformed as error:
            raise ValueError(error.message) from error

    return validate


def _check_reason(reason: str) -> str:
    if any(not character.isprintable() and character not in "\n\t" for character in reason):
        raise Malformed("the reason holds control characters")
    return reason


def _check_reference(text: str) -> str:
    parse_reference(text)
    return text


Name = Annotated[str, AfterValidator(_checked(lambda name: check_name(name, "name")))]
Key = Annotated[str, AfterValidator(_checked(check_key))]
Ref = Annotated[str, AfterValidator(_checked(_check_reference))]
Digest = Annotated[str, AfterValidator(_checked(check_digest))]
Reason = Annotated[str, Field(max_length=REASON_CHARACTERS_MAX), AfterValidator(_checked(_check_reason))]
Moment = Annotated[
    int, BeforeValidator(_checked(parse_moment)), WithJsonSchema({"type": "string", "format": "date-time"})
]
Mode = Literal["revoked", "wrong_from_birth", "quarantined", "erased"]

# Written out for type checkers; a test holds it against RECORD_KINDS.
RecordKind = Literal["belief", "approval", "mutation", "dependency", "decision", "context"]


class _Command(BaseModel):
    """What every command may carry."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    actor: Name | None = Field(None, description="Who does this.")
    occurred_at: Moment | None = Field(None, description="When it happened outside (RFC 3339 with zone).")
    idempotency_key: Name | None = Field(
        None, description="The same command under the same key is answered, not repeated."
    )

    # Plain attributes beside the fields: pydantic's private ones cost 2 µs a command, a tenth of judging it.
    sent_digest: ClassVar[str] = ""
    """Digest of the command as it was sent; its idempotency key aside."""

    def sent_as(self, digest: str) -> Self:
        """Note the digest of what was sent."""
        self.__dict__["sent_digest"] = digest
        return self


class RecordCommand(_Command):
    """Record a version of what a key is about."""

    op: Literal["record"]
    kind: RecordKind
    key: Key | None = Field(None, description="The stable name of what this is about. A dependency must have one.")
    content: Any = Field(None, description="Any JSON, up to 1 MiB and 64 levels.")
    content_digest: Digest | None = Field(None, description="In place of content that was erased; only in exports.")
    because: list[Annotated[list[Ref], Field(min_length=1)]] = Field(
        default_factory=list, description="Justifications: any one suffices, all premises of one must stand."
    )
    cites: list[Ref] = Field(default_factory=list, description="Provenance; shown, never propagated.")
    supersedes: list[Ref] = Field(default_factory=list, description="Other keys that this replaces from now on.")
    amends: int | None = Field(
        None, ge=1, le=SAFE_INTEGER, description="The current version, whose edition this joins."
    )
    expects: int | None = Field(
        None, ge=0, le=SAFE_INTEGER, description="Refuse unless this version is current; 0: the key has none."
    )
    restate: bool = Field(False, description="Start a new edition although the content is the same.")
    require_fresh: bool = Field(False, description="Refuse unless one justification named stands at the batch's end.")
    valid_until: Moment | None = Field(None, description="When it expires; null removes, absent keeps.")

    content_form: ClassVar[str | None] = None
    """The canonical JSON of the content; None if it was erased before it came here."""

    @property
    def digest(self) -> str:
        """Digest of the content, settled when the command was parsed."""
        assert self.content_digest is not None
        return self.content_digest

    @model_validator(mode="after")
    def _fits_together(self) -> RecordCommand:
        given = self.model_fields_set
        if ("content" in given) == ("content_digest" in given):
            raise ValueError(
                "content is missing" if "content" not in given else "content and content_digest exclude each other"
            )
        if self.kind == "dependency" and self.key is None:
            raise ValueError("a dependency needs a key")
        if self.key is None and {"amends", "expects", "restate"} & given:
            raise ValueError("amends, expects and restate need a key")
        if self.restate and self.amends is not None:
            raise ValueError("restate starts a new edition, amends joins one: give one of them")
        return self


class RevokeCommand(_Command):
    """Withdraw an edition, or the support an entry added."""

    op: Literal["revoke"]
    target: Ref
    mode: Mode = "revoked"
    reason: Reason | None = None
    effective_at: Moment | None = Field(None, description="Until when it stood, not after now; only with mode revoked.")

    @model_validator(mode="after")
    def _fits_together(self) -> RevokeCommand:
        if self.effective_at is not None and self.mode != "revoked":
            raise ValueError(f"effective_at goes with mode revoked, not {self.mode}")
        return self


class ReinstateCommand(_Command):
    """Lift withdrawals."""

    op: Literal["reinstate"]
    target: Ref
    lifts: list[Name] = Field(
        default_factory=list,
        description="The withdrawals to lift: @31, or the idempotency key of the command that made it.",
    )
    reason: Reason | None = None


class VerifyCommand(_Command):
    """Say what was seen on looking again."""

    op: Literal["verify"]
    target: Ref | None = None
    digest: Digest | None = None
    targets: list[tuple[Ref, Digest]] | None = Field(None, min_length=1, description="Pairs of reference and digest.")

    @model_validator(mode="before")
    @classmethod
    def _pairs(cls, data: Any) -> Any:
        # JSON has no tuples; strict mode would refuse lists for them.
        if isinstance(data, dict) and isinstance(data.get("targets"), list):
            return {
                **data,
                "targets": [tuple(pair) if isinstance(pair, list) else pair for pair in data["targets"]],
            }
        return data

    @model_validator(mode="after")
    def _fits_together(self) -> VerifyCommand:
        single = self.target is not None and self.digest is not None
        if single == (self.targets is not None) or (self.target is None) != (self.digest is None):
            raise ValueError("give target and digest, or targets with pairs of both")
        return self

    @property
    def looks(self) -> list[tuple[str, str]]:
        """What was looked at: pairs of reference and digest."""
        return self.targets if self.targets is not None else [(self.target or "", self.digest or "")]


class ExpireCommand(_Command):
    """Note an expiry; only in exports, where the numbers must come out the same."""

    op: Literal["expire"]
    target: Ref


SingleCommand = RecordCommand | RevokeCommand | ReinstateCommand | VerifyCommand | ExpireCommand


class BatchCommand(_Command):
    """Several commands, all or none."""

    op: Literal["batch"]
    commands: list[
        Annotated[
            Annotated[RecordCommand, Tag("record")]
            | Annotated[RevokeCommand, Tag("revoke")]
            | Annotated[ReinstateCommand, Tag("reinstate")]
            | Annotated[VerifyCommand, Tag("verify")]
            | Annotated[ExpireCommand, Tag("expire")],
            Discriminator("op"),
        ]
    ] = Field(min_length=1)


Command = SingleCommand | BatchCommand

_TYPES: dict[str, type[_Command]] = {
    "record": RecordCommand,
    "revoke": RevokeCommand,
    "reinstate": ReinstateCommand,
    "verify": VerifyCommand,
    "expire": ExpireCommand,
    "batch": BatchCommand,
}
OPS = tuple(_TYPES)


def parse_command(data: Any) -> Command:
    """A command from JSON values (or the same in Python, where times may be aware datetimes).

    Raises Malformed naming field and expectation, TooLarge for content over its limits.
    """
    if not isinstance(data, Mapping):
        raise Malformed(f"a command is an object, not {_json_name(data)}")
    op = data.get("op")
    if not isinstance(op, str) or op not in _TYPES:
        raise Malformed(
            f"{op!r} is no operation; expected one of {', '.join(OPS)}" if "op" in data else "op is missing",
            field="op",
        )
    if op == "batch":
        return _parse_batch(data)
    try:
        command = _TYPES[op].model_validate(data)
    except ValidationError as error:
        raise _translated(error) from error
    sent = {name: _as_sent(value) for name, value in data.items() if name != "idempotency_key"}
    if isinstance(command, RecordCommand):
        sent["content"] = _take_content(command)
    # Validated fields hold neither floats nor other keys than their own.
    return command.sent_as(digest_of_bytes(canonical_plain(sent)))  # type: ignore[return-value]


def _parse_batch(data: Mapping[str, Any]) -> BatchCommand:
    commands = data.get("commands")
    if not isinstance(commands, list | tuple) or not commands:
        raise Malformed("commands must be a list of at least one command", field="commands")
    parsed = []
    for position, item in enumerate(commands):
        try:
            if isinstance(item, Mapping) and item.get("op") == "batch":
                raise Malformed("a batch holds no batches", field="op")
            parsed.append(parse_command(item))
        except LedgerError as error:
            raise error.at(command=position) from error
    try:
        envelope = _BATCH_ENVELOPE.validate_python({name: value for name, value in data.items() if name != "commands"})
    except ValidationError as error:
        raise _translated(error) from error
    batch = BatchCommand.model_construct(
        op="batch",
        commands=parsed,
        actor=envelope.actor,
        occurred_at=envelope.occurred_at,
        idempotency_key=envelope.idempotency_key,
    )
    sent = {name: _as_sent(value) for name, value in data.items() if name not in ("idempotency_key", "commands")}
    sent["commands"] = [[command.sent_digest, command.idempotency_key] for command in parsed]
    return batch.sent_as(digest_of_bytes(canonical_plain(sent)))


class _BatchEnvelope(_Command):
    op: Literal["batch"]


_BATCH_ENVELOPE: TypeAdapter[_BatchEnvelope] = TypeAdapter(_BatchEnvelope)


def interchange_schema() -> dict[str, Any]:
    """The JSON Schema of one line of the interchange."""
    schema = TypeAdapter(Annotated[Command, Discriminator("op")]).json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Ledger interchange, one line",
        **schema,
    }


def _take_content(command: RecordCommand) -> str:
    """Settle content and its digest on the command; what stands for the content in the command's own digest."""
    if command.content_digest is None:
        try:
            form = canonical_content(command.content)
        except LedgerError as error:
            error.at(field="content")
            raise
        digest = digest_of_bytes(form)
        command.__dict__.update(content_form=form.decode(), content_digest=digest)
        return digest
    return "erased " + command.content_digest


def _as_sent(value: Any) -> Any:
    return format_moment(parse_moment(value)) if isinstance(value, datetime) else value


def _translated(error: ValidationError) -> Malformed:
    """pydantic's first complaint in our words: the field, what was expected, how many more there are."""
    first, *more = error.errors(include_url=False)
    field = ".".join(str(part) for part in first["loc"]) or None
    message = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    match first["type"]:
        case "extra_forbidden":
            text = f"unknown field {field}"
        case "missing":
            text = f"{field} is missing"
        case "value_error":
            text = message if field is None else f"{field}: {message}"
        case "string_too_long":
            text = f"{field} is longer than {first['ctx']['max_length']:,} characters"
        case "too_short":
            text = f"{field} is empty; leave it out or name at least one"
        case _:
            text = f"{field} should be {message}, not {_json_name(first['input'])}"
    if more:
        text += f" (and {len(more)} more)"
    return Malformed(text, field=field)


def _json_name(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return f"the number {value}"
        case str():
            return repr(value if len(value) <= 60 else value[:60] + "…")
        case list() | tuple():
            return "a list"
        case dict():
            return "an object"
    return type(value).__name__


assert RecordKind.__args__ == RECORD_KINDS  # type: ignore[attr-defined]
