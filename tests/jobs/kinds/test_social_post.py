"""Shows jobs/kinds/social_post.py: a post is within the limits of its platform, or fails with a code."""

# ruff: noqa: RUF001 - marks of other scripts

from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from jobs.errors import CheckFailed
from jobs.generation import Completion, Prompt
from jobs.kinds.parts.post_request import SocialPostRequest
from jobs.kinds.registry import load_kinds
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
        pytest.param("Come (https://made.up/x). Now.", "Come. Now.", id="a link in brackets"),
        pytest.param("Come <https://made.up/x> now", "Come now", id="a link in angle brackets"),
        pytest.param("Come (see https://made.up/x) now ()", "Come (see ) now ()", id="a link beside words in brackets"),
        pytest.param("Read [all of it](https://made.up).", "Read all of it.", id="a link in Markdown"),
        pytest.param(
            "詳細はhttps://made.up/xをご覧ください。パンが焼けました。",
            "詳細はをご覧ください。パンが焼けました。",
            id="a link in Japanese",
        ),
        pytest.param("パン。\n\nhttps://made.up/商品/食パン", "パン。", id="a link with a path in Japanese"),
        pytest.param(
            "面包：https://made.up/产品?名=面包&x=1。谢谢。", "面包：。谢谢。", id="a link with a query in Chinese"
        ),
        pytest.param("请看https://made.up/x，谢谢。面包好了。", "请看，谢谢。面包好了。", id="a link in Chinese"),
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


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("tea", 'Here is our new tea: "Spring" is out now.'),
        ("tea", "Here it is:\n\nOur new tea."),
        ("tea", "Here is our latest blog post: how to brew"),
        ("tea", "Here's the post office's new address: Main St"),
        ("tea", "Sure, it's cold outside: have a tea."),
        ("tea", "Of course!\n\nWe have tea."),
        ("Post: the magazine", "Post: The magazine is out."),
        ("Post office hours", "Post: open until 6"),
        ({"source_text": 'A customer wrote: "Best bread ever, thank you!" We are glad.'}, '"Best bread ever!"'),
        ("tea", "Answer: yes, we are open."),
        ("Our #MittwochMagie campaign", "Join today! #MittwochMagie"),
        ("tea", "2**3 = 8 and 2**4 = 16"),
        ("tea", "y = a**n and z = b**k"),
        ("tea", "y = 2**n and z = 3**k"),
        ({"source_text": 'Hier ist unser Motto: "Mehr Licht"'}, 'Here is our motto: "More light"'),
        ({"source_text": "- one\n- two"}, "- one\n- two"),
        ({"source_text": "Titel: Der Herbst\nAlles neu."}, "Title: The Autumn\nAll new."),
        ("tea", "“We love tea,” says Anna. “So do I.”"),
        ("tea", "'Tis the season for tea. Don't miss it, folks'"),
        ("tea", "This is the post that changed my life: read"),
        ("tea", "Below is our menu:\n\n- tea"),
        ("tea", "Here's what's new: tea"),
        ("tea", "Voici notre nouveau thé : goûtez"),
        ("tea", "Hier ist unser neuer Beitrag: Tee"),
        ("tea", "Aquí está nuestra publicación: té"),
        ("tea", "Here is the thing: tea is good."),
        ("tea", "Here's why: tea is good."),
        ("tea", "Hier ist unser neuer Tee: „Frühling“ ist da."),
        ("tea", "Voici notre nouveau thé : « Printemps » est là."),
        ("tea", "こちらが新しいお茶です：「春」発売中。"),
        ("tea", "以下は当店の新商品です：「春」"),
        ("tea", "Below are our hours:\nMon 9-5"),
        ("tea", "Okay: we did it."),
        ("tea", 'Absolutely: "Spring" is back'),
        ("tea", 'Sure, "Spring" is back: come.'),
        ("tea", "Section 3: Liability"),
        ("tea", "Translation: it's good"),
        ("tea", "Description: a tea"),
        ({"source_text": '# Title: Autumn\n\n> "More light"'}, 'Title: Autumn\n\n"More light"'),
        ({"source_text": "“More light” is our motto."}, "“More light” is our motto."),
        ({"source_text": "“More light”"}, "“More light”"),
        ({"source_text": "Post: closed"}, "Post: closed"),
        ({"source_text": "Beitrag: geschlossen"}, "Post: closed"),
        ({"source_text": "1. Tea\n2. Cups"}, "1. Tea\n2. Cups"),
        ({"source_text": "Sale.\n\nNote: ends Sunday."}, "Sale.\n\nNote: ends Sunday."),
        ({"source_text": 'Hier ist unser Motto: "Mehr Licht"'}, 'Here is a caption: "More light"'),
    ],
)
def test_words_that_the_request_explains_or_that_may_be_content_stay(given: Any, written: str) -> None:
    fields = {"topic": given} if isinstance(given, str) else given
    output, _ = converse("social_post", {"platform": "linkedin", **fields}, lambda _: written)
    assert output.text == written
    assert output.removed == {}


