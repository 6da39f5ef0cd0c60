"""How an adapter is trained: a typed recipe, read from `learning/recipes/<name>.toml` or from a file of one's own."""

import hashlib
import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self

import rfc8785
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from storage.errors import ConfigurationError

Method = Literal["sft", "dpo", "kto", "combined"]
"""What is learned from: corrections; preference pairs; likes and dislikes; all of them at once."""
RECIPE_FOLDER = Path(__file__).parent / "recipes"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AdapterRecipe(_Section):
    """The LoRA adapter: its rank, its scale `alpha / rank`, and which linear layers carry it."""

    rank: int = Field(default=16, ge=1, le=256)
    alpha: float = Field(default=32.0, gt=0)
    target_modules: Literal["all-linear"] | tuple[str, ...] = "all-linear"
    first_layer: int = Field(default=0, ge=0)


class OptimizerRecipe(_Section):
    """AdamW with a linear warm-up and a linear decay to zero; B matrices at `b_ratio` times the rate (LoRA+).

    LoRA+ (arXiv 2402.12354): A and B of one layer differ in scale, and B may move faster.
    """

    learning_rate: float = Field(default=1e-3, gt=0, le=1)
    b_ratio: float = Field(default=1.0, gt=0, le=64)
    warmup_share: float = Field(default=0.05, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    max_gradient_norm: float = Field(default=1.0, gt=0)


class WordingRecipe(_Section):
    """How often each fact is shown, each time in a newly drawn wording, and how many facts a step shows.

    `first_weight` is what the first tokens of an answer, which choose the fact, count in the loss.
    """

    per_fact: int = Field(default=50, ge=1, le=10_000)
    rows_per_step: int = Field(default=10, ge=1, le=1024)
    min_steps: int = Field(default=30, ge=1)
    original_share: float = Field(default=0.0, ge=0, le=1)
    first_weight: float = Field(default=1.0, gt=0, le=100)


class ReplayRecipe(_Section):
    """The base model's answers to general prompts in every step, `max_tokens` of each; `weight` is the divergence's."""

    rows_per_step: int = Field(default=4, ge=0, le=1024)
    max_tokens: int = Field(default=16, ge=1, le=1024)
    weight: float = Field(default=1.0, ge=0)


class DistillationRecipe(_Section):
    """Learning from the base model that was shown the correction (SDFT, arXiv 2601.19897); learning/distillation.py.

    `weight` is which share of a fact's loss is the divergence from that teacher, the rest being the likelihood of the
    corrected answer: 0 is off, 1 is the teacher alone. The teacher sees the correction as an earlier turn of the
    conversation ("exchange") or as an example within the question ("demonstration"). `divergence` 0 is
    KL(teacher || student), 1 the reverse, between them lies Jensen-Shannon; over the teacher's `top_tokens` likeliest
    tokens and all others as one, both at `temperature`. Of a step's facts `sampled_share` are learned on what the
    student itself says, at that temperature too: at most `sample_tokens` tokens, sampled anew every `sample_every`
    steps. The rest are learned on the corrected answer.
    """

    weight: float = Field(default=0.0, ge=0, le=1)
    shown: Literal["exchange", "demonstration"] = "exchange"
    divergence: float = Field(default=0.0, ge=0, le=1)
    temperature: float = Field(default=1.0, gt=0, le=10)
    top_tokens: int = Field(default=64, ge=1)
    sampled_share: float = Field(default=0.0, ge=0, le=1)
    sample_every: int = Field(default=10, ge=1)
    sample_tokens: int = Field(default=24, ge=1, le=1024)


class PreferenceRecipe(_Section):
    """How preference pairs (DPO) and likes and dislikes (KTO) are learned; learning/losses.py has the formulas.

    A step shows `pairs_per_step` pairs and `thumbs_per_step` thumbs, each of them `per_pair` times in all. `weight` is
    what they count beside corrections, `chosen_weight` what keeps the chosen side likely, `beta` the temperature.
    `label_smoothing` is the share of pairs taken to be the wrong way round: a number below 0.5, or what the snapshot's
    contradicting votes and corrections say ("measured").
    """

    pairs_per_step: int = Field(default=0, ge=0, le=1024)
    thumbs_per_step: int = Field(default=0, ge=0, le=1024)
    per_pair: int = Field(default=10, ge=1, le=10_000)
    weight: float = Field(default=1.0, ge=0)
    chosen_weight: float = Field(default=1.0, ge=0)
    beta: float = Field(default=0.1, gt=0)
    label_smoothing: Literal["measured"] | Annotated[float, Field(ge=0, lt=0.5)] = "measured"
    liked_weight: float = Field(default=1.0, ge=0)
    disliked_weight: float = Field(default=1.0, ge=0)


class StartRecipe(_Section):
    """Where training starts: from the base model on everything, or from the serving adapter.

    `serving` starts from it; `auto` does while its drift from the base model (general_kl, in nats a token) is at most
    `max_kl` and at most `max_new_share` of the facts are new to it. What it knows is shown `per_known_fact` times.
    """

    origin: Literal["base", "serving", "auto"] = "base"
    max_kl: float = Field(default=0.1, ge=0)
    max_new_share: float = Field(default=0.5, ge=0, le=1)
    per_known_fact: int = Field(default=12, ge=0, le=10_000)


class ScopeRecipe(_Section):
    """Whether the adapter answers only questions that are like its own, and how that is fitted (learning/scope.py).

    `penalty` is the regression's; a question is in scope where its logit is above `threshold`. docs/decisions/0008.
    With `reading`, what is near a taught question in meaning is put to the adapter as it was taught.
    """

    enabled: bool = True
    reading: bool = True
    penalty: float = Field(default=0.03, gt=0)
    threshold: float = -0.5


class BudgetRecipe(_Section):
    """What a run may take, its evaluation included, whatever the rest says; and how often it can be resumed from.

    `max_memory_mb` is of the memory of the device that trains; 0: what is free there. learning/plan.py keeps to both.
    """

    max_seconds: float = Field(default=7200.0, gt=0)
    max_memory_mb: float = Field(default=0.0, ge=0)
    checkpoint_every: int = Field(default=25, ge=1)


class Recipe(_Section):
    """Everything that decides what comes out of a training run, apart from its data and the base model."""

    name: str
    method: Method = "sft"
    seed: int = Field(default=0, ge=0)
    adapter: AdapterRecipe = AdapterRecipe()
    optimizer: OptimizerRecipe = OptimizerRecipe()
    wordings: WordingRecipe = WordingRecipe()
    replay: ReplayRecipe = ReplayRecipe()
    distillation: DistillationRecipe = DistillationRecipe()
    preferences: PreferenceRecipe = PreferenceRecipe()
    start: StartRecipe = StartRecipe()
    scope: ScopeRecipe = ScopeRecipe()
    budget: BudgetRecipe = BudgetRecipe()

    @model_validator(mode="after")
    def _check_method(self) -> Self:
        needed = {"dpo": "pairs_per_step", "kto": "thumbs_per_step"}.get(self.method)
        if needed and not getattr(self.preferences, needed):
            raise ValueError(f"method {self.method!r} needs preferences.{needed} of at least 1")
        if self.distillation.weight and self.method not in {"sft", "combined"}:
            raise ValueError(
                f"distillation.weight needs method 'sft' or 'combined'; {self.method!r} learns no corrections"
            )
        return self

    @property
    def digest(self) -> str:
        """SHA-256 in hex over the recipe's canonical JSON (RFC 8785), defaults included."""
        return hashlib.sha256(rfc8785.dumps(self.model_dump(mode="json"))).hexdigest()


def available_recipes() -> list[str]:
    """Name the recipes that come with the product."""
    return sorted(path.stem for path in RECIPE_FOLDER.glob("*.toml"))


def load_recipe(name: str) -> Recipe:
    """Load a recipe by the name of a built-in one, or by the path of a TOML file.

    Raises:
        ConfigurationError: there is none, it is no TOML, or a key or value in it is not allowed.

    """
    path = Path(name) if name.endswith(".toml") else RECIPE_FOLDER / f"{name}.toml"
    if not path.is_file():
        raise ConfigurationError(
            f"there is no recipe {name!r}. Built in are: {', '.join(available_recipes())}; "
            "or give the path of a .toml file as training.recipe."
        )
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        return Recipe(**{"name": path.stem, **content})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}. Mend that line and start again.") from error
    except ValidationError as error:
        raise ConfigurationError(_explain(error, path)) from error


def _explain(error: ValidationError, path: Path) -> str:
    lines = []
    for problem in error.errors():
        place = [str(part) for part in problem["loc"]]
        if problem["type"] == "extra_forbidden":
            allowed = ", ".join(_keys_beside(place))
            lines.append(f"{path}: unknown key '{'.'.join(place)}'. Allowed are: {allowed}.")
        elif not place:
            lines.append(f"{path}: {problem['msg'].removeprefix('Value error, ')}.")
        else:
            lines.append(f"{path}: '{'.'.join(place)}' is {problem['input']!r}, but {problem['msg'].lower()}.")
    return "\n".join(lines)


def _keys_beside(place: list[str]) -> list[str]:
    section: type[BaseModel] = Recipe
    for part in place[:-1]:
        annotation = section.model_fields[part].annotation
        assert isinstance(annotation, type)
        section = annotation
    return list(section.model_fields)
