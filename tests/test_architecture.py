"""The shape of the house (ARCHITECTURE.md): imports point one way, and nothing names the machine it was made on."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# --- imports ------------------------------------------------------------------------------------------------

ENGINES = ("ledger.store.memory", "ledger.store.sqlite", "ledger.store.neo4j")
FOUNDATION = ("ledger.addresses", "ledger.errors", "ledger.clock", "ledger.assets")
NOUNS = (*FOUNDATION, "ledger.model")
PORT = (*NOUNS, "ledger.store.base")
SERVICE = (*PORT, "ledger.validity", "ledger.service")

# A module belongs to the longest name here that it starts with, and imports its own layer and those named. The bare
# names of packages with layers inside, `ledger` and `ledger.store`, stand for their __init__ alone.
LAYERS: dict[str, tuple[str, ...]] = {
    "ledger.addresses": (),
    "ledger.errors": (),
    "ledger.clock": ("ledger.errors",),
    "ledger.assets": (),
    "ledger.model": FOUNDATION,
    "ledger.validity": NOUNS,
    "ledger.store": (),
    "ledger.store.base": NOUNS,
    **dict.fromkeys(ENGINES, PORT),
    "ledger.store.rehearsal": PORT,
    "ledger.store.address": (*PORT, *ENGINES),
    "ledger.service": (*PORT, "ledger.validity"),
    "ledger.guard": NOUNS,
    "ledger.ingest": NOUNS,
    "ledger.app": (*SERVICE, "ledger.store.rehearsal", "ledger.store.address"),
    "ledger.client": NOUNS,
    "ledger": ("ledger.app", "ledger.client", "ledger.errors", "ledger.model"),  # what `from ledger import …` gives
    "ledger.settings": SERVICE,
    "ledger.api": (*SERVICE, "ledger.api.schema", "ledger.settings"),
    "ledger.testing": (*SERVICE, "ledger.app"),
    "ledger.api.schema": SERVICE,
    "ledger.cli": (
        *SERVICE,
        "ledger.app",
        "ledger",
        "ledger.ingest",
        "ledger.guard",
        "ledger.settings",
        "ledger.api",
        "ledger.client",
    ),
    "ledger.__main__": ("ledger.cli",),
}

PURE = ("ledger.model", "ledger.validity")
IMPURE = {"asyncio", "io", "neo4j", "os", "pathlib", "random", "socket", "sqlite3", "subprocess", "threading", "time"}
DRIVERS = {"sqlite3": "ledger.store.sqlite", "neo4j": "ledger.store.neo4j", "httpx": "ledger.client"}


@cache
def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    found = {}
    for file in sorted((ROOT / "ledger").rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imports(name: str) -> Iterator[str]:
    """What a module imports, wherever in it the import stands; of ours, the module and not the name in it."""
    for node in ast.walk(ast.parse(modules()[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name}: imports are absolute"
            base = node.module or ""
            for alias in node.names:
                yield inner if (inner := f"{base}.{alias.name}") in modules() else base


def ours(name: str) -> set[str]:
    return {found for found in imports(name) if found.split(".")[0] == "ledger"} - {name}


def layer_of(module: str) -> str:
    fitting = [layer for layer in LAYERS if module == layer or _within(module, layer)]
    assert fitting, f"{module} has no place in LAYERS: give it one, and draw it in ARCHITECTURE.md"
    return max(fitting, key=len)


def _within(module: str, layer: str) -> bool:
    """An engine may be spread over several files: neo4j.py, neo4j_nodes.py."""
    if layer in ("ledger", "ledger.store"):
        return False
    return module.startswith((layer + ".", layer + "_") if layer in ENGINES else layer + ".")


@pytest.mark.parametrize("module", modules())
def test_imports_point_one_way(module: str) -> None:
    layer = layer_of(module)
    allowed = {layer, *LAYERS[layer]}
    assert {found for found in ours(module) if layer_of(found) not in allowed} == set()


def test_no_module_imports_itself_through_others() -> None:
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path[path.index(module) :], module))
        if module not in done:
            for found in ours(module):
                visit(found, (*path, module))
            done.add(module)

    for module in modules():
        visit(module, ())


@pytest.mark.parametrize("module", [name for name in modules() if name.startswith(PURE)])
def test_model_and_validity_do_no_io(module: str) -> None:
    assert {found.split(".")[0] for found in imports(module)} & IMPURE == set()


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_driver_is_known_to_its_store_alone(driver: str) -> None:
    knowing = {name for name in modules() if driver in {found.split(".")[0] for found in imports(name)}}
    assert knowing
    assert {name for name in knowing if not name.startswith(DRIVERS[driver])} == set()


@pytest.mark.parametrize("module", modules())
def test_what_is_imported_is_declared(module: str) -> None:
    """Of a package that only comes along with another, the next version may not."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]["test"] if module.startswith("ledger.testing") else []
    declared = {re.split(r"[^\w.-]", text)[0] for text in (*project["dependencies"], *extras)}
    found = {name.split(".")[0] for name in imports(module)} - {"ledger"} - sys.stdlib_module_names
    packages = packages_distributions()
    assert {name for name in found if not declared & set(packages[name])} == set()


# --- files --------------------------------------------------------------------------------------------------


def test_nothing_shadows_graphql_core() -> None:
    assert not [file for file in project_files() if file.name == "graphql.py"]
    assert not (ROOT / "graphql" / "__init__.py").exists()


def test_cypher_and_only_cypher_lives_under_cypher() -> None:
    assert {file.suffix for file in project_files() if file.is_relative_to(ROOT / "cypher")} == {".cypher"}


@cache
def project_files() -> tuple[Path, ...]:
    """What git tracks or would: everything that is not ignored; without git, what is not hidden."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        found = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        found = [file for file in ROOT.rglob("*") if not any(part[0] == "." for part in file.relative_to(ROOT).parts)]
    return tuple(file for file in found if file.is_file())


# Written in pieces, so that this file does not name them either.
REGISTRIES = re.compile(
    r"py" r"pi\.org|python" r"hosted\.org|repo1?\.maven\.|maven" r"\.org/maven2|registry\.npm" r"js|npm" r"js\.org"
    r"|proxy\.go" r"lang|crates" r"\.io|(?:extra-)?index" r"-url|trusted" r"-host|<mirr" r"or>"
)  # fmt: skip
MACHINE_PATHS = re.compile(r"(?<![\w.~*/-])/(?:wo" r"rk|ro" r"ot|home|Users)/[\w.-]+")


@pytest.mark.parametrize("pattern", [REGISTRIES, MACHINE_PATHS], ids=["a package registry", "a path of one machine"])
def test_no_file_names(pattern: re.Pattern[str]) -> None:
    texts = {file.relative_to(ROOT): file.read_text(encoding="utf-8", errors="replace") for file in project_files()}
    named = [f"{file}: {found[0]}" for file, text in texts.items() for found in pattern.finditer(text)]
    assert not named
