"""Cards: valid, complete, fingerprinted without an import, and open to other packages."""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import EntryPoint

import msgspec
import pytest
import yaml

from benchmarks.datasets import catalogue
from benchmarks.datasets.card import DatasetCard, load_card
from benchmarks.datasets.catalogue import cards, read_card
from benchmarks.datasets.open import open_bundle
from benchmarks.errors import BenchmarkError

FILE = {"path": "a.txt", "sha256": "0" * 64, "urls": ["https://example.org/a.txt"]}
PLAIN = {
    "id": "toy",
    "title": "Toy",
    "task": ["ctr"],
    "summary": "s",
    "licence": "l",
    "citation": "c",
    "reader": "toy",
    "reader_version": 1,
    "files": [FILE],
    "options": {"protocol": "time", "share": 0.5, "rows": 10},
}


def toy(**changes):
    return msgspec.convert(PLAIN | changes, DatasetCard)


@pytest.mark.parametrize("name", sorted(name for name in cards() if read_card(name)["task"]))
def test_every_card_agrees_with_its_reader(name):
    card = load_card(name)
    reader = importlib.import_module(card.reader_module)
    assert card.reader_version == reader.VERSION
    assert set(card.options) <= set(reader.read.__kwdefaults__ or {})
    assert all(file.bytes or file.how for file in card.files)


def test_cards_that_share_a_folder_agree_on_its_files():
    known: dict[tuple[str, str], str] = {}
    for card in map(load_card, cards()):
        for file in card.files:
            assert known.setdefault((card.folder, file.path), file.checksum) == file.checksum


def test_an_unknown_id_is_answered_with_the_nearest():
    with pytest.raises(BenchmarkError, match=r"Unknown data set 'frape_x1r'. Did you mean 'frappe_x1r'"):
        load_card("frape_x1r")


def test_unknown_options_and_wrong_types_are_refused_before_any_fetch(data_cache):
    with pytest.raises(BenchmarkError, match=r"Unknown option of data set ml_100k: 'protocl'. Did you mean 'protocol'"):
        open_bundle("ml_100k", {"protocl": "time"})
    with pytest.raises(BenchmarkError, match="Option 'seed' of data set sim_clicks is '1'; it must be of type int"):
        open_bundle("sim_clicks", {"seed": "1"})
    assert not data_cache.exists()


def test_the_fingerprint_depends_on_what_decides_the_data_and_on_nothing_else():
    plain = toy().fingerprint()
    same = [
        toy(title="Other", notes=["n"]).fingerprint(),
        toy().fingerprint({"protocol": "time"}),
        toy().fingerprint({"rows": 10, "share": 0.5}),
        toy(files=[FILE, FILE | {"path": "weights", "optional": True}]).fingerprint(),
    ]
    others = [
        toy(id="other").fingerprint(),
        toy(reader_version=2).fingerprint(),
        toy(files=[FILE | {"sha256": "1" * 64}]).fingerprint(),
        toy().fingerprint({"protocol": "random"}),
    ]
    assert set(same) == {plain}
    assert len({plain, *others}) == 5
    assert toy().fingerprint({"share": 1}) == toy().fingerprint({"share": 1.0})


def test_a_bundle_carries_the_fingerprint_of_its_options():
    assert open_bundle("sim_clicks", {"rows": 4_000}).fingerprint == load_card("sim_clicks").fingerprint(
        {"rows": 4_000}
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": "red"}, "colour"),
        ({"simulated": True}, "sim_"),
        ({"id": "sim_toy"}, "sim_"),
        ({"options": {"id": "x"}}, "may not be named 'id'"),
        ({"folder": "../up"}, "folder"),
        ({"files": [FILE, FILE]}, "twice"),
        ({"files": [FILE | {"path": "../a.txt"}]}, "relative"),
        ({"files": [FILE | {"path": "/a.txt"}]}, "relative"),
        ({"files": [FILE | {"sha256": "123"}]}, "64 hexadecimal"),
        ({"files": [FILE | {"md5": "0" * 32}]}, "exclude each other"),
        ({"files": [FILE | {"sha256": None, "md5": "0" * 64}]}, "md5 must be 32 hexadecimal"),
        ({"files": [FILE | {"sha256": None}]}, "with urls or a wheel needs a sha256"),
        ({"files": [{"path": "a.zip", "md5": "0" * 32, "how": "h", "extract": True}]}, "to extract needs a sha256"),
        ({"files": [FILE | {"urls": ["file:///a.txt"]}]}, "https://"),
        ({"files": [FILE | {"urls": []}]}, "needs `how`"),
        ({"files": [FILE | {"extract": True}]}, "can be extracted"),
        ({"published": {"fm": {"file": "a.txt"}}}, "optional: true"),
    ],
)
def test_a_wrong_card_is_refused_with_the_reason(changes, message):
    with pytest.raises(msgspec.ValidationError, match=message):
        toy(**changes)


def clear():
    for cached in (cards, read_card, load_card):
        cached.cache_clear()


@pytest.fixture
def own_package(tmp_path, monkeypatch):
    """A package of cards, registered as an entry point, that fails on import."""
    folder = tmp_path / "their_data"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    point = EntryPoint("theirs", "their_data", catalogue.ENTRY_POINTS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(catalogue, "plugins", lambda group: [point])
    clear()
    yield folder
    clear()


def write(folder, name, **changes):
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(PLAIN | {"id": name, "files": [], "options": {}} | changes))


def test_another_packages_cards_are_found_without_importing_it(own_package):
    write(own_package, "their_clicks", reader="their_data.reader")
    assert "their_clicks" in cards()
    assert load_card("their_clicks").reader_module == "their_data.reader"
    assert "their_data" not in sys.modules


def test_another_packages_reader_is_named_by_its_module(own_package, data_cache):
    code = own_package.parent / "their_code"
    code.mkdir()
    (code / "reader.py").write_text("def read(files, *, rows):\n    return (f'fold of {rows} rows',)\n")
    write(own_package, "their_clicks", reader="their_code.reader", options={"rows": 3})
    assert open_bundle("their_clicks", {"rows": 4}).folds == ("fold of 4 rows",)


def test_another_packages_card_may_not_take_a_known_id(own_package):
    write(own_package, "ml_100k")
    with pytest.raises(BenchmarkError, match="Two cards have the id 'ml_100k'"):
        cards()


def test_a_card_whose_id_is_not_its_file_name_is_refused(own_package):
    write(own_package, "their_clicks", id="their_click")
    with pytest.raises(BenchmarkError, match="must agree"):
        load_card("their_clicks")


def test_a_card_that_cannot_be_read_is_an_error_with_its_path(own_package):
    (own_package / "broken.yaml").write_text("id: [")
    with pytest.raises(BenchmarkError, match=r"broken\.yaml cannot be used"):
        load_card("broken")
