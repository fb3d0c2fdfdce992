#!/usr/bin/env python3
"""A real Neo4j Community server without Docker: Maven brings the jars, Java runs them on loopback.

    python scripts/neo4j_server.py fetch                          # only download
    python scripts/neo4j_server.py run --port 7687 --data DIR     # run in the foreground

As a module, for tests and the demo (with `scripts/` on `sys.path`):

    with Neo4jServer() as server:
        driver = AsyncGraphDatabase.driver(server.uri)

Standard library only, because it runs before anything is installed; Linux and macOS. Authentication is off,
which is why the server listens on loopback alone.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import glob
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
START_WAIT_S = 120.0
STOP_GRACE_S = 20.0


class Neo4jServerError(Exception):
    """The server cannot be fetched, started or kept running; the message says why and what helps."""


@dataclass(frozen=True)
class Release:
    """How one Neo4j release is started, as tried with this script. No `java_maximum`: no limit known."""

    main_class: str
    java_minimum: int
    java_maximum: int | None
    settings: tuple[str, ...]

    @property
    def java_range(self) -> str:
        if self.java_maximum is None:
            return f"Java {self.java_minimum} or newer"
        return f"Java {self.java_minimum} to {self.java_maximum}"


# The quiet period alone is what makes a stop take 10 s instead of 0.4 s; its setting was renamed in between.
RELEASES = {
    "5.26.28": Release(
        main_class="org.neo4j.server.CommunityEntryPoint",
        java_minimum=17,
        java_maximum=21,
        settings=("internal.dbms.bolt.netty_server_shutdown_quiet_period=0",),
    ),
    "2026.09.0": Release(
        main_class="org.neo4j.server.Neo4jCommunity",
        java_minimum=21,
        java_maximum=None,
        settings=(
            "internal.dbms.bolt.netty_server_shutdown_quiet_period_duration=0s",
            # On by default, they look for other servers in the local network and offer an outside service.
            "server.fleet_discovery.enabled=false",
            "dbms.fleet_manager.enabled=false",
        ),
    ),
}
DEFAULT_VERSION = "5.26.28"


def release_of(version: str) -> Release:
    """How to run `version`. Raises Neo4jServerError for one never tried."""
    try:
        return RELEASES[version]
    except KeyError:
        raise Neo4jServerError(f"Neo4j {version} is not known here; known: {', '.join(RELEASES)}") from None


def available_versions() -> list[str]:
    """The known Neo4j versions, the default first, that the Javas of this machine can run."""
    return [
        version
        for version, release in RELEASES.items()
        if find_java(release.java_minimum, release.java_maximum) is not None
    ]


# --- Java ---------------------------------------------------------------------------------------------------

JAVA_PLACES = (
    "/usr/lib/jvm/*/bin/java",
    "/opt/*/bin/java",
    "~/.sdkman/candidates/java/*/bin/java",
    "/Library/Java/JavaVirtualMachines/*/Contents/Home/bin/java",
)


def find_java(minimum: int, maximum: int | None) -> Path | None:
    """The first `java` executable of a major version from `minimum` to `maximum`, both included (None: any).

    JAVA_HOME is asked first, then PATH, then the places where package managers put it.
    """
    for java in _java_executables():
        major = _java_major(java)
        if major is not None and major >= minimum and (maximum is None or major <= maximum):
            return java
    return None


def _java_executables() -> Iterator[Path]:
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home, "bin", "java")
    if on_path := shutil.which("java"):
        yield Path(on_path)
    for pattern in JAVA_PLACES:
        yield from map(Path, sorted(glob.glob(os.path.expanduser(pattern))))


def _java_major(java: Path) -> int | None:
    """The major version of a `java`, from its `release` file if it has one; None if it is no Java."""
    try:
        text = (java.resolve().parent.parent / "release").read_text(encoding="utf-8")
        found = re.search(r'^JAVA_VERSION="(\d+)', text, re.MULTILINE)
    except OSError:
        found = re.search(r'version "(\d+)', _java_version_output(java))
    return int(found[1]) if found else None


def _java_version_output(java: Path) -> str:
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stderr


# --- The jars -----------------------------------------------------------------------------------------------

# Pinned: the version that Maven would choose by itself depends on the Maven installed.
COPY_DEPENDENCIES = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
# Maven's own limit for a connection that has gone silent is half an hour.
SILENT_CONNECTION_MS = 60_000
PROGRESS_STEP_MB = 20

POM = """\
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId>
  <artifactId>neo4j-server-jars</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.neo4j</groupId><artifactId>neo4j</artifactId><version>{version}</version></dependency>
    <dependency><groupId>org.neo4j.app</groupId><artifactId>neo4j-server</artifactId><version>{version}</version></dependency>
  </dependencies>
