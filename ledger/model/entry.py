"""What the log holds: entries. A record says something; an event does something to what was recorded.

Entries are immutable and name only earlier entries, by their number `seq`. Times are microseconds since 1970 (UTC).
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, ClassVar, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from ledger.errors import Malformed

HASH_BYTES = hashlib.sha256().digest_size

GENESIS = bytes(HASH_BYTES)
"""The hash before the first entry."""


class Request(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A command that an entry answers, kept so that the same command again gets the same answer."""

    digest: str  # of the command as sent, without its idempotency key
    outcome: str
    position: int = 0  # among the commands of its batch; WHOLE_BATCH for the batch itself
    idempotency_key: str | None = None
    about: int = 0  # the version it is about, in an entry that answers several commands
    looks: int = 1  # how many of the targets of such an entry are its own
    fell: int = 0  # how many editions stopped being valid
    fell_first: tuple[int, ...] = ()  # the first of them
    revived: int = 0
    revived_first: tuple[int, ...] = ()


WHOLE_BATCH = -1
NOBODY = -2
"""The position of a look that belongs to a repetition with an entry of its own: it settles what earlier looks saw."""


class Entry(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    tag_field="kind",
    forbid_unknown_fields=True,
    gc=False,
):
    """One line of the log."""

    kind: ClassVar[str]

    seq: int
    batch: int  # seq of the first entry of its batch; a batch ends where the next entry's differs
    recorded_at_us: int
    occurred_at_us: int | None = None  # when it happened outside, as the caller tells it
    actor: str | None = None
    requests: tuple[Request, ...] = ()

    @property
    def moment_us(self) -> int:
        """When it happened as far as the ledger may believe: as told, but not after it was recorded."""
        if self.occurred_at_us is None:
            return self.recorded_at_us
        return min(self.occurred_at_us, self.recorded_at_us)


class Record(Entry, frozen=True):
    """One version of what a key is about (or of a thing without key)."""

    digest: str
    key: str | None = None
    version: int = 1
    because: tuple[tuple[int, ...], ...] = ()  # justifications (OR) of premises (AND); empty: a ground, or an amendment
    cites: tuple[int, ...] = ()
    supersedes: tuple[int, ...] = ()  # any version of each superseded key
    amends: int | None = None  # the version it joins in one edition
    follows: int | None = None  # the version that was current, whose edition it supersedes
    without_content: bool = False  # it was erased before it came here, with an export
    valid_until_us: int | UnsetType | None = UNSET  # None removes what an earlier version of the edition set


class Belief(Record, frozen=True, tag="belief"):
    """What an agent holds true."""


class Approval(Record, frozen=True, tag="approval"):
    """A grant to act."""


class Mutation(Record, frozen=True, tag="mutation"):
    """A change of an outside system."""


class Dependency(Record, frozen=True, tag="dependency"):
    """An outside thing at a version: a document, chunk, policy, constraint, tool output."""


class Decision(Record, frozen=True, tag="decision"):
    """A choice that was made."""


class Context(Record, frozen=True, tag="context"):
    """What a model was given."""


class Event(Entry, frozen=True):
    """Acts on earlier entries. `targets` are records, or entries that added support."""

    targets: tuple[int, ...]


class Revocation(Event, frozen=True, tag="revocation"):
    """Withdraws editions (several only when erasing), or the support one entry added. Stands until lifted."""

    mode: str = "revoked"
    reason: str | None = None
    effective_at_us: int | None = None
    erases: tuple[int, ...] = ()  # versions whose content is gone

    @property
    def moment_us(self) -> int:
        """As of when what it withdraws no longer stood."""
        return super().moment_us if self.effective_at_us is None else self.effective_at_us


class Reinstatement(Event, frozen=True, tag="reinstatement"):
    """Lifts withdrawals, or supersessions by another key, by their entries."""

    lifts: tuple[int, ...]
    reason: str | None = None


class Verification(Event, frozen=True, tag="verification"):
    """Somebody looked again: the digest seen of each target, the newest version of its edition at that moment.

    Repetitions that add nothing are verifications too.
    """

    observed: tuple[str, ...]
    valid_until_us: int | UnsetType | None = UNSET


class Justification(Event, frozen=True, tag="justification"):
    """A repetition that adds support, or supersedes more keys."""

    observed: tuple[str, ...]
    because: tuple[tuple[int, ...], ...] = ()
    supersedes: tuple[int, ...] = ()
    valid_until_us: int | UnsetType | None = UNSET


