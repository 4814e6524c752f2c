"""The page of a comparison stands alone and escapes what records say; the Markdown fits into a comment."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from benchmarks.commands.compare import main
from benchmarks.leaderboard.compare import Comparison, compare, open_side
from benchmarks.leaderboard.compare import text as words
from benchmarks.leaderboard.compare.page import page
from benchmarks.leaderboard.store import Store

EVIL = "<script>alert(1)</script>"


class Page(HTMLParser):
    """Elements with their attributes; checks that they are closed in order."""

    VOID = frozenset({"meta", "link", "br", "img", "input", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def comparison(tmp_path, monkeypatch, commit) -> Comparison:
    monkeypatch.chdir(tmp_path)
    for side in ("base", "head"):
        for seed in range(3):
            value, ms = (0.8, 1.0) if side == "base" else (0.78, 1.3)
            commit(Store(side), value, side=side, seed=seed, method=EVIL, condition=EVIL, ms=ms)
            commit(Store(side), side=side, seed=seed, method="svd", params=9 if side == "base" else 10)
    commit(Store("base"), method=f"{EVIL}|[x](http://x)\x1b[31m", seed=0)
    commit(Store("head"), method="new", side="head")
    return compare(open_side("base", []), open_side("head", []))


def test_the_page_is_whole_and_reaches_for_nothing(comparison):
    found = Page(page(comparison))
    for tag, attributes in found.elements:
        assert tag not in ("link", "img", "iframe")
        assert not any(str(attributes.get(name, "#")) != "#main" for name in ("href", "src") if name in attributes)
    assert [tag for tag, _ in found.elements].count("script") == 1
    text = page(comparison)
    assert "url(" not in text
    assert "<h1>Regression: " in text


def test_what_records_say_is_escaped_on_the_page(comparison):
    text = page(comparison)
    assert EVIL not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_the_page_shows_the_test_of_every_row_what_else_moved_and_every_latency(comparison):
    text = page(comparison)
    assert len(comparison.tests) == 3
    assert text.count('<table class="sortable">') == 3
    assert "1 of 1 moved" in text
    assert "\N{MULTIPLICATION SIGN}1.30" in text


def test_markdown_is_one_table_a_level_and_holds_no_html_of_records(comparison):
    text = words.markdown(comparison)
    assert text.startswith("### Regression: ")
    assert "<script" not in text
    for heading in ("**Regression**", "notes</summary>"):
        assert heading in text
    assert r"\[x\](http://x)" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in rows} == {4}


def test_markdown_is_cut_before_a_comment_would_be_refused(comparison, monkeypatch):
    monkeypatch.setattr(words, "COMMENT", 600)
    text = words.markdown(comparison)
    assert len(text) < 800
    assert "Cut here" in text


def test_the_terminal_gets_the_verdict_first_and_no_escape_sequence(comparison):
    lines = words.console(comparison).splitlines()
    assert lines[0].startswith("Regression: ")
    assert "\x1b" not in "".join(lines)
    assert lines[-1].strip().startswith("note  1 x new")


def test_long_lists_end_with_a_hint(comparison, monkeypatch):
    monkeypatch.setattr(words, "LINES", 1)
    assert "more; --html FILE shows all of them" in words.console(comparison)


def test_the_command_writes_both_and_prints_markdown_on_request(comparison, tmp_path, capsys):
    assert main(["base", "head", "--html", "out/page.html", "--markdown", "out/summary.md"]) == 1
    assert (tmp_path / "out/page.html").read_text() == page(comparison)
    assert (tmp_path / "out/summary.md").read_text() == words.markdown(comparison)
    capsys.readouterr()
    assert main(["base", "head", "--markdown", "-"]) == 1
    assert capsys.readouterr().out.strip() == words.markdown(comparison).strip()


def test_a_page_that_cannot_be_written_is_an_error_and_no_verdict(comparison, capsys):
    assert main(["base", "head", "--html", "base"]) == 2
    assert "cannot be written" in capsys.readouterr().err
