"""The losses of packed steps, against those of their rows one by one, and against TRL's own trainers."""

from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from torch.nn.functional import cross_entropy
from transformers import AutoTokenizer
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer

from learning.losses import FIRST_TOKENS, LossWeights, row_logprobs, step_loss
from learning.packing import IGNORED, Role, TokenRow, collate, packed_step
from tests.learning.tiny import make_tiny_base, make_tiny_tuned

PREFIX = [10, 65, 66]
QUESTIONS = ["Where is the kiln?", "Who fires pots?", "When?"]
GOOD = ["In hall Ember.", "Ines does.", "At noon, as always."]
BAD = ["In the kitchen, on the left.", "Nobody.", "Never"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_base(tmp_path_factory.mktemp("base")).path


@pytest.fixture
def model(base: Path) -> Any:
    return make_tiny_tuned(base)


def loss_of(model: Any, rows: list[TokenRow], **weights: float) -> float:
    return step_loss(model, collate([packed_step(PREFIX, rows)]), LossWeights(**weights)).item()


def logits_of(model: Any, row: TokenRow, prefix: list[int] = PREFIX) -> torch.Tensor:
    ids = torch.tensor([[*prefix, *row.prompt, *row.completion]])
    kept: torch.Tensor = model(input_ids=ids).logits[0, -len(row.completion) - 1 : -1]
    return kept


def move(model: Any) -> None:
    """Change the adapter, as training would."""
    torch.manual_seed(2)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".default." in name:
                parameter.add_(0.05 * torch.randn_like(parameter))


def test_what_is_learned_and_replayed_costs_what_its_rows_cost_one_by_one(model: Any) -> None:
    facts = [TokenRow((70, 71), (80, 81, 82)), TokenRow((72,), (90,)), TokenRow((72,), (91, 92))]
    replayed = TokenRow((73, 74), (91, 92), "replayed")

    packed = loss_of(model, [replayed, *facts], replay=3.0)

    losses = [cross_entropy(logits_of(model, row), torch.tensor(row.completion), reduction="none") for row in facts]
    adapted = logits_of(model, replayed).log_softmax(-1)
    with model.disable_adapter():
        base = logits_of(model, replayed).log_softmax(-1)
    divergence = (base.exp() * (base - adapted)).sum(-1).mean()
    assert divergence.item() > 0
    assert packed == pytest.approx((torch.cat(losses).mean() + 3.0 * divergence).item(), rel=1e-4)
    assert loss_of(model, [replayed, *facts]) == pytest.approx(torch.cat(losses).mean().item(), rel=1e-4)


def test_the_first_tokens_of_an_answer_count_more(model: Any) -> None:
    long, short = TokenRow((70, 71), tuple(range(80, 80 + FIRST_TOKENS + 2))), TokenRow((72,), (90, 91))

    packed = loss_of(model, [long, short], first=3.0)

    losses = [
        cross_entropy(logits_of(model, row), torch.tensor(row.completion), reduction="none") for row in (long, short)
    ]
    weights = torch.tensor([3.0] * FIRST_TOKENS + [1.0, 1.0] + [3.0, 3.0])
    assert packed == pytest.approx(((torch.cat(losses) * weights).sum() / weights.sum()).item(), rel=1e-4)


def test_only_completions_carry_loss() -> None:
    step = packed_step([1, 2], [TokenRow((3, 4), (5, 6))])

    assert step["labels"] == [IGNORED] * 4 + [5, 6]
    assert step["position_ids"] == [0, 1, 2, 3, 4, 5]


def test_neighbours_with_the_same_prompt_share_it_and_score_as_they_would_alone(model: Any) -> None:
    rows = [
        TokenRow((70, 71, 72), (80, 81)),
        TokenRow((70, 71, 72), (82,)),
        TokenRow((70,), (83, 84)),
        TokenRow((70,), (85,)),
        TokenRow((71, 72), (86, 87)),
    ]
    step = packed_step(PREFIX, rows)

    # The prompt of three tokens is there once, but for its last token, which each answer follows; one of one is not.
    assert len(step["input_ids"]) == len(PREFIX) + sum(map(len, rows)) - 2
    expected = [
        -cross_entropy(logits_of(model, row), torch.tensor(row.completion), reduction="sum").item() for row in rows
    ]
    assert row_logprobs(model, collate([step])).tolist() == pytest.approx(expected, rel=1e-4)


def messages(text: str, role: str) -> list[dict[str, str]]:
    return [{"role": role, "content": text}]


def rows_like(dataset: Any, roles: dict[str, Role]) -> list[list[TokenRow]]:
    """Return the rows of TRL's tokenised examples: one list an example, a row for each of its completions."""
    return [
        [TokenRow(tuple(each["prompt_ids"]), tuple(each[key]), role) for key, role in roles.items()] for each in dataset
    ]


def with_references(model: Any, rows: list[TokenRow]) -> list[TokenRow]:
    references = row_logprobs(model, collate([packed_step([], rows)])).tolist()
    return [
        TokenRow(row.prompt, row.completion, row.role, reference)
        for row, reference in zip(rows, references, strict=True)
    ]


@pytest.mark.parametrize(
    ("loss_type", "smoothing", "chosen"),
    [(["sigmoid"], 0.0, 0.0), (["sigmoid", "sft"], 0.0, 1.0), (["robust", "sft"], 0.2, 1.0)],
)
def test_preference_pairs_cost_what_they_cost_in_trls_trainer(
    model: Any, base: Path, tmp_path: Path, loss_type: list[str], smoothing: float, chosen: float
) -> None:
    dataset = Dataset.from_list(
        [
            {
                "prompt": messages(question, "user"),
                "chosen": messages(good, "assistant"),
                "rejected": messages(bad, "assistant"),
            }
            for question, good, bad in zip(QUESTIONS, GOOD, BAD, strict=True)
        ]
    )
    config = DPOConfig(
        output_dir=str(tmp_path), loss_type=loss_type, label_smoothing=smoothing, beta=0.3, bf16=False,
        gradient_checkpointing=False, use_cpu=True, report_to=[],
    )  # fmt: skip
    tokenizer = AutoTokenizer.from_pretrained(base)
    trainer = DPOTrainer(model=model, args=config, train_dataset=dataset, processing_class=tokenizer)
    examples = list(trainer.train_dataset)
    pairs = rows_like(examples, {"chosen_ids": "chosen", "rejected_ids": "rejected"})
    rows = with_references(model, [row for pair in pairs for row in pair])
    move(model)

    theirs = trainer.compute_loss(model, trainer.data_collator(examples)).item()
    ours = step_loss(
        model, collate([packed_step([], rows)]), LossWeights(beta=0.3, smoothing=smoothing, chosen=chosen)
    ).item()

    assert abs(theirs - ours) < 1e-4 * abs(theirs)
    # Were nothing moved, or the pairs wrong, the sigmoid loss would be log 2.
    assert abs(theirs - 0.6931) > 0.01


def test_likes_and_dislikes_cost_what_they_cost_in_trls_trainer(model: Any, base: Path, tmp_path: Path) -> None:
    dataset = Dataset.from_list(
        [
            {"prompt": messages(question, "user"), "completion": messages(answer, "assistant"), "label": liked}
            for question, answer, liked in zip(QUESTIONS, GOOD, (True, False, True), strict=True)
        ]
    )
    config = KTOConfig(
        output_dir=str(tmp_path), beta=0.3, desirable_weight=1.5, bf16=False, gradient_checkpointing=False,
        per_device_train_batch_size=3, use_cpu=True, report_to=[],
    )  # fmt: skip
    tokenizer = AutoTokenizer.from_pretrained(base)
    trainer = KTOTrainer(model=model, args=config, train_dataset=dataset, processing_class=tokenizer)
    examples = list(trainer.train_dataset)
    judged = [
        TokenRow(tuple(each["prompt_ids"]), tuple(each["completion_ids"]), "liked" if each["label"] else "disliked")
        for each in examples
    ]
    others = [TokenRow(tuple(each["prompt_ids"]), tuple(each["KL_completion_ids"]), "mismatched") for each in examples]
    rows = with_references(model, [*judged, *others])
    move(model)

    theirs = trainer.compute_loss(model, trainer.data_collator(examples)).item()
    ours = step_loss(model, collate([packed_step([], rows)]), LossWeights(beta=0.3, liked=1.5)).item()

    assert abs(theirs - ours) < 1e-4 * abs(theirs)
