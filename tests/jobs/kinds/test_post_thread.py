"""Shows jobs/kinds/parts/post_thread.py, and how a social post asks for it."""

# ruff: noqa: RUF001 - marks of other scripts

import re
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from jobs.errors import CheckFailed
from jobs.kinds.parts.post_request import SocialPostRequest
from jobs.kinds.parts.post_thread import divided
from jobs.writing.platforms import LIMITS, Platform
from tests.support.conversations import KINDS, checker_of, converse, failed

ROW: dict[str, Any] = {"topic": "Our bakery opens on Sundays", "platform": "x", "thread": 3}
FIVE = [
    "Our bakery has a new day.",
    "From now on we bake on Sundays too.",
    "Doors open at eight in the morning.",
    "There is rye, wheat and spelt.",
    "Come early, since rolls go fast.",
]


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_a_text_is_divided_into_so_many_posts(count: int) -> None:
    posts = divided(" ".join(FIVE), LIMITS["x"], count)
    assert len(posts) == count
    assert " ".join(posts) == " ".join(FIVE)
    assert all(post.endswith(".") for post in posts)
    sizes = [len(post) for post in posts]
    assert max(sizes) <= 2 * min(sizes) + 40, "they are about equally long"


def test_the_last_post_has_the_ending_and_each_its_number() -> None:
    row = {
        **ROW,
        "thread_numbers": True,
        "hashtags": ["bread"],
        "link": "https://a.example/b",
        "call_to_action": "Come!",
    }
    output, [[prompt]] = converse("social_post", row, lambda _: " ".join(FIVE), checker_of("social_post", row))
    assert len(output.thread) == 3
    assert [re.findall(r"\(\d/\d\)", post) for post in output.thread] == [["(1/3)"], ["(2/3)"], ["(3/3)"]]
    assert output.thread[0].endswith(" (1/3)")
    assert output.thread[2].endswith(" (3/3)\n\nCome!\n\nhttps://a.example/b\n\n#bread")
    assert "https://a.example/b" not in "".join(output.thread[:2])
    assert output.text == output.thread[0]
    assert output.lengths == tuple(map(LIMITS["x"].length, output.thread))
    assert "3 posts" in prompt.messages[-1].content
    assert "removed" not in output.model_dump()


def test_true_takes_as_few_posts_as_the_text_needs() -> None:
    sentence = "This sentence has exactly as many words as it needs to be about ninety characters long, no more."
    assert len(divided("One short text. And another.", LIMITS["x"], None)) == 2
    assert len(divided(" ".join([sentence] * 5), LIMITS["x"], None)) == 3
    assert len(divided(" ".join([sentence] * 5), LIMITS["mastodon"], None)) == 2


@pytest.mark.parametrize(
    ("text", "posts"),
    [
        ("Dr. Weber bäckt seit 1990 Brot. Am 3. Mai feiern wir das Fest.", 2),
        ("We met Mr. Smith at 3.5 km. He was glad, e.g. about bread.", 2),
        ("パンが焼けました。日曜も開店します！ぜひどうぞ。", 3),
        ("面包出炉了。周日也营业！欢迎光临。", 3),
        ("रोटी तैयार है। रविवार को भी खुला है।", 2),
        ("هل تحب الخبز؟ نحن نخبز يوم الأحد.", 2),
        ("Хлеб готов. Ждём вас в воскресенье!", 2),
        ("Fresh bread! 🍞 Come on Sunday. 🥐", 2),
        ("1. Rolls are ready.\n2. Bread follows.", 2),
        ("A line without an end mark\nAnother line", 2),
    ],
)
def test_posts_end_where_sentences_end_in_any_script(text: str, posts: int) -> None:
    found = divided(text, LIMITS["bluesky"], posts)
    assert len(found) == posts
    assert "".join("".join(found).split()) == "".join(text.split())
    with pytest.raises(CheckFailed) as raised:
        divided(text, LIMITS["bluesky"], posts + 1)
    assert raised.value.code == "thread_incomplete"
    assert f"it has {posts}" in raised.value.message


def test_no_post_has_only_emoji_or_the_number_of_an_item() -> None:
    assert divided("Fresh bread!\n🍞\nCome on Sunday. 🥐", LIMITS["x"], 2) == ["Fresh bread!\n🍞", "Come on Sunday. 🥐"]
    assert divided("1. Rolls are ready.\n2. Bread follows.", LIMITS["x"], 2) == [
        "1. Rolls are ready.",
        "2. Bread follows.",
    ]


@pytest.mark.parametrize("platform", ["x", "bluesky", "mastodon", "threads"])
@pytest.mark.parametrize("more", [0, 1])
def test_a_sentence_may_be_as_long_as_a_post(platform: Platform, more: int) -> None:
    limit = LIMITS[platform]
    long = "a" * (limit.max_length - 1 + more) + "."
    text = f"{long} Short end."
    if more:
        with pytest.raises(CheckFailed, match=f"a sentence has {limit.max_length + 1} characters") as raised:
            divided(text, limit, 2)
        assert raised.value.code == "post_too_long"
    else:
        assert divided(text, limit, 2) == [long, "Short end."]
        with pytest.raises(CheckFailed, match="a sentence has"):
            divided(text, limit, 2, numbered=True)


def test_limits_are_in_the_platform_s_own_units() -> None:
    text = "日" * 139 + "。" + "本" * 139 + "。"
    assert [LIMITS["x"].length(post) for post in divided(text, LIMITS["x"], 2)] == [280, 280]
    with pytest.raises(CheckFailed):
        divided("日" + text, LIMITS["x"], 2)
    assert divided("日" + text, LIMITS["bluesky"], 2)
    link = "https://example.com/" + "a" * 300
    assert divided(f"See {link} now. Bye.", LIMITS["x"], 2)
    with pytest.raises(CheckFailed):
        divided(f"See {link} now. Bye.", LIMITS["bluesky"], 2)


