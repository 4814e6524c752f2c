"""The report in a real browser, opened from the file system with the network off.

With BENCH_SCREENSHOTS=FOLDER pictures of every page are written there, to be looked at.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.leaderboard.report.site import build
from benchmarks.leaderboard.store import Store
from chromium import CHROMIUM, Browser

AXE = "axe-core@4.11.0"
THEMES = ("light", "dark")
SCREENSHOTS = os.environ.get("BENCH_SCREENSHOTS")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt-get install chromium)"),
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    started = Browser(tmp_path_factory.mktemp("profile"))
    yield started
    started.close()


@pytest.fixture(scope="module")
def report(generated, facts, tmp_path_factory) -> dict[str, Path]:
    """A page of every kind; the first has a record to complain of and changes to tell."""
    root = tmp_path_factory.mktemp("report")
    build([generated(root / "results", 440)], root / "site", facts=facts)
    store: Store = generated(root / "results", 500)
    (root / "results" / "ctr" / "broken").mkdir()
    (root / "results" / "ctr" / "broken" / "record.json").write_text('{"schema": 1,')
    folder = build([store], root / "site", facts=facts).parent
    run = min((folder / "runs").glob("svd-netA-*.html"))
    failed = next(page for page in (folder / "runs").glob("*.html") if "MemoryError" in page.read_text())
    return {name: folder / name for name in ("index.html", "ctr.html")} | {"run": run, "failed": failed}


def column(browser: Browser, heading: str) -> list[str]:
    """The sort values of a column of the main table, from top to bottom."""
    return browser.evaluate(f"""(() => {{
        const table = document.querySelector("table.main");
        const at = Array.from(table.tHead.rows[0].cells).findIndex(
            c => c.textContent.trim() === {heading!r} && c.checkVisibility());
        return Array.from(table.tBodies[0].rows, row => row.cells[at].dataset.value); }})()""")


def click(browser: Browser, selector: str, text: str) -> None:
    """Clicks the first element that holds just this text."""
    browser.evaluate(
        f"Array.from(document.querySelectorAll({selector!r})).find(e => e.textContent.trim() === {text!r}).click()"
    )


def test_pages_ask_for_nothing_but_files_and_complain_of_nothing(browser, report):
    browser.errors.clear()
    browser.requests.clear()
    for page in report.values():
        browser.open(page)
    assert browser.errors == []
    assert {url.split(":")[0] for url in browser.requests} == {"file"}


def test_numbers_sort_as_numbers_with_gaps_last_in_both_directions(browser, report):
    browser.open(report["ctr.html"])
    for sign in (1, -1):  # the first click puts the fastest first
        click(browser, "table.main thead button", "ms @ 256")
        found = column(browser, "ms @ 256")
        known = [value for value in found if value]
        assert known == sorted(known, key=lambda value: sign * float(value))
        assert {"9.5", "10.1"} < set(known)
        assert "" in found
        assert found[len(known) :] == [""] * (len(found) - len(known))
    direction = "document.querySelector('table.main th[aria-sort]').getAttribute('aria-sort')"
    assert browser.evaluate(direction) == "descending"


def test_the_filter_leaves_rows_with_all_words_and_counts_them(browser, report):
    browser.open(report["ctr.html"])
    browser.evaluate("document.querySelector('input.filter').focus()")
    browser.call("Input.insertText", text="svd netb")
    shown = browser.evaluate(
        "Array.from(document.querySelectorAll('table.main tbody tr')).filter(r => r.checkVisibility()).map(r => r.innerText)"
    )
    assert shown
    assert all("svd" in text and "netB" in text for text in shown)
    total = len(column(browser, "model"))
    assert browser.evaluate("document.querySelector('.count').textContent") == f"{len(shown)} of {total} rows"


def test_the_theme_is_switched_and_remembered(browser, report):
    browser.look(1440, "light")
    browser.open(report["index.html"])
    browser.evaluate("localStorage.clear(); location.reload()")
    paper = "getComputedStyle(document.body).backgroundColor"
    label = "document.getElementById('theme').textContent"
    browser.open(report["index.html"])
    seen = []
    for _ in range(3):
        seen.append((browser.evaluate(label), browser.evaluate(paper)))
        browser.evaluate("document.getElementById('theme').click()")
    assert [name for name, _ in seen] == ["Theme: auto", "Theme: light", "Theme: dark"]
    assert seen[0][1] == seen[1][1] != seen[2][1]
    browser.evaluate("document.getElementById('theme').click(); document.getElementById('theme').click()")
    browser.open(report["run"])
    assert (browser.evaluate(label), browser.evaluate(paper)) == seen[2]
    browser.evaluate("localStorage.clear()")


def test_columns_are_hidden_and_stay_so(browser, report):
    browser.open(report["ctr.html"])
    visible = "document.querySelector('table.main th[data-key=flops]').checkVisibility()"
    assert browser.evaluate(visible)
    click(browser, ".chooser label", "FLOPs")
    assert not browser.evaluate(visible)
    browser.open(report["ctr.html"])
    assert not browser.evaluate(visible)
    assert browser.evaluate("document.querySelector('table.main th[data-key=bytes_stored]').checkVisibility()")
    browser.evaluate("localStorage.clear()")


def test_hardware_is_chosen_by_the_keyboard_remembered_and_printed(browser, report):
    browser.open(report["ctr.html"])
    browser.evaluate("localStorage.clear()")
    browser.open(report["ctr.html"])
    seen = """(() => {
        const shown = e => Array.from(document.querySelectorAll(e)).filter(x => x.checkVisibility()).length;
        const places = [0, 1, 2].filter(n => shown(`th.m${n}`));
        return [places, shown(".plots svg"), places.map(n => shown(`figure.m${n}`)), shown("td.m0, td.m1, td.m2")]; })()"""
    first = browser.evaluate(seen)
    assert first[0] == [0]
    browser.evaluate("document.querySelector('select.hardware').focus()")
    browser.press("ArrowDown", 40)
    chosen = "document.querySelector('select.hardware').selectedOptions[0].dataset.key"
    key = browser.evaluate(chosen)
    assert browser.evaluate(seen) == [[1], first[1], first[2], first[3]]
    browser.call("Emulation.setEmulatedMedia", media="print")
    assert browser.evaluate(seen)[0] == [1]
    browser.call("Emulation.setEmulatedMedia", media="")
    assert browser.evaluate("document.querySelector('.results .muted').innerText").count("latency and memory on") == 1
    for _ in range(20):  # what a page remembers reaches the next one's process after a while, on a busy machine
        browser.open(report["ctr.html"])
        if browser.evaluate(chosen) == key:
            break
        time.sleep(0.1)
    assert browser.evaluate(chosen) == key
    assert browser.evaluate(seen)[0] == [1]
    # A tick of the column chooser stands for the column of every group.
    assert browser.evaluate("document.querySelectorAll('.chooser label').length") == browser.evaluate(
        "new Set(Array.from(document.querySelectorAll('table.main th[data-key]'), h => h.dataset.key)).size"
    )
    click(browser, ".chooser label", "ms @ 256")
    assert browser.evaluate("document.querySelectorAll('table.main th[data-key=latency_256]').length") == 3
    assert not browser.evaluate("document.querySelector('table.main th.m1[data-key=latency_256]').checkVisibility()")
    browser.evaluate("localStorage.clear()")


def test_the_keyboard_walks_over_the_points_of_a_plot(browser, report):
    browser.open(report["ctr.html"])
    browser.evaluate("document.querySelector('.plots').tabIndex = -1; document.querySelector('.plots').focus()")
    focused = (
        "document.activeElement.closest('.plots svg a.point') && document.activeElement.getAttribute('aria-label')"
    )
    browser.press("Tab", 9)
    names = [browser.evaluate(focused)]
    count = browser.evaluate("document.querySelector('.plots svg').querySelectorAll('a.point').length")
    for _ in range(count - 1):
        browser.press("ArrowRight", 39)
        names.append(browser.evaluate(focused))
        assert browser.evaluate("document.querySelector('.plots .readout').textContent") == names[-1]
    assert count > 10
    assert len(set(names)) == count
    assert all(name and "stored size" in name for name in names)
    first, second = "document.querySelectorAll('.plots svg')", "document.activeElement.closest('svg')"
    browser.press("Tab", 9)  # one stop a plot: the next is in the next plot
    assert browser.evaluate(f"Array.from({first}).indexOf({second})") == 1
    browser.press("Home", 36)
    target = browser.evaluate("document.activeElement.getAttribute('href')")
    assert (report["ctr.html"].parent / target).is_file()


@pytest.mark.parametrize("width", [360, 1440])
def test_no_page_is_wider_than_its_window(browser, report, width):
    for theme in THEMES:
        browser.look(width, theme)
        for name, page in report.items():
            browser.open(page)
            assert browser.evaluate("document.documentElement.scrollWidth") <= width, name
            if SCREENSHOTS:
                Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
                (Path(SCREENSHOTS) / f"{name.split('.')[0]}-{width}-{theme}.png").write_bytes(browser.picture())
    browser.look(1440, "light")


def test_paper_is_light_and_holds_the_whole_table(browser, report):
    browser.open(report["ctr.html"])
    browser.evaluate("document.documentElement.dataset.theme = 'dark'")
    browser.call("Emulation.setDeviceMetricsOverride", width=1032, height=700, deviceScaleFactor=1, mobile=False)
    browser.call("Emulation.setEmulatedMedia", media="print")
    try:
        assert browser.evaluate("document.documentElement.scrollWidth") <= 1032  # A4, landscape, within its margins
        assert browser.evaluate("getComputedStyle(document.body).color") == "rgb(28, 29, 31)"
    finally:
        browser.call("Emulation.setEmulatedMedia", media="")
        browser.look(1440, "light")


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The checks of axe-core, fetched by npm; they stay out of the repository."""
    if shutil.which("npm") is None:
        pytest.skip("axe-core comes through npm, which is not installed")
    folder = tmp_path_factory.mktemp("axe")
    done = subprocess.run(["npm", "pack", AXE, "--silent"], cwd=folder, capture_output=True, text=True, timeout=120)
    if done.returncode:
        pytest.skip(f"npm cannot fetch {AXE}: {done.stderr[-200:]}")
    with tarfile.open(folder / done.stdout.split()[-1]) as archive:
        member = archive.extractfile("package/axe.min.js")
        assert member is not None
        return member.read().decode()


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", [360, 1440])
def test_nothing_serious_is_in_the_way_of_anybody(browser, report, axe, theme, width):
    browser.look(width, theme)
    found = {}
    for name, page in report.items():
        browser.open(page)
        browser.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        browser.evaluate(f"{axe}; 0")
        result = browser.evaluate(
            "axe.run().then(r => r.violations.map(v => [v.impact, v.id, v.nodes[0].html, v.nodes.length]))"
        )
        serious = [violation for violation in result if violation[0] in ("serious", "critical")]
        if serious:
            found[name] = serious
    browser.look(1440, "light")
    assert found == {}
