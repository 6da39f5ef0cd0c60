"""Self-distillation: its divergences against TRL's, its teacher against the model asked by hand."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from transformers import AutoTokenizer
from trl.experimental.sdft import SDFTConfig, SDFTTrainer
from trl.experimental.sdft.loss_utils import add_tail_bucket, compute_divergence

from learning.distillation import Teacher
from learning.encoding import Encoder
from learning.losses import LossWeights, buckets, divergence, step_loss
from learning.packing import TokenRow
from learning.recipe import Recipe
from learning.wordings import Fact
from tests.learning.tiny import make_tiny_base, make_tiny_tuned

SYSTEM = "Be brief."
FACTS = [Fact("Where is the kiln?", "In hall Ember."), Fact("Who fires pots?", "Ines fires pts")]
"""Answers of one length, as TRL averages over rows first and ours over tokens."""
WORDINGS = ["kiln where", "pots: who?"]
FORMS = {
    "exchange": "system: Be brief.<end>user: {q}<end>assistant: {a}<end>user: {q}<end>assistant: ",
    "demonstration": (
        "system: Be brief.<end>user: {q}\n\nThis is an example for a response to the question:\n{a}\n\n"
        "Now answer with a response of your own:<end>assistant: "
    ),
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_base(tmp_path_factory.mktemp("base")).path


@pytest.fixture
def model(base: Path) -> Any:
    return make_tiny_tuned(base)


@pytest.fixture
def encoder(base: Path) -> Encoder:
    return Encoder(AutoTokenizer.from_pretrained(base), SYSTEM)


def recipe(**distillation: object) -> Recipe:
    content = {"weight": 1.0, "top_tokens": 500, "sample_tokens": 12, "sample_every": 2, **distillation}
    return Recipe.model_validate({"name": "distilled", "distillation": content})


def steps_of(encoder: Encoder, *roles: Any, steps: int = 1) -> list[list[TokenRow]]:
    rows = [encoder.row(text, fact.answer) for text, fact in zip(WORDINGS, FACTS, strict=True)]
    row = [TokenRow(row.prompt, row.completion, role, fact=at) for at, (row, role) in enumerate(zip(rows, roles))]  # noqa: B905
    return [row for _ in range(steps)]


def padded(rows: list[list[int]], fill: int) -> torch.Tensor:
    width = max(map(len, rows))
    return torch.tensor([[fill] * (width - len(row)) + row for row in rows])


@pytest.mark.parametrize("shown", ["exchange", "demonstration"])
@pytest.mark.parametrize(("mixed", "temperature"), [(0.0, 1.0), (0.5, 0.7), (1.0, 2.0)])
def test_distilled_rows_cost_what_they_cost_in_trls_trainer(
    model: Any, base: Path, encoder: Encoder, tmp_path: Path, shown: Any, mixed: float, temperature: float
) -> None:
    tokenizer = encoder.tokenizer
    config = SDFTConfig(
        output_dir=str(tmp_path), distillation_alpha=mixed, distillation_mode="full_logits", temperature=temperature,
        bf16=False, gradient_checkpointing=False, use_cpu=True, report_to=[], num_generations=2,
        per_device_train_batch_size=2,
    )  # fmt: skip
    dataset = Dataset.from_list([{"prompt": fact.question, "privileged_context": fact.answer} for fact in FACTS])
    trainer = SDFTTrainer(model=model, args=config, train_dataset=dataset, processing_class=tokenizer)
    rows = steps_of(encoder, "learned", "learned")[0]
    asked = [[*encoder.prefix(), *row.prompt] for row in rows]
    told = [
        tokenizer(FORMS[shown].format(q=fact.question, a=fact.answer), add_special_tokens=False).input_ids
        for fact in FACTS
    ]
    answers = [list(row.completion) for row in rows]
    assert len(answers[0]) == len(answers[1])

    def mask(prompts: list[list[int]]) -> torch.Tensor:
        return padded([[1] * len(prompt) for prompt in prompts], 0)

    completions = torch.tensor(answers)
    theirs = trainer.compute_loss(
        model.eval(),
        {
            "prompt_ids": padded(asked, 0),
            "prompt_mask": mask(asked),
            "completion_ids": completions,
            "completion_mask": torch.ones_like(completions),
            "teacher_input_ids": torch.cat([padded(told, 0), completions], dim=1),
            "teacher_attention_mask": torch.cat([mask(told), torch.ones_like(completions)], dim=1),
        },
    ).item()

    ours_recipe = recipe(shown=shown, divergence=mixed, temperature=temperature)
    teacher = Teacher(model, encoder, FACTS, [rows], ours_recipe, tmp_path / "samples")
    weights = LossWeights(distilled=1.0, divergence=mixed, temperature=temperature)
    ours = step_loss(model, teacher.inputs(model, 0), weights).item()

    assert theirs > 0.01
    assert ours == pytest.approx(theirs, rel=1e-4)


@pytest.mark.parametrize("mixed", [0.0, 0.3, 1.0])
def test_the_likeliest_tokens_and_the_rest_diverge_as_trls_do(mixed: float) -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 5, 40)
    ids = teacher.topk(6).indices

    ours = divergence(buckets(student, ids), buckets(teacher, ids), mixed)

    tops = (add_tail_bucket(each.log_softmax(-1).gather(1, ids)) for each in (student, teacher))
    assert torch.allclose(ours, compute_divergence(*tops, mixed), rtol=1e-4, atol=1e-6)


def test_a_teacher_that_is_nearly_certain_gives_finite_gradients() -> None:
    student = torch.zeros(1, 40, requires_grad=True)
    teacher = torch.zeros(1, 40)
    teacher[0, 7] = 60.0
    ids = teacher.topk(4).indices

    divergence(buckets(student, ids), buckets(teacher, ids), 0.0).sum().backward()

    assert student.grad is not None
    assert torch.allclose(student.grad, student.detach().softmax(-1) - teacher.softmax(-1), atol=1e-5)


def test_the_share_that_is_not_distilled_is_learned_from_the_answer(
    model: Any, encoder: Encoder, tmp_path: Path
) -> None:
    steps = steps_of(encoder, "learned", "learned")
    inputs = Teacher(model, encoder, FACTS, steps, recipe(), tmp_path).inputs(model, 0)

    taught, mixed, told = (step_loss(model, inputs, LossWeights(distilled=share)).item() for share in (1.0, 0.25, 0.0))

    assert mixed == pytest.approx(0.25 * taught + 0.75 * told, rel=1e-5)


def test_the_student_is_taught_on_its_own_answers_and_they_are_kept(
    model: Any, encoder: Encoder, tmp_path: Path
) -> None:
    steps = steps_of(encoder, "sampled", "learned", steps=3)
    told: list[str] = []
    first = Teacher(model, encoder, FACTS, steps, recipe(sampled_share=0.5), tmp_path, told.append)
    inputs = [first.inputs(model, step) for step in range(3)]
    kept = [json.loads((tmp_path / f"{step}.json").read_text()) for step in (0, 2)]

    assert told.count("sampling what the adapter answers by itself") == 2
    assert [len(answers) for answers in kept] == [2, 1]
    for step, answer in enumerate([*kept[0], *kept[1]]):
        assert 1 <= len(answer) <= 12
        labels = inputs[step]["labels"][0]
        assert labels[labels >= 0].tolist() == [*answer, *steps[step][1].completion]
        assert len(inputs[step]["taught_ids"]) == len(answer) + len(steps[step][1].completion)
    # A teacher made anew, as after a kill, goes on from what is kept, whatever has become of the student.
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.zero_()
    again = Teacher(model, encoder, FACTS, steps, recipe(sampled_share=0.5), tmp_path).inputs(model, 1)
    assert all(torch.equal(again[name], inputs[1][name]) for name in again)


def test_sampling_depends_on_the_seed_and_the_step_and_on_nothing_else(
    model: Any, encoder: Encoder, tmp_path: Path
) -> None:
    steps = steps_of(encoder, "sampled", "sampled", steps=4)

    def labels(folder: str, step: int, seed: int = 0) -> list[int]:
        ours = recipe(sampled_share=1.0).model_copy(update={"seed": seed})
        given = Teacher(model, encoder, FACTS, steps, ours, tmp_path / folder).inputs(model, step)["labels"]
        return [int(label) for label in given.flatten()]

    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = labels("first", 0)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(6)
    assert labels("second", 0) == first
    assert labels("first", 2) != first
    assert labels("third", 0, seed=1) != first