@pytest.mark.parametrize(
    ("given", "written", "text"),
    [
        ("tea", "Sure! Here's your post: Fresh tea.", "Fresh tea."),
        ("tea", "Here's a LinkedIn post about tea:\n\nFresh tea.", "Fresh tea."),
        ("tea", '"Fresh tea."', "Fresh tea."),
        ("tea", "“Fresh tea.”", "Fresh tea."),
        ("tea", "Post: Fresh tea.", "Fresh tea."),
        ("tea", "LinkedIn post: Fresh tea.", "Fresh tea."),
        ("tea", "**Post:** Fresh tea.", "Fresh tea."),
        ("Write a post about tea", "Post: Fresh tea.", "Fresh tea."),
        ("tea", "I love #Berlin.", "I love Berlin."),
        ("tea", "Come to our #bakery", "Come to our bakery"),
        ("Our #MittwochMagie campaign", "Join #MittwochMagie today. #wow", "Join #MittwochMagie today."),
        ("tea", "Das ist **fett** und **neu**!", "Das ist fett und neu!"),
        ("tea", "これは**重要**です。", "これは重要です。"),
        ("tea", "Voici votre publication :\n\nDu thé.", "Du thé."),
        ("tea", "Hier ist dein Beitrag:\n\nTee.", "Tee."),
        ("tea", "はい、以下は投稿文です：\n\nお茶。", "お茶。"),
        ("tea", "Write a post for LinkedIn of at most 100 words.\n\nFresh tea.", "Fresh tea."),
        ("tea", "Title: Fresh tea\n\nCome in.", "Fresh tea\n\nCome in."),
        ("tea", 'Great! Here\'s a caption: "Fresh tea"', "Fresh tea"),
        ("tea", "Tweet: Fresh tea", "Fresh tea"),
        ("tea", "Caption: Fresh tea", "Fresh tea"),
        ("tea", "投稿：お茶", "お茶"),
        ("tea", "Fresh tea.\n\n#tea #fresh", "Fresh tea."),
        ("tea", "Fresh tea 🍵 #tea", "Fresh tea 🍵"),
        ("tea", "Fresh tea! #tea", "Fresh tea!"),
        ("tea", "Say it with #tea.", "Say it with tea."),
        ("tea", "新茶です。#お茶", "新茶です。"),
        ("tea", '"Fresh tea." #tea', "Fresh tea."),
        ("tea", "«Du thé frais.»", "Du thé frais."),
        ("tea", "「新茶です。」", "新茶です。"),
        ("tea", 'Sure! Here\'s your post:\n\n"Fresh tea."', "Fresh tea."),
        ("tea", "Certainly! Here is a post for LinkedIn:\n\nFresh tea.", "Fresh tea."),
        ("tea", "Natürlich! Hier ist dein LinkedIn-Beitrag: Frischer Tee.", "Frischer Tee."),
        ("tea", "¡Claro! Aquí tienes tu publicación:\n\nTé.", "Té."),
        ("tea", "Bien sûr ! Voici un post pour LinkedIn :\n\nDu thé.", "Du thé."),
        ("tea", "承知しました。以下が投稿文です：\n\n新茶です。", "新茶です。"),
    ],
)
def test_words_around_a_post_are_taken_off(given: str, written: str, text: str) -> None:
    output, _ = converse("social_post", {"platform": "linkedin", "topic": given}, lambda _: written)
    assert output.text == text


@pytest.mark.parametrize(
    "written",
    [
        '{"post": "Fresh bread today."}',
        '```json\n{"tweet": "Fresh bread today."}\n```',
        '{"text": "Fresh bread today.", "hashtags": ["#bread"]}',
        "{'caption': 'Fresh bread today.'}",
    ],
)
def test_json_around_a_post_is_taken_off(written: str) -> None:
    output, _ = converse("social_post", {"topic": "Bread", "platform": "x"}, lambda _: written)
    assert output.text == "Fresh bread today."


def test_the_output_holds_what_was_taken_off_the_last_try() -> None:
    answers = iter(["#only", 'Sure! Here\'s your post: "Fresh [bread](https://made.up/a) today. #yum" '])
    output, _ = converse("social_post", BREAD, lambda _: next(answers))
    assert output.text == "Fresh bread today."
    assert output.removed == {
        "post, try 2": ("Sure! Here's your post:", '""', "[bread](https://made.up/a)", "#yum"),
    }
    assert "removed" not in output.model_dump()


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


def writes(answer: str, _: Prompt) -> str:
    return answer


def test_a_link_with_a_path_in_japanese_is_compared_as_a_whole() -> None:
    request = {"source_text": "旅: https://wiki.example/都市/東京 を見る", "platform": "linkedin"}
    for answer, text in (
        ("旅は https://wiki.example/都市/東京 で。", "旅は https://wiki.example/都市/東京 で。"),
        ("旅はhttps://wiki.example/都市/東京です。", "旅はhttps://wiki.example/都市/東京です。"),
        ("旅は https://wiki.example/都市/大阪 で。", "旅は で。"),
    ):
        output, _ = converse("social_post", request, partial(writes, answer))
        assert output.text == text


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
