"""Shows jobs/writing/platforms.py: lengths as each platform counts them."""

import unicodedata
from datetime import date
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from jobs.kinds.posts.request import SocialPostRequest
from jobs.writing.characters import graphemes, utf16_units
from jobs.writing.platforms import LIMITS, Platform, mastodon_length, threads_length, x_length
from tests.jobs.writing.fixtures.post_lengths import CASES

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
FLAG = "\U0001f1eb\U0001f1f7"
THUMB = "\U0001f44d\U0001f3fd"
LONG_LINK = "https://example.com/" + "a" * 90


@pytest.mark.parametrize(
    ("platform", "text", "length"),
    [
        pytest.param("x", "hello", 5, id="x: Latin weighs one"),
        pytest.param("x", "Привет", 6, id="x: so does Cyrillic"),
        pytest.param("x", "日本", 4, id="x: ideographs weigh two"),
        pytest.param("x", "한국", 4, id="x: so do Korean syllables"),
        pytest.param("x", "don\u2019t \u2013 \u201cyes\u201d", 13, id="x: typographic marks weigh one"),
        pytest.param("x", "5 \u20ac", 4, id="x: a euro sign weighs two"),
        pytest.param("x", "e\u0301", 1, id="x: after NFC"),
        pytest.param("x", FAMILY, 2, id="x: a joined emoji weighs two"),
        pytest.param("x", FLAG + THUMB + "1\ufe0f\u20e3", 6, id="x: so do a flag, a skin tone and a keycap"),
        pytest.param("x", "\u00a9 \u00a9\ufe0f", 4, id="x: a sign weighs one unless it is shown as an emoji"),
        pytest.param("x", f"see {LONG_LINK}", 4 + 23, id="x: a link weighs 23"),
        pytest.param("x", "http://a.co", 23, id="x: a short one too"),
        pytest.param("x", f"({LONG_LINK}).", 3 + 23, id="x: marks after a link are not of it"),
        pytest.param("x", "on example.com, or www.example.org/a", 3 + 23 + 5 + 23, id="x: links without a scheme"),
        pytest.param("x", "spiegel.de bit.ly/abc foo.museum", 3 * 23 + 2, id="x: of any top-level domain"),
        pytest.param("x", "end.Then a.b", 12, id="x: no links"),
        pytest.param("x", "詳細https://a.example.com/bを見る", 4 + 23 + 6, id="x: a link in Japanese ends before it"),
        pytest.param("x", "https://intranet/wiki", 21, id="x: no link without a domain"),
        pytest.param("x", "mail me@example.com", 19, id="x: an address is no link"),
        pytest.param("bluesky", FAMILY + "e\u0301" + FLAG, 3, id="bluesky: graphemes"),
        pytest.param("bluesky", "क्षि", 1, id="bluesky: an Indic conjunct is one"),
        pytest.param("bluesky", LONG_LINK, 110, id="bluesky: a link is as long as it is"),
        pytest.param("mastodon", "a http://b.example.com/long/path", 2 + 23, id="mastodon: a link is 23"),
        pytest.param("mastodon", "example.com", 11, id="mastodon: not without a scheme"),
        pytest.param("mastodon", "hi @ann@social.example!", 8, id="mastodon: a mention without its server"),
        pytest.param("mastodon", "me@example.com " + FAMILY, 16, id="mastodon: an address, an emoji"),
        pytest.param("threads", "日本 abc", 6, id="threads: characters"),
        pytest.param("threads", "a" + THUMB, 1 + 8, id="threads: an emoji by its bytes"),
        pytest.param("linkedin", "日本" + THUMB, 6, id="linkedin: UTF-16"),
        pytest.param("facebook", "日本" + THUMB, 6, id="facebook: UTF-16"),
        pytest.param("instagram", "日本" + THUMB, 6, id="instagram: UTF-16"),
    ],
)
def test_length(platform: Platform, text: str, length: int) -> None:
    assert LIMITS[platform].length(text) == length


@pytest.mark.parametrize(
    ("platform", "most"),
    [
        pytest.param("x", 280, id="x"),
        pytest.param("linkedin", 3_000, id="linkedin"),
        pytest.param("facebook", 63_206, id="facebook"),
        pytest.param("instagram", 2_200, id="instagram"),
        pytest.param("threads", 500, id="threads"),
        pytest.param("bluesky", 300, id="bluesky"),
        pytest.param("mastodon", 500, id="mastodon"),
    ],
)
def test_a_post_fits_up_to_its_limit(platform: Platform, most: int) -> None:
    assert LIMITS[platform].fits("a" * most)
    assert not LIMITS[platform].fits("a" * (most + 1))


