"""Tags at every door: over HTTP, GraphQL and on the command line; and files from before there were any.

What a tag is, the contract says: ledger/testing/laws/tagging.py, held to by every store and over HTTP.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ledger import AsyncLedger
from ledger.app import open_ledgers
from ledger.errors import SchemaMismatch
from ledger.service.ledgers import Ledgers
from ledger.store.memory import MemoryStore
from ledger.store.sqlite import SqliteStore
from tests.graphql_client import ask, refused
from tests.serving import Service, hosted, serving
from tests.terminal import Terminal

# --- HTTP -----------------------------------------------------------------------------------------------------

TAGS = "/v1/ledgers/main/tags"


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with serving() as running:
        await running.write({"op": "record", "kind": "belief", "key": "a", "content": 1})
        yield running


async def test_over_http(service: Service) -> None:
    revision = (await service.check("a")).json()["revision"]
    answer = await service.client.post(TAGS, json={"name": "v1"})
    assert (answer.status_code, answer.json()) == (200, {"name": "v1", "revision": revision, "created": True})
    assert answer.headers["ledger-revision"] == revision
    again = await service.client.post(TAGS, json={"name": "v1", "revision": revision})
    assert again.json() == {"name": "v1", "revision": revision, "created": False}
    await service.write({"op": "revoke", "target": "a"})
    listed = await service.client.get(TAGS)
    assert listed.json()["tags"] == [{"name": "v1", "revision": revision}]
    assert listed.json()["revision"] == listed.headers["ledger-revision"] != revision
    for asked in ({"at": "tag:v1"}, {"at": "tag:v1", "at_least": "tag:v1"}):
        then = (await service.check("a", **asked)).json()
        assert (then["revision"], then["verdicts"][0]["state"]) == (revision, "fresh")
    entries = await service.client.get("/v1/ledgers/main/entries", params={"at": "tag:v1"})
    assert [entry["id"] for entry in entries.json()["entries"]] == ["@1"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"name": "v1"}, 409, "tag_conflict"),
        ({"name": "V 1"}, 400, "malformed"),
        ({"name": 1}, 400, "malformed"),
        ({}, 400, "malformed"),
        ({"name": "v2", "revison": "main@1.00000000"}, 400, "malformed"),
        ({"name": "v2", "revision": "main@1.00000000"}, 409, "foreign_revision"),
        ({"name": "v2", "revision": "tag:none"}, 404, "no_such_tag"),
        ({"name": "v2", "revision": "2026-01-01T00:00:00Z"}, 400, "malformed"),
        ([], 400, "malformed"),
    ],
)
async def test_what_http_refuses(service: Service, body: Any, status: int, code: str) -> None:
    await service.client.post(TAGS, json={"name": "v1"})
    await service.write({"op": "revoke", "target": "a"})
    answer = await service.client.post(TAGS, json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert [tag["name"] for tag in (await service.client.get(TAGS)).json()["tags"]] == ["v1"]


async def test_no_form_of_a_web_page_names_anything(service: Service) -> None:
    answer = await service.client.post(TAGS, content=b'{"name":"v1"}', headers={"content-type": "text/plain"})
    assert answer.json()["code"] == "unsupported_media_type"
    assert (await service.client.get(TAGS)).json()["tags"] == []
    other = await service.client.post(TAGS.replace("main", "other"), json={"name": "v1"})
    assert (other.status_code, other.json()["code"]) == (404, "no_such_ledger")


# --- GraphQL --------------------------------------------------------------------------------------------------

GIVE = """mutation ($name: String!, $revision: String) { tag(name: $name, revision: $revision) {
  ... on Tagged { name revision created } ... on Error { __typename code field } } }"""


async def write(ledgers: Ledgers, command: dict[str, Any]) -> None:
    await (await ledgers.get("main", create=True)).apply(command)


async def test_over_graphql() -> None:
    async with open_ledgers(MemoryStore()) as ledgers:
        await write(ledgers, {"op": "record", "kind": "belief", "key": "a", "content": 1})
        revision = (await ask(ledgers, "{ ledger { revision } }"))["ledger"]["revision"]
        assert await ask(ledgers, GIVE, name="v1") == {"tag": {"name": "v1", "revision": revision, "created": True}}
        assert (await ask(ledgers, GIVE, name="v1"))["tag"]["created"] is False
        await write(ledgers, {"op": "revoke", "target": "a"})
        text = """{ tags { name revision } then: entry(ref: "a", at: "tag:v1") { ...V } now: entry(ref: "a") { ...V }
          freshness(refs: ["a"], at: "tag:v1", atLeast: "tag:v1") { fresh revision } }
          fragment V on RecordEntry { verdict { state } withdrawnBy { id } }"""
        assert await ask(ledgers, text) == {
            "tags": [{"name": "v1", "revision": revision}],
            "then": {"verdict": {"state": "fresh"}, "withdrawnBy": []},
            "now": {"verdict": {"state": "stale"}, "withdrawnBy": [{"id": "@2"}]},
            "freshness": {"fresh": ["a"], "revision": revision},
        }
        for variables, told in (
            ({"name": "v1"}, ("LawBroken", "tag_conflict", None)),
            ({"name": "V1"}, ("InvalidInput", "malformed", "name")),
            ({"name": "v2", "revision": "tag:v3"}, ("UnresolvedReference", "no_such_tag", "revision")),
            ({"name": "v2", "revision": "main@1.00000000"}, ("LawBroken", "foreign_revision", "revision")),
        ):
            error = (await ask(ledgers, GIVE, **variables))["tag"]
            assert (error["__typename"], error["code"], error["field"]) == told
        error = await refused(ledgers, '{ entry(ref: "a", at: "tag:v2") { id } }')
        assert (error["code"], error["ref"]) == ("no_such_tag", "tag:v2")
        assert (await refused(ledgers, '{ tags(ledger: "none") { name } }'))["code"] == "no_such_ledger"


# --- the command line -----------------------------------------------------------------------------------------


@pytest.fixture(params=["file", "service"])
def terminal(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "file":
        yield Terminal(tmp_path)
        return
    with hosted() as service:
        there = Terminal(tmp_path)
        there.store = f"http://127.0.0.1:{service.port}"
        yield there


def test_on_the_command_line(terminal: Terminal) -> None:
    terminal.ok("record", "--kind", "belief", "--key", "a", "1")
    revision = terminal.json("status")["revision"]
    assert terminal.ok("tag", "v1") == f"tagged  v1\n{revision}\n"
    assert terminal.ok("tag", "v1", revision) == f"tagged already  v1\n{revision}\n"
    terminal.ok("revoke", "a")
    assert terminal.ok("check", "a", "--at", "tag:v1").startswith("fresh  a")
    assert terminal.json("tag", "also", "tag:v1") == {"name": "also", "revision": revision, "created": True}
    head = terminal.json("status")["revision"]
    assert terminal.ok("tags") == f"also  {revision}\nv1    {revision}\n{head}  2 tags\n"
    told = [{"name": "also", "revision": revision}, {"name": "v1", "revision": revision}]
    assert terminal.json("tags") == {"revision": head, "tags": told}
    result = terminal.run("tag", "v1")
    assert (result.exit_code, result.stderr) == (
        2,
        f"error: 'v1' is the tag of {revision}, and a tag never moves (tag_conflict)\n",
    )
    result = terminal.run("status", "--at", "tag:v2", "--json")
    assert (result.exit_code, json.loads(result.stderr)["code"]) == (2, "no_such_tag")


def test_a_dry_run_names_nothing(tmp_path: Path) -> None:
    async def play() -> None:
        file = SqliteStore(tmp_path / "ledger.db")
        async with AsyncLedger.open(file) as ledger:
            await ledger.record("belief", 1, key="a")
            await ledger.tag("real")
        async with AsyncLedger.open(SqliteStore(file.path), dry_run=True) as trial:
            await trial.record("belief", 2, key="a")
            assert (await trial.tag("trial")).created
            assert not (await trial.tag("real", "tag:real")).created
            assert [tag.name for tag in await trial.tags()] == ["real", "trial"]
        async with AsyncLedger.open(SqliteStore(file.path)) as ledger:
            assert [tag.name for tag in await ledger.tags()] == ["real"]

    asyncio.run(play())


# --- files from before there were tags ------------------------------------------------------------------------


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """A file as version 1 of the layout made it, with an entry in it."""
    file = tmp_path / "ledger.db"

    async def make() -> None:
        async with AsyncLedger.open(SqliteStore(file)) as ledger:
            await ledger.record("belief", 1, key="a")

    asyncio.run(make())
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript("DROP TABLE tag; PRAGMA user_version = 1;")
    return file


async def test_an_older_file_is_brought_up_where_writing_is_allowed(older: Path) -> None:
    with pytest.raises(SchemaMismatch, match="ledger migrate"):
        await AsyncLedger.open(SqliteStore(older), create=False)
    several = [SqliteStore(older) for _ in range(4)]
    await asyncio.gather(*(store.open(create=True) for store in several))
    for store in several:
        await store.close()
    async with AsyncLedger.open(SqliteStore(older), create=False) as ledger:
        assert (await ledger.check(["a"])).fresh == ["a"]
        await ledger.tag("v1")
        assert (await ledger.audit()).ok


def test_migrate_brings_an_older_file_up(older: Path) -> None:
    terminal = Terminal(older.parent)
    result = terminal.run("check", "a")
    assert (result.exit_code, "schema 1" in result.stderr, "ledger migrate" in result.stderr) == (2, True, True)
    assert terminal.ok("migrate") == f"{terminal.store} was brought from schema 1 to 2\n"
    assert terminal.ok("check", "a").startswith("fresh")
