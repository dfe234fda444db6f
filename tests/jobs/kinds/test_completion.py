"""Shows jobs/kinds/completion.py. tests/jobs/kinds/test_chat.py shows the fields that it shares with `chat`."""

from tests.support.conversations import converse, failed


def test_the_prompt_is_raw_text() -> None:
    output, [[prompt]] = converse("completion", {"prompt": "Once upon ", "stop": ["\n"]}, lambda _: " a time")
    assert (prompt.text, prompt.messages, prompt.params.stop) == ("Once upon ", (), ("\n",))
    assert output.text == "a time"


def test_an_empty_continuation_fails() -> None:
    assert failed("completion", {"prompt": "Once"}, lambda _: " ").code == "empty_output"
