"""The documentation is run: what README and docs show is what happens, and what the code can say stands in them.

    ```python    a document's blocks run in order, in one namespace, beside a service with nothing in it if they name
                 its address; `print(…)  # this` says what is printed, and so do comment lines after it
    ```console   `$ command` and what it prints; a document's blocks are one session of bash in an empty folder
    ```ledger    a ledger page (ledger/testing/page.py), each on a ledger of its own
    ```graphql   a document's blocks are asked in order by a public client, of a service with one empty ledger; the
                 ```json block after one is what comes back, or, after that, what a subscription was told; a revision
                 that ends in `…` is the one that came before
    ```cypher    run on a Neo4j that holds what the document's pages recorded; the table after it is what comes back

`…` stands for any text. What names a Neo4j address is run where there is one, on the server of the tests. Commands that
start with `make` or `docker` are not run here: `make` because CI runs those itself, `docker` for want of one.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import gql
import neo4j
import pytest
from gql.transport.exceptions import TransportQueryError
from gql.transport.httpx import HTTPXAsyncTransport
from gql.transport.websockets import WebsocketsTransport

from ledger import AsyncLedger
from ledger.api.logs import Log
from ledger.api.metrics import Metrics
from ledger.api.problems import problem
from ledger.api.schema import Limits
from ledger.app import open_ledgers
from ledger.errors import LedgerError
from ledger.model.edges import EDGE_TYPES
from ledger.model.entry import KINDS
from ledger.model.verdict import AMENDED, STALE_REASONS, UNKNOWN_REASONS
from ledger.service.ledgers import Ledgers
from ledger.settings import PREFIX, Settings
from ledger.store.memory import MemoryStore
from ledger.testing import ManualClock, Page
from ledger.testing.contract import LedgerContract
from tests.graphql_client import served
from tests.serving import hosted

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / f"{name}.md" for name in ("README", "ARCHITECTURE", "CONTRIBUTING", "CHANGELOG")]
DOCUMENTS += sorted((ROOT / "docs").glob("*.md"))

NOT_RUN = ("make", "STORE=neo4j make", "docker", "NEO4J_PASSWORD=… docker")
NEO4J_ADDRESS = "bolt://127.0.0.1:7687"
"""As documents write it; in its place the tests put the address of their own server."""

SERVICE_ADDRESS = "127.0.0.1:8321"
"""Where documents run `ledger serve`; in its place the tests put the port it was given."""

SHOWN_WITHIN_S = 20.0


@dataclass(frozen=True)
class Block:
    """Fenced text of a document, from `line` on; `after` is what follows it up to the next block."""

    document: Path
    language: str
    text: str
    line: int
    after: str

    @property
    def needs_neo4j(self) -> bool:
        return NEO4J_ADDRESS in self.text

    def __str__(self) -> str:
        return f"{self.document.relative_to(ROOT)}:{self.line}"


_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$\n?", re.MULTILINE | re.DOTALL)


@cache
def blocks_of(document: Path) -> list[Block]:
    text = document.read_text(encoding="utf-8")
    found = list(_FENCE.finditer(text))
    return [
        Block(
            document,
            language=match[1],
            text=match[2],
            line=text.count("\n", 0, match.start()) + 2,
            after=text[match.end() : following.start() if following else len(text)],
        )
        for match, following in itertools.zip_longest(found, found[1:])
    ]


def blocks(*languages: str, document: Path | None = None) -> list[Block]:
    wanted = DOCUMENTS if document is None else [document]
    return [block for one in wanted for block in blocks_of(one) if block.language in languages]


def documents_with(*languages: str) -> list[Any]:
    return [pytest.param(one, id=str(one.relative_to(ROOT))) for one in DOCUMENTS if blocks(*languages, document=one)]


def matches(expected: str, came: str) -> bool:
    """Line by line, spaces at the ends of lines aside."""
    pattern = "\n".join(".*".join(map(re.escape, line.split("…"))) for line in _lines(expected))
    return re.fullmatch(pattern, "\n".join(_lines(came))) is not None


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip("\n").split("\n")]


# --- python ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", documents_with("python"))
def test_python(document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    shown = blocks("python", document=document)
    asked = any(SERVICE_ADDRESS in block.text for block in shown)
    with hosted() if asked else contextlib.nullcontext() as service:
        for block in shown:
            text = block.text if service is None else block.text.replace(SERVICE_ADDRESS, f"127.0.0.1:{service.port}")
            _play_python(block, text, namespace)


def _play_python(block: Block, text: str, namespace: dict[str, Any]) -> None:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(
            compile("\n" * (block.line - 1) + text, str(block.document), "exec", dont_inherit=True),
            namespace,
        )
    expected = "\n".join(_told_by_comments(block.text))
    assert matches(expected, printed.getvalue()), f"{block} prints\n{printed.getvalue()}\nand not\n{expected}"


def _told_by_comments(text: str) -> Iterator[str]:
    """What a block says that it prints: comments behind a print, and alone on the lines after it."""
    printing = False
    for line in text.splitlines():
        code, mark, comment = line.partition("# ")
        printing = "print(" in code or (printing and bool(mark) and not code.strip())
        if printing and mark:
            yield comment


# --- console --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", documents_with("console", "sh"))
def test_console(document: Path, tmp_path: Path) -> None:
    with Shell(tmp_path) as shell:
        for block in blocks("console", "sh", document=document):
            if not block.needs_neo4j:
                shell.play(block)


def exchanges(block: Block) -> Iterator[tuple[str, str]]:
    """(command, what it prints); lines that start with `> ` go on with a command."""
    if block.language == "sh":
        for line in block.text.splitlines():
            if command := re.sub(r"(^|\s+)# .*$", "", line).strip():
                yield command, ""
        return
    for chunk in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        first, *lines = chunk.splitlines()
        more = list(itertools.takewhile(lambda line: line.startswith("> "), lines))
        yield "\n".join([first, *(line[2:] for line in more)]), "\n".join(lines[len(more) :])


class Shell:
    """One bash in an empty folder, with the `ledger` of this environment and none of the caller's settings."""

    MARK = "-- end of what a command prints --"

    def __init__(self, folder: Path) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LEDGER_")}
        path = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", "")])
        self._bash = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=folder,
            env={**kept, "PATH": path, "TERM": "dumb", "COLUMNS": "120", "LC_ALL": "C.UTF-8"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        self._service = SERVICE_ADDRESS
        self.run(f'curl() {{ {sys.executable} {ROOT / "tests" / "curl.py"} "$@"; }}')

    def play(self, block: Block, neo4j_uri: str = NEO4J_ADDRESS) -> None:
        for command, expected in exchanges(block):
            if command.startswith(NOT_RUN):
                continue
            code, came = self._serve() if command == "ledger serve" else self.run(self._here(command, neo4j_uri))
            came = came.replace(neo4j_uri, NEO4J_ADDRESS).replace(self._service, SERVICE_ADDRESS)
            if block.language == "sh":
                assert code == 0, f"{block}: {command} ends with {code}\n{came}"
            else:
                assert matches(expected, came), f"{block}\n$ {command}\n{came}\nand not\n{expected}"

    def _here(self, command: str, neo4j_uri: str) -> str:
        return command.replace(NEO4J_ADDRESS, neo4j_uri).replace(SERVICE_ADDRESS, self._service)

    def _serve(self) -> tuple[int, str]:
        """`ledger serve`, beside everything that follows, on a free port."""
        self.run("ledger serve --port 0 > .serving 2> .log &")
        code, came = self.run(
            "until [ -s .serving ] || ! kill -0 $!; do sleep 0.05; done; cat .serving; [ -s .serving ]"
        )
        self._service = came.rpartition("http://")[2].strip()
        return code, came

    def run(self, command: str) -> tuple[int, str]:
        """The exit code of a command, and what it printed on both outputs."""
        assert self._bash.stdin
        assert self._bash.stdout
        self._bash.stdin.write(f'{command}\n__code=$?; printf "\\n%s %s\\n" "{self.MARK}" $__code; (exit $__code)\n')
        self._bash.stdin.flush()
        came: list[str] = []
        for line in self._bash.stdout:
            if line.startswith(self.MARK):
                return int(line.rsplit(maxsplit=1)[-1]), "".join(came)
            came.append(line)
        raise AssertionError(f"bash ended at: {command}\n{''.join(came)}")

    def __enter__(self) -> Shell:
        return self

    def __exit__(self, *_: object) -> None:
        with self._bash:
            if self._bash.poll() is None:
                self.run("kill $(jobs -p) 2> /dev/null; wait")
            self._bash.kill()


# --- graphql --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", documents_with("graphql"))
async def test_graphql(document: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        ledgers = await stack.enter_async_context(open_ledgers("memory:"))
        client = Tour(await stack.enter_async_context(served(ledgers)), ledgers)
        stack.push_async_callback(client.close)
        answer: Any = None
        for block in blocks("graphql", "json", document=document):
            if block.language == "graphql":
                assert answer is None, f"{block}: what came before is not shown"
                answer = await client.ask(block.text)
            else:
                came = answer or await client.told()
                assert alike(json.loads(block.text), came), f"{block}\n{json.dumps(came, indent=1)}"
                answer = None


class Tour:
    """A public client: operations over HTTP, a subscription over a WebSocket."""

    def __init__(self, place: str, ledgers: Ledgers) -> None:
        self._ledgers = ledgers
        self._http = gql.Client(transport=HTTPXAsyncTransport(url=f"http://{place}/graphql"))
        socket = WebsocketsTransport(url=f"ws://{place}/graphql", subprotocols=["graphql-transport-ws"])
        self._socket = gql.Client(transport=socket)
        self._revisions: dict[str, str] = {}
        self._changes: Any = None
        self._telling: asyncio.Task[Any] | None = None

    async def ask(self, text: str) -> Any:
        if text.startswith("subscription"):
            return await self._subscribe(text)
        text = re.sub(r"(main@\d+)\.…", lambda begun: self._revisions[begun[1]], text)
        try:
            came = {"data": await self._http.execute_async(gql.gql(text))}
        except TransportQueryError as error:
            came = {"data": error.data, "errors": error.errors}
        told = re.findall(r"main@\d+\.[0-9a-f]{8}", json.dumps(came))
        self._revisions |= {revision.partition(".")[0]: revision for revision in told}
        return came

    async def _subscribe(self, text: str) -> None:
        """From now on; what it is told is shown later."""
        session = await self._socket.connect_async()
        self._changes = session.subscribe(gql.gql(text))
        self._telling = asyncio.create_task(anext(self._changes))
        service = await self._ledgers.get("main")
        async with asyncio.timeout(10):
            while not service.feed._watchers:
                await asyncio.sleep(0.01)

    async def told(self) -> Any:
        assert self._telling is not None
        return {"data": await asyncio.wait_for(self._telling, 10)}

    async def close(self) -> None:
        if self._telling is not None:
            await self._changes.aclose()
            await self._socket.close_async()


def alike(expected: Any, came: Any) -> bool:
    """The same JSON; `…` in a text stands for any text."""
    if isinstance(expected, dict):
        return (
            isinstance(came, dict)
            and expected.keys() == came.keys()
            and all(alike(v, came[k]) for k, v in expected.items())
        )
    if isinstance(expected, list):
        return isinstance(came, list) and len(expected) == len(came) and all(map(alike, expected, came))
    if isinstance(expected, str) and isinstance(came, str):
        return matches(expected, came)
    return type(expected) is type(came) and expected == came


def test_the_limits_of_graphql_are_documented() -> None:
    table = text_of("docs/graphql.md").partition("| limit | is | of |")[2].partition("\n\n")[0]
    told = {
        f"{name}_max": int(number.replace(",", "")) for name, number in re.findall(r"\| `(\w+)` \| ([\d,]+) \|", table)
    }
    elsewhere = {"page_default", "documents_cached", "send_s_max", "streams_max"}
    assert told == {name: number for name, number in asdict(Limits()).items() if name not in elsewhere}


# --- ledger pages and cypher ------------------------------------------------------------------------------------


def pages_by_themselves() -> list[Block]:
    """Those of a document with queries are played with it."""
    return [block for block in blocks("ledger") if not blocks("cypher", document=block.document)]


@pytest.mark.parametrize("block", pages_by_themselves(), ids=str)
async def test_page(block: Block) -> None:
    clock = ManualClock()
    async with AsyncLedger.open("memory:", clock=clock) as ledger:
        await Page(ledger, clock)(block.text)


def documents_with_neo4j() -> list[Any]:
    named = {block.document for block in blocks("console", "sh") if block.needs_neo4j}
    named |= {block.document for block in blocks("cypher")}
    return [pytest.param(one, id=str(one.relative_to(ROOT))) for one in sorted(named)]


@pytest.mark.neo4j
@pytest.mark.parametrize("document", documents_with_neo4j())
async def test_with_neo4j(document: Path, tmp_path: Path, neo4j_uri: str) -> None:
    """The whole document, in order: a query sees what was recorded before it, states on the nodes included."""
    shown = blocks("console", "sh", "ledger", "cypher", document=document)
    text = "\n".join(block.text for block in shown)
    queried = re.findall(r"\{(?:ledger|name): '([\w-]+)'", text)
    clock = ManualClock()
    async with neo4j.AsyncGraphDatabase.driver(neo4j_uri) as driver:
        for name in {*queried, *re.findall(r"--ledger (\S+)", text)}:
            await _forget(driver, name)
        with Shell(tmp_path) as shell:
            for block in shown:
                if block.language == "cypher":
                    await _until_shown(driver, neo4j_uri, queried[0])
                    await _answers(driver, block)
                elif block.language == "ledger":
                    async with AsyncLedger.open(neo4j_uri, queried[0], clock=clock) as ledger:
                        await Page(ledger, clock)(block.text)
                else:
                    await asyncio.to_thread(shell.play, block, neo4j_uri)


async def _forget(driver: neo4j.AsyncDriver, name: str) -> None:
    await driver.execute_query("MATCH (n:Entry {ledger: $name}) DETACH DELETE n", name=name)
    await driver.execute_query("MATCH (l:Ledger {name: $name}) DELETE l", name=name)


async def _until_shown(driver: neo4j.AsyncDriver, neo4j_uri: str, name: str) -> None:
    """Until states are written up to the head: whoever holds the right to write them keeps it for 5 s."""
    async with asyncio.timeout(SHOWN_WITHIN_S):
        while True:
            query = "MATCH (l:Ledger {name: $name}) RETURN l.head = l.state_seq AS shown"
            if (await driver.execute_query(query, name=name)).records[0]["shown"]:
                return
            await asyncio.sleep(0.2)
            async with AsyncLedger.open(neo4j_uri, name, create=False):  # as `ledger status` does
                pass  # closing writes what is due


async def _answers(driver: neo4j.AsyncDriver, block: Block) -> None:
    records, _, names = await driver.execute_query(block.text)
    rows = [list(map(_cell, record.values())) for record in records]
    assert _table_after(block) == [names, *rows], f"{block} gives {names}\n" + "\n".join(map(str, rows))


def _cell(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)


def _table_after(block: Block) -> list[list[str]]:
    """The Markdown table after a block, its heading first."""
    lines = itertools.takewhile(lambda line: line.startswith("|"), block.after.strip().splitlines())
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert len(rows) >= 2, f"{block}: what comes back is not shown"
    return [rows[0], *rows[2:]]


# --- completeness ---------------------------------------------------------------------------------------------


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def errors(kind: type[LedgerError] = LedgerError) -> Iterator[type[LedgerError]]:
    yield kind
    for inner in kind.__subclasses__():
        yield from errors(inner)


def test_every_error_code_is_documented() -> None:
    told = re.findall(r"^\| `(\w+)` \|", text_of("docs/errors.md"), re.MULTILINE)
    assert sorted(told) == sorted({error.code for error in errors()})  # each once


def test_whether_a_retry_helps_is_documented() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| (yes|no) \|", text_of("docs/errors.md"), re.MULTILINE))
    assert rows == {error.code: "yes" if error.retry else "no" for error in errors()}


def test_every_verdict_reason_is_documented() -> None:
    table = text_of("docs/contract.md").partition("\n## Verdicts\n")[2].partition("\n## ")[0]
    told = re.findall(r"^\|[^|]*\| `(\w+)` \|", table, re.MULTILINE)
    assert told == [*STALE_REASONS, AMENDED, *UNKNOWN_REASONS]


def test_every_kind_of_entry_is_documented() -> None:
    told = re.findall(r"^\| `(\w+)` \|.*\| (?:record|event)", text_of("docs/contract.md"), re.MULTILINE)
    assert told == list(KINDS)


def test_every_setting_is_documented() -> None:
    sources = [*(ROOT / "ledger").rglob("*.py"), *(ROOT / "scripts").rglob("*.py"), *(ROOT / "examples").rglob("*.py")]
    used = {name for file in sources for name in re.findall(r"\bLEDGER_[A-Z0-9_]+\b", file.read_text(encoding="utf-8"))}
    assert used <= settings_told("docs/contract.md").keys() | settings_told("docs/operations.md").keys()


def settings_told(document: str) -> dict[str, str]:
    """The rest of the row of each setting in a document's table."""
    table = text_of(document).partition("\n## Settings\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `(LEDGER_\w+)` \| (.*) \|$", table, re.MULTILINE))


def test_every_setting_of_the_service_is_documented_with_its_default() -> None:
    def shown(default: Any) -> str:
        text = ", ".join(default) if isinstance(default, tuple) else default
        if text in ("", None):
            return "none"
        return f"{text:g}" if isinstance(text, float) else str(text)

    told = {name: row.partition(" |")[0].strip("`") for name, row in settings_told("docs/operations.md").items()}
    assert told == {PREFIX + name.upper(): shown(field.default) for name, field in Settings.model_fields.items()}


def test_every_metric_is_documented_with_its_labels() -> None:
    table = text_of("docs/operations.md").partition("\n## Metrics\n")[2].partition("\n## ")[0]
    told = {
        name: set(re.findall(r"`(\w+)`", labels))
        for name, labels in re.findall(r"^\| `(ledger_\w+)` \| (.*?) \|", table, re.MULTILINE)
    }
    metrics = Metrics(Ledgers(MemoryStore()), Settings(), Log(Settings()))
    assert told == {
        metric.name + "_total" * (metric.type == "counter"): set(metric._labelnames) for metric in metrics.collect()
    }


def test_every_status_is_documented() -> None:
    table = text_of("docs/contract.md").partition("| status | codes |")[2].partition("\n\n")[0]
    told = {
        code: int(status)
        for status, codes in re.findall(r"^\| (\d+) \| (.*) \|$", table, re.MULTILINE)
        for code in re.findall(r"`(\w+)`", codes)
    }
    elsewhere = {"usage", "file_trouble", "interrupted", "stale_context", "bad_setting", "cannot_listen"}
    over_http = [error for error in errors() if "code" in vars(error) and error.code not in elsewhere]
    assert told == {error.code: problem(error("…"), "id").status for error in over_http}


def test_every_relationship_is_documented() -> None:
    told = re.findall(r"^\| `([A-Z]+)` \|", text_of("docs/neo4j.md"), re.MULTILINE)
    assert sorted(told) == sorted(EDGE_TYPES)


def test_every_command_is_documented() -> None:
    from ledger.cli.shell import cli

    table = text_of("docs/contract.md").partition("\n## Command line\n")[2].partition("\nStore addresses:")[0]
    rows = re.findall(r"^\| (.*?) \| (.*) \|$", table.replace("\\|", "/"), re.MULTILINE)
    told = {name: row for first, row in rows for name in re.findall(r"`([a-z]+)", first)}
    assert sorted(told) == sorted(cli.commands)
    common = {
        "--store",
        "--api-key-file",
        "--ledger",
        "--json",
        "--actor",
        "--occurred-at",
        "--idempotency-key",
        "--content",
    }
    for name, command in cli.commands.items():
        spelt = {text for param in command.params for text in (*param.opts, *param.secondary_opts)}
        options = {text for text in spelt if text.startswith("--")} - common
        assert options <= set(re.findall(r"--[\w-]+", told[name])), name


def test_every_law_names_the_tests_that_hold_it() -> None:
    laws = [one for one in LedgerContract.__bases__ if ".laws." in one.__module__]
    links = re.findall(r"\[((?:`\w+`(?:, )?)+)\]\(\.\./ledger/testing/laws/(\w+)\.py\)", text_of("docs/laws.md"))
    told = {name: file for names, file in links for name in re.findall(r"\w+", names)}
    assert told == {law.__name__: law.__module__.rpartition(".")[2] for law in laws}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda one: str(one.relative_to(ROOT)))
def test_links_resolve(document: Path) -> None:
    prose = _FENCE.sub("", document.read_text(encoding="utf-8"))
    broken = [link for link in re.findall(r"\]\(([^)\s]+)\)", prose) if not _resolves(document, link)]
    assert not broken


def _resolves(document: Path, link: str) -> bool:
    if re.match(r"https?:", link):
        return True
    path, _, anchor = link.partition("#")
    target = (document.parent / path).resolve() if path else document
    return target.exists() and (not anchor or anchor in _anchors(target))


def _anchors(document: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", _FENCE.sub("", document.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
