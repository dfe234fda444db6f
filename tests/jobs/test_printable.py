"""Shows jobs/printable.py. Texts of rows and models that a command prints cannot steer a terminal."""

import os
import subprocess
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.commands.session import Session
from jobs.printable import one_line, printable, shell_word


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ä 東京 🍵 👩\u200d🔬", "plain ä 東京 🍵 👩\u200d🔬"),
        ("\tone\ntwo", "\tone\ntwo"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x1b[2J\x1b]52;c;ZXZpbA==\x07", "\\x1b[2J\\x1b]52;c;ZXZpbA==\\x07"),
        ("100 rows\rall is well", "100 rows\\x0dall is well"),
        ("a\x08\x7f\x00b", "a\\x08\\x7f\\x00b"),
        ("\x9b31m \x85 \x9d0;x\x9c", "\\x9b31m \\x85 \\x9d0;x\\x9c"),
        ("user\u202egnp.exe\u2066x", "user\\u202egnp.exe\\u2066x"),
        ("one\u2028two\u2029", "one\\u2028two\\u2029"),
        ("עברית\u200f, العربية", "עברית\u200f, العربية"),
        ("\udcff in a file's name", "\\udcff in a file's name"),
    ],
)
def test_a_text_is_printed_without_what_steers_a_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert one_line(text) == shown.replace("\n", "\\n")


@pytest.mark.parametrize(
    ("print_it", "stream"),
    [(lambda session, text: session.say(text), "err"), (lambda session, text: session.write(text), "out")],
)
def test_a_session_prints_no_control_character(
    capsys: pytest.CaptureFixture[str], print_it: Callable[[Session, str], None], stream: str
) -> None:
    print_it(Session(), "row 7 (\x1b[31mred\x9b0m\x07\r): failed")
    printed = getattr(capsys.readouterr(), stream)
    assert printed == "row 7 (\\x1b[31mred\\x9b0m\\x07\\x0d): failed\n"


def test_a_message_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    Session().say("rows.jsonl\nnightpress: all rows were accepted: no such file")
    assert capsys.readouterr().err == "rows.jsonl\\nnightpress: all rows were accepted: no such file\n"


@given(
    st.lists(
        st.text(
            st.characters(exclude_characters="\0", exclude_categories=["Cs"])
            | st.sampled_from("\n\t'\"\\\x1b \udcff$"),
            max_size=9,
        ),
        max_size=9,
    )
)
@settings(deadline=None, max_examples=30)
def test_a_shell_reads_a_word_as_it_was(texts: list[str]) -> None:
    """The words can be copied from a terminal: they are printed on one line, without control characters."""
    words = " ".join(map(shell_word, texts))
    assert one_line(words) == words
    ran = subprocess.run(["bash", "-c", f"printf '%s\\0' {words}"], capture_output=True, check=True)
    assert ran.stdout == (b"".join(os.fsencode(text) + b"\0" for text in texts) or b"\0")