def test_every_platform_has_its_limits() -> None:
    assert set(LIMITS) == set(get_args(Platform))
    assert {platform: limit.max_hashtags for platform, limit in LIMITS.items() if limit.max_hashtags} == {
        "instagram": 5
    }


def test_every_limit_has_its_source_and_the_day_on_which_it_was_looked_up() -> None:
    for limit in LIMITS.values():
        assert limit.source
        assert limit.unit
        assert date(2026, 1, 1) < limit.looked_up <= date.today()  # noqa: DTZ011 - a day of the calendar


def test_the_docs_show_the_same_table() -> None:
    page = (Path(__file__).parents[3] / "docs" / "kinds.md").read_text(encoding="utf-8")
    table = page.partition("<!-- table: platforms -->\n")[2].partition("<!-- end -->")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    assert rows == [
        [
            f"`{name}`",
            f"{limit.max_length:,}",
            limit.unit,
            f"{limit.max_bytes:,}" if limit.max_bytes else "",
            str(limit.max_hashtags or ""),
            "yes" if limit.threads else "",
            limit.looked_up.isoformat(),
            limit.source,
        ]
        for name, limit in LIMITS.items()
    ]


def test_the_docs_show_the_template_of_a_post() -> None:
    root = Path(__file__).parents[3]
    template = (root / "jobs" / "kinds" / "templates" / "social_post_user.j2").read_text(encoding="utf-8")
    assert f"```text\n{template}```" in (root / "docs" / "kinds.md").read_text(encoding="utf-8")


def test_instagram_takes_five_hashtags() -> None:
    row = {"topic": "Bread", "platform": "instagram"}
    assert SocialPostRequest.model_validate({**row, "hashtags": list("abcde")})
    with pytest.raises(ValidationError, match="instagram takes at most 5 hashtags: remove some"):
        SocialPostRequest.model_validate({**row, "hashtags": list("abcdef")})


def test_bluesky_takes_300_graphemes_of_at_most_3000_bytes() -> None:
    limit = LIMITS["bluesky"]
    assert limit.fits(THUMB * 300)
    assert len((FAMILY * 167).encode()) == 3006
    assert limit.length(FAMILY * 167) == 167
    assert limit.fits(FAMILY * 166)
    assert not limit.fits(FAMILY * 167)


@pytest.mark.parametrize("platform", ["x", "bluesky", "mastodon"])
def test_lengths_are_those_of_the_platform_s_own_library(platform: Platform) -> None:
    lengths = {case["text"]: LIMITS[platform].length(case["text"]) for case in CASES}
    assert lengths == {case["text"]: case[platform]["length"] for case in CASES}


def test_x_takes_what_twitter_text_calls_valid() -> None:
    assert {case["text"]: LIMITS["x"].fits(case["text"]) for case in CASES} == {
        case["text"]: case["x"]["valid"] for case in CASES
    }


def test_bluesky_takes_what_is_within_both_limits() -> None:
    assert {case["text"]: LIMITS["bluesky"].fits(case["text"]) for case in CASES} == {
        case["text"]: case["bluesky"]["length"] <= 300 and case["bluesky"]["bytes"] <= 3_000 for case in CASES
    }


def test_the_answers_of_the_platforms_are_many() -> None:
    assert len(CASES) >= 400
    assert sum(bool(case["x"]["links"]) for case in CASES) >= 200


@pytest.mark.parametrize("platform", get_args(Platform))
def test_an_empty_post_fits_nowhere(platform: Platform) -> None:
    assert not LIMITS[platform].fits("")


@given(st.text(st.characters(codec="ascii", exclude_characters="@.\r")))
def test_plain_ascii_has_the_same_length_everywhere(text: str) -> None:
    counts = {count(text) for count in (x_length, mastodon_length, threads_length, utf16_units, graphemes)}
    assert counts == {len(text)}


@given(st.text(st.characters(codec="utf-8", exclude_characters="./:@")))
def test_no_count_is_below_the_characters_a_reader_sees(text: str) -> None:
    text = unicodedata.normalize("NFC", text)
    seen = graphemes(text)
    assert seen == mastodon_length(text)
    for count in (x_length, threads_length, utf16_units):
        assert count(text) >= seen
    assert utf16_units(text) <= len(text.encode())


@given(st.text(st.characters(codec="utf-8", exclude_characters="./:@")), st.integers(0, 200))
def test_a_link_counts_the_same_however_long_it_is(text: str, more: int) -> None:
    linked = f"{text} https://example.com/{'a' * more} {text}"
    for count in (x_length, mastodon_length):
        assert count(linked) == count(f"{text} ") + 23 + count(f" {text}")
