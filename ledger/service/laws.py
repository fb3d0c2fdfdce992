"""The laws that a write is held to, one a function: pure looks at the state, or a refusal.

Numbers are those of docs/laws.md. Premises come as tuples of versions (seq); what counts is their editions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from typing import NamedTuple

from msgspec import UNSET

from ledger.clock import format_moment
from ledger.errors import (
    AmendmentChangesSupport,
    CircularSupersession,
    CircularSupport,
    ErasedIsFinal,
    KindConflict,
    LedgerError,
    Malformed,
    NotAPremise,
    NotCurrent,
    NotFound,
    NothingToLift,
    NotRevocable,
    NotStanding,
    SelfDefeating,
    SeveralWithdrawals,
)
from ledger.model.command import RecordCommand, ReinstateCommand, RevokeCommand
from ledger.model.reference import entry_number
from ledger.validity.index import Index
from ledger.validity.lookup import DEPENDENCY, ERASED, KIND_CODES, KIND_NAMES, NONE
from ledger.validity.resolve import name_of, record_named, resolve
from ledger.validity.rolls import FEW

Premises = tuple[int, ...]


# -- references: resolved at once, to exact versions ------------------------------------------------------------------


def resolve_field(index: Index, ref: str, field: str) -> int:
    """What a reference in `field` names. Raises NotFound, Ambiguous with the field."""
    try:
        return resolve(index, ref)
    except LedgerError as error:
        error.at(field=field, ref=ref)
        raise


def resolve_support(index: Index, because: Sequence[Sequence[str]]) -> list[Premises]:
    """Justifications as exact versions; those equal by editions once."""
    if not because:
        return []
    if len(because) == 1:
        return [tuple(dict.fromkeys([_resolve_premise(index, ref) for ref in because[0]]))]
    found: dict[frozenset[int], Premises] = {}
    for refs in because:
        premises = tuple(dict.fromkeys([_resolve_premise(index, ref) for ref in refs]))
        found.setdefault(editions_of(index, premises), premises)
    return list(found.values())


def _resolve_premise(index: Index, ref: str) -> int:
    named = entry_number(ref)
    if named is None or not 0 < named < len(index.kind):
        return resolve_field(index, ref, "because")
    if not index.is_record(named):
        raise NotAPremise(f"{ref} is a {_kind(index, named)}; only records can be rested on", field="because", ref=ref)
    return named


def resolve_superseded(index: Index, supersedes: Sequence[str]) -> tuple[int, ...]:
    """One version of each key named. Raises Malformed for what has no key."""
    found: dict[int, int] = {}
    for ref in supersedes:
        seq = record_named(index, resolve_field(index, ref, "supersedes"))
        key = index.key_of[index.edition[seq]]
        if key == NONE:
            raise Malformed(
                f"{ref} has no key, and only keys are superseded; revoke it instead",
                field="supersedes",
                ref=ref,
            )
        found.setdefault(key, seq)
    return tuple(found.values())


# -- recording: laws 1 to 4 -------------------------------------------------------------------------------------------


def check_kind(index: Index, key: int, command: RecordCommand) -> None:
    """A key keeps its kind."""
    if index.key_kind[key] != KIND_CODES[command.kind]:
        kind = KIND_NAMES[index.key_kind[key]]
        raise KindConflict(f"{command.key!r} is of kind {kind}, and a key keeps its kind", field="kind", kind=kind)


def condemned_version(index: Index, key: int, digest: bytes) -> int:
    """Law 3: the newest version with this content that is wrong from birth, quarantined or erased; 0 if none is."""
    found = index.condemned.get((key, digest))
    return found.newest if found else 0


def contradicted_version(index: Index, current: int, digest: bytes) -> int:
    """Law 3: the current version of a dependency, when condemned content of another digest is seen; else 0."""
    if not current or index.kind[current] != DEPENDENCY or index.digest_at(current) == digest:
        return 0
    return current


def check_current(index: Index, command: RecordCommand, current: int) -> None:
    """Law 1: `expects` and `amends` must name the current version (0: there is none)."""
    version = index.version[current] if current else 0
    has = f"version {version} is current" if version else "the key has no current version"
    for field, wanted in (("expects", command.expects), ("amends", command.amends)):
        if wanted is not None and wanted != version:
            raise NotCurrent(f"{field} version {wanted} of {command.key!r}, but {has}", field=field, current=version)


def check_amendment(index: Index, current: int, because: list[Premises]) -> None:
    """Law 1: an amendment names no other support than its edition has."""
    if new_support(index, index.edition[current], because):
        raise AmendmentChangesSupport(
            f"an amendment of {name_of(index, current)} joins its edition and cannot rest on anything else; "
            "leave because out, or record a new version without amends",
            field="because",
        )


def new_support(index: Index, edition: int, because: list[Premises]) -> list[Premises]:
    """Law 2: the justifications equal, by editions, to none this edition ever had."""
    return [premises for premises in because if not _had(index, edition, editions_of(index, premises))]


def _had(index: Index, edition: int, rests_on: frozenset[int]) -> bool:
    """Whether this edition ever had a justification by these editions.

    That is among its own, and among those that lean on each of these: the shortest of these chains is walked.
    """
    chains = (index.justifications(edition), *map(index.uses, rests_on))
    return any(
        index.supports[row] == edition and frozenset(index.premises(row)) == rests_on
        for rows in zip(*chains, strict=False)
        for row in rows
    )


def new_supersessions(index: Index, edition: int, supersedes: tuple[int, ...]) -> tuple[int, ...]:
    """Law 2: the keys this edition never named, lifted ones included."""
    if not supersedes:
        return ()
    named = frozenset(index.supersedes.get(edition, ()))
    return tuple(seq for seq in supersedes if index.key_of[index.edition[seq]] not in named)


def check_supersession(index: Index, key: int, supersedes: tuple[int, ...]) -> None:
    """Law 4: no circles, judged over all supersessions not lifted, whatever their standing."""
    if not supersedes or key == NONE:
        return
    above = {key: NONE}  # every key that supersedes `key`, and the one it supersedes on the way there
    for at in (queue := [key]):
        for one in index.superseded_by.get(at, ()):
            by = index.key_of[one.edition]
            if by != NONE and by not in above:
                above[by] = at
                queue.append(by)
    for seq in supersedes:
        superseded = index.key_of[index.edition[seq]]
        if superseded in above:
            path = [index.key_names[one] for one in (key, *_back(above, superseded))]
            raise CircularSupersession(
                f"keys would supersede each other in a circle: {' > '.join(path)}", field="supersedes"
            )


def check_acyclic(index: Index, edition: int, added: list[Premises]) -> None:
    """Law 6: added support may not rest on what it supports.

    Walks back from the new premises, but only through editions that were given support after `edition` was born: no
    other can rest on it.
    """
    born = index.birth[edition]
    came_from = dict.fromkeys((premise for premises in added for premise in editions_of(index, premises)), NONE)
    queue = list(came_from)
    for at in queue:
        if at == edition:
            path = [name_of(index, index.newest[one]) for one in (*_back(came_from, at), edition)]
            raise CircularSupport(f"it would rest on itself: {' < '.join(path)}", field="because")
        newest = index.first_justification[at]
        if newest == NONE or index.entry_of[newest] <= born:
            continue
        for row in index.justifications(at):
            for premise in index.premises(row):
                if premise not in came_from:
                    came_from[premise] = at
                    queue.append(premise)


def check_still_stands(index: Index, edition: int, stood: bool) -> None:
    """Law 4: what supersedes must not fell its own last standing justification by it."""
    if stood and not index.standing[edition]:
        raise SelfDefeating(
            "by superseding it would fell what it rests on itself; cite the old version instead of resting on it",
            field="because",
        )


def any_stands(index: Index, because: Iterable[Premises]) -> bool:
    """Whether all premises of one of these justifications stand."""
    valid, edition = index.valid, index.edition
    for premises in because:
        for premise in premises:
            if not valid[edition[premise]]:
                break
        else:
            return True
    return False


def editions_of(index: Index, premises: Iterable[int]) -> frozenset[int]:
    """What makes two justifications equal."""
    edition = index.edition
    return frozenset([edition[premise] for premise in premises])


def moves_limit(index: Index, edition: int, command: RecordCommand) -> bool:
    """Law 2: whether a repetition sets another `valid_until`; an absent one keeps the old."""
    if command.valid_until is UNSET:
        return False
    limit = index.limits.get(edition)
    return (limit.moment_us if limit else None) != command.valid_until


# -- withdrawing and lifting: law 5 -----------------------------------------------------------------------------------


def revocable(index: Index, command: RevokeCommand, now_us: int) -> int:
    """The record or added justification to withdraw. Raises NotRevocable, NotFound, Ambiguous, Malformed."""
    named = entry_number(command.target)
    if named is not None and _is_event(index, named) and named not in index.added:
        kind = _kind(index, named)
        raise NotRevocable(
            f"@{named} is a {kind}; only records and added justifications can be revoked", field="target"
        )
    target = resolve_field(index, command.target, "target")
    if command.effective_at is not None and command.effective_at > now_us:
        told = format_moment(command.effective_at)
        raise Malformed(f"effective_at {told} is after now, {format_moment(now_us)}", field="effective_at")
    if command.mode == "erased" and target in index.added:
        raise NotRevocable(f"@{target} added support and has no content to erase; revoke it", field="mode")
    return target


class Erasure(NamedTuple):
    """One version of each edition erased, and every version whose content goes."""

    targets: tuple[int, ...]
    erases: tuple[int, ...]


def erasure(index: Index, target: int) -> Erasure:
    """Every edition of the key that shares a content with the one named, and all their versions."""
    edition = index.edition[target]
    key = index.key_of[edition]
    if key == NONE:
        return Erasure((target,), (target,))
    contents = {index.digest_at(seq) for seq in index.versions_of_edition(edition)}
    erased = {edition: target}
    for seq in _versions_with(index, key, contents):
        erased.setdefault(index.edition[seq], seq)
    gone = sorted(seq for one in erased for seq in index.versions_of_edition(one))
    return Erasure(tuple(erased.values()), tuple(gone))


def _versions_with(index: Index, key: int, contents: Set[bytes]) -> list[int]:
    """The versions of a key with one of these contents, newest first; of many versions no others are looked at."""
    if index.version[index.newest_of_key[key]] <= FEW:
        return [seq for seq in index.versions(key) if index.digest_at(seq) in contents]
    roll = index.rolls.of(key)
    return sorted((seq for digest in contents for seq in roll.with_content(digest)), reverse=True)


def lifted(index: Index, command: ReinstateCommand, target: int, answered: Callable[[str], int]) -> tuple[int, ...]:
    """The withdrawals (and supersessions, if named) a reinstatement lifts.

    `answered` tells which entry answers an idempotency key; 0 if none does.
    """
    on_support = target in index.added
    edition = index.edition[target]
    withdrawals = index.support_withdrawals.get(target, ()) if on_support else index.withdrawals.get(edition, ())
    supersessions = () if on_support else index.superseded_by.get(index.key_of[edition], ())
    standing = {one.seq: one.flag for one in withdrawals}
    overtaken = {one.seq for one in supersessions}
    name = name_of(index, target)
    lifts = tuple(dict.fromkeys(_lift_named(text, answered) for text in command.lifts))
    if not lifts:
        _check_only_one(name, list(standing), overtaken)
        lifts = tuple(standing)
    for seq in lifts:
        if standing.get(seq) == ERASED:
            raise ErasedIsFinal(f"@{seq} erased the content of {name}; that cannot be lifted", field="lifts")
        if seq not in standing and seq not in overtaken:
            there = _ids(standing.keys() | overtaken) or "nothing"
            raise NotStanding(f"@{seq} does not stand on {name}; standing: {there}", field="lifts")
    return lifts


def _check_only_one(name: str, standing: list[int], overtaken: set[int]) -> None:
    """Without names, only the one withdrawal that stands can be meant."""
    if len(standing) > 1:
        raise SeveralWithdrawals(
            f"{len(standing)} withdrawals stand on {name}: name those to lift: {_ids(standing)}",
            field="lifts",
            standing=[f"@{seq}" for seq in sorted(standing)],
        )
    if not standing:
        hint = f"; superseded by {_ids(overtaken)}, which is lifted only when named" if overtaken else ""
        raise NothingToLift(f"no withdrawal stands on {name}{hint}", field="target")


def _lift_named(text: str, answered: Callable[[str], int]) -> int:
    """`@31`, or the idempotency key of the command that made it."""
    number = entry_number(text)
    if number is not None:
        return number
    seq = answered(text)
    if not seq:
        raise NotFound(f"no command with the idempotency key {text!r} is known", field="lifts")
    return seq


# -- within -----------------------------------------------------------------------------------------------------------


def _is_event(index: Index, seq: int) -> bool:
    return 0 < seq < len(index.kind) and not index.is_record(seq)


def _kind(index: Index, seq: int) -> str:
    return KIND_NAMES[index.kind[seq]]


def _back(came_from: dict[int, int], at: int) -> list[int]:
    """The way from `at` to where the walk began."""
    path = [at]
    while came_from[path[-1]] != NONE:
        path.append(came_from[path[-1]])
    return path


def _ids(seqs: Iterable[int]) -> str:
    return ", ".join(f"@{seq}" for seq in sorted(seqs))
