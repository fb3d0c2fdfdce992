"""A folder of documents, read and cut into what is recorded. Reads files, knows no ledger."""

from __future__ import annotations

import fnmatch
import os
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ledger.errors import FileTrouble, Malformed
from ledger.ingest.plan import Chunk, Document
from ledger.ingest.sections import Section, sections_of
from ledger.model.canonical import digest_of

INCLUDE = ("*.rst", "*.md", "*.txt")

Attributes = Mapping[str, Any] | Callable[[str, str], Mapping[str, Any]]
"""What holds for all of a document: the same for all of them, or a function of relative path and text."""


def read_folder(folder: Path, prefix: str, include: Sequence[str], attributes: Attributes | None) -> list[Document]:
    """Every file whose name matches, in the order of their paths; names that start with a dot are left out, and what
    is in folders that are linked to.

    Raises NotADirectoryError; FileTrouble for a folder or a file that cannot be read, for what is not read looks as if
    it were gone; Malformed for a file that is not UTF-8, or two whose names are one in NFC.
    """
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder}: no such folder")
    documents: dict[str, Document] = {}
    for file in sorted(_files(folder, include), key=lambda file: file.relative_to(folder).parts):
        document = _document(file, file.relative_to(folder).as_posix(), prefix, attributes)
        if document.key in documents:
            raise Malformed(
                f"{file}: two files have the name {document.key!r} once it is in normal form NFC",
                path=str(file),
            )
        documents[document.key] = document
    return list(documents.values())


def _files(folder: Path, include: Sequence[str]) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder, onerror=_fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and any(fnmatch.fnmatchcase(name, pattern) for pattern in include):
                yield Path(parent, name)


def _fail(error: OSError) -> NoReturn:
    raise FileTrouble(f"cannot read {error.filename}: {error.strerror}", path=str(error.filename)) from error


def _document(file: Path, path: str, prefix: str, attributes: Attributes | None) -> Document:
    text = _read(file)
    held_for_all = attributes(path, text) if callable(attributes) else attributes or {}
    key = f"{prefix}/{_in_key(path)}"
    chunks = tuple(_chunk(key, path, section) for section in sections_of(text, file.suffix))
    return Document(key, {"path": unicodedata.normalize("NFC", path), **held_for_all}, chunks)


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode()
    except OSError as error:
        _fail(error)
    except UnicodeDecodeError as error:
        raise Malformed(
            f"{file} is not UTF-8: byte {error.start} is {error.object[error.start]:#04x}", path=str(file)
        ) from error


def _in_key(path: str) -> str:
    """NFC, as keys are; `#` parts a document from its sections, so in a name it is written as in a URL."""
    return unicodedata.normalize("NFC", path).replace("%", "%25").replace("#", "%23")


def _chunk(document_key: str, path: str, section: Section) -> Chunk:
    key = f"{document_key}#{section.anchor}"
    content = {"heading": section.heading, "text": section.text}
    return Chunk(key, f"{key}@{digest_of(content)}", section.heading or path, path, section.text, content)