def test_a_sentence_that_is_too_long_is_asked_for_again() -> None:
    answers = {"post": "word " * 80 + ". Short. Shorter.", "post, try 2": " ".join(FIVE)}
    output, turns = converse("social_post", ROW, lambda prompt: answers[prompt.label])
    assert len(output.thread) == 3
    assert [[prompt.replaces for prompt in turn] for turn in turns] == [[None], ["post"]]
    assert "a sentence has" in turns[1][0].messages[-1].content


def test_a_thread_that_cannot_be_divided_fails() -> None:
    assert failed("social_post", ROW, lambda _: "One. Two.").code == "thread_incomplete"
    assert failed("social_post", ROW, lambda _: "word " * 80 + ". Two. Three.").code == "post_too_long"
    assert failed("social_post", ROW, lambda _: f"{'a' * 270}. " * 4).code == "post_too_long"
    assert failed("social_post", ROW, lambda _: "").code == "empty_output"


def test_a_sentence_that_stands_in_two_posts_is_asked_for_again() -> None:
    twice = f"{FIVE[0]} {FIVE[1]} {FIVE[2]} {FIVE[1]}"
    answers = {"post": twice, "post, try 2": " ".join(FIVE)}
    output, turns = converse("social_post", ROW, lambda prompt: answers[prompt.label], checker_of("social_post", ROW))
    assert len(turns) == 2
    assert FIVE[4] in output.thread[-1]


def test_a_numbered_thread_is_judged_fit() -> None:
    row = {"source_text": " ".join(FIVE), "platform": "x", "thread": 12, "thread_numbers": True}
    words = ["rolls", "rye", "wheat", "spelt", "tarts", "cakes", "pies", "buns", "loaves", "scones", "tea", "milk"]
    text = " ".join(f"We have {word} for you." for word in words)
    output, _ = converse("social_post", row, lambda _: text)
    checker = checker_of("social_post", row)
    found = {one.code for one in checker.findings(output.model_dump(mode="json"), cut_off=True)}
    assert not found & {"invented", "cut_off", "max_length"}


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"platform": "linkedin"}, "thread", "linkedin has no threads: leave thread out, or take one of x, threads"),
        ({"platform": "facebook", "thread": True}, "thread", "facebook has no threads"),
        ({"platform": "instagram", "thread": 2}, "thread", "instagram has no threads"),
        ({"thread": 1}, "thread", "2 to 25 posts"),
        ({"thread": 26}, "thread", "2 to 25 posts"),
        ({"thread": "many"}, "thread", "true for as many"),
        ({"thread": 2.5}, "thread", "2 to 25 posts"),
        ({"variants": 2}, "thread", "a thread has no variants"),
        ({"thread": None, "thread_numbers": True}, "thread_numbers", "give thread too"),
        ({"thread": False, "thread_numbers": True}, "thread_numbers", "give thread too"),
    ],
)
def test_threads_that_cannot_be_are_refused_with_field_and_remedy(fields: Any, field: str, message: str) -> None:
    with pytest.raises(ValidationError) as raised:
        SocialPostRequest.model_validate({**ROW, **fields})
    (error,) = raised.value.errors()
    assert error["loc"] == (field,)
    assert message in error["msg"]


@pytest.mark.parametrize(
    ("given", "read"), [("5", 5), ("true", True), ("Yes", True), ("no", False), ("", None), (5.0, 5), (25, 25), (2, 2)]
)
def test_the_number_of_posts_is_read_from_a_cell_too(given: Any, read: Any) -> None:
    request = SocialPostRequest.model_validate({**ROW, "thread": given})
    assert request.thread is read if isinstance(read, bool) else request.thread == read
    again = SocialPostRequest.model_validate(request.model_dump(mode="json", exclude_unset=True))
    assert again == request


def test_platforms_without_threads_take_false() -> None:
    assert SocialPostRequest.model_validate({**ROW, "platform": "linkedin", "thread": False}).posts is None


def test_threads_take_more_tokens() -> None:
    kind = KINDS["social_post"]
    tokens = [
        kind.expected_tokens(SocialPostRequest.model_validate({**ROW, "thread": thread}))
        for thread in (None, 2, 25, True)
    ]
    assert tokens == [45, 90, 45 * 25, 45 * 5]


@given(
    st.lists(st.sampled_from([*FIVE, "日本。", "🍞!", "a" * 120 + "."]), min_size=1, max_size=12),
    st.sampled_from([name for name in get_args(Platform) if LIMITS[name].threads]),
    st.sampled_from([None, 2, 3, 7]),
    st.booleans(),
)
def test_every_post_of_any_thread_fits(parts: list[str], platform: Platform, count: int | None, numbered: bool) -> None:
    text, ending = " ".join(parts), "\n\nhttps://example.com/\n\n#tea"
    try:
        posts = divided(text, LIMITS[platform], count, ending, numbered=numbered)
    except CheckFailed as error:
        assert error.code in ("thread_incomplete", "post_too_long")  # noqa: PT017 - either end is right
        return
    assert all(LIMITS[platform].fits(post) for post in posts)
    assert len(posts) == count or (count is None and 2 <= len(posts) <= 25)
    plain = [re.sub(r" \(\d+/\d+\)", "", post.removesuffix(ending)) for post in posts]
    assert " ".join(plain) == text
