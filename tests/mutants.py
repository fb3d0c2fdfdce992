"""`make mutants`: the source broken on purpose, law by law, and the test that must notice.

A copy of the tree is changed, never the tree itself. Each mutant is a small text put in place of another; its test
passes before and must fail then. Ends with 1 if one survives, or if its text is not found just once any more.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import click

ROOT = Path(__file__).resolve().parent.parent

MEMORY = "tests/test_contract_memory.py::TestMemory::"
TIMEOUT_S = 90
"""A test that takes longer than this, where it takes seconds, has noticed too."""

SQLITE = "tests/test_contract_sqlite.py::TestSqlite::"
MACHINE = "tests/test_machine.py::test_in_memory"


class Mutant(NamedTuple):
    """What breaks a law: in `file`, `old` becomes `new`; `test` must fail then."""

    law: str
    file: str
    old: str
    new: str
    test: str


MUTANTS = [
    Mutant(
        "1 recording: expects is not asked for",
        "ledger/service/laws.py",
        "if wanted is not None and wanted != version:",
        "if wanted is not None and wanted > version:",
        MEMORY + "test_expects_names_the_current_version",
    ),
    Mutant(
        "2 repeating: the same content is a new version",
        "ledger/service/judge.py",
        "if current and not command.restate and index.digest_at(current) == digest:",
        "if current and command.restate and index.digest_at(current) == digest:",
        MEMORY + "test_the_same_content_is_no_new_version",
    ),
    Mutant(
        "3 repetition revives what was withdrawn",
        "ledger/service/judge.py",
        "if Reader(index).standing_against(edition):",
        "if not Reader(index):",
        MEMORY + "test_repeating_what_is_withdrawn",
    ),
    Mutant(
        "4 superseding: a later edition of a superseded key stands",
        "ledger/validity/index.py",
        "overtaken or edition < current)",
        "edition < current)",
        MEMORY + "test_every_edition_of_a_superseded_key",
    ),
    Mutant(
        "5 withdrawing: one reinstatement lifts all",
        "ledger/validity/index.py",
        "[one for one in container.get(place, ()) if one.seq in lifts]",
        "list(container.get(place, ()))",
        MEMORY + "test_withdrawals_accumulate",
    ),
    Mutant(
        "6 validity: an edition falls with its first justification",
        "ledger/validity/index.py",
        "if not flags[turned] and not (stood if valid else stands):",
        "if not flags[turned] and (not valid or not stood):",
        MEMORY + "test_any_justification_suffices",
    ),
    Mutant(
        "6 validity: what is born on a fallen premise and a standing one stands",
        "ledger/validity/index.py",
        "fallen += not self.valid[rests_on]",
        "fallen = not self.valid[rests_on]",
        MACHINE,
    ),
    Mutant(
        "6 validity: circles are allowed",
        "ledger/service/laws.py",
        "        if at == edition:\n            path",
        "        if at == NONE:\n            path",
        MEMORY + "test_circular_support_is_refused",
    ),
    Mutant(
        "6 validity: a wide wave counts one premise of several",
        "ledger/validity/wide.py",
        "before + step * premises.astype(np.int32)",
        "before + step",
        "tests/test_waves.py::test_wide_and_narrow_waves_do_the_same",
    ),
    Mutant(
        "7 expiry: what reached its limit stands",
        "ledger/validity/index.py",
        "expired = limit is not None and limit.moment_us <= self.clock_us",
        "expired = limit is not None and limit.moment_us < self.clock_us",
        MEMORY + "test_it_expires_at_its_limit",
    ),
    Mutant(
        "8 age: everything ages",
        "ledger/validity/lookup.py",
        "return self.checked_us[edition] if self.kind[self.birth[edition]] == DEPENDENCY else _EVER",
        "return self.checked_us[edition]",
        MEMORY + "test_only_dependencies_age",
    ),
    Mutant(
        "8 divergence: another digest is no divergence",
        "ledger/validity/index.py",
        "if observed in (self.digest_at(target), self.digest_at(self.newest[edition])):",
        "if observed:",
        MEMORY + "test_another_digest",
    ),
    Mutant(
        "9 barrier: a revision that is not known here is not waited for",
        "ledger/service/follower.py",
        "if self.knows(text, field):\n            return token\n        pause_s",
        "if self.knows(text, field) or True:\n            return token\n        pause_s",
        "tests/test_barrier.py",
    ),
    Mutant(
        "9 barrier: what another process wrote is not looked for",
        "ledger/service/follower.py",
        "return not self.lagging and not self.live.behind",
        "return not self.lagging",
        SQLITE + "test_full_consistency or test_the_new_enemy or test_two_processes_write_to_one_ledger",
    ),
    Mutant(
        "10 batches: what a refused batch did stays",
        "ledger/service/judge.py",
        "        except BaseException:\n            self.index.rollback(savepoint)",
        "        except BaseException:\n            self.index.savepoint()",
        MEMORY + "test_a_batch_refused_midway_leaves_nothing_in_the_commit_it_shares",
    ),
    Mutant(
        "11 idempotency: a key that looks like another is answered as that",
        "ledger/service/recall.py",
        "if key is not None and entry.seq in answered.get(key, ()):",
        "for key in answered:",
        "tests/test_requests.py::test_new_keys_that_look_known",
    ),
    Mutant(
        "11 idempotency: what was judged and undone stays known",
        "ledger/validity/index.py",
        "self._journal.append((recent, list(idempotency_keys), _MISSING))",
        "pass",
        "tests/test_plain.py::test_many_are_undone",
    ),
    Mutant(
        "1 recording: a key that stands twice in a line is not seen",
        "ledger/model/plain.py",
        "if len(text) != chars or",
        "if",
        "tests/test_plain.py::test_which_lines_are_plain",
    ),
    Mutant(
        "7 validity: in a run, what rests on what lies stands",
        "ledger/validity/building.py",
        "lost = ~stood | (run.overtaken < place)",
        "lost = run.overtaken < place",
        "tests/test_plain.py::test_many_come_to_the_same_as_each",
    ),
    Mutant(
        "11 idempotency: another command under the key is answered as the first",
        "ledger/service/judge.py",
        "if found.request.digest != command.sent_digest or",
        "if",
        MEMORY + "test_another_command_under_the_same_key",
    ),
    Mutant(
        "12 history: a change of that very moment is overlooked",
        "ledger/validity/trail.py",
        "while change >= upto:",
        "while change > upto:",
        MEMORY + "test_a_check_as_of_a_revision",
    ),
    Mutant(
        "12 history: what was said of something later is known before",
        "ledger/validity/past.py",
        "while row != NONE and entry[row] > self.upto:",
        "while row == NONE and entry[row] > self.upto:",
        MACHINE,
    ),
    Mutant(
        "12 history: what came in between had stood before",
        "ledger/validity/difference.py",
        "born = bisect_right(index.birth, before.upto)",
        "born = bisect_right(index.birth, after.upto)",
        MACHINE,
    ),
    Mutant(
        "12 history: what nobody could see is told as what felled it",
        "ledger/validity/difference.py",
        "if bool(trail.before[0][first] & VALID) != stands:",
        "if first != NONE:",
        MEMORY + "test_what_nobody_could_see",
    ),
    Mutant(
        "12 history: a revision within a batch is the ledger as of the middle of it",
        "ledger/service/moments.py",
        "upto = index.batch_end(parse_revision(at, field).seq)",
        "upto = parse_revision(at, field).seq",
        MACHINE,
    ),
    Mutant(
        "13 chain: a hash does not cover what came before",
        "ledger/model/entry.py",
        "hashlib.sha256(previous + envelope)",
        "hashlib.sha256(envelope)",
        MEMORY + "test_each_hash_covers_the_entry_and_all_before",
    ),
    Mutant(
        "13 chain: a checkpoint of another history is believed",
        "ledger/service/checkpoints.py",
        "if not at or at[0].hash.hex() != header.hash:",
        "if not at:",
        "tests/test_checkpoints.py::test_one_of_another_history_is_not_believed",
    ),
    Mutant(
        "14 cause: the last reason is told, not the first",
        "ledger/validity/verdicts.py",
        "return _REASON_OF_FLAG[flags & -flags]",
        "return _REASON_OF_FLAG[1 << flags.bit_length() - 1]",
        MEMORY + "test_the_order_of_reasons",
    ),
    Mutant(
        "15 stale ground: require_fresh is satisfied by anything",
        "ledger/service/judge.py",
        "if laws.any_stands(self.index, because):\n                continue",
        "if because:\n                continue",
        MEMORY + "test_require_fresh_refuses_it",
    ),
    Mutant(
        "16 acts: what was only revoked afterwards needs repair",
        "ledger/validity/graph.py",
        "_gone_since(index, act, since) < index.acted_us[act]",
        "_gone_since(index, act, since) < math.inf",
        MEMORY + "test_grounds_that_fell_afterwards",
    ),
    Mutant(
        "17 disclosure: the unknown may be used",
        "ledger/model/verdict.py",
        "if type(one) is int or one.state == FRESH]",
        "if type(one) is int or one.state != STALE]",
        MEMORY + "test_what_is_withheld_is_named",
    ),
    Mutant(
        "14 causes: what felled it first is its cause for good",
        "ledger/validity/index.py",
        "self.unsettled, self.causes = seq, {}",
        "pass",
        MEMORY + "test_why_shows_the_path",
    ),
    Mutant(
        "14 causes: what was found is kept when the time it was found in is undone",
        "ledger/validity/index.py",
        "if self.causes is not to.causes:  # something was unsettled",
        "if not to:",
        "tests/test_kept_causes.py::test_time_that_is_undone_takes_its_causes_along",
    ),
    Mutant(
        "the short way of judging: what supersedes goes it too",
        "ledger/service/plain.py",
        "        or command.supersedes\n",
        "",
        "tests/test_plain.py::test_histories_come_to_the_same_both_ways[0]",
    ),
    Mutant(
        "impact: what changed meanwhile is not noticed",
        "ledger/service/measuring.py",
        "turns = [(edition, was[edition], index.state(edition)) for edition in sorted(was)]",
        "turns = [(edition, was[edition], index.state(edition)) for edition in sorted(was)[:1]]",
        MACHINE,
    ),
    Mutant(
        "impact: what is only supposed stays",
        "ledger/service/live.py",
        "index.rollback(supposed)\n                index.release()",
        "index.release()",
        MACHINE,
    ),
    Mutant(
        "12 history: what fell since had fallen then",
        "ledger/validity/verdicts.py",
        "max(latest) < changes and max(newest) <= upto:",
        "max(newest) <= upto:",
        "tests/test_properties.py::test_the_index_agrees_with_the_oracle[0]",
    ),
    Mutant(
        "12 history: a digest that was asked for outlives the entry that is undone",
        "ledger/validity/index.py",
        "self.digest_texts.forget(entries)",
        "pass",
        "tests/test_kept_causes.py::test_a_digest_that_was_asked_for_goes_with_the_entry_that_is_undone",
    ),
    Mutant(
        "the queue: as much waits as comes",
        "ledger/service/pacing.py",
        "if most is not None and waiting >= most:",
        "if most is not None and waiting >= 2 * most:",
        "tests/test_pacing.py::test_what_is_refused_is_not_recorded_and_the_rest_is",
    ),
    Mutant(
        "the queue: what failed keeps its place",
        "ledger/service/pacing.py",
        "self.commands -= commands",
        "pass",
        "tests/test_pacing.py::test_what_failed_or_was_refused_by_a_law_leaves_the_queue",
    ),
]


@click.command()
@click.argument("laws", nargs=-1)
def main(laws: tuple[str, ...]) -> None:
    """Break each law, or those that begin with one of LAWS, and see that a test notices."""
    chosen = [one for one in MUTANTS if not laws or one.law.split()[0] in laws]
    if not chosen:
        raise click.BadParameter(f"no law begins with {' or '.join(laws)}")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "tree"
        _copy(copy)
        click.echo(f"{len(chosen)} mutants; first, their tests pass on the whole tree")
        for test in dict.fromkeys(one.test for one in chosen):
            if not _passes(copy, test):
                raise SystemExit(f"{test} does not pass as it is")
        survivors = [one for one in chosen if not _killed(copy, one)]
    if survivors:
        raise SystemExit(f"{len(survivors)} survived: " + "; ".join(one.law for one in survivors))
    click.echo(f"all {len(chosen)} killed")


def _copy(to: Path) -> None:
    """Everything that is under version control, as it lies there now."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout.split(b"\0")
    for name in filter(None, map(os.fsdecode, names)):
        target = to / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())


