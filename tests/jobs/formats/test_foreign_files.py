"""Shows that a command line can read files as other programs export them, without a change to the file.

The files of foreign/ have the headers and cells of these programs, with words of our own. For each file, the test names the
result without a choice of columns, and the rows that are accepted with a choice.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from jobs.batches.batch import BatchPaths
from jobs.batches.request_row import RowRequest
from jobs.batches.rounds import require_batch
from jobs.commands.cli import main
from jobs.commands.session import Session
from jobs.operations.results import results
from jobs.settings import Settings

FOLDER: Final = Path(__file__).parent / "foreign"

FILES: Final = [
    pytest.param(
        "shopify.csv --kind article",
        "--map topic=Title --map custom_id=Handle --map keywords=Tags --extra 'Body (HTML),Variant Price'",
        ["missing_field", "missing_field"],  # lines for further variants and images of a product
        ["Clay teapot, 0.8 l", 'Linen towel "Harbour"'],
        {"Body (HTML)": "<p>Thrown by hand.\n<b>Glazed inside.</b></p>", "Variant Price": "38.00"},
        id="Shopify, products",
    ),
    pytest.param(
        "woocommerce.csv --kind article",
        "--map topic=Name --map custom_id=SKU --map 'metadata.price=Regular price' --extra none",
        [],
        ["Heather honey, 500 g", "Beeswax candle", "Beeswax candle - 10 cm"],
        {"price": "9,90"},
        id="WooCommerce, products",
    ),
    pytest.param(
        "amazon.txt --kind article",
        "--map topic=item_name --map custom_id=item_sku --extra product_description",
        ["duplicate_custom_id"],
        ["Enamel mug, caf\xe9 size", "Enamel mug, large"],
        {"product_description": "Holds 300 ml \N{EN DASH} fits a caf\xe9 tray."},
        id="Amazon, flat file: tabs, Windows-1252, two lines above the header",
    ),
    pytest.param(
        "etsy.csv --kind social_post",
        "--set platform=instagram --map topic=TITLE --map source_text=DESCRIPTION --map hashtags=TAGS --map custom_id=SKU"
        " --extra PRICE,CURRENCY_CODE",
        [],
        ["Knitted moss-green scarf", "Set of four coasters"],
        {"PRICE": "45", "CURRENCY_CODE": "EUR"},
        id="Etsy, listings",
    ),
    pytest.param(
        "ahrefs.csv --kind article",
        "--map topic=Keyword --extra Volume,Difficulty",
        [],
        ["how to descale a kettle", "gooseneck kettle"],
        {"Volume": "5400", "Difficulty": "12"},
        id="Ahrefs, keywords: UTF-16, tabs",
    ),
    pytest.param(
        "semrush.csv --kind article",
        "--map topic=keyword --map metadata.intent=Intent --extra Trend",
        [],
        ["cold brew ratio", "cold brew maker"],
        {"intent": "Informational", "Trend": "0.54,0.66,0.81,1.00"},
        id="Semrush, keywords",
    ),
    pytest.param(
        "search-console.csv --kind article",
        "--map 'topic=Top queries' --extra metadata",
        [],
        ["repair bicycle chain", "bicycle chain length", "fahrradkette k\xfcrzen"],
        {"Clicks": "310", "Impressions": "12040", "CTR": "2.57%", "Position": "4.1"},
        id="Search Console, queries",
    ),
    pytest.param(
        "hootsuite.csv --kind social_post",
        "--set platform=x --header posted_at,topic,link --extra posted_at",
        [],
        [
            "Our winter hours start on Friday, see the door",
            'Two seats left in the "Bread at home" class',
            "Sunday: closed",
        ],
        {"posted_at": "12/04/2026 09:00"},
        id="Hootsuite, calendar without a header",
    ),
    pytest.param(
        "notion.csv --kind social_post",
        "--map topic=Name --map platform=Channel --map hashtags=Tags --extra 'Publish date,Owner,Notes'",
        ["out_of_range"],  # nobody posts by fax
        ["Behind the oven: a baker's night", "Sourdough, week by week"],
        {"Publish date": "December 3, 2026", "Owner": "Ana", "Notes": "ask for photos"},
        id="Notion, calendar",
    ),
    pytest.param(
        "unity.csv --kind translation",
        "--map custom_id=Key --map 'text=English(en)' --set source_language=en --set target_language=de"
        " --extra 'Shared Comments'",
        ["missing_field"],
        ["Start game", "Mind your fingers, {name}!\nThe iron is hot.", "Quit"],
        None,
        id="Unity, string table",
    ),
    pytest.param(
        "gettext.csv --kind translation",
        "--map text=source --set source_language=en --set target_language=de --extra location",
        [],
        ["Open the map", "You cannot travel while enemies are near.", "Slot %d"],
        {"location": "src/ui/map.c:41"},
        id="po2csv, catalog",
    ),
]


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logs_of_a_command: None) -> Session:
    monkeypatch.chdir(FOLDER)
    return Session(Settings(store_url=str(tmp_path / "store"), model="stub"))


@pytest.mark.parametrize(("command", "choice", "codes", "texts", "extra"), FILES)
def test_a_foreign_file_gives_its_rows_by_a_command_line(
    command: str,
    choice: str,
    codes: Sequence[str],
    texts: Sequence[str],
    extra: dict[str, str] | None,
    session: Session,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["enqueue", *shlex.split(f"{command} {choice}")], session) == 0
    batch = require_batch(session.store, capsys.readouterr().out.strip())
    assert (batch.rows, batch.refused) == (len(codes) + len(texts), len(codes))
    assert [row["error"]["code"] for row in results(session.store, batch.batch_id, errors=True)] == codes
    (lane,) = batch.lanes
    rows = [
        RowRequest.from_bytes(line)
        for line in session.store.read(BatchPaths(batch.batch_id).input(lane)).splitlines(keepends=True)
    ]
    assert [row.request.get("topic") or row.request["text"] for row in rows] == texts
    assert rows[0].metadata == extra


@pytest.mark.parametrize(("command", "choice", "codes", "texts", "extra"), FILES)
def test_without_a_choice_one_line_names_the_columns_the_fields_and_the_options(
    command: str,
    choice: str,
    codes: Sequence[str],
    texts: Sequence[str],
    extra: Any,
    session: Session,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["enqueue", *shlex.split(command)], session) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "no column of the file is a field, so nothing was accepted. Its columns are " in err
    kind = command.rpartition(" ")[2]
    assert f"The fields of {kind} are " in err
    assert "--extra metadata takes other columns along, --extra none leaves them out" in err
    suggested = shlex.split(choice)[shlex.split(choice).index("--map") + 1] if "--map" in choice else "--header"
    assert kind != "article" or suggested.casefold() in err.casefold().replace("'", "") or "amazon" in command
    assert session.store.list("batches") == []


def test_each_foreign_file_is_shown_here() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert all(f'"{path.name} --kind' in text for path in FOLDER.iterdir())
    assert len(list(FOLDER.iterdir())) == len(FILES) == 11


def test_the_files_of_a_map_and_of_the_command_line_are_the_same_choice(
    session: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "columns.toml"
    file.write_text('topic = "Name"\ncustom_id = "SKU"\n[metadata]\nprice = "Regular price"\n')
    rest = ["--kind", "article", "--extra", "none", "--run-key", "k"]
    assert main(["enqueue", "woocommerce.csv", "--map", f"@{file}", *rest], session) == 0
    typed = ["--map", "topic=Name", "--map", "custom_id=SKU", "--map", "metadata.price=Regular price"]
    assert main(["enqueue", "woocommerce.csv", *typed, *rest], session) == 0
    first, again = capsys.readouterr().out.split()
    assert first == again
    options = require_batch(session.store, first).options
    assert orjson.loads(options["map"]) == {"topic": "Name", "custom_id": "SKU", "metadata.price": "Regular price"}
    assert main(["enqueue", "woocommerce.csv", *typed[:-2], *rest], session) == 0
    assert capsys.readouterr().out.strip() != first
