"""Shows jobs/writing/links/path_ends.py: some Chinese, Japanese and Korean letters after a link belong to it."""

# ruff: noqa: RUF001 - marks of other scripts

import pytest

from jobs.writing.links.path_ends import end_of_path
from jobs.writing.links.web_links import LINK


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("https://a.example/製品/概要を見る", "https://a.example/製品/概要を見る"),
        ("詳細: https://a.example/製品", "https://a.example/製品"),
        ("詳細：https://a.example/製品/ です", "https://a.example/製品/"),
        ("看https://a.example/产品/茶?a=绿茶&b=1。谢谢", "https://a.example/产品/茶?a=绿茶&b=1"),
        ("看https://a.example/s?q=绿茶&page=2", "https://a.example/s?q=绿茶&page=2"),
        ("（https://a.example/wiki/東京）", "https://a.example/wiki/東京"),
        ("https://a.example/ブログ/2026/パン\n次の文", "https://a.example/ブログ/2026/パン"),
        ("https://a.example/東京.html。次", "https://a.example/東京.html"),
        ("https://a.example/wiki/東京#歴史 を", "https://a.example/wiki/東京#歴史"),
        ("지금 https://a.example/제품 보세요", "https://a.example/제품"),
        ("https://a.example/blog-新茶 だ", "https://a.example/blog-新茶"),
        ("製品はhttps://a.example/製品/概要をご覧ください。", "https://a.example/製品/概要"),
        ("https://a.example/お茶/緑茶", "https://a.example/"),
        # The sentence continues after the link.
        ("https://a.example/をご覧ください", "https://a.example/"),
        ("詳細は https://a.example/をご覧ください/今すぐ", "https://a.example/"),
        ("こちら https://a.example/参照してください", "https://a.example/"),
        ("点击https://a.example/了解更多", "https://a.example/"),
        ("请访问 https://a.example/了解更多", "https://a.example/"),
        ("请看 https://a.example/即可。谢谢", "https://a.example/"),
        ("看https://a.example/新茶上市了", "https://a.example/"),
        ("看 https://a.example/新茶上市了。", "https://a.example/"),
        ("https://a.example/和/或", "https://a.example/"),
        ("지금 https://a.example/에서 보세요", "https://a.example/"),
        ("https://a.example/제품을 보세요", "https://a.example/"),
        ("https://a.exampleです", "https://a.example"),
        ("https://a.example/bです/ます", "https://a.example/b"),
        ("https://a.example/b谢谢/thanks", "https://a.example/b"),
        ("https://a.example/ 製品", "https://a.example/"),
        ("https://a.example/", "https://a.example/"),
    ],
)
def test_a_link_ends_with_its_path_and_before_a_sentence(text: str, link: str) -> None:
    found = LINK.search(text)
    assert found is not None
    assert text[found.start() : end_of_path(text, *found.span())] == link
