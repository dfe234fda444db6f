"""An attempt at one job: the conversation between the job's kind and an engine, turn by turn.

In a turn the kind yields prompts, and is sent all their completions. An attempt holds the kind's generator, the prompts of the
present turn, and the usage so far. It knows no queue, no storage and no engine. Its methods `start` and `receive` return the
requests that the engine must answer next, and set `output` once the kind has returned. Both methods raise what the kind raises.
`take_turn` makes such an exception the error of this job, so that no other job is affected.
"""

import hashlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from jobs.batches.request_row import RowRequest
from jobs.checks.checker import UNCHECKED, Checker
from jobs.errors import CheckFailed, GenerationFailed, RequestError, RowError
from jobs.findings import Finding, Severity, Verdict, verdict_of
from jobs.generation import Completion, Constraint, GenerationRequest, Prompt
from jobs.kinds.kind import Conversation, Kind, begin
from jobs.kinds.row_checks import RowChecks, unchecked
from jobs.lanes.job import ClaimId, Job
from jobs.logs import logger
from jobs.memory.row_memory import RowMemory
from jobs.prices import Prices
from jobs.usage import Usage, total
from jobs.writing.cleaning import CleanedOutput
from jobs.writing.terms.row_terms import terms_sha256
from workers.monitoring.traces import AttemptTrace

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class _Spent:
    """The usage of one completion.

    Completions have the same `source` if their prompts are of one turn and have an equal `Prompt.read`: their prompt tokens are
    billed once.
    """

    label: str
    source: Hashable
    usage: Usage


