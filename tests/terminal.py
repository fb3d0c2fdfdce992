"""A terminal for tests: the `ledger` command in this process, or as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from ledger.cli.shell import cli

ROOT = Path(__file__).resolve().parents[1]
STARTS_WITHIN_S = 60


class Terminal:
    """Commands on the ledger of one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "ledger.db"
        self.store = f"sqlite:///{self.file}"

    def run(self, *args: str, given: str | bytes | None = None, **settings: str) -> Result:
        """In this process, which is quick."""
        env = {**_without_settings(), "LEDGER_STORE": self.store, **settings}
        return CliRunner(env=env).invoke(cli, args, input=given, catch_exceptions=False)

    def ok(self, *args: str, given: str | bytes | None = None, **settings: str) -> str:
        """What a command that must succeed prints."""
        result = self.run(*args, given=given, **settings)
        assert result.exit_code == 0, (args, result.exit_code, result.output)
        return result.stdout

    def json(self, *args: str, given: str | bytes | None = None) -> Any:
        """What a command answers to programs."""
        return json.loads(self.run(*args, "--json", given=given).stdout)

    def lines(self, *args: str) -> list[str]:
        """What a command prints for people, its last line, which names the revision, aside."""
        *lines, last = self.run(*args).stdout.splitlines()
        assert "main@" in last
        return lines

    @property
    def head(self) -> tuple[int, str]:
        """How far the ledger goes, with the full hash; nothing at all if it is not there."""
        result = self.run("status", "--json")
        if result.exit_code:
            return 0, ""
        status = json.loads(result.stdout)
        return status["head"], status["hash"]

    def start(
        self,
        *args: str,
        before: Callable[[], Any] | None = None,
        settings: Mapping[str, str] | None = None,
        **pipes: Any,
    ) -> subprocess.Popen[bytes]:
        """As a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "ledger", *args],
            cwd=self.folder,
            env={**_without_settings(), "LEDGER_STORE": self.store, "PYTHONPATH": str(ROOT), **(settings or {})},
            # What starts the tests in the background may have told its children to ignore Ctrl-C.
            preexec_fn=lambda: (
                signal.signal(signal.SIGINT, signal.default_int_handler),
                before and before(),
            ),
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **pipes},
        )

    def process(self, *args: str, given: bytes | None = None) -> tuple[int, str, str]:
        """Exit code, output and errors of a process of its own."""
        with self.start(*args, stdin=subprocess.PIPE) as started:
            out, err = started.communicate(given or b"", timeout=STARTS_WITHIN_S)
            return started.returncode, out.decode(), err.decode()


def commands(of: Iterable[dict[str, Any]]) -> str:
    """An interchange file."""
    return "".join(json.dumps(command) + "\n" for command in of)


def documents(count: int, prefix: str = "doc") -> str:
    """An interchange file of so many records."""
    return commands(
        {"op": "record", "kind": "dependency", "key": f"{prefix}/{n}", "content": {"n": n}} for n in range(count)
    )


def _without_settings() -> dict[str, str | None]:
    """The environment without what would steer the command; CliRunner takes None as "not set"."""
    return {name: value for name, value in os.environ.items() if not _is_setting(name)}  # type: ignore[return-value]


def _is_setting(name: str) -> bool:
    return name.startswith("LEDGER_") or name in ("NO_COLOR", "FORCE_COLOR", "TERM")
