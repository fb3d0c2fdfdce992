"""What is written from Python, as commands: the same calls embedded and over HTTP, with an event loop and without."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

from ledger.errors import Malformed

T = TypeVar("T")
One = TypeVar("One", covariant=True)
Whole = TypeVar("Whole", covariant=True)

Refs = Sequence[str]
Because = Sequence[Sequence[str]]
Moment = str | datetime


class Keep:
    """Stands for an argument that was not given, where None means something else."""

    def __repr__(self) -> str:
        return "KEEP"


KEEP = Keep()


class Writing(ABC, Generic[One, Whole]):
    """The writing methods. `One` is what a caller gets of one command (its Result, or what will give it), `Whole` what
    he gets of a batch.
    """

    @abstractmethod
    def _one(self, command: dict[str, Any]) -> One: ...

    @abstractmethod
    def _batch(self, command: dict[str, Any]) -> Whole: ...

    def record(
        self,
        kind: str,
        content: Any,
        *,
        key: str | None = None,
        because: Because | None = (),
        cites: Refs | None = (),
        supersedes: Refs | None = (),
        amends: int | None = None,
        expects: int | None = None,
        restate: bool = False,
        require_fresh: bool = False,
        valid_until: Moment | Keep | None = KEEP,
        actor: str | None = None,
        occurred_at: Moment | None = None,
        idempotency_key: str | None = None,
    ) -> One:
        """Record a version of what `key` is about (laws 1-4).

        `because` holds justifications: any one suffices, all premises of one must stand. `valid_until=None` removes a
        limit, leaving it out keeps the one there is. The outcome says what came of it: recorded, amended, repeated,
        justified, withheld or condemned.
        """
        command = _given(
            op="record",
            kind=kind,
            key=key,
            because=[_refs(premises, "because") for premises in _refs(because, "because")],
            cites=_refs(cites, "cites"),
            supersedes=_refs(supersedes, "supersedes"),
            amends=amends,
            expects=expects,
            restate=restate or None,
            require_fresh=require_fresh or None,
            actor=actor,
            occurred_at=occurred_at,
            idempotency_key=idempotency_key,
        )
        command["content"] = content
        if not isinstance(valid_until, Keep):
            command["valid_until"] = valid_until
        return self._one(command)

    def revoke(
        self,
        target: str,
        mode: str = "revoked",
        reason: str | None = None,
        *,
        effective_at: Moment | None = None,
        actor: str | None = None,
        occurred_at: Moment | None = None,
        idempotency_key: str | None = None,
    ) -> One:
        """Withdraw an edition: revoked, wrong_from_birth, quarantined or erased (law 5)."""
        return self._one(
            _given(
                op="revoke",
                target=target,
                mode=mode,
                reason=reason,
                effective_at=effective_at,
                actor=actor,
                occurred_at=occurred_at,
                idempotency_key=idempotency_key,
            )
        )

    def reinstate(
        self,
        target: str,
        lifts: Refs | None = (),
        reason: str | None = None,
        *,
        actor: str | None = None,
        occurred_at: Moment | None = None,
        idempotency_key: str | None = None,
    ) -> One:
        """Lift the withdrawals named, or the only one that stands (law 5)."""
        return self._one(
            _given(
                op="reinstate",
                target=target,
                lifts=_refs(lifts, "lifts"),
                reason=reason,
                actor=actor,
                occurred_at=occurred_at,
                idempotency_key=idempotency_key,
            )
        )

    def verify(
        self,
        target: str,
        digest: str,
        *,
        actor: str | None = None,
        occurred_at: Moment | None = None,
        idempotency_key: str | None = None,
    ) -> One:
        """Say which digest was seen on looking again; another than the recorded one makes it diverged (law 8)."""
        return self._one(
            _given(
                op="verify",
                target=target,
                digest=digest,
                actor=actor,
                occurred_at=occurred_at,
                idempotency_key=idempotency_key,
            )
        )

    def apply(
        self,
        commands: Iterable[Mapping[str, Any]],
        *,
        actor: str | None = None,
        occurred_at: Moment | None = None,
        idempotency_key: str | None = None,
        expects_impact: str | None = None,
    ) -> Whole:
        """One atomic batch of interchange commands: all or none (law 10).

        With `expects_impact`, the digest of what `impact` told of them, they do exactly that or are refused.
        """
        return self._batch(
            batch_of(
                commands,
                actor=actor,
                occurred_at=occurred_at,
                idempotency_key=idempotency_key,
                expects_impact=expects_impact,
            )
        )


def batch_of(commands: Iterable[Mapping[str, Any]], **envelope: Any) -> dict[str, Any]:
    """Commands as one batch."""
    return {**_given(op="batch", **envelope), "commands": list(commands)}


def _refs(refs: Iterable[T] | None, field: str) -> list[T]:
    """A list of them; None is none. One text would fall apart into its letters, each a reference. Raises Malformed."""
    if refs is None:
        return []
    if isinstance(refs, str) or not isinstance(refs, Iterable):
        form = 'justifications, each a list: [["a", "b"], ["c"]]' if field == "because" else 'references: ["a", "b"]'
        what = "one text" if isinstance(refs, str) else "none"
        raise Malformed(f"{field} is a list of {form}; {refs!r} is {what}", field=field)
    return list(refs)


def _given(**fields: Any) -> dict[str, Any]:
    """A command with only what was given."""
    return {name: value for name, value in fields.items() if value is not None and value != []}
