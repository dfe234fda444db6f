"""Shows jobs/kinds/completion.py."""

from tests.support.conversations import converse, failed


def test_the_prompt_is_raw_text() -> None:
    output, [[prompt]] = converse("completion", {"prompt": "Once upon ", "stop": ["\n"]}, lambda _: " a time")
    assert (prompt.text, prompt.messages, prompt.params.stop) == ("Once upon ", (), ("\n",))
    assert output.text == "a time"


def test_nothing_is_no_continuation() -> None:
    assert failed("completion", {"prompt": "Once"}, lambda _: " ").code == "empty_output"