@dataclass
class Attempt:
    """A claimed job that is being worked on.

    `under_way` holds the ids of the requests that the engine has not answered. `output` is None until the kind has returned.
    `checks` makes the checker of the row. `findings` are what it found in the output; if the row fails by them, `rejected` is the
    output, and `output` is None. `created_at` is the time when the batch was accepted; chat templates may ask for this date.
    `trace` collects its times, if the row is traced. `prices` are those by which the row is charged if a budget limits its batch;
    None: those of the worker.
    """

    job: Job
    row: RowRequest
    kind: Kind
    started_at: datetime
    created_at: datetime | None = None
    checks: RowChecks = unchecked
    prices: Prices | None = None
    output: BaseModel | None = None
    findings: Sequence[Finding] = ()
    rejected: BaseModel | None = None
    under_way: set[str] = field(default_factory=set)
    trace: AttemptTrace | None = None
    _conversation: Conversation | None = None
    _prompts: Sequence[Prompt] = ()
    _ids: Sequence[str] = ()
    _answers: dict[str, Completion] = field(default_factory=dict)
    _spent: list[_Spent] = field(default_factory=list)
    _turns: int = 0
    _replaced: set[str] = field(default_factory=set)
    _templates: dict[str, str] = field(default_factory=dict)
    _params: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _rendered: dict[str, str] = field(default_factory=dict)
    _finish_reasons: dict[str, str] = field(default_factory=dict)
    _reasoning_tokens: dict[str, int] = field(default_factory=dict)
    _constraints: dict[str, Constraint] = field(default_factory=dict)
    _checker: Checker = UNCHECKED
    _memory: RowMemory = field(default_factory=RowMemory)
    _tries: dict[str, int] = field(default_factory=dict)
    _prompt_texts: list[str] = field(default_factory=list)

    @property
    def seed(self) -> int:
        """The seed of the first prompt: the row's own seed if it has one, else a hash of batch and row.

        Each further prompt of the attempt gets a seed that is 1 higher than the seed before.
        """
        if self.row.seed is not None:
            return self.row.seed
        return int.from_bytes(hashlib.sha256(str(self.job.key).encode()).digest()[:4], "big") >> 1

    @property
    def usage(self) -> Usage:
        """The usage of the completions that are kept, not yet priced. The tokens of a prompt with several answers count once."""
        return self._total(of_replaced=False)

    @property
    def wasted(self) -> Usage:
        """The usage of the completions that were thrown away because the kind asked again, not yet priced."""
        return self._total(of_replaced=True)

    @property
    def receipt(self) -> Mapping[str, Any]:
        """The part of the receipt that comes from the conversation, such as finish reason, seed, templates and params."""
        kept = [reason for label, reason in self._finish_reasons.items() if label not in self._replaced]
        reason = "length" if "length" in kept else (kept[-1] if kept else None)
        thoughts = sum(tokens for label, tokens in self._reasoning_tokens.items() if label not in self._replaced)
        return {
            "finish_reason": reason,
            "seed": self.seed,
            "adapter": self.row.adapter,
            "templates": self._templates,
            "params": self._params,
            **({"prompts": self._rendered} if self._rendered else {}),
            **({"reasoning_tokens": thoughts} if thoughts else {}),
            **({"constraints": self._constraints} if self._constraints else {}),
            **({"avoid": list(self.row.avoid)} if self.row.avoid else {}),
            **({"removed": removed} if (removed := self._removed) else {}),
            **({"memory": found.as_dict()} if (found := self._memory.remembered) is not None else {}),
            **({"terms": terms} if (terms := terms_sha256(self.row.request)) else {}),
        }

    @property
    def _removed(self) -> Mapping[str, Sequence[str]]:
        """Label of a prompt -> the parts that the kind took off its completion."""
        removed = self.output.removed if isinstance(self.output, CleanedOutput) else {}
        return {label: list(parts) for label, parts in removed.items()}

    def start(self) -> Sequence[GenerationRequest]:
        """Begin the conversation, and return its first requests. Raises RowError if the stored request does not fit the kind."""
        try:
            request = self.kind.request_type.model_validate(dict(self.row.request))
        except ValueError as error:
            reason = _first_reason(error)
            raise RowError("bad_record", f"the stored request does not fit kind {self.kind.name}: {reason}") from error
        self._checker = self.checks(self.row, self.kind, request)
        self._memory = RowMemory(self.row.known, self.row.hints or {})
        self._conversation = begin(self.kind, request, self._checker, self._memory)
        return self._advance(None)

    def receive(self, completion: Completion) -> Sequence[GenerationRequest]:
        """Take one completion. If it completes its turn, return the requests of the next turn.

        Returns no requests if the turn lacks other completions, or if the kind has returned its output. Raises RowError if the
        engine could not answer, or if the kind refuses the completions.
        """
        self.under_way.discard(completion.request_id)
        prompt = self._prompts[self._ids.index(completion.request_id)]
        self._answers[completion.request_id] = completion
        spent = Usage(
            completion.prompt_tokens,
            completion.cached_prompt_tokens,
            completion.completion_tokens,
            completion.device_ns,
        )
        self._spent.append(_Spent(prompt.label, (self._turns, prompt.read), spent))
        self._finish_reasons[prompt.label] = completion.finish_reason
        self._reasoning_tokens[prompt.label] = completion.reasoning_tokens
        if completion.constraint is not None:
            self._constraints[prompt.label] = completion.constraint
        if completion.prompt_sha256 is not None:
            self._rendered[prompt.label] = completion.prompt_sha256
        if completion.fault is not None:
            fault = completion.fault
            raise GenerationFailed(fault.code, fault.message, retryable=fault.retryable)
        if self.under_way:
            return ()
        return self._advance([self._answers[request_id] for request_id in self._ids])

    def close(self) -> None:
        """End the conversation at this point. An error that the kind raises now is only logged, because the attempt is over."""
        conversation, self._conversation = self._conversation, None
        if conversation is None:
            return
        try:
            conversation.close()
        except Exception as error:  # noqa: BLE001 - the attempt is over, and other jobs continue
            logger().warning(
                "kind.close_failed", job=str(self.job.key), kind=self.kind.name, error=type(error).__name__
            )

    def _advance(self, completions: Sequence[Completion] | None) -> Sequence[GenerationRequest]:
        if self._conversation is None:
            raise RuntimeError("the attempt was not started")
        try:
            prompts = next(self._conversation) if completions is None else self._conversation.send(completions)
        except StopIteration as stop:
            return self._ended(self._checked(stop.value))
        except CheckFailed as error:
            raise _as_fault_of_thoughts(error, completions or ()) from error
        asked = len(self._finish_reasons)
        requests = [self._request(prompt, asked + n) for n, prompt in enumerate(prompts)]
        self._prompts, self._ids = prompts, [request.request_id for request in requests]
        self._answers = {}
        self._turns += 1
        self.under_way = set(self._ids)
        if not requests:
            return self._advance([])
        return requests

    def _ended(self, output: BaseModel) -> Sequence[GenerationRequest]:
        """Judge the output that the kind returned. If a check refuses one that has segments of the translation memory, the
        conversation begins once more, without the memory, and what was asked for before counts as thrown away.

        Returns the requests of that conversation, or none if the output stands. Raises CheckFailed if a check refuses it.
        """
        try:
            self.output = self._judged(output)
        except CheckFailed:
            if not self._memory.is_used:
                raise
        else:
            return ()
        self._templates, self._params = _renamed(self._templates), _renamed(self._params)
        self._rendered, self._finish_reasons = _renamed(self._rendered), _renamed(self._finish_reasons)
        self._reasoning_tokens, self._constraints = _renamed(self._reasoning_tokens), _renamed(self._constraints)
        self._spent = [replace(one, label=_with_memory(one.label)) for one in self._spent]
        self._replaced = {one.label for one in self._spent}
        self._tries, self.findings, self.rejected = {}, (), None
        self._memory = self._memory.without_known()
        request = self.kind.request_type.model_validate(dict(self.row.request))
        self._conversation = begin(self.kind, request, self._checker, self._memory)
        return self._advance(None)

    def _total(self, *, of_replaced: bool) -> Usage:
        """Return the sum of the usage of the replaced completions if `of_replaced`, else of the kept completions.

        The tokens of a prompt with several answers count once: as usage of the kept answers if there are any, else as usage of
        the replaced ones. If the answers differ in how many of these tokens were cached, the smallest number counts.
        """
        by_source: dict[Hashable, list[_Spent]] = {}
        for one in self._spent:
            by_source.setdefault(one.source, []).append(one)
        found = []
        for several in by_source.values():
            own = [one.usage for one in several if (one.label in self._replaced) == of_replaced]
            written = total(own)
            found.append(replace(written, prompt_tokens=0, cached_prompt_tokens=0))
            reads = [one.usage for one in several if one.usage.prompt_tokens]
            if reads and own and (not of_replaced or len(own) == len(several)):
                cached = min(one.cached_prompt_tokens for one in reads)
                found.append(Usage(max(one.prompt_tokens for one in reads), cached))
        return total(found)

    def _checked(self, output: object) -> BaseModel:
        """Return `output`, which the kind returned. Raises CheckFailed if it has the wrong type or cannot be written as JSON."""
        if not isinstance(output, self.kind.output_type):
            raise CheckFailed("kind_failed", f"kind {self.kind.name} returned {type(output).__name__}")
        try:
            orjson.dumps(output.model_dump(mode="json"))
        except (TypeError, ValueError) as error:
            raise CheckFailed("kind_failed", f"kind {self.kind.name}: its output is not JSON: {error}") from error
        return output

    @property
    def verdict(self) -> Verdict | None:
        """The verdict on the output; None if there is none, or if the row is not checked."""
        return None if self.output is None or not self._checker.checks else verdict_of(self.findings)

    def _judged(self, output: BaseModel) -> BaseModel:
        """Return the output if its row completes. Raises CheckFailed for its first finding of severity fail."""
        kept = [reason for label, reason in self._finish_reasons.items() if label not in self._replaced]
        self.findings = self._checker.findings(
            output.model_dump(mode="json"),
            prompts=list(dict.fromkeys(self._prompt_texts)),
            cut_off="length" in kept and not isinstance(output, CleanedOutput),  # those end with a whole sentence
            tries=max(self._tries.values(), default=1),
        )
        failures = [found for found in self.findings if found.severity is Severity.FAIL]
        if not failures:
            return output
        self.rejected = output
        first, tries = failures[0], failures[0].tries
        others = len({found.code for found in failures}) - 1
        also = f", and {others} other check{'s' * (others > 1)} failed" if others else ""
        after = f" (asked for {tries} times)" if tries > 1 else ""
        raise CheckFailed(first.code, f"{first.message}{also}{after}")

    def _request(self, prompt: Prompt, n: int) -> GenerationRequest:
        self._tries[prompt.label] = 1
        if prompt.replaces is not None:
            self._replaced.add(prompt.replaces)
            self._tries[prompt.label] += self._tries.get(prompt.replaces, 1)
        if self._checker.checks:
            self._prompt_texts += prompt.instructions
        if prompt.template_sha256 is not None:
            self._templates[prompt.label] = prompt.template_sha256
        try:
            params = prompt.params.overridden({**self.row.overrides, "seed": self.seed + n})
        except ValueError as error:
            raise RowError("out_of_range", f"the row's sampling params do not go together: {error}") from error
        kwargs = self.row.chat_template_kwargs if prompt.messages else None
        self._params[prompt.label] = {
            **params.as_receipt(),
            **({"chat_template_kwargs": kwargs} if kwargs else {}),
            **({"adapter": prompt.adapter} if prompt.adapter not in (None, self.row.adapter) else {}),
        }
        adapter = prompt.adapter or self.row.adapter
        # The number of the claim tells two leases of a job apart even if the queue forgot how often the job was tried.
        claim = ClaimId.parse(self.job.lease.claim_id).n
        request_id = f"{self.job.key}#{self.job.attempt + self.job.crashes}.{n}~{claim}"
        return GenerationRequest(
            request_id,
            replace(prompt.with_template_kwargs(kwargs), params=params, adapter=adapter),
            self.created_at,
            thoughts_count=self.row.max_tokens is not None,
        )


