"""Shows jobs/gateway/page/usage.py, plots.py and fleet.py: what was used, as bars and numbers, and who works."""

from datetime import date
from itertools import pairwise

from jobs.gateway.page.plots import columns, each_day, shares
from jobs.gateway.page.rendering import file_size, span
from tests.support.gateway.browser import Browser
from tests.support.gateway.front_desk import ALL, FrontDesk
from tests.support.gateway.showcase import Showcase


def test_bars_are_as_high_as_their_values() -> None:
    bars = columns({"a": 0, "b": 5, "c": 10})
    assert [(bar.name, bar.height, bar.y) for bar in bars] == [("a", 0, 40), ("b", 20, 20), ("c", 40, 0)]
    assert all(bar.x >= 0 and bar.x + bar.width <= 100 for bar in bars)
    assert [round(two.x - one.x, 1) for one, two in pairwise(bars)] == [33.3, 33.3]
    assert columns({}) == []
    assert [bar.height for bar in columns({"a": 0})] == [0]
    assert shares({"a": 1, "b": 4}) == {"a": 25, "b": 100}
    assert shares({"a": 0}) == {"a": 0}


def test_a_day_without_usage_has_its_place() -> None:
    values = each_day({"2026-11-30": 3}, date(2026, 11, 29), date(2026, 12, 1))
    assert values == {"2026-11-29": 0, "2026-11-30": 3, "2026-12-01": 0}


def test_spans_and_sizes_in_words() -> None:
    assert [span(s) for s in (None, 0, 59, 61, 3_600, 90_061)] == [
        "\u2013",
        "0 s",
        "59 s",
        "1 min 1 s",
        "1 h",
        "1 d 1 h",
    ]
    assert [file_size(n) for n in (0, 999, 1_000, 12_345_678, 5 * 10**12)] == [
        "0 bytes",
        "999 bytes",
        "1.0 kB",
        "12.3 MB",
        "5,000.0 GB",
    ]


def test_usage_is_that_of_the_tenant_in_those_days(front_desk: FrontDesk, browser: Browser) -> None:
    assert "Nothing was published in these days" in browser.get("/page/usage").text
    front_desk.published()
    for measure, words in (("charge", "highest: 0.004230 USD"), ("rows", "highest: 3"), ("tokens", "highest: 333")):
        page = browser.get(f"/page/usage?days=7&measure={measure}")
        assert words in page.text, page.text
        assert "2026-11-23 3 0 0 333" in page.text
        assert len([one for one in page.elements if one[0] == "rect"]) == 3  # a day, a model and a kind
    assert "Nothing was published" in Browser(front_desk).signed_in("bakery").get("/page/usage").text
    front_desk.shelf.pass_s(8 * 86_400)
    browser.signed_in()
    assert "Nothing was published" in browser.get("/page/usage?days=7").text
    assert "2026-11-23" in browser.get("/page/usage?days=30").text
    assert browser.get("/page/usage?days=0").status == 400


def test_without_a_queue_nothing_is_known_of_workers(browser: Browser) -> None:
    assert "The settings name no queue" in browser.get("/page/fleet").text


def test_the_fleet_counts_rows_and_names_machines_to_operators_alone(full_desk: FrontDesk, shown: Showcase) -> None:
    page = Browser(full_desk).signed_in().get("/page/fleet")
    assert "host-7-worker-1 host-7 , process 4711 stub running NVIDIA L4 3 8" in page.text
    other = Browser(full_desk).signed_in("bakery", ("read",)).get("/page/fleet")
    assert "worker 1 stub running NVIDIA L4 3 8" in other.text
    assert "host-7" not in other.html
    part = Browser(full_desk).signed_in("shop", ALL).get("/page/fleet", hx_request="true")
    assert "<html" not in part.html
