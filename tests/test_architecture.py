"""The shape of the house (ARCHITECTURE.md): imports point one way, and nothing names the machine it was made on."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# --- imports ------------------------------------------------------------------------------------------------

ENGINES = ("ledger.store.memory", "ledger.store.sqlite", "ledger.store.neo4j")
FOUNDATION = ("ledger.errors", "ledger.clock", "ledger.assets")

# A module belongs to the longest name here that it starts with, and imports its own layer and those named. The bare
# names of packages with layers inside, `ledger` and `ledger.store`, stand for their __init__ alone.
LAYERS: dict[str, tuple[str, ...]] = {
    "ledger.errors": (),
    "ledger.clock": ("ledger.errors",),
    "ledger.assets": (),
    "ledger.model": FOUNDATION,
    "ledger.validity": (*FOUNDATION, "ledger.model"),
    "ledger.store.base": (*FOUNDATION, "ledger.model"),
    "ledger.store": (),
    **dict.fromkeys(ENGINES, (*FOUNDATION, "ledger.model", "ledger.store.base")),
    "ledger.store.rehearsal": (*FOUNDATION, "ledger.model", "ledger.store.base"),
    "ledger.store.address": (*FOUNDATION, "ledger.store.base", *ENGINES),
    "ledger.service": (*FOUNDATION, "ledger.model", "ledger.validity", "ledger.store.base"),
    "ledger.guard": (*FOUNDATION, "ledger.model"),
    "ledger.ingest": (*FOUNDATION, "ledger.model"),
    "ledger.app": (
        *FOUNDATION,
        "ledger.model",
        "ledger.service",
        "ledger.store.base",
        "ledger.store.rehearsal",
        "ledger.store.address",
    ),
    "ledger": ("ledger.app", "ledger.errors"),  # what `from ledger import …` gives
    "ledger.testing": (*FOUNDATION, "ledger.model", "ledger.validity", "ledger.store.base", "ledger.service", "ledger.app"),
    "ledger.cli": (
        *FOUNDATION, "ledger", "ledger.model", "ledger.service", "ledger.store.base", "ledger.app", "ledger.ingest", "ledger.guard",
    ),
    "ledger.__main__": ("ledger.cli",),
}  # fmt: skip

PURE = ("ledger.model", "ledger.validity")
IMPURE_MODULES = {"asyncio", "io", "os", "pathlib", "random", "socket", "sqlite3", "subprocess", "threading", "time", "neo4j"}


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
    assert {found.split(".")[0] for found in imports(module)} & IMPURE_MODULES == set()


@pytest.mark.parametrize(("library", "homes"), [("sqlite3", ("ledger.store.sqlite",)), ("neo4j", ("ledger.store.neo4j",))])
def test_a_driver_is_known_to_its_store_alone(library: str, homes: tuple[str, ...]) -> None:
    knowing = {name for name in modules() if library in {found.split(".")[0] for found in imports(name)}}
    assert knowing
    assert {name for name in knowing if not name.startswith(homes)} == set()


# --- files --------------------------------------------------------------------------------------------------


def test_nothing_shadows_graphql_core() -> None:
    assert not [file for file in project_files() if file.name == "graphql.py"]
    assert not (ROOT / "graphql" / "__init__.py").exists()


def test_cypher_and_only_cypher_lives_under_cypher() -> None:
    assert {file.suffix for file in project_files() if file.is_relative_to(ROOT / "cypher")} == {".cypher"}


@cache
def project_files() -> tuple[Path, ...]:
    """What git tracks or would: everything that is not ignored; without git, what is not hidden."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=False
    )
    if listed.returncode == 0:
        return tuple(file for name in listed.stdout.decode().split("\0") if name and (file := ROOT / name).is_file())
    return tuple(file for file in ROOT.rglob("*") if file.is_file() and not any(part[0] == "." for part in file.relative_to(ROOT).parts))


# Written in pieces, so that this file does not name them either.
REGISTRIES = re.compile(
    r"py" r"pi\.org|python" r"hosted\.org|repo1?\.maven\.|maven" r"\.org/maven2|registry\.npm" r"js|npm" r"js\.org"
    r"|proxy\.go" r"lang|crates" r"\.io|(?:extra-)?index" r"-url|trusted" r"-host|<mirr" r"or>"
)  # fmt: skip
MACHINE_PATHS = re.compile(r"(?<![\w.~*/-])/(?:wo" r"rk|ro" r"ot|home|Users)/[\w.-]+")


@pytest.mark.parametrize(("what", "pattern"), [("a package registry", REGISTRIES), ("a path of one machine", MACHINE_PATHS)])
def test_no_file_names(what: str, pattern: re.Pattern[str]) -> None:
    named = []
    for file in project_files():
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        named += [f"{file.relative_to(ROOT)}: {found[0]}" for found in pattern.finditer(text)]
    assert not named, f"{what}: {named}"
