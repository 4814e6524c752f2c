"""The leaderboard as a folder of HTML pages that opens from the file system: no server, no network, no torch."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import gettempdir, mkdtemp
from typing import Any

import filelock
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard import numbers
from benchmarks.leaderboard.places import storing
from benchmarks.leaderboard.report.changes import STATE, Changes, changes_since, read_state, state_of
from benchmarks.leaderboard.report.citations import citations
from benchmarks.leaderboard.report.curves import CONTROL
from benchmarks.leaderboard.report.exports import leaderboard_csv, records_json
from benchmarks.leaderboard.report.facts import Facts
from benchmarks.leaderboard.report.gather import Gathered, gather
from benchmarks.leaderboard.report.grid import grid
from benchmarks.leaderboard.report.markdown import markdown_report
from benchmarks.leaderboard.report.ranking import SIGNS
from benchmarks.leaderboard.report.run_page import run_page
from benchmarks.leaderboard.report.sections import Section, build_sections
from benchmarks.leaderboard.report.tables import bounds_text, metric_name
from benchmarks.leaderboard.report.task_page import view
from benchmarks.leaderboard.reported import Reported
from benchmarks.leaderboard.statistics.size_curve import TOLERANCE
from benchmarks.leaderboard.store import Store

HERE = Path(__file__).parent
GENERATOR = "lowrank-benchmarks report"


def build(
    stores: Sequence[Store],
    out: Path,
    *,
    facts: Facts | None = None,
    reported: Sequence[Reported] = (),
    gathered: Gathered | None = None,
) -> Path:
    """Writes the report of all runs of the stores to the folder `out` and returns its `index.html`.

    The folder is replaced as a whole once the new one is complete. Records that cannot be used are named on the first page
    and on that of their task; `gathered` is what `gather` found, for a caller that wants to speak of them too. Raises
    BenchmarkError where `out` holds anything but an earlier report, and UnreadableRecord for damaged replicates.
    """
    with _alone(out):
        _refuse_foreign(out)
        before = read_state(out / STATE)
    facts = facts or Facts()
    found = gathered or gather(stores)
    sections = build_sections(found.runs, facts, reported)
    changes = changes_since(before, state_of(sections))
    with storing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        try:
            _write(temporary, found, sections, facts, stores, changes)
            temporary.chmod(0o755)
            with _alone(out):
                if out.exists():
                    shutil.rmtree(out)
                temporary.rename(out)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return out / "index.html"


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Other processes of this machine that build the same report wait, as all the runs that end in one folder may."""
    name = hashlib.sha256(str(out.resolve()).encode()).hexdigest()[:24]
    lock = filelock.FileLock(Path(gettempdir()) / f"lowrank-benchmarks-{name}.lock")
    with suppress(OSError):  # without a place for locks a report is built all the same
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _write(
    folder: Path, found: Gathered, sections: list[Section], facts: Facts, stores: Sequence[Store], changes: Changes
) -> None:
    templates = environment()

    def page(name: str, template: str, **values: Any) -> None:
        rendered = templates.get_template(template).render(**values)
        (folder / name).write_text(rendered, encoding="utf-8")

    tasks = _by_task(sections)
    known = [*tasks, *(name for name in facts.tasks if name not in tasks)]
    first = {"tasks": tasks, "known": known, "grid": grid(tasks, known, facts), "changes": changes}
    page("index.html", "index.html", **first, facts=facts, found=found, stores=stores, up="")
    for task, own in tasks.items():
        refused = [each for each in found.refused if each.task == task]
        page(
            f"{task}.html",
            "task.html",
            task=own[0].task,
            sections=[view(section) for section in own],
            refused=refused,
            facts=facts,
            up="",
        )
    (folder / "runs").mkdir()
    shown = {run.record.run_id for run in found.runs}
    for run in found.runs:
        parts = run_page(run, facts)
        for name, content in parts.pictures.items():
            (folder / "runs" / f"{run.record.run_id}-{name}").write_bytes(content)
        page(f"runs/{run.record.run_id}.html", "run.html", record=run.record, parts=parts, shown=shown, up="../")
    exports = {
        "leaderboard.csv": leaderboard_csv(sections).encode(),
        "records.json": records_json(found.runs),
        "leaderboard.md": markdown_report(sections).encode(),
        "citations.bib": citations(sections, facts).encode(),
        STATE: inline_json(state_of(sections).plain).encode(),
    }
    for name, content in exports.items():
        (folder / name).write_bytes(content)


def environment() -> Environment:
    """The templates, with the style and the script that every page carries in itself."""
    found = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    found.globals |= {
        "css": Markup((HERE / "report.css").read_text(encoding="utf-8")),
        "js": Markup((HERE / "report.js").read_text(encoding="utf-8")),
        "generator": GENERATOR,
        "numbers": numbers,
        "metric_name": metric_name,
        "bounds_text": bounds_text,
        "control_method": CONTROL,
        "tolerance": TOLERANCE,
        "signs": SIGNS,
    }
    found.filters["inline_json"] = inline_json
    found.filters["seconds"] = whole_seconds
    return found


def inline_json(value: object) -> Markup:
    """JSON that may stand inside a script element: no `<` in it can end the element."""
    return Markup(json.dumps(value, ensure_ascii=False, sort_keys=True).replace("<", "\\u003c"))


def whole_seconds(time: str | None) -> str | None:
    """A time of a record without the digits that only tell records apart."""
    return time if time is None else re.sub(r"\.\d+Z$", "Z", time)


def _by_task(sections: Iterable[Section]) -> dict[str, list[Section]]:
    tasks: dict[str, list[Section]] = {}
    for section in sections:
        tasks.setdefault(section.first.task, []).append(section)
    return tasks


def _refuse_foreign(out: Path) -> None:
    """A folder is replaced only if it is a report: `--out .` must not cost anybody their files."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    index = out / "index.html"
    if not index.is_file() or GENERATOR not in index.read_text(encoding="utf-8", errors="replace"):
        raise BenchmarkError(
            f"--out {out} exists and is no earlier report, so it is left alone. Name a new folder with --out."
        )