def _with_memory(label: str) -> str:
    """Return the label of a prompt of a conversation that a check has refused, since its labels come once more."""
    return f"{label}, beside the memory"


def _renamed(by_label: Mapping[str, Value]) -> dict[str, Value]:
    return {_with_memory(label): value for label, value in by_label.items()}


def _as_fault_of_thoughts(error: CheckFailed, completions: Sequence[Completion]) -> CheckFailed:
    """Return the error that a kind raised. If a completion ended within its thoughts, and so has no text, the code is
    `reasoning_incomplete`.
    """
    cut = [one for one in completions if one.reasoning_tokens and one.reasoning_tokens == one.completion_tokens]
    if error.code != "empty_output" or not cut or any(one.text.strip() for one in cut):
        return error
    remedy = "give the row more max_tokens, raise the model's reasoning_max_tokens, or turn thoughts off by chat_template_kwargs"
    tokens = max(one.completion_tokens for one in cut)
    reason = (
        f"the model's thoughts took all {tokens} tokens"
        if cut[0].finish_reason == "length"
        else "its thoughts did not end"
    )
    return CheckFailed("reasoning_incomplete", f"{error.message}: {reason}: {remedy}", field=error.field)


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a conversation: the requests for the engine. In the last turn, the attempt has an output, or `error` is set."""

    attempt: Attempt
    requests: Sequence[GenerationRequest] = ()
    error: RowError | None = None

    @property
    def is_last(self) -> bool:
        """Whether the conversation is over."""
        return self.error is not None or self.attempt.output is not None


def take_turn(attempt: Attempt, step: Callable[[], Sequence[GenerationRequest]]) -> Turn:
    """Call `step` (the attempt's `start` or `receive`), and return the turn.

    If `step` raises an exception, the exception becomes the error of this job alone.
    """
    try:
        return Turn(attempt, step())
    except RowError as error:
        return Turn(attempt, error=error)
    except RequestError as error:
        return Turn(attempt, error=CheckFailed("kind_failed", f"kind {attempt.kind.name}: {error}"))
    except Exception as error:  # noqa: BLE001 - a kind's own fault must not become another job's
        return Turn(attempt, error=CheckFailed("kind_failed", f"kind {attempt.kind.name}: {error!r}"))


def _first_reason(error: ValueError) -> str:
    """Return the first thing that is wrong with a request, in one line that begins with its field."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    return ": ".join([*map(str, first["loc"]), first["msg"].removeprefix("Value error, ")])