def _killed(copy: Path, mutant: Mutant) -> bool:
    file = copy / mutant.file
    whole = file.read_text()
    if whole.count(mutant.old) != 1:
        raise SystemExit(f"{mutant.law}: {mutant.file} has {mutant.old!r} {whole.count(mutant.old)} times, not once")
    file.write_text(whole.replace(mutant.old, mutant.new))
    killed = not _passes(copy, mutant.test)
    file.write_text(whole)
    click.echo(f"  {'killed  ' if killed else 'SURVIVED'}  {mutant.law}  by {mutant.test.rpartition('::')[2]}")
    return killed


def _passes(copy: Path, test: str) -> bool:
    """Whether the tests pass, and end. Raises when they cannot even be collected: that kills nothing."""
    file, _, names = test.partition("::")
    selected = [file, "-k", names.rpartition("::")[2]] if names else [file]
    try:
        done = _run(copy, selected)
    except subprocess.TimeoutExpired:
        return False
    if done.returncode not in (0, 1):
        raise SystemExit(f"{test} cannot be run:\n{done.stdout}{done.stderr}")
    return done.returncode == 0


def _run(copy: Path, selected: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            "--timeout",
            "60",
            "-p",
            "no:cacheprovider",
            "--hypothesis-profile=brief",
            "-m",
            "not neo4j",
            *selected,
        ],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )


if __name__ == "__main__":
    main()