class Attempt(Event, frozen=True, tag="attempt"):
    """What was not recorded: repetitions of what stands withdrawn, and content that is condemned."""

    observed: tuple[str, ...]
    contradicts: tuple[int, ...] = ()  # for each target the version that the world thereby contradicts, or 0


class Expiry(Event, frozen=True, tag="expiry"):
    """Tells watchers that `valid_until` has passed, and what fell with that; no verdict depends on it."""

    fell: int = 0  # as in a Request: this one mostly answers none
    fell_first: tuple[int, ...] = ()


AnyEntry = (
    Belief
    | Approval
    | Mutation
    | Dependency
    | Decision
    | Context
    | Revocation
    | Reinstatement
    | Verification
    | Justification
    | Attempt
    | Expiry
)

KINDS: dict[str, type[Entry]] = {}
"""Every kind of entry by its name, in the order above."""

for _kind in AnyEntry.__args__:
    _kind.kind = _kind.__struct_config__.tag
    KINDS[_kind.kind] = _kind

RECORD_KINDS = tuple(name for name, kind in KINDS.items() if issubclass(kind, Record))


class Sealed(msgspec.Struct, frozen=True, gc=False):
    """An entry as the log keeps it: its exact bytes, its place in the chain, its content beside it."""

    entry: Entry
    envelope: bytes
    hash: bytes
    content: str | None  # canonical JSON; None for events, and for content that was erased


# Sorted fields, integers and strings only: this is the RFC 8785 form (a property test holds it against rfc8785).
_ENCODER = msgspec.json.Encoder(order="sorted")
_DECODER = msgspec.json.Decoder(AnyEntry)
_PAGE_DECODER: msgspec.json.Decoder[Any] = msgspec.json.Decoder(list[AnyEntry])


def seal(entry: Entry, previous: bytes, content: str | None) -> Sealed:
    """Chain an entry to the hash before it: sha256(previous hash ‖ canonical envelope)."""
    envelope = _ENCODER.encode(entry)
    return Sealed(entry, envelope, chain_hash(envelope, previous), content)


def chain_hash(envelope: bytes, previous: bytes) -> bytes:
    """32 bytes that cover this envelope and all before it."""
    return hashlib.sha256(previous + envelope).digest()


def open_envelope(envelope: bytes | str) -> Entry:
    """The entry of an envelope. Raises msgspec.DecodeError when it is none."""
    entry: Entry = _DECODER.decode(envelope)
    return entry


def open_envelopes(envelopes: bytes) -> list[Entry]:
    """The entries of a JSON array of envelopes. Raises msgspec.DecodeError when one of them is none."""
    entries: list[Entry] = _PAGE_DECODER.decode(envelopes)
    return entries


class Head(NamedTuple):
    """How far a ledger goes: its last entry, and the moment that one was recorded. An empty ledger is `EMPTY`."""

    seq: int
    hash: bytes
    recorded_at_us: int


EMPTY = Head(0, GENESIS, 0)


def head_after(sealed: Sealed) -> Head:
    """Where a ledger stands that ends with this entry."""
    return Head(sealed.entry.seq, sealed.hash, sealed.entry.recorded_at_us)


MARK_BYTES = 4
"""How much of the chain hash a revision carries, as twice as many hex digits."""

_REVISION = re.compile(r"([a-z0-9][a-z0-9._-]{0,62})@(0|[1-9][0-9]{0,14})\.([0-9a-f]{8})", re.ASCII)


class Revision(NamedTuple):
    """A position of the log, read from its token; `mark` begins the chain hash there."""

    ledger: str
    seq: int
    mark: bytes


def revision_token(ledger: str, seq: int, chain: bytes) -> str:
    """A position of the log, such as `main@1042.9f3c1a2b`."""
    return f"{ledger}@{seq}.{chain[:MARK_BYTES].hex()}"


def parse_revision(token: str, field: str) -> Revision:
    """What a token says. Raises Malformed, naming the field it was given in."""
    match = _REVISION.fullmatch(token) if isinstance(token, str) else None
    if match is None:
        raise Malformed(
            f"{field}: {str(token)[:80]!r} is no revision, like main@1042.9f3c1a2b (ledger, entry, 8 hex digits)",
            field=field,
        )
    ledger, seq, mark = match.groups()
    return Revision(ledger, int(seq), bytes.fromhex(mark))
