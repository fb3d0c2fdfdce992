"""One human decision, and what it rests on: a section of the documentation, as it was read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ledger import Ledger
from ledger.model.verdict import Verdict

SECTION = "flask/installation.rst#python-version"
APPROVAL = "shop/python-3.8"
MUTATION = "shop/base-image"

BEFORE, AFTER = "3.0.3", "3.1.0"
"""The release on which it was decided, and the one that says otherwise."""


@dataclass(frozen=True)
class Decision:
    """What was read, what was granted, what was done."""

    section: str  # the version that was read, as key@3
    approval: str
    mutation: str
    then: Sequence[Verdict]  # of the three, when it was decided

    @property
    def refs(self) -> list[str]:
        """What was read, granted and done, in this order."""
        return [self.section, self.approval, self.mutation]


def decide(ledger: Ledger) -> Decision:
    """Somebody reads which Python Flask supports, allows 3.8, and an agent changes the image of a service."""
    section = ledger.entry(SECTION).ref
    approval = ledger.record(
        "approval",
        {"text": "The shop may run on Python 3.8: Flask supports it.", "until": "further notice"},
        key=APPROVAL,
        because=[[section]],
        actor="ann",
        require_fresh=True,
    )
    mutation = ledger.record(
        "mutation",
        {"system": "registry", "change": {"shop base image": "python:3.8-slim"}},
        key=MUTATION,
        because=[[approval.ref]],
        actor="deploy-agent",
        require_fresh=True,
    )
    refs = [section, approval.ref, mutation.ref]
    return Decision(section, approval.ref, mutation.ref, ledger.check(refs).verdicts)
