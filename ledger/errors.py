"""Every error this package raises, in one tree.

    LedgerError
    ├── Refused               the form or a law is broken; nothing was recorded, the same again cannot help
    │   ├── Malformed  NotFound  Ambiguous  TooLarge
    │   ├── KindConflict  NotAPremise  NotCurrent  AmendmentChangesSupport
    │   ├── CircularSupport  CircularSupersession  SelfDefeating  StalePremise
    │   ├── NotRevocable  NotStanding  SeveralWithdrawals  NothingToLift  ErasedIsFinal
    │   ├── IdempotencyConflict  ForeignRevision  ImpactChanged
    │   └── NoSuchTag  TagConflict
    ├── StoreError            the store cannot do it
    │   ├── Unavailable       it does not answer now; trying again helps
    │   │   └── LedgerClosed  nor does this process any more; another may
    │   ├── Behind            this process does not know yet what the store holds; trying again helps
    │   ├── BadAddress  NoSuchLedger  NoSuchDatabase  SchemaMismatch  ReadOnly  Full  Locked
    │   └── Corrupt           what was read is not what was written (audit tells more)
    ├── HeadMoved             another writer was first; the service catches up and judges anew
    ├── SlowReader            a watcher fell behind the changes; resuming after the revision it names helps
    ├── ServiceError          a service does not take the request, whatever it asks for
    │   ├── Unauthorized  HostNotAllowed  OriginNotAllowed  UnsupportedMediaType
    │   ├── NoSuchRoute  MethodNotAllowed
    │   └── TimedOut  Overloaded  Starting  Stopping       trying again helps
    ├── Internal              nobody foresaw it; a service tells its log what it was, not the client
    ├── BadSetting  CannotListen     a service cannot start like this
    ├── StaleContext          a guard told to raise found something that is not fresh
    └── Usage  FileTrouble  Interrupted       of the command line: misunderstood, no such file (ingest too), Ctrl-C

`code` is stable and part of the public contract, `retry` says whether the same call may succeed later.
Library errors (sqlite3, neo4j, msgspec, httpx) are translated into this tree in one place each.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar


class LedgerError(Exception):
    """Root of the tree. `str()` is one sentence for a person, `details` are facts for a program."""

    code: ClassVar[str] = "error"
    retry: ClassVar[bool] = False

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, Any] = {name: value for name, value in details.items() if value is not None}

    def at(self, **place: Any) -> LedgerError:
        """The same error, told where it happened (`line=`, `command=`); what is known already is kept."""
        self.details = {**place, **self.details}
        return self

    def as_dict(self) -> dict[str, Any]:
        """The form of `--json` and of the APIs: `{"code", "message", "retry", …details}`."""
        return {"code": self.code, "message": self.message, "retry": self.retry, **self.details}

    def outward(self) -> dict[str, Any]:
        """The same for clients of a service. What a store says in its own words (paths, drivers) stays in the log."""
        return self.as_dict()


class Refused(LedgerError):
    """The form or a law was broken; nothing of the batch was recorded."""


class Malformed(Refused):
    """The text, a field or a reference does not have the form it must have."""

    code = "malformed"


class NotFound(Refused):
    """A reference names nothing in this ledger."""

    code = "not_found"


class Ambiguous(Refused):
    """A reference names more than one thing."""

    code = "ambiguous"


class TooLarge(Refused):
    """Content or a batch is over its limit."""

    code = "too_large"


class KindConflict(Refused):
    """A key keeps the kind it was born with."""

    code = "kind_conflict"


class NotAPremise(Refused):
    """Only records can be rested on, not events."""

    code = "not_a_premise"


class NotCurrent(Refused):
    """`amends` or `expects` names a version that is not the current one."""

    code = "not_current"


class AmendmentChangesSupport(Refused):
    """An amendment may change the text, never what it rests on."""

    code = "amendment_changes_support"


class CircularSupport(Refused):
    """The added justification rests on what it is to support."""

    code = "circular_support"


class CircularSupersession(Refused):
    """Two keys would supersede each other, directly or through others."""

    code = "circular_supersession"


class SelfDefeating(Refused):
    """By superseding it would fell its own last standing support."""

    code = "self_defeating"


class StalePremise(Refused):
    """`require_fresh` was asked for, and no named justification stands at the end of the batch."""

    code = "stale_premise"


class NotRevocable(Refused):
    """Events other than added justifications cannot be revoked."""

    code = "not_revocable"


class NotStanding(Refused):
    """`lifts` names what does not stand on the target."""

    code = "not_standing"


class SeveralWithdrawals(Refused):
    """Several withdrawals stand; `lifts` must name those to lift."""

    code = "several_withdrawals"


class NothingToLift(Refused):
    """No withdrawal stands on the target."""

    code = "nothing_to_lift"


class ErasedIsFinal(Refused):
    """An erasure cannot be lifted: the content is gone."""

    code = "erased_is_final"


class IdempotencyConflict(Refused):
    """The idempotency key was used by another command."""

    code = "idempotency_conflict"


class ForeignRevision(Refused):
    """The revision belongs to another ledger, or to another history of this one: a fork, or a restored back-up."""

    code = "foreign_revision"


class NoSuchTag(Refused):
    """No revision of this ledger was given this name."""

    code = "no_such_tag"


class TagConflict(Refused):
    """The name is the tag of another revision, and a tag never moves."""

    code = "tag_conflict"


class ImpactChanged(Refused):
    """The batch would do something else by now than `impact` told; `details["impact"]` is today's digest."""

    code = "impact_changed"


