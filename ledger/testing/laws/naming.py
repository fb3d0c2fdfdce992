"""Section 3 of the contract and law 17: references, content, and that whatever is withheld is named."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.errors import Malformed
from ledger.model.canonical import digest_of
from ledger.testing.page import Page

# Two contents whose digests begin with the same eight digits, found by trying.
ALIKE = (69235, 95303)


class References:
    """How entries are named."""

    async def test_what_a_reference_names(self, page: Page) -> None:
        """References: a key, a version of it, a digest of it, an entry; of an event, what it acts on."""
        digest = digest_of("one")
        await page(f"""
            record  dependency p one                         -> @1 recorded fresh
            record  dependency p two                         -> @2 recorded fresh, fell p@1
            verify  p two                                    -> @3 verified fresh
            record  belief b 1 because p                     -> @4 recorded fresh
            names   p                                        -> p@2
            names   p@1                                      -> p@1
            names   p@{digest}                               -> p@1
            names   p@{digest[:15]}                          -> p@1
            names   @2                                       -> p@2
            check   @3 p@{digest[:71]}                     -> fresh; stale superseded, cause @2, successor p@2
        """)

    async def test_the_newest_version_with_a_digest(self, page: Page) -> None:
        """References: a digest names the newest version of the key that has it."""
        digest = digest_of("one")
        await page(f"""
            record  dependency p one                         -> @1 recorded fresh
            record  dependency p two                         -> @2 recorded fresh, fell p@1
            check   p@{digest}                               -> stale superseded, cause @2, successor p@2
            record  dependency p one                         -> @3 recorded fresh, fell p@2
            check   p@{digest}                               -> fresh
            names   p@{digest}                               -> p@3
        """)

    async def test_edges_never_float(self, page: Page) -> None:
        """References: they resolve at once to exact versions."""
        await page("""
            record  dependency p 1                           -> @1 recorded fresh
            record  belief b 1 because p                     -> @2 recorded fresh
            record  dependency p 2                           -> @3 recorded fresh, fell p@1 b@1
        """)
        assert (await page.ledger.entry("b")).because == (("p@1",),)

    async def test_what_cannot_be_found(self, page: Page) -> None:
        """References: what names nothing is `not_found`, in a check an unknown that fails nothing else."""
        await page(f"""
            record  belief a 1                               -> @1 recorded fresh
            check   b a@2 a@0 @2 @0 a  -> {"unknown not_found…; " * 5}fresh
            why     b                                        -> refused not_found
            content a@2                                      -> refused not_found
            record  belief c 1 because a@2                   -> refused not_found
            record  belief c 1 because @2                    -> refused not_found
            record  belief c 1 because a@{digest_of("?")}    -> refused not_found
        """)

    async def test_what_cannot_be_a_reference(self, page: Page) -> None:
        """References: ill-formed ones are `malformed`, in a check an unknown that fails nothing else."""
        await page("""
            record  belief a 1                               -> @1 recorded fresh
            check   a@sha256:12 @a a                         -> unknown malformed; unknown malformed; fresh
            check   "" " a" a                                -> unknown malformed; unknown malformed; fresh
            record  belief b 1 because a@sha256:12           -> refused malformed
            revoke  @a                                       -> refused malformed
        """)

    async def test_what_fits_several(self, page: Page) -> None:
        """References: digits that fit two contents, and events on several entries, are `ambiguous`."""
        one, two = map(digest_of, ALIKE)
        assert one[:15] == two[:15]
        await page(f"""
            record  dependency p {ALIKE[0]}                  -> @1 recorded fresh
            record  dependency p {ALIKE[1]}                  -> @2 recorded fresh, fell p@1
            check   p@{one[:15]} p                           -> unknown ambiguous; fresh
            check   p@{one[:20]} p@{two[:20]}              -> stale superseded, cause @2, successor p@2; fresh
            record  belief b 1 because p@{one[:15]}          -> refused ambiguous
            record  dependency q 1                           -> @3 recorded fresh
            verify  p {ALIKE[1]} & q 1                       -> @4 verified fresh
            check   @4                                       -> unknown ambiguous
            revoke  p@{two[:15]}                             -> refused ambiguous
        """)

    async def test_an_event_is_no_premise(self, page: Page) -> None:
        """References: an event is never a premise."""
        await page("""
            record  belief a 1                               -> @1 recorded fresh
            record  belief a 1                               -> @2 repeated fresh
            record  belief b 1 because @2                    -> refused not_a_premise
            record  belief b 1 because a & @2                -> refused not_a_premise
            record  dependency p 1                           -> @3 recorded fresh
            record  belief b 1 because a                     -> @4 recorded fresh
            record  belief b 1 because p                     -> @5 justified fresh
            record  belief c 1 because @5                    -> refused not_a_premise
        """)

    async def test_a_digest_not_found_has_a_successor(self, page: Page) -> None:
        """References: a digest not found under a known key is `not_found`, with the `successor`."""
        await page(f"""
            record  dependency p 1                           -> @1 recorded fresh
            record  dependency p 2                           -> @2 recorded fresh, fell p@1
            check   p@{digest_of("?")}                       -> unknown not_found, successor p@2
            revoke  p                                        -> @3 revoked stale revoked, fell p@2
            check   p@{digest_of("?")}                       -> unknown not_found
            check   q@{digest_of("?")}                       -> unknown not_found
        """)

    async def test_fine_keys(self, page: Page) -> None:
        """References: after the last @ digits or a digest select; all else belongs to the key."""
        await page("""
            record  dependency actions/checkout@v4 1         -> @1 recorded fresh
            record  dependency ada@example.org 1             -> @2 recorded fresh
            record  dependency "https://example.org/a?b=1#c" 1   -> @3 recorded fresh
            record  dependency 42 1                          -> @4 recorded fresh
            record  dependency "two words" 1                 -> @5 recorded fresh
            record  dependency "größe/ 高さ" 1                -> @6 recorded fresh
            record  dependency a@sha256:xyz 1                -> @7 recorded fresh
            record  dependency a@v1@2b 1                     -> @8 recorded fresh
            names   actions/checkout@v4@1                    -> actions/checkout@v4@1
            names   42                                       -> 42@1
            names   42@1                                     -> 42@1
            check   ada@example.org "two words" "größe/ 高さ@1" a@sha256:xyz  -> fresh; fresh; fresh; fresh
        """)

    async def test_keys_that_are_none(self, page: Page) -> None:
        """References: a key is printable NFC text up to 512 bytes, without outer spaces, no selector."""
        for key in (
            '"@a"',
            "a@1",
            "a@sha256:0123abcd",
            '" a"',
            '"a "',
            '"a\\nb"',
            '"e\\u0301"',
            f'"{"é" * 257}"',
            '""',
        ):
            await page(f"record belief {key} 1 -> refused malformed")
        await page(f'record belief "{"é" * 256}" 1 -> @1 recorded fresh')


class Contents:
    """What may be recorded."""

    async def test_any_json(self, page: Page) -> None:
        """Content: any JSON, and it comes back as it was."""
        for number, content in enumerate(
            (
                "null",
                "true",
                "0",
                "-1.5",
                "1e-7",
                '""',
                '"\\u0000 \\"quoted\\" \\u2028 😀"',
                "[]",
                "{}",
                '{"b":[{"a":null}],"é":9007199254740991}',
            )
        ):
            await page(f"""
                record  belief a/{number} {content}          -> @{number + 1} recorded fresh
                record  belief a/{number} {content} restate expects 2    -> refused not_current
            """)
            assert (await page.ledger.entry(f"a/{number}")).digest is not None
        await page("""
            content a/0         -> nothing
            content a/3         -> -1.5
            content a/4         -> 1e-07
            content a/9         -> {"b":[{"a":null}],"\\u00e9":9007199254740991}
        """)

    async def test_what_is_no_content(self, page: Page) -> None:
        """Content: NaN, integers beyond 2^53-1 and what JSON cannot hold are refused."""
        await page("""
            record  belief a NaN                             -> refused malformed
            record  belief a Infinity                        -> refused malformed
            record  belief a 9007199254740992                -> refused malformed
            record  belief a {"x":[-9007199254740992]}       -> refused malformed
            record  belief a 9007199254740991                -> @1 recorded fresh
        """)

    async def test_ill_formed_commands(self, page: Page) -> None:
        """Content: unknown fields, wrong types and missing fields are `malformed`, and the field is named."""
        record: dict[str, Any] = {"op": "record", "kind": "belief", "key": "a", "content": 1}
        ill_formed: dict[str, dict[str, Any]] = {
            "colour": record | {"colour": "red"},
            "kind": record | {"kind": "rumour"},
            "key": record | {"key": 7},
            "because.0": record | {"because": [[]]},
            "amends": record | {"amends": "1"},
            "occurred_at": record | {"occurred_at": "2026-01-01T00:00:00"},
            "actor": record | {"actor": "a\u0007b"},
            "op": {"op": "forget", "target": "a"},
            "target": {"op": "revoke"},
            "mode": {"op": "revoke", "target": "a", "mode": "gone"},
        }
        for field, command in ill_formed.items():
            with pytest.raises(Malformed) as refused:
                await page.ledger.apply([command])
            assert str(refused.value.details.get("field")).startswith(field), command
        await page("entries -> none")

    async def test_limits(self, page: Page) -> None:
        """Content: up to 1 MiB in canonical form and 64 levels; more is `too_large`."""
        await page(f"""
            record  belief a {"[" * 65 + "]" * 65}           -> refused too_large
            record  belief a {"[" * 64 + "]" * 64}           -> @1 recorded fresh
            record  belief a "{"x" * (1_048_576 - 1)}"       -> refused too_large
            record  belief a "{"x" * (1_048_576 - 2)}"       -> @2 recorded fresh, fell a@1
        """)
        assert len((await page.ledger.entry("a")).content) == 1_048_574


class Disclosure:
    """Law 17."""

    async def test_what_is_withheld_is_named(self, page: Page) -> None:
        """Law 17: what is withheld is named with reason, cause and the way back; unknown is never fresh."""
        await page("""
            record     dependency p 1                        -> @1 recorded fresh
            record     belief b 1 because p                  -> @2 recorded fresh
            record     dependency q 1                        -> @3 recorded fresh
            record     dependency p 2                        -> @4 recorded fresh, fell p@1 b@1
        """)
        report = await page.ledger.check(["q", "nowhere", "p@1", "b", "@a"])
        assert report.fresh == ["q"]
        assert [(verdict.ref, verdict.state, verdict.reason) for verdict in report.withheld] == [
            ("nowhere", "unknown", "not_found"),
            ("p@1", "stale", "superseded"),
            ("b", "stale", "unsupported"),
            ("@a", "unknown", "malformed"),
        ]
        assert [(verdict.cause, verdict.successor) for verdict in report.withheld[1:3]] == [
            ("@4", "p@2"),
            ("@4", None),
        ]

    async def test_in_the_order_asked(self, page: Page) -> None:
        """Law 17: a check answers each reference, in the order asked, and as often as it was asked."""
        await page("""
            record     dependency p 1                        -> @1 recorded fresh
            revoke     p                                     -> @2 revoked stale revoked, fell p@1
            record     dependency q 1                        -> @3 recorded fresh
            check      q p q p@1     -> fresh; stale revoked, cause @2; fresh; stale revoked, cause @2
        """)

    async def test_several_withdrawals_are_listed(self, page: Page) -> None:
        """Law 17: a refusal names what would have to be lifted."""
        await page("""
            record     dependency p 1                        -> @1 recorded fresh
            revoke     p                                     -> @2 revoked stale revoked, fell p@1
            revoke     p                                     -> @3 revoked stale revoked
            reinstate  p                               -> refused several_withdrawals, standing @2 @3: …@2…@3…
            reinstate  p lifts @1                            -> refused not_standing: …@2…@3…
        """)