</project>
"""


def fetch(version: str) -> Path:
    """The folder with the jars of `version`, downloaded once per user.

    Raises Neo4jServerError if Maven is missing or fails.
    """
    lib = _cache_folder() / "neo4j" / version / "lib"
    if lib.is_dir():
        return lib
    lib.parent.mkdir(parents=True, exist_ok=True)
    with _only_one(lib.with_name("lock")):
        if not lib.is_dir():  # another process may have brought it while this one waited for the lock
            _download(version, lib)
    return lib


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "agent-state-ledger"


@contextlib.contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    """Holds `lock` against other processes. The system frees it when its holder dies, however it dies."""
    with lock.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _progress("Another process is fetching the same Neo4j; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _download(version: str, lib: Path) -> None:
    """Brings the jars into `lib`, which exists only once it is complete. The caller holds the lock."""
    maven = shutil.which("mvn")
    if maven is None:
        raise Neo4jServerError(
            "Maven is needed to fetch Neo4j, but there is no `mvn` on the PATH. Install it "
            "(Debian, Ubuntu: apt-get install maven; macOS: brew install maven)."
        )
    _progress(f"Fetching Neo4j {version} with Maven: 120 to 160 MB, once")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fetching-", dir=lib.parent) as folder:
        pom, jars = Path(folder, "pom.xml"), Path(folder, "lib")
        pom.write_text(POM.format(version=version), encoding="utf-8")
        _run_maven(maven, pom, jars)
        jars.rename(lib)
    _progress(f"Neo4j {version} is in {lib} after {time.monotonic() - started:.0f} s")


def _run_maven(maven: str, pom: Path, target: Path) -> None:
    command = [
        maven,
        "--batch-mode",
        f"--file={pom}",
        f"-Daether.connector.requestTimeout={SILENT_CONNECTION_MS}",
        "-DincludeScope=runtime",
        f"-DoutputDirectory={target}",
        COPY_DEPENDENCIES,
    ]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            said = _follow_maven(process.stdout or ())
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        # Its first error is the cause; what follows is advice on Maven.
        errors = [line for line in said if "ERROR" in line][:1]
        raise Neo4jServerError("\n  ".join(["Maven could not fetch Neo4j:", *(errors or said[-5:])]))


def _follow_maven(output: Iterable[str]) -> list[str]:
    """Reports progress by what Maven says it has downloaded; returns all its lines."""
    said: list[str] = []
    megabytes = reported = 0.0
    for line in output:
        said.append(line.rstrip())
        if size := re.search(r"Downloaded .*\((\d+(?:\.\d+)?) ([kM])B at ", line):
            megabytes += float(size[1]) / (1000 if size[2] == "k" else 1)
        if megabytes - reported >= PROGRESS_STEP_MB:
            _progress(f"  {megabytes:.0f} MB")
            reported = megabytes
    return said


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# --- The network --------------------------------------------------------------------------------------------

# Bolt's magic number and the protocol versions offered: 5.8 down to 5.0, then 4.4 down to 4.2.
BOLT_HANDSHAKE = bytes.fromhex("6060b017 00080805 00020404 00000000 00000000")


def answers_bolt(port: int) -> bool:
    """Whether a server on this loopback port completes Bolt's handshake."""
    try:
        with socket.create_connection((HOST, port), timeout=2.0) as connection:
            connection.sendall(BOLT_HANDSHAKE)
            return any(connection.recv(4))  # the version chosen; four zeros mean none
    except OSError:
        return False


def free_port() -> int:
    """A free loopback port below the range that systems give to outgoing connections.

    From that range, a client that retries against a stopped server can end up connected to itself, and then
    holds the port that the restarted server needs.
    """
    candidates = random.SystemRandom().sample(range(20_000, 30_000), 1_000)
    return next(port for port in candidates if _is_free(port))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As Java binds: a listener is in the way, what remains of closed connections is not.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


# --- The server ---------------------------------------------------------------------------------------------

# A setting that a release does not know stops its server.
COMMON_SETTINGS = (
    f"server.default_listen_address={HOST}",
    "server.http.enabled=false",
    "server.https.enabled=false",
    "dbms.security.auth_enabled=false",
    "dbms.usage_report.enabled=false",
    "server.memory.pagecache.size=256m",
    "db.transaction.timeout=60s",
    "db.lock.acquisition.timeout=10s",
)

JVM_OPTIONS = (
    "-Xms512m",
    "-Xmx1g",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED",
    "--enable-native-access=ALL-UNNAMED",
)


