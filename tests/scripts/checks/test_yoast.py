"""Shows that `scripts/checks/yoast.py` makes its articles, gives a reason for each difference that is known, and skips itself."""

import sys
from pathlib import Path

import pytest

from scripts.checks.yoast import ARTICLES, articles, figures, is_same, main, reason


def test_the_articles_differ_in_all_that_is_compared() -> None:
    made = list(articles())
    own = [figures(article) for article in made]
    assert len(made) == ARTICLES
    assert all(len({figure[name] for figure in own}) > 1 for name in own[0])
    assert {article.language for article in made} == {"de", "en"}


def test_only_known_differences_have_a_reason() -> None:
    plain = next(one for one in articles() if one.form == one.keyword and one.title.isascii())
    inflected = next(one for one in articles() if one.form != one.keyword)
    assert is_same("title pixels", 754, 757)
    assert not is_same("title pixels", 754, 760)
    assert reason("keyword count", inflected, 3, 0)
    assert not reason("keyword count", plain, 3, 0)
    assert not reason("words", inflected, 3, 0)


def test_it_is_skipped_where_yoastseo_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["yoast.py", str(tmp_path)])
    main()
    assert capsys.readouterr().out.startswith("skipped: ")
