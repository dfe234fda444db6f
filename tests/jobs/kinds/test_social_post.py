"""Shows jobs/kinds/social_post.py: a post is within the limits of its platform, or fails with a code."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from jobs.errors import CheckFailed
from jobs.generation import Completion
from jobs.kinds.registry import load_kinds
from jobs.kinds.social_post import SocialPostRequest
from jobs.writing.platforms import LIMITS
from tests.support.conversations import converse, failed

BREAD = {"topic": "Bread", "platform": "x"}
KIND = load_kinds()["social_post"]


def test_call_to_action_link_and_hashtags_follow_the_words_unchanged() -> None:
    request = {
        **BREAD,
        "hashtags": ["bread", "#sunday"],
        "link": "https://example.com/a",
        "call_to_action": "Come in!",
    }
    output, [[prompt]] = converse("social_post", request, lambda _: '"Fresh bread today. #yum"')
    assert output.text == "Fresh bread today.\n\nCome in!\n\nhttps://example.com/a\n\n#bread #sunday"
    assert output.hashtags == ("#bread", "#sunday")
    assert output.length == len(output.text.replace("https://example.com/a", "x" * 23))
    for given_ in ("#sunday", "https://example.com/a", "Come in!"):
        assert given_ not in prompt.messages[1].content


@pytest.mark.parametrize(
    ("written", "text"),
    [
        pytest.param("Post: Fresh bread.", "Fresh bread.", id="a label"),
        pytest.param("Try our #rye today #bread #sun.", "Try our rye today", id="hashtags within and at the end"),
        pytest.param("Fresh bread.\n\n#bread #sun", "Fresh bread.", id="a line of hashtags"),
        pytest.param("We are #1 in C# & tea", "We are #1 in C# & tea", id="no hashtags"),
        pytest.param("Come: https://made.up/x now", "Come: now", id="a link of its own making"),
        pytest.param("Read [all of it](https://made.up).", "Read all of it.", id="a link in Markdown"),
        pytest.param(
            "詳細はhttps://made.up/xをご覧ください。パンが焼けました。",
            "詳細はをご覧ください。パンが焼けました。",
            id="a link in Japanese",
        ),
        pytest.param("请看https://made.up/x，谢谢。面包好了。", "请看，谢谢。面包好了。", id="a link in Chinese"),  # noqa: RUF001
        pytest.param(
            "빵은 https://made.up에서 사세요. 맛있어요.", "빵은 에서 사세요. 맛있어요.", id="a link in Korean"
        ),
        pytest.param("\ufeffFresh \uffffbread.", "Fresh bread.", id="a byte order mark"),
        pytest.param("**Fresh** bread", "Fresh bread", id="emphasis"),
        pytest.param("One.\n\n\n\nTwo  three.", "One.\n\nTwo three.", id="paragraphs stay"),
        pytest.param("Bread today \U0001f35e", "Bread today \U0001f35e", id="an end without a mark"),
    ],
)
def test_words_are_plain_text(written: str, text: str) -> None:
    output, _ = converse("social_post", BREAD, lambda _: written)
    assert output.text == text


def test_a_link_of_the_source_text_may_stay() -> None:
    request = {"source_text": "We moved to https://new.example/ today.", "platform": "linkedin"}
    output, [[prompt]] = converse("social_post", request, lambda _: "Find us at https://new.example/ now.")
    assert output.text == "Find us at https://new.example/ now."
    assert "a post for LinkedIn of at most" in prompt.messages[1].content
    assert prompt.messages[1].content.endswith("We moved to https://new.example/ today.")


def test_a_post_that_is_too_long_is_asked_for_again() -> None:
    """Each try asks for fewer words, and replaces the try before. So only the last try is billed."""
    output, turns = converse(
        "social_post", BREAD, lambda p: "Short." if p.label == "post, try 3" else "Long words. " * 40
    )
    assert (output.text, output.length) == ("Short.", 6)
    assert [(p.label, p.replaces) for [p] in turns] == [
        ("post", None),
        ("post, try 2", "post"),
        ("post, try 3", "post, try 2"),
    ]
    sizes = [prompt.params.max_tokens for [prompt] in turns]
    assert sizes == sorted(set(sizes), reverse=True)
    assert ["shorter" in p.messages[1].content for [p] in turns] == [False, True, True]


@pytest.mark.parametrize("platform", [name for name in LIMITS if name != "bluesky"])
def test_a_post_that_stays_too_long_fails(platform: Any) -> None:
    error = failed(
        "social_post", {"topic": "Bread", "platform": platform}, lambda _: "a" * (LIMITS[platform].max_length + 1)
    )
    assert error.code == "post_too_long"
    assert f"{LIMITS[platform].max_length + 1} characters" in error.message


def test_a_post_of_too_many_bytes_fails() -> None:
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    written = "Bread " + family * 200
    assert failed("social_post", {**BREAD, "platform": "bluesky"}, lambda _: written).code == "post_too_long"


@pytest.mark.parametrize(
    ("written", "code"),
    [
        pytest.param("", "empty_output", id="nothing"),
        pytest.param("#only #tags", "empty_output", id="hashtags only"),
        pytest.param("https://made.up/", "empty_output", id="a link only"),
        pytest.param('"..."', "empty_output", id="no word"),
        pytest.param(("Fresh bread and", "length"), "output_incomplete", id="cut before its first sentence"),
        pytest.param(("...! Fresh bread and", "length"), "output_incomplete", id="no word in what is whole"),
    ],
)
def test_a_post_that_cannot_be_published(written: Any, code: str) -> None:
    assert failed("social_post", BREAD, lambda _: written).code == code


@pytest.mark.parametrize(
    "first",
    [
        pytest.param("", id="nothing"),
        pytest.param("#only #tags", id="hashtags only"),
        pytest.param(("Fresh bread and", "length"), id="cut before its first sentence"),
    ],
)
def test_a_bad_post_is_asked_for_again(first: Any) -> None:
    answers = iter([first, "Fresh bread on Sundays."])
    output, prompts = converse("social_post", BREAD, lambda _: next(answers))
    assert output.text == "Fresh bread on Sundays."
    assert [(prompt.label, prompt.replaces) for [prompt] in prompts] == [("post", None), ("post, try 2", "post")]


def test_a_link_of_the_source_text_may_lose_its_last_slash() -> None:
    request = {"source_text": "We moved to https://new.example/ today.", "platform": "linkedin"}
    output, _ = converse("social_post", request, lambda _: "See https://new.example now.")
    assert output.text == "See https://new.example now."


def test_the_row_s_link_is_taken_out_of_the_words_whatever_its_letters() -> None:
    link = "https://pan.example/新着"
    output, _ = converse("social_post", {**BREAD, "link": link}, lambda _: f"焼きたて。{link} をご覧ください。")
    assert output.text == f"焼きたて。 をご覧ください。\n\n{link}"


def test_a_link_that_is_shorter_than_that_of_the_source_text_is_made_up() -> None:
    request = {"source_text": "We moved to https://new.example/a/b today.", "platform": "linkedin"}
    output, _ = converse("social_post", request, lambda _: "See https://new.example/a now.")
    assert output.text == "See now."


def test_a_post_that_was_cut_ends_with_a_sentence() -> None:
    output, _ = converse("social_post", BREAD, lambda _: ("Fresh bread. It costs 3.5 and", "length"))
    assert output.text == "Fresh bread."


def test_little_room_asks_for_few_words() -> None:
    def words(**fields: Any) -> int:
        [prompt] = next(KIND.compose(SocialPostRequest.model_validate({**BREAD, **fields})))
        return prompt.params.max_tokens

    assert words(call_to_action="a" * 200) < words(link="https://example.com/" + "a" * 300) == words()


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        pytest.param({"platform": "x"}, "topic or source_text is needed", id="neither topic nor source_text"),
        pytest.param({"topic": " ", "platform": "x"}, "pattern", id="blank topic"),
        pytest.param({"topic": "a", "platform": "myspace"}, "'bluesky'", id="unknown platform"),
        pytest.param({**BREAD, "platform": "instagram", "hashtags": ["a"] * 31}, "at most 30", id="too many hashtags"),
        pytest.param({**BREAD, "link": "javascript:x"}, "pattern", id="no link"),
        pytest.param({**BREAD, "call_to_action": "Come\ufeff!"}, "byte order mark", id="a character that X refuses"),
        pytest.param({**BREAD, "hashtags": ["two words"]}, "pattern", id="no hashtag"),
        pytest.param({**BREAD, "call_to_action": "a\nb"}, "pattern", id="two lines"),
        pytest.param({**BREAD, "hashtags": ["a" * 80] * 3}, "leave 33 of 280", id="no room for words"),
    ],
)
def test_invalid_requests_are_refused(request_: Mapping[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SocialPostRequest.model_validate(request_)


@given(st.text(max_size=700), st.sampled_from(sorted(LIMITS)), st.sampled_from(["stop", "length"]))
def test_any_text_of_a_model_makes_a_post_within_the_limit_or_a_code(written: str, platform: Any, reason: Any) -> None:
    request = SocialPostRequest(topic="Bread", platform=platform, link="https://example.com/", hashtags=("tea",))
    conversation = KIND.compose(request)
    code = None
    try:
        prompts = next(conversation)
        while True:
            prompts = conversation.send([Completion(prompt.label, written, reason) for prompt in prompts])
    except StopIteration as stop:
        output = stop.value
        assert LIMITS[platform].fits(output.text)
        assert output.length == LIMITS[platform].length(output.text)
        assert output.text.endswith("\n\nhttps://example.com/\n\n#tea")
    except CheckFailed as error:
        code = error.code
    assert code in {None, "empty_output", "output_incomplete", "post_too_long"}
