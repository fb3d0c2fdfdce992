"""The image and the compose file, as far as they can be held without an engine: its own commands are run here."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from neo4j_server import free_port

from ledger.service.committer import UNAVAILABLE_AFTER_S
from ledger.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
STARTS_WITHIN_S = 60


def instructions() -> Iterator[tuple[str, str]]:
    """(instruction, its arguments) of the Dockerfile."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text())
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, arguments = line.partition(" ")
            yield name, arguments


def last_stage() -> dict[str, str]:
    """What the image itself says, by instruction; of several the last, as Docker takes it."""
    stage: dict[str, str] = {}
    for name, arguments in instructions():
        stage = {} if name == "FROM" else stage | {name: arguments}
    return stage


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """That of the image, but for where things lie; `ledger` and `python` are those of this checkout."""
    image = dict(part.split("=", 1) for part in shlex.split(last_stage()["ENV"]))
    return {
        **image,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "LEDGER_STORE": f"sqlite:///{tmp_path}/ledger.db",
        "LEDGER_PORT": str(free_port()),
        "LEDGER_HOST": "127.0.0.1",  # nobody else on this machine is to reach it
    }


def start_command() -> list[str]:
    stage = last_stage()
    return [*json.loads(stage["ENTRYPOINT"]), *json.loads(stage["CMD"])]


def test_the_images_command_serves_and_its_health_check_says_so(environment: dict[str, str]) -> None:
    health = json.loads(last_stage()["HEALTHCHECK"].partition("CMD ")[2])
    environment["LEDGER_API_KEY"] = "a-key-of-this-test"
    with subprocess.Popen(
        start_command(), env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as service:
        try:
            until = time.monotonic() + STARTS_WITHIN_S
            while subprocess.run(health, env=environment, capture_output=True, check=False).returncode:
                assert service.poll() is None, service.communicate()[0].decode()
                assert time.monotonic() < until, "it was never healthy"
        finally:
            service.terminate()
            said = service.communicate(timeout=30)[0].decode()
    assert service.returncode in (0, -15), said
    assert subprocess.run(health, env=environment, capture_output=True, check=False).returncode, "healthy when gone"


def test_the_image_does_not_start_without_a_key(environment: dict[str, str]) -> None:
    environment["LEDGER_HOST"] = dict(part.split("=", 1) for part in shlex.split(last_stage()["ENV"]))["LEDGER_HOST"]
    ended = subprocess.run(
        start_command(), env=environment, capture_output=True, text=True, timeout=STARTS_WITHIN_S, check=False
    )
    assert ended.returncode == 2
    assert "LEDGER_API_KEY" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_image_runs_as_nobody_special() -> None:
    assert last_stage()["USER"] == "10001"
    assert any(name == "RUN" and "useradd" in arguments and "10001" in arguments for name, arguments in instructions())


def test_what_the_image_is_built_from_is_there() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for name, arguments in instructions():
        if name == "COPY" and not arguments.startswith("--from"):
            *sources, _ = arguments.split()
            for source in sources:
                assert (ROOT / source).exists(), source
                assert source.rstrip("/").split("/")[0] in kept, f"{source} is ignored by .dockerignore"


def test_the_dockerfile_passes_its_linter() -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    assert hadolint, "hadolint comes with the dev dependencies"
    ended = subprocess.run([hadolint, "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return found


def test_compose_needs_its_secrets_and_says_where_they_come_from(compose: dict[str, Any]) -> None:
    """By the command at its head, which is run here."""
    text = (ROOT / "docker-compose.yml").read_text()
    command = next(line for line in text.splitlines() if "secrets" in line and "print" in line)
    made = subprocess.run(
        ["bash", "-c", command.lstrip("# ").partition(" > ")[0]], capture_output=True, text=True, check=True
    )
    secrets = dict(line.split("=") for line in made.stdout.splitlines())
    assert all(len(secret) >= 32 for secret in secrets.values())
    assert set(re.findall(r"\$\{(\w+):\?", text)) == secrets.keys()


def test_compose_waits_for_health_and_listens_on_this_machine_alone(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert services["ledger"]["depends_on"]["neo4j"]["condition"] == "service_healthy"
    assert "healthcheck" in services["neo4j"]
    for service in services.values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_compose_does_not_kill_before_all_is_answered_and_committed(compose: dict[str, Any]) -> None:
    grace_s = float(compose["services"]["ledger"]["stop_grace_period"].removesuffix("s"))
    assert grace_s > Settings().drain_s + UNAVAILABLE_AFTER_S


def test_compose_sets_only_settings_there_are(compose: dict[str, Any]) -> None:
    known = {f"LEDGER_{name.upper()}" for name in Settings.model_fields}
    known |= {"LEDGER_NEO4J_USER", "LEDGER_NEO4J_PASSWORD"}
    image = {part.split("=", 1)[0] for part in shlex.split(last_stage()["ENV"])}
    assert set(compose["services"]["ledger"]["environment"]) <= known
    assert {name for name in image if name.startswith("LEDGER_")} <= known
