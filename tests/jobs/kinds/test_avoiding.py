"""Shows jobs/kinds/avoiding.py: each prompt of a renewed row says which texts are not to be repeated."""

from collections.abc import Generator, Sequence
from pathlib import Path

import pytest
from pydantic import BaseModel

from jobs.checks.checker import UNCHECKED, Checker
from jobs.errors import RequestError
from jobs.generation import Completion, Message, Prompt
from jobs.kinds.avoiding import avoiding
from jobs.kinds.kind import begin
from jobs.kinds.registry import load_kinds
from jobs.writing.templates import Templates

AVOID = ("Once upon a time", "Have you ever")
NOTE = """Other texts begin like this:
- Once upon a time
- Have you ever
Begin in another way, and say something that they do not say."""


class Output(BaseModel):
    text: str


class Steps:
    """A kind that asks twice, with the prompts that it is given, and joins the answers."""

    name = "steps"
    request_type = output_type = Output
    contract = "a contract"

    def __init__(self, *prompts: Prompt) -> None:
        self.prompts, self.is_closed = prompts, False

    def compose(self, request: BaseModel) -> Generator[Sequence[Prompt], Sequence[Completion], Output]:
        try:
            first = yield self.prompts
            second = yield self.prompts
            return Output(text="".join(one.text for one in (*first, *second)))
        finally:
            self.is_closed = True

    def expected_tokens(self, request: BaseModel) -> int:
        return 7


def answers(text: str, count: int) -> list[Completion]:
    return [Completion("1", text, "stop", 1, 0, 1, 1)] * count


def test_every_prompt_ends_with_what_is_not_to_be_repeated() -> None:
    turns = (Message("system", "Be short."), Message("user", "Write."), Message("assistant", "So?"))
    kind = Steps(Prompt(messages=turns, label="one"), Prompt(text="It was", label="raw"))
    told = avoiding(kind, AVOID, Templates())
    conversation = told.compose(Output(text=""))
    for prompts in (next(conversation), conversation.send(answers("a", 2))):
        with_turns, raw = prompts
        assert [turn.content for turn in with_turns.messages] == ["Be short.", f"Write.\n\n{NOTE}", "So?"]
        assert (with_turns.label, raw) == ("one", kind.prompts[1])
    with pytest.raises(StopIteration) as ended:
        conversation.send(answers("b", 2))
    assert ended.value.value == Output(text="aabb")


def test_it_is_the_kind_in_all_else() -> None:
    kind = Steps(Prompt(messages=(Message("user", "Write."),)))
    told = avoiding(kind, AVOID, Templates())
    assert (told.name, told.request_type, told.expected_tokens(Output(text=""))) == ("steps", Output, 7)
    assert getattr(told, "contract") == "a contract"  # noqa: B009 - the protocol does not have it
    assert avoiding(kind, (), Templates()) is avoiding(kind, None, Templates()) is kind


def test_a_kind_that_asks_again_gets_the_checker_of_the_row() -> None:
    class Checked(Steps):
        checker: Checker | None = None

        def compose(
            self, request: BaseModel, checker: Checker = UNCHECKED
        ) -> Generator[Sequence[Prompt], Sequence[Completion], Output]:
            self.checker = checker
            return super().compose(request)

    kind, checker = Checked(Prompt(messages=(Message("user", "Write."),))), Checker()
    next(begin(avoiding(kind, AVOID, Templates()), Output(text=""), checker))
    assert kind.checker is checker


def test_closing_it_closes_the_kind() -> None:
    kind = Steps(Prompt(messages=(Message("user", "Write."),)))
    conversation = avoiding(kind, AVOID, Templates()).compose(Output(text=""))
    next(conversation)
    conversation.close()
    assert kind.is_closed


@pytest.mark.parametrize("name", ["article", "social_post", "chat"])
def test_shipped_kinds_are_told(name: str) -> None:
    kind = load_kinds()[name]
    request = kind.request_type.model_validate(kind.example)  # type: ignore[attr-defined]
    prompts = next(avoiding(kind, AVOID, Templates()).compose(request))
    assert all(prompt.messages[-1].content.endswith(NOTE) for prompt in prompts)


def test_a_users_own_template_says_it_in_other_words(tmp_path: Path) -> None:
    (tmp_path / "avoid.j2").write_text("Nicht wieder: {{ avoid | join(', ') }}")
    load_kinds(tmp_path)
    kind = Steps(Prompt(messages=(Message("user", "Write."),)))
    (prompt,) = next(avoiding(kind, AVOID, Templates(tmp_path)).compose(Output(text="")))
    assert prompt.messages[-1].content == "Write.\n\nNicht wieder: Once upon a time, Have you ever"
    (tmp_path / "avoid.j2").write_text("{{ nothing }}")
    with pytest.raises(RequestError, match=r"avoid\.j2"):
        avoiding(kind, AVOID, Templates(tmp_path)).compose(Output(text=""))