class StoreError(LedgerError):
    """The store cannot do what was asked."""

    code = "store_error"

    def outward(self) -> dict[str, Any]:
        place: dict[str, Any] = {name: self.details[name] for name in ("line", "command") if name in self.details}
        said = (type(self).__doc__ or "").partition("\n")[0]
        return {"code": self.code, "message": said, "retry": self.retry, **place}


class Unavailable(StoreError):
    """The store does not answer; nothing is known, so nothing is fresh."""

    code = "unavailable"
    retry = True


class LedgerClosed(Unavailable):
    """The ledger was closed in this process, which is about to end; elsewhere or later it answers."""

    outward = LedgerError.as_dict  # in our own words alone


class Behind(StoreError):
    """This process has not heard of the revision asked for, or of anything for longer than `max_lag_s`."""

    code = "behind"
    retry = True

    outward = LedgerError.as_dict  # in our own words alone


class Locked(StoreError):
    """Another process holds the store for longer than we wait."""

    code = "locked"
    retry = True


class BadAddress(StoreError):
    """The store address cannot be understood."""

    code = "bad_address"


class NoSuchLedger(StoreError):
    """Only writing creates a ledger; this one has never been written to."""

    code = "no_such_ledger"

    outward = LedgerError.as_dict  # in our own words alone


class NoSuchDatabase(StoreError):
    """The file or database the address names does not exist or is none of ours."""

    code = "no_such_database"


class SchemaMismatch(StoreError):
    """The store was written by another version of this package."""

    code = "schema_mismatch"


class ReadOnly(StoreError):
    """The store may be read, not written."""

    code = "read_only"


class Full(StoreError):
    """The disk is full; nothing was recorded."""

    code = "full"


class Corrupt(StoreError):
    """What the store holds does not fit its own hashes."""

    code = "corrupt"


class HeadMoved(LedgerError):
    """The ledger grew past the head this write was judged against."""

    code = "head_moved"
    retry = True


class SlowReader(LedgerError):
    """A watcher of changes took none for so long that he missed some; `details["revision"]` is where to resume."""

    code = "slow_reader"
    retry = True


class ServiceError(LedgerError):
    """A service does not take the request, whatever it asks for."""

    code = "service_error"


class Unauthorized(ServiceError):
    """The API key is missing, or another one."""

    code = "unauthorized"


class HostNotAllowed(ServiceError):
    """The Host header names none of the hosts this service answers for."""

    code = "host_not_allowed"


class OriginNotAllowed(ServiceError):
    """A web page of another origin sent the request."""

    code = "origin_not_allowed"


class UnsupportedMediaType(ServiceError):
    """The body is not said to be JSON: that is what any web page could send without asking."""

    code = "unsupported_media_type"


class NoSuchRoute(ServiceError):
    """There is nothing at this path."""

    code = "no_such_route"


class MethodNotAllowed(ServiceError):
    """What is at this path does not take this method."""

    code = "method_not_allowed"


class TimedOut(ServiceError):
    """There was no answer within the time of a request; what it was to write may have been recorded."""

    code = "timed_out"
    retry = True


class Overloaded(ServiceError):
    """Too much waits to be recorded already; nothing of this was."""

    code = "overloaded"
    retry = True


class Starting(ServiceError):
    """The service waits for its store, or still reads the log."""

    code = "starting"
    retry = True


class Stopping(ServiceError):
    """The service ended before the request was answered; what it was to write may have been recorded."""

    code = "stopping"
    retry = True


class Internal(LedgerError):
    """Something nobody foresaw happened in a service; what it was is in its log, not in the answer."""

    code = "internal"


class BadSetting(LedgerError):
    """A setting of the service cannot be used."""

    code = "bad_setting"


class CannotListen(LedgerError):
    """The service cannot listen at its address."""

    code = "cannot_listen"


class StaleContext(LedgerError):
    """A guard told to raise was given items that are not fresh; `details["verdicts"]` names them all."""

    code = "stale_context"


class Usage(LedgerError):
    """The command line cannot be understood."""

    code = "usage"


class FileTrouble(LedgerError):
    """A file of the command line (or standard input or output), or of a folder to ingest, cannot be read or written."""

    code = "file_trouble"


class Interrupted(LedgerError):
    """Somebody pressed Ctrl-C; what was committed stays, and running the command again completes it."""

    code = "interrupted"
    retry = True


def error_told(told: Mapping[str, Any]) -> LedgerError:
    """The error that another process told by `as_dict`: of the same class, by its code."""
    details = dict(told)
    code, message = str(details.pop("code", "")), str(details.pop("message", ""))
    details.pop("retry", None)
    kind = _by_code().get(code)
    if kind is not None:
        return kind(message, **details)
    return LedgerError(f"{message} ({code!r}, an error this version does not know)", **{**details, "told_code": code})


@functools.cache
def _by_code() -> dict[str, type[LedgerError]]:
    def kinds(kind: type[LedgerError]) -> Iterator[type[LedgerError]]:
        yield kind
        for inner in kind.__subclasses__():
            yield from kinds(inner)

    return {kind.code: kind for kind in kinds(LedgerError) if "code" in vars(kind)}
