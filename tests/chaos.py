"""Three service processes on one ledger in Neo4j, under writers, revokers and checkers, while they and Neo4j die.

`python -m tests.chaos [--seconds N] [--seed N]`. Every few seconds a service is killed, ended, or stopped for a while,
or the database is killed; all come back. Afterwards: no check answered `fresh` against what law 9 promises, every
acknowledged entry is there under its number, none twice, every refusal has a code, every service was ready again in
time, and the audit passes. Else it says what was seen, exit code 1.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import httpx
import orjson

from ledger import Ledger

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from neo4j_server import Neo4jServer, free_port

SERVICES = 3
WRITERS, REVOKERS, CHECKERS = 12, 4, 8
MAX_LAG_S = 3.0
PAUSE_S = (2.0, 5.0)
"""Between two blows."""

SLACK_S = 0.5
"""Beyond `max_lag`, for the time between our clock's look and the request's arrival."""

RECOVERS_S = 90.0
"""How long services may take until they answer again; as much as the database, which is cold, on a busy machine."""

ENDS_S = 60.0
"""How long a service may take to end: 5 s to drain, 20 s for a commit under way, and what its last try takes."""

LEDGER = "chaos"
TIMEOUT_S = 10.0
REFS = 20


@dataclass
class Service:
    """One `ledger serve`, started again on the same port after it died."""

    store: str
    port: int
    log: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/ledgers/{LEDGER}"

    def start(self) -> None:
        command = [sys.executable, "-m", "ledger", "serve", "--store", self.store, "--port", str(self.port)]
        settings = {"LEDGER_MAX_LAG_S": str(MAX_LAG_S), "LEDGER_LOG_LEVEL": "error", "LEDGER_DRAIN_S": "5"}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, env={**os.environ, **settings}, stdout=subprocess.DEVNULL, stderr=log
            )

    def end(self, how: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(how)
        self.process.wait(timeout=ENDS_S)


@dataclass(frozen=True)
class Revoked:
    """A revocation that was acknowledged: by which service, when on our monotonic clock, and its token."""

    service: Service
    at_s: float
    token: str


@dataclass
class Seen:
    """What clients were told."""

    acknowledged: dict[str, str] = field(default_factory=dict)  # idempotency key -> entry
    documents: list[str] = field(default_factory=list)  # keys acknowledged, to be revoked one day
    beliefs: dict[str, str] = field(default_factory=dict)  # by the document it rests on
    revoked: dict[str, Revoked] = field(default_factory=dict)
    newest_token: str | None = None
    wrong: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def note_token(self, token: str) -> None:
        if self.newest_token is None or _seq(token) > _seq(self.newest_token):
            self.newest_token = token


def _seq(token: str) -> int:
    return int(token.rpartition("@")[2].partition(".")[0])


class Clients:
    """Those who use the services; each request goes to any of them, and to another when that one does not answer."""

    def __init__(self, services: list[Service], seed: int) -> None:
        self.services = services
        self.seen = Seen()
        self.chance = random.Random(seed)
        self.stopping = asyncio.Event()
        self.http = httpx.AsyncClient(timeout=TIMEOUT_S, limits=httpx.Limits(max_connections=64))

    async def write(self, number: int) -> None:
        """Documents, and on each a belief; every command again and again until somebody acknowledges it."""
        for step in range(1_000_000):
            if self.stopping.is_set():
                return
            document, belief = f"doc/{number}/{step}", f"belief/{number}/{step}"
            record = {"op": "record", "kind": "dependency", "key": document, "content": step}
            await self._command({**record, "idempotency_key": document})
            record = {"op": "record", "kind": "belief", "key": belief, "content": step, "because": [[document]]}
            await self._command({**record, "idempotency_key": belief})
            self.seen.beliefs[document] = belief
            self.seen.documents.append(document)

    async def revoke(self) -> None:
        """Withdraw documents at random; what rests on them falls."""
        while not self.stopping.is_set():
            if len(self.seen.documents) < 10:
                await asyncio.sleep(0.05)
                continue
            document = self.seen.documents.pop(self.chance.randrange(len(self.seen.documents)))
            command = {"op": "revoke", "target": document, "idempotency_key": f"revoke {document}"}
            service, result = await self._command(command)
            self.seen.revoked[document] = Revoked(service, time.monotonic(), result["revision"])
            await asyncio.sleep(0.05)

    async def check(self) -> None:
        """Ask of what may have been revoked: with a token, of the service that acknowledged it, or of any, later."""
        while not self.stopping.is_set():
            known = self.seen.documents[-200:] + list(self.seen.revoked)[-200:]
            if len(known) < REFS:
                await asyncio.sleep(0.05)
                continue
            documents = self.chance.sample(known, REFS)
            refs = documents + [self.seen.beliefs[document] for document in documents]
            service = self.chance.choice(self.services)
            token = self.seen.newest_token if self.chance.random() < 0.5 else None
            # What is promised is judged by what was known before the request left.
            fallen = {document: self.seen.revoked[document] for document in documents if document in self.seen.revoked}
            sent_s = time.monotonic()
            body = {"refs": refs} | ({"at_least": token} if token else {})
            try:
                answer = await self.http.post(f"{service.url}/freshness", json=body)
            except httpx.HTTPError as error:
                self.seen.counts[f"check: {type(error).__name__}"] += 1
                await asyncio.sleep(0.1)
                continue
            if answer.status_code != 200:
                self.seen.counts[f"check: {answer.status_code} {_code(answer)}"] += 1
                if answer.status_code < 500 or not _code(answer):
                    self.seen.wrong.append(f"check was answered {answer.status_code}: {answer.text[:300]}")
                await asyncio.sleep(0.1)
                continue
            self._hold_to_law_9(service, token, sent_s, fallen, answer.json()["verdicts"])

    def _hold_to_law_9(
        self, service: Service, token: str | None, sent_s: float, fallen: dict[str, Revoked], verdicts: list[Any]
    ) -> None:
        state = {verdict["ref"]: verdict for verdict in verdicts}
        for verdict in verdicts:
            self.seen.counts[f"{verdict['state']} {verdict.get('reason', '')}".strip()] += 1
        for document, revoked in fallen.items():
            promised = [
                why
                for why, holds in {
                    "asked of the service that acknowledged it": revoked.service is service,
                    "asked with a token": token is not None and _seq(token) >= _seq(revoked.token),
                    "acknowledged longer ago than max_lag": sent_s - revoked.at_s > MAX_LAG_S + SLACK_S,
                }.items()
                if holds
            ]
            for ref in (document, self.seen.beliefs[document]):
                self.seen.counts["promises held to law 9"] += bool(promised)
                if promised and state[ref]["state"] == "fresh":
                    self.seen.wrong.append(f"{ref} was called fresh, {' and '.join(promised)}: {revoked} {state[ref]}")

    async def _command(self, command: dict[str, Any]) -> tuple[Service, dict[str, Any]]:
        """Send a command to one service after the other until one acknowledges it."""
        while True:
            service = self.chance.choice(self.services)
            try:
                answer = await self.http.post(
                    f"{service.url}/commands",
                    content=orjson.dumps(command),
                    headers={"content-type": "application/x-ndjson"},
                )
            except httpx.HTTPError as error:
                self.seen.counts[f"write: {type(error).__name__}"] += 1
                await asyncio.sleep(0.1)
                continue
            if answer.status_code == 200:
                result: dict[str, Any] = json.loads(answer.text.splitlines()[0])
                self.seen.counts["replayed" if result.get("replayed") else "recorded"] += 1
                self.seen.acknowledged[command["idempotency_key"]] = result["entry"]
                self.seen.note_token(result["revision"])
                return service, result
            self.seen.counts[f"write: {answer.status_code} {_code(answer)}"] += 1
            if answer.status_code < 500 or not _code(answer):
                self.seen.wrong.append(f"{command} was answered {answer.status_code}: {answer.text[:300]}")
            if answer.status_code < 500:
                raise AssertionError(answer.text)
            await asyncio.sleep(0.1)


def _code(answer: httpx.Response) -> str:
    with contextlib.suppress(ValueError, TypeError, KeyError):
        return str(answer.json()["code"])
    return ""


class Blows:
    """What befalls the services and their database, from a seed."""

    def __init__(self, server: Neo4jServer, services: list[Service], seed: int) -> None:
        self.server = server
        self.services = services
        self.chance = random.Random(seed)
        self.dealt: Counter[str] = Counter()
        self.wrong: list[str] = []

    async def deal(self, until_s: float) -> None:
        blows = [self.kill_service, self.end_service, self.stop_service, self.kill_database]
        while time.monotonic() < until_s:
            for blow in self.chance.sample(blows, len(blows)):
                await asyncio.sleep(self.chance.uniform(*PAUSE_S))
                self.dealt[blow.__name__] += 1
                await blow(self.chance.choice(self.services))

    async def recovered(self) -> None:
        """Until every service answers. On a slow machine the next outage would else come before the last is over, and
        nothing but outages be seen.
        """
        until_s = time.monotonic() + RECOVERS_S
        async with httpx.AsyncClient() as http:
            for service in self.services:
                while not (found := await _readiness(http, service)).startswith("200"):
                    if time.monotonic() > until_s:
                        self.wrong.append(f"a service was not ready after {RECOVERS_S:g} s: {found}")
                        return
                    await asyncio.sleep(0.1)

    async def kill_service(self, service: Service) -> None:
        await asyncio.to_thread(service.end, signal.SIGKILL)
        await asyncio.sleep(self.chance.uniform(0, 1))
        service.start()

    async def end_service(self, service: Service) -> None:
        await asyncio.to_thread(service.end, signal.SIGTERM)
        service.start()

    async def stop_service(self, service: Service) -> None:
        """As a machine does that swaps, or a virtual one that is moved."""
        assert service.process is not None
        service.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(self.chance.uniform(0.5, MAX_LAG_S + 2))
        service.process.send_signal(signal.SIGCONT)

    async def kill_database(self, _: Service) -> None:
        await self.recovered()
        await asyncio.to_thread(self.server.kill)
        await asyncio.sleep(self.chance.uniform(0, 2))
        await asyncio.to_thread(self.server.restart)


async def _readiness(http: httpx.AsyncClient, service: Service) -> str:
    try:
        answer = await http.get(f"http://127.0.0.1:{service.port}/readyz")
    except httpx.HTTPError as error:
        return type(error).__name__
    return f"{answer.status_code} {answer.text}"


async def run(server: Neo4jServer, services: list[Service], seconds: float, seed: int) -> tuple[Seen, Counter[str]]:
    clients, blows = Clients(services, seed), Blows(server, services, seed)
    tasks = [asyncio.create_task(clients.write(number)) for number in range(WRITERS)]
    tasks += [asyncio.create_task(clients.revoke()) for _ in range(REVOKERS)]
    tasks += [asyncio.create_task(clients.check()) for _ in range(CHECKERS)]
    try:
        await blows.deal(time.monotonic() + seconds)
        await blows.recovered()
        clients.stopping.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 120)
    finally:
        for task in tasks:
            task.cancel()
        await clients.http.aclose()
    clients.seen.wrong += blows.wrong
    return clients.seen, blows.dealt


def whole(uri: str, acknowledged: dict[str, str]) -> list[str]:
    """What is wrong with the ledger itself."""
    wrong = []
    with Ledger.open(uri, LEDGER, create=False) as ledger:
        entries = ledger.entries(limit=10_000_000, content=False)
        if [entry.seq for entry in entries] != list(range(1, len(entries) + 1)):
            wrong.append("the log has gaps")
        keys = Counter(entry.key for entry in entries if entry.key)
        wrong += [f"{key} was recorded {count} times" for key, count in keys.items() if count > 1]
        by_id = {entry.id: entry for entry in entries}
        for name, entry in acknowledged.items():
            found = by_id.get(entry)
            if found is None or (found.key != name and not name.startswith("revoke ")):
                wrong.append(f"{name} was acknowledged as {entry}, and there is {found and found.ref}")
        targets = Counter(entry.targets[0] for entry in entries if entry.kind == "revocation")
        wrong += [f"{target} was revoked {count} times" for target, count in targets.items() if count > 1]
        report = ledger.audit()
        wrong += report.problems
        click.echo(
            f"{len(entries):,} entries, {len(acknowledged):,} acknowledged, audit {'clean' if report.ok else 'NOT'}"
        )
    return wrong


@click.command()
@click.option("--seconds", default=180.0, show_default=True, help="How long blows are dealt.")
@click.option("--seed", default=20261124, show_default=True)
def main(seconds: float, seed: int) -> None:
    """Hold a service of several processes to its promises while it is beaten."""
    with tempfile.TemporaryDirectory() as folder, Neo4jServer() as server:
        services = [Service(server.uri, free_port(), Path(folder, f"{number}.log")) for number in range(SERVICES)]
        try:
            for service in services:
                service.start()
            seen, dealt = asyncio.run(run(server, services, seconds, seed))
        finally:
            for service in services:
                if service.process is not None and service.process.poll() is None:
                    service.process.send_signal(signal.SIGCONT)
                    service.process.kill()
                    service.process.wait()
        for name, count in sorted((dealt + seen.counts).items()):
            click.echo(f"{count:>9,}  {name}")
        wrong = seen.wrong + whole(server.uri, seen.acknowledged)
        for service in services if wrong else ():
            click.echo(service.log.read_text()[-5_000:], err=True)
    for needed in ("fresh", "stale revoked", "stale unsupported", "promises held to law 9"):
        if not seen.counts[needed]:
            wrong.append(f"nothing was seen of: {needed}")
    for one in wrong[:20]:
        click.echo(f"WRONG: {one}", err=True)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
