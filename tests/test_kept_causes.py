"""Causes that were found once are told again for as long as they hold, and no longer."""

from __future__ import annotations

from ledger.clock import SECOND
from ledger.model.canonical import digest_of
from ledger.model.entry import Belief, Justification, Reinstatement, Revocation
from ledger.validity.index import Index
from ledger.validity.verdicts import Reader

DIGEST = digest_of(1)


def belief(seq: int, key: str, **more: object) -> Belief:
    return Belief(seq=seq, batch=seq, recorded_at_us=seq * SECOND, key=key, digest=DIGEST, **more)  # type: ignore[arg-type]


def support(seq: int, target: int, premise: int) -> Justification:
    return Justification(
        seq=seq,
        batch=seq,
        recorded_at_us=seq * SECOND,
        targets=(target,),
        observed=(DIGEST,),
        because=((premise,),),
    )


def revoke(seq: int, target: int, mode: str = "revoked") -> Revocation:
    return Revocation(seq=seq, batch=seq, recorded_at_us=seq * SECOND, targets=(target,), mode=mode)  # type: ignore[arg-type]


def reinstate(seq: int, target: int, *lifts: int) -> Reinstatement:
    return Reinstatement(seq=seq, batch=seq, recorded_at_us=seq * SECOND, targets=(target,), lifts=lifts)


def cause(index: Index, seq: int) -> int:
    return Reader(index).cause(index.edition[seq])


def test_time_that_is_undone_takes_its_causes_along() -> None:
    """
    e rests on a, which will expire, and on b, which is revoked    -> because of @4
    time passes, and a has expired                                 -> because of @1, which set the limit
    that is undone                                                 -> because of @4 again
    """
    index = Index()
    for entry in (
        belief(1, "a", valid_until_us=60 * SECOND),
        belief(2, "b"),
        belief(3, "e", because=((1, 2),)),
        revoke(4, 2),
        belief(5, "u"),
        revoke(6, 5),
        reinstate(7, 5, 6),  # from here on causes have to be looked for
    ):
        index.apply(entry)
    assert cause(index, 3) == 4
    before = index.savepoint()
    index.advance(100 * SECOND)
    assert cause(index, 3) == 1
    index.rollback(before)
    assert cause(index, 3) == 4


def test_a_digest_that_was_asked_for_goes_with_the_entry_that_is_undone() -> None:
    """
    a@2 is checked by its digest, and undone    -> another a@2 is checked by its own
    """
    index = Index()
    index.apply(belief(1, "a"))
    before = index.savepoint()
    for digest in (digest_of(2), digest_of(3)):
        index.apply(Belief(seq=2, batch=2, recorded_at_us=2 * SECOND, key="a", version=2, digest=digest))
        assert Reader(index).check([f"a@{digest}"]) == (2,)
        index.rollback(before)
    assert Reader(index).check([f"a@{DIGEST}"]) == (1,)


def test_what_fell_keeps_its_cause_through_what_comes_later() -> None:
    """
    e rests on a and b: a is revoked              -> because of @4
    b is revoked, and other things are recorded   -> because of @4 still
    a is reinstated                               -> because of @5
    """
    index = Index()
    for entry in (belief(1, "a"), belief(2, "b"), belief(3, "e", because=((1, 2),)), revoke(4, 1)):
        index.apply(entry)
    assert index.fell_with(index.edition[3]) == cause(index, 3) == 4
    for entry in (revoke(5, 2), belief(6, "c"), belief(7, "d", because=((6,),))):
        index.apply(entry)
    assert index.fell_with(index.edition[3]) == cause(index, 3) == 4
    index.apply(reinstate(8, 1, 4))
    assert index.fell_with(index.edition[3]) == 0
    assert cause(index, 3) == 5
