"""`apprentice bench learning`: corrections taught to the product and to plain fine-tuning, then both are asked.

The product's side is the product: corrections are imported as feedback, the pipeline curates, trains, evaluates and
judges them, and somebody else approves what passed. Nobody sees the questions' other wordings before they are asked.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

from bot.assembly import Parts
from bot.bench.child import run_child
from bot.bench.rounds import rounds_of
from bot.feedback_file import IMPORT_WORKSPACE, import_feedback
from governance.flows import Governance
from governance.privacy.findings import Kind
from learning.embedding import Embedder
from learning.engine import Engine, Sampling
from learning.evaluation.questions import Benchmark, BenchmarkFact
from learning.evaluation.subjects import EVALUATION_TOKENS
from learning.examples import WorkedExamples, messages_with_examples
from learning.pipeline import Pipeline, PipelineResult, RunEvent
from learning.plain import PlainJob, PlainResult
from learning.prompts import build_messages
from learning.taught import TaughtFeedback
from learning.training import read_result
from storage.artifacts import folder_digest
from storage.people import ensure_person
from storage.records import utc_now
from storage.settings import ExamplesSettings

EXPERT, APPROVER = "UEXPERT", "UAPPROVER"
SHOW = Callable[[str, int, int, str], None]
"""Shows a phase, what is done, of how many, and a detail."""


@dataclass(frozen=True)
class Asked:
    """A question of the benchmark and what a right answer contains: all of these strings, or any one of them."""

    kind: str
    text: str
    all_of: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()

    def is_right(self, answer: str) -> bool:
        """Judge as the benchmark says: by the strings, ignoring case."""
        folded = answer.casefold()
        if self.all_of:
            return all(text.casefold() in folded for text in self.all_of)
        return any(text.casefold() in folded for text in self.any_of)


@dataclass
class Taught:
    """What came out of teaching: the adapter, and the seconds and memory that it took."""

    adapter: str | None = None
    train_seconds: float = 0.0
    total_seconds: float = 0.0
    peak_mb: float = 0.0
    gates: list[dict[str, Any]] = field(default_factory=list)
    steps: int = 0


def questions_of(benchmark: Benchmark) -> list[Asked]:
    """Lay out all questions of a benchmark."""
    told = [Asked("as_told", fact.question, fact.must_contain) for fact in benchmark.facts]
    others = [Asked("in_other_words", text, fact.must_contain) for fact in benchmark.facts for text in fact.paraphrases]
    general = [Asked("general", item.question, any_of=item.must_contain_any) for item in benchmark.general]
    return [*told, *others, *general]


def measure(
    benchmark: Benchmark, parts: Parts, engine: Engine, *, batches: int, system: bool, baseline: bool, show: SHOW
) -> dict[str, Any]:
    """Teach both sides and ask all; return what shared benchmark files' README calls a run's output.

    Args:
        benchmark: what to teach and ask.
        parts: of an installation of its own, which keeps nothing of an earlier measurement.
        engine: on the base model of that installation.
        batches: in how many rounds the facts come, one after the other.
        system: whether the worked examples are measured too, and not the adapter alone.
        baseline: whether plain fine-tuning is measured beside it.
        show: hears of progress.

    """
    parts = _keeping_all(parts)
    asked = questions_of(benchmark)
    rounds = rounds_of(benchmark.facts, batches)
    prompt = parts.settings.model.system_prompt

    def ask(adapter: str | None, what: str) -> list[str]:
        conversations = [build_messages(question.text, prompt) for question in asked]
        return _answers(engine, adapter, conversations, lambda done: show(what, done, len(asked), ""))

    before = ask(None, "asking the base model")
    wrong = dict(zip((question.text for question in asked), before, strict=True))
    ours = _teach_ours(rounds, wrong, parts, engine, show)
    after = ask(ours.adapter, "asking our adapter")
    result: dict[str, Any] = {
        "ours": {
            "adapter": scores(asked, before, after),
            "train_seconds": round(ours.train_seconds, 1),
            "total_seconds": round(ours.total_seconds, 1),
            "peak_mb": round(ours.peak_mb),
            "steps": ours.steps,
            "gates": ours.gates,
        }
    }
    columns = {"before": before, "after": after}
    if system:
        columns["system"] = _ask_system(asked, parts, engine, ours.adapter, show)
        result["ours"]["system"] = scores(asked, before, columns["system"])
    if baseline:
        plain = _teach_plain(rounds, parts, engine, show)
        columns["baseline"] = ask(plain.adapter, "asking the plain adapter")
        result["baseline"] = {
            "adapter": scores(asked, before, columns["baseline"]),
            "train_seconds": round(plain.train_seconds, 1),
            "total_seconds": round(plain.total_seconds, 1),
            "peak_mb": round(plain.peak_mb),
        }
    result["answers"] = [
        {
            "kind": question.kind,
            "question": question.text,
            **{name: answers[at] for name, answers in columns.items()},
            "correct": question.is_right(after[at]),
        }
        for at, question in enumerate(asked)
    ]
    return result


def scores(asked: Sequence[Asked], before: Sequence[str], after: Sequence[str]) -> dict[str, float]:
    """Return the shares of right answers; `general_lost` is that of the general ones right before and wrong now."""
    rows = [
        (question.kind, question.is_right(old), question.is_right(new))
        for question, old, new in zip(asked, before, after, strict=True)
    ]
    known = [new for kind, old, new in rows if kind == "general" and old]
    return {
        "as_told": _share([new for kind, _, new in rows if kind == "as_told"]),
        "in_other_words": _share([new for kind, _, new in rows if kind == "in_other_words"]),
        "general_before": _share([old for kind, old, _ in rows if kind == "general"]),
        "general_after": _share([new for kind, _, new in rows if kind == "general"]),
        "general_lost": _share([not new for new in known]),
    }


def _share(right: Sequence[bool]) -> float:
    return round(sum(right) / len(right), 4) if right else 0.0


def _answers(
    engine: Engine, adapter: str | None, conversations: Sequence[Any], on_done: Callable[[int], None]
) -> list[str]:
    completions = engine.generate_many(
        conversations, adapter=adapter, sampling=Sampling(max_new_tokens=EVALUATION_TOKENS), on_done=on_done
    )
    return [completion.text for completion in completions]


def _keeping_all(parts: Parts) -> Parts:
    """Return the parts under a policy that masks nothing: the facts are made up, door codes among them."""
    policy = parts.governance.policy
    kept = policy.privacy.model_copy(update={"kinds": dict.fromkeys(get_args(Kind), "keep")})
    governance = Governance(parts.database, policy.model_copy(update={"privacy": kept}), parts.audit)
    return replace(parts, governance=governance)


def _teach_ours(
    rounds: Sequence[Sequence[BenchmarkFact]], wrong: dict[str, str], parts: Parts, engine: Engine, show: SHOW
) -> Taught:
    taught = Taught()
    for number, facts in enumerate(rounds, 1):
        label = f"round {number} of {len(rounds)}: " if len(rounds) > 1 else ""
        started = time.monotonic()
        _correct(facts, wrong, parts, number)
        saved = started

        def tell(event: RunEvent, label: str = label) -> None:
            nonlocal saved
            show(label + event.phase, event.step, event.total, event.message)
            if event.phase == "saving the adapter":
                saved = time.monotonic()

        pipeline = Pipeline(parts.settings, parts.database, parts.store, parts.governance, engine, engine.base)
        result = pipeline.run("bench", tell)
        taught.total_seconds += time.monotonic() - started
        taught.train_seconds += saved - started
        trained = read_result(parts.settings.run_folder / result.run.id)
        taught.peak_mb = max(taught.peak_mb, trained.peak_mb)
        taught.steps += trained.steps
        taught.adapter = result.adapter.digest
        taught.gates = [
            {"name": gate.name, "verdict": gate.verdict, "value": gate.value, "n": gate.n} for gate in result.gates
        ]
        _approve(result, parts, engine)
    return taught


def _correct(facts: Sequence[BenchmarkFact], wrong: dict[str, str], parts: Parts, number: int) -> None:
    """Let an expert correct what the base model, or whoever the benchmark names, had said."""
    lines = [
        {"question": fact.question, "answer": fact.wrong or wrong[fact.question], "correction": fact.answer}
        for fact in facts
    ]
    path = parts.settings.data_folder / f"corrections-{number}.jsonl"
    path.write_text("".join(json.dumps({**line, "person": EXPERT}) + "\n" for line in lines), encoding="utf-8")
    import_feedback(parts, path)


def _approve(result: PipelineResult, parts: Parts, engine: Engine) -> None:
    """Put live what passed its gates, as a team would; the next round goes on from there."""
    if result.proposal is None:
        return
    with parts.database.transaction() as session:
        approver = ensure_person(session, IMPORT_WORKSPACE, APPROVER, APPROVER, utc_now()).id
    decided = parts.governance.decide(result.proposal.id, approver, "approve", "")
    if decided.promoted:
        engine.serve(result.adapter.digest)


def _ask_system(asked: Sequence[Asked], parts: Parts, engine: Engine, adapter: str | None, show: SHOW) -> list[str]:
    """Answer as people are answered: from accepted corrections where they fit, else by the adapter."""
    settings = parts.settings
    embedder = Embedder(engine, settings.model.system_prompt, settings.cache_folder)
    taught = TaughtFeedback(parts.database, parts.store)
    examples = WorkedExamples(parts.database, embedder.embed, ExamplesSettings(), taught)
    choices = [examples.choose(question.text, IMPORT_WORKSPACE, adapter=adapter) for question in asked]
    open_ones = [at for at, choice in enumerate(choices) if choice.answer is None]
    conversations = [
        messages_with_examples(asked[at].text, settings.model.system_prompt, choices[at].known) for at in open_ones
    ]
    said = _answers(engine, adapter, conversations, lambda done: show("asking the system", done, len(open_ones), ""))
    made = dict(zip(open_ones, said, strict=True))
    return [choice.answer if choice.answer is not None else made[at] for at, choice in enumerate(choices)]


def _teach_plain(rounds: Sequence[Sequence[BenchmarkFact]], parts: Parts, engine: Engine, show: SHOW) -> Taught:
    """Fine-tune on each round's corrections, each time going on from the adapter before."""
    taught = Taught()
    start: Path | None = None
    for number, facts in enumerate(rounds, 1):
        folder = parts.settings.data_folder / f"plain-{number}"
        show("plain fine-tuning", number - 1, len(rounds), "")
        job = PlainJob(
            base_path=str(engine.base.path),
            base_digest=engine.base.digest,
            system_prompt=parts.settings.model.system_prompt,
            corrections=tuple((fact.question, fact.answer) for fact in facts),
            start=str(start) if start else None,
            threads=parts.settings.inference.threads,
        )
        result = run_child("learning.plain", job, folder, PlainResult)
        show("plain fine-tuning", number, len(rounds), "")
        taught.train_seconds += result.seconds
        taught.total_seconds += result.seconds
        taught.peak_mb = max(taught.peak_mb, result.peak_mb)
        start = folder / "adapter"
    assert start is not None
    taught.adapter = folder_digest(start)
    engine.load_adapter(taught.adapter, start)
    return taught