class Neo4jServer:
    """One Neo4j server process of our own; the only process that this ever ends.

    `port` 0 takes a free one. Without `data` everything lives in a temporary folder, which stop, kill and
    restart keep and `close` removes.
    """

    def __init__(self, version: str = DEFAULT_VERSION, *, port: int = 0, data: Path | None = None) -> None:
        self.version = version
        self.port = port or free_port()
        self._release = release_of(version)
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        if data is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="neo4j-")
            data = Path(self._temporary.name)
        self.home = data.resolve()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"bolt://{HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        """The process id, None while it is stopped."""
        return self._process.pid if self._process else None

    @property
    def log(self) -> Path:
        """What the server printed, over all its starts."""
        return self.home / "logs" / "console.log"

    def start(self) -> None:
        """Fetches Neo4j if needed, starts it and waits until Bolt answers.

        Raises Neo4jServerError if there is no fitting Java, no Maven, the port is taken, or the server does
        not come up; then no process is left behind.
        """
        if self._process is not None:
            raise Neo4jServerError(f"Neo4j is already started at {self.uri}")
        if not _is_free(self.port):
            raise Neo4jServerError(f"Port {self.port} is taken; choose another one")
        java, lib = self._java(), fetch(self.version)
        self._write_conf()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(java, lib), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            self._await_bolt(self._process)
        except BaseException:
            self.kill()
            raise

    def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        """Ends the server in good order, by force after `grace_s` seconds. Does nothing if it is stopped."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(grace_s)
        finally:
            self.kill()

    def kill(self) -> None:
        """Ends the server at once, as a crash would (SIGKILL). Does nothing if it is stopped."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Stops the server if it runs, and starts it on the same port with the same data."""
        self.stop()
        self.start()

    def wait(self) -> None:
        """Blocks while the server runs. Raises Neo4jServerError, since nobody asked it to end."""
        if self._process is not None:
            raise self._ended(self._process.wait())

    def close(self) -> None:
        """Stops the server and removes its temporary folder, if it has one."""
        self.stop()
        if self._temporary is not None:
            self._temporary.cleanup()

    def __enter__(self) -> Neo4jServer:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _java(self) -> Path:
        java = find_java(self._release.java_minimum, self._release.java_maximum)
        if java is None:
            raise Neo4jServerError(
                f"Neo4j {self.version} needs {self._release.java_range}, and none was found. "
                "Install one, or set JAVA_HOME."
            )
        return java

    def _write_conf(self) -> None:
        for folder in ("conf", "logs"):
            (self.home / folder).mkdir(parents=True, exist_ok=True)
        listen = f"server.bolt.listen_address={HOST}:{self.port}"
        conf = "\n".join([listen, *COMMON_SETTINGS, *self._release.settings, ""])
        (self.home / "conf" / "neo4j.conf").write_text(conf, encoding="utf-8")

    def _command(self, java: Path, lib: Path) -> list[str]:
        folders = (f"--home-dir={self.home}", f"--config-dir={self.home / 'conf'}")
        classpath = ("-cp", f"{lib}/*")
        return [str(java), *JVM_OPTIONS, *classpath, self._release.main_class, *folders, "--console-mode"]

    def _await_bolt(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_WAIT_S
        while not answers_bolt(self.port):
            if process.poll() is not None:
                raise self._ended(process.returncode)
            if time.monotonic() > deadline:
                raise self._failure(f"does not answer after {START_WAIT_S:.0f} s")
            time.sleep(0.1)

    def _ended(self, code: int) -> Neo4jServerError:
        return self._failure(f"ended by itself (code {code})")

    def _failure(self, what: str) -> Neo4jServerError:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        tail = [line for line in lines if not line.startswith("\tat ")][-20:]  # without the stack frames
        return Neo4jServerError("\n  ".join([f"Neo4j {self.version} {what}. The end of {self.log}:", *tail]))


# --- The command line ---------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns its exit code: 2 on an error, which is told on standard error."""
    options = _parser().parse_args(arguments)
    # A SIGTERM unwinds as Ctrl-C does, so that no child process outlives this one.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        options.command(options)
    except KeyboardInterrupt:
        return 130
    except (Neo4jServerError, OSError) as error:
        print(f"neo4j_server: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="A real Neo4j Community server, brought by Maven.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="run a server in the foreground until Ctrl-C")
    run.add_argument("--version", choices=RELEASES, default=DEFAULT_VERSION, help="default: %(default)s")
    run.add_argument("--port", type=port_number, default=7687, help="0: a free one; default: %(default)s")
    run.add_argument("--data", type=Path, metavar="DIR", help="keep the data there; default: a temporary folder")
    run.set_defaults(command=_run)

    fetch_only = commands.add_parser("fetch", help="only download")
    fetch_only.add_argument("--version", choices=RELEASES, help="default: all that the Javas here can run")
    fetch_only.set_defaults(command=_fetch)
    return parser


def port_number(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65_535:
        raise argparse.ArgumentTypeError(f"{port} is not between 0 and 65535")
    return port


def _run(options: argparse.Namespace) -> None:
    _progress(f"Starting Neo4j {options.version}")
    with Neo4jServer(options.version, port=options.port, data=options.data) as server:
        kept = "kept" if options.data else "removed at the end; keep it with --data DIR"
        print(
            f"Neo4j {server.version} answers at {server.uri} (no password)",
            f"Data: {server.home} ({kept})",
            "Use it from another terminal, and stop it here with Ctrl-C:",
            f"    ledger status --store {server.uri}",
            sep="\n",
            flush=True,
        )
        with contextlib.suppress(KeyboardInterrupt):
            server.wait()


def _fetch(options: argparse.Namespace) -> None:
    versions = [options.version] if options.version else available_versions()
    if not versions:
        needs = ", ".join(f"{version} needs {release.java_range}" for version, release in RELEASES.items())
        raise Neo4jServerError(f"No Java here can run Neo4j: {needs}")
    for version in versions:
        print(fetch(version))


if __name__ == "__main__":
    sys.exit(main())
