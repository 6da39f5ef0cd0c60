"""The policy: what an organisation decides, one typed TOML file, known everywhere by its digest."""

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import rfc8785
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from governance.freezes import check_window
from governance.poisoning.rules import Canary, PoisoningRules
from governance.privacy.rules import ErasureRules, PrivacyRules, RetentionRules
from governance.user_groups import EVERYBODY, is_group
from storage.domains import DEFAULT_DOMAIN, LABEL, Labels
from storage.errors import ConfigurationError

BUILTIN = "builtin:"
SMALL_TEAM = f"{BUILTIN}small-team"
PRESETS = ("small-team", "healthcare", "legal", "finance")
"""The packaged policies, each with its reasons: `policies/NAME.toml`."""

ShareFigure = Literal[
    "as_told", "in_other_words", "preferred", "preferred_as_trained", "general_kept", "general_lost", "refusals_kept",
    "canaries_lost",
]  # fmt: skip
"""Figures that are a share of the questions asked, 0 to 1."""
OtherFigure = Literal["preference_gain", "general_kl", "leaks", "mean_answer_tokens_ratio", "mean_answer_seconds_ratio"]
"""Means (nats per token), a count, and ratios of after to before; docs/evaluation.md says what each figure is."""
Figure = ShareFigure | OtherFigure
"""The figures of an evaluation report that a gate can bound; a typing error in a gate must not leave it out."""

LISTS_OF_PEOPLE = (
    ("approval", "approvers"), ("training", "starters"), ("feedback", "trusted"), ("feedback", "reviewers"),
    ("channels", "settings_by"), ("roles", "operators"), ("rollout", "pins_by"), ("break_glass", "who"),
    ("break_glass", "tell"),
)  # fmt: skip
"""Section and key of each list of people."""
People = Annotated[list[str], Field(min_length=1)]
"""`*`, ids of people and of user groups; `governance.user_groups` says whom a list names."""
Welcome = Literal["answer", "answer_no_feedback", "ignore"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Gate(_Section):
    """The bound that one figure of the report must keep: `at_least` or `at_most`, exactly one of them.

    A share keeps its bound also while no more than `or_questions` questions break it: of 12 questions, one is more than
    5 %. `min_questions` replaces the number that [evidence] asks for.
    """

    at_least: float | None = None
    at_most: float | None = None
    or_questions: int = Field(default=0, ge=0)
    min_questions: int | None = Field(default=None, ge=1)

    @property
    def bound(self) -> float:
        """The one of the two bounds that is given."""
        bound = self.at_most if self.at_least is None else self.at_least
        assert bound is not None
        return bound

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("give exactly one of 'at_least' and 'at_most'")
        return self


class Evidence(_Section):
    """When the figures are enough to judge by.

    `judge_by="interval"` passes a gate only when the whole interval keeps the bound, and fails it only when the whole
    interval breaks it; `"estimate"` looks at the measured value alone. Fewer than `min_questions` decide nothing.
    """

    judge_by: Literal["estimate", "interval"] = "estimate"
    min_questions: int = Field(default=3, ge=1)
    undecided: Literal["propose", "reject"] = "propose"


class Approval(_Section):
    """Who decides on a proposal, how many approvals it needs, and when those who can decide are reminded.

    `remind_hours_before`: hours before the proposal expires; none gives no reminder. `delegation_days`: for how long at
    most an approver can hand their vote to somebody else (`governance.delegation`); 0: not at all.
    """

    approvers: People = ["*"]
    quorum: int = Field(default=1, ge=1, le=100)
    max_contributor_share: float = Field(default=0.5, ge=0.0, le=1.0)
    expiry_days: int = Field(default=7, ge=1, le=365)
    remind_hours_before: tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...] = (24.0, 2.0)
    delegation_days: int = Field(default=0, ge=0, le=90)

    @field_validator("remind_hours_before")
    @classmethod
    def _earliest_reminder_first(cls, hours: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(sorted(set(hours), reverse=True))

    @model_validator(mode="after")
    def _reminders_come_while_it_is_open(self) -> Self:
        earliest, open_for = max(self.remind_hours_before, default=0.0), 24 * self.expiry_days
        if earliest > open_for:
            raise ValueError(f"remind_hours_before has {earliest:g}, but a proposal is open for {open_for} hours only")
        return self

    @model_validator(mode="after")
    def _quorum_can_be_reached(self) -> Self:
        is_counted = EVERYBODY not in self.approvers and not any(map(is_group, self.approvers))
        if is_counted and len(set(self.approvers)) < self.quorum:
            raise ValueError(f"quorum is {self.quorum}, but only {len(set(self.approvers))} approvers are named")
        return self


class TrainingRules(_Section):
    """Who may start a training run, and pause training or resume it; without names those who approve adapters."""

    starters: People | None = None


class FeedbackRules(_Section):
    """Which corrections somebody looks at before they may teach an adapter, and who may do so.

    `corrections_need_review`: all of them. `trusted`: those of everybody else, once anybody is named. `trusted_from`,
    where nobody is named: those of a person of whom reviewers have accepted fewer, less what they declined.
    `private_need_review`: those said in a direct message. Corrections that contradict each other always do.
    `channels_may_trust`: whom a channel's settings name needs no review there because of the first three; otherwise
    a channel can only ask for more reviews.
    """

    corrections_need_review: bool = False
    trusted: list[str] = []
    trusted_from: int = Field(default=0, ge=0, le=100)
    private_need_review: bool = False
    channels_may_trust: bool = False
    reviewers: People = ["*"]


class ChannelRules(_Section):
    """Who may change the settings of a channel: of its members that are no guests those that are named."""

    settings_by: People = ["*"]


class RoleRules(_Section):
    """Who has a role that no other section gives; `governance.roles` says which role each action needs.

    `operators` may take an adapter out and erase what somebody said, besides whoever uses the command line, who names
    one of them for an erasure.
    """

    operators: People = ["*"]


class PeopleRules(_Section):
    """Who is answered, and whose feedback counts, besides the members of the workspace.

    `guests` were invited to some channels only; `external` belong to another organisation that shares a channel;
    `bots` are other apps, which get `answers_to_a_bot` answers in a thread at most and never give feedback.
    """

    guests: Welcome = "answer_no_feedback"
    external: Welcome = "ignore"
    bots: Literal["answer", "ignore"] = "ignore"
    answers_to_a_bot: int = Field(default=3, ge=1, le=20)


class CurationRules(_Section):
    """What becomes of feedback before training. Shares are 0 to 1.

    `languages`: ISO 639-1 codes that answers may be in; none allows all. `held_out_share`: of the questions on which
    there are votes only. A person (or topic) that alone stands behind more than `max_person_share`
    (`max_topic_share`) is cut back to it, where at least `cap_from` people (topics) contribute, and never to fewer than
    `always_kept` records. So is what only people of one of the `groups` stand behind, to `max_group_share`. `groups`
    has the names of groups with their people, as Slack user ids or person ids.
    """

    languages: tuple[Annotated[str, Field(pattern="^[a-z]{2,3}$")], ...] = ()
    held_out_share: float = Field(default=0.2, ge=0.0, le=0.5)
    max_person_share: float = Field(default=0.5, gt=0.0, le=1.0)
    max_group_share: float = Field(default=0.5, gt=0.0, le=1.0)
    max_topic_share: float = Field(default=0.5, gt=0.0, le=1.0)
    cap_from: int = Field(default=5, ge=2)
    always_kept: int = Field(default=100, ge=1)
    groups: dict[Annotated[str, Field(min_length=1)], People] = {}

    @field_validator("groups")
    @classmethod
    def _everybody_is_in_one_group_at_most(cls, groups: dict[str, list[str]]) -> dict[str, list[str]]:
        said: dict[str, str] = {}
        for group, people in groups.items():
            for person in people:
                if person == "*":
                    raise ValueError(f"group {group!r} is '*', which is everybody; name its people")
                if is_group(person):
                    raise ValueError(f"group {group!r} has the user group {person}; name its people by their own ids")
                if said.setdefault(person, group) != group:
                    raise ValueError(f"{person} is in two groups, {said[person]!r} and {group!r}; leave one out")
        return groups


class RolloutRules(_Section):
    """How an approved adapter goes live.

    Nothing goes on in one of the `freeze` windows (`governance.freezes`); what was approved waits until it is over.
    For `shadow_hours` it answers `shadow_share` (0 to 1) of the questions that are not asked in private, and nobody is
    shown that; then `canary_share` of the people get it for `canary_hours`, then all do. A share of 0 skips a stage.
    `pins_by` may pin themselves to an adapter; without names those who approve adapters.
    """

    freeze: tuple[Annotated[str, AfterValidator(check_window)], ...] = ()
    shadow_share: float = Field(default=0.0, ge=0.0, le=1.0)
    shadow_hours: float = Field(default=24.0, gt=0.0, le=24.0 * 90, allow_inf_nan=False)
    canary_share: float = Field(default=0.0, ge=0.0, lt=1.0)
    canary_hours: float = Field(default=24.0, gt=0.0, le=24.0 * 90, allow_inf_nan=False)
    pins_by: People | None = None


class RollbackRules(_Section):
    """When an adapter that went live is taken out again without anybody's decision, which only a policy can want.

    While it is a canary, its answers that people judged are compared with those that the serving one gives meanwhile;
    after that with those of the one before it, of the `compare_days` before, for `watch_days`. It goes when the share
    voted down or corrected is higher by more than `margin`, with an error of at most `alpha` however often one looks
    in each of the two (`governance.sequential`), and when at least `min_people` people found at least one of at least
    `min_answers` answers bad. By the same test, with an error of `alpha` for each, it goes when the share of questions
    that it failed to answer, or answered in more than `slow_seconds`, is higher; that holds in shadow too.
    """

    automatic: bool = False
    margin: float = Field(default=0.05, ge=0.0, lt=1.0)
    alpha: float = Field(default=0.01, gt=0.0, lt=1.0)
    min_answers: int = Field(default=10, ge=1)
    min_people: int = Field(default=3, ge=1)
    slow_seconds: float = Field(default=20.0, gt=0.0, allow_inf_nan=False)
    watch_days: int = Field(default=14, ge=1, le=365)
    compare_days: int = Field(default=30, ge=1, le=365)


class BreakGlassRules(_Section):
    """Who may take an adapter live in an emergency without its quorum, and what follows (`governance.break_glass`).

    `who` may, which by default is nobody. The first of `tell` who is somebody else is told at once. Unless the
    approvers confirm it within `confirm_hours`, it is taken out again. A freeze holds it too, unless `through_freezes`.
    """

    who: list[str] = []
    tell: list[str] = []
    confirm_hours: float = Field(default=24.0, gt=0.0, le=24.0 * 30, allow_inf_nan=False)
    through_freezes: bool = False

    @model_validator(mode="after")
    def _somebody_else_is_told(self) -> Self:
        if EVERYBODY in self.tell:
            raise ValueError("tell names people, one of whom is told; '*' is nobody in particular")
        only = set(self.who) if len(set(self.who)) == 1 and not is_group(self.who[0]) else set()
        if self.who and not set(self.tell) - only:
            raise ValueError("tell names nobody but whoever breaks the glass; somebody else has to be told")
        return self


class DomainRules(_Section):
    """What holds for the adapter of a domain, such as `[domains.hr.approval]`.

    A section that is given replaces the policy's own as a whole; one that is left out is the policy's own.
    """

    gates: dict[Figure, Gate] | None = Field(default=None, min_length=1)
    evidence: Evidence | None = None
    approval: Approval | None = None
    rollout: RolloutRules | None = None
    rollback: RollbackRules | None = None


class Policy(_Section):
    """Everything that an organisation decides: how adapters go live, who teaches them, who is answered."""

    name: str = Field(min_length=1)
    gates: dict[Figure, Gate] = Field(min_length=1)
    evidence: Evidence = Evidence()
    approval: Approval = Approval()
    training: TrainingRules = TrainingRules()
    feedback: FeedbackRules = FeedbackRules()
    curation: CurationRules = CurationRules()
    channels: ChannelRules = ChannelRules()
    people: PeopleRules = PeopleRules()
    roles: RoleRules = RoleRules()
    rollout: RolloutRules = RolloutRules()
    rollback: RollbackRules = RollbackRules()
    break_glass: BreakGlassRules = BreakGlassRules()
    poisoning: PoisoningRules = PoisoningRules()
    canaries: tuple[Canary, ...] = ()
    """Asked of every candidate; `gates.canaries_lost` bounds how many it may have lost."""
    privacy: PrivacyRules = PrivacyRules()
    retention: RetentionRules = RetentionRules()
    erasure: ErasureRules = ErasureRules()
    domains: dict[Annotated[str, Field(pattern=LABEL)], DomainRules] = {}
    """The domains that have adapters of their own; all others, and what is said nowhere, are the default one's."""

    @model_validator(mode="after")
    def _questions_are_tolerated_in_shares_only(self) -> Self:
        shares = get_args(ShareFigure)
        for gates in (self.gates, *(rules.gates or {} for rules in self.domains.values())):
            for name, gate in gates.items():
                if gate.or_questions and name not in shares:
                    known = ", ".join(shares)
                    raise ValueError(f"'or_questions' of {name} has no meaning; only these are shares: {known}")
        return self

    @model_validator(mode="after")
    def _the_default_domain_has_no_section(self) -> Self:
        if DEFAULT_DOMAIN in self.domains:
            raise ValueError(f"the rules of the domain {DEFAULT_DOMAIN!r} are the policy's own; leave out its section")
        return self

    def domain_of(self, label: str) -> str:
        """Return the domain to which the label of a channel belongs."""
        return label if label in self.domains else DEFAULT_DOMAIN

    def labels_of(self, domain: str) -> Labels:
        """Return the labels that belong to a domain."""
        return Labels(domain, frozenset(self.domains))

    def check_domain(self, domain: str) -> str:
        """Return the domain as it is.

        Raises:
            ConfigurationError: the policy has no such domain.

        """
        if domain != DEFAULT_DOMAIN and domain not in self.domains:
            known = ", ".join([DEFAULT_DOMAIN, *self.domains])
            raise ConfigurationError(f"the policy {self.name!r} has no domain {domain!r}. It has: {known}.")
        return domain

    def rules_of(self, domain: str) -> "Policy":
        """Return what holds for the adapter of a domain. Its digest means nothing: a policy is known by the whole."""
        own = self.domains.get(domain)
        return self.model_copy(update={name: section for name, section in own or () if section is not None})

    def known_as(self, digest: str) -> Self:
        """Return this policy, known by the digest under which an earlier release, that lacked some keys, stored it."""
        vars(self)["digest"] = digest
        return self

    @property
    def people_named(self) -> Mapping[str, Sequence[str]]:
        """All lists of people, by their keys; those of the domains too."""
        own = _lists_of(self, "")
        for domain, rules in self.domains.items():
            own |= _lists_of(rules, f"domains.{domain}.")
        return own

    @property
    def user_groups(self) -> frozenset[str]:
        """The user groups that any of its lists names, as it names them."""
        return frozenset(each for people in self.people_named.values() for each in people if is_group(each))

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy, in which these fields are different; with one that is, its digest is its own."""
        copied = super().model_copy(update=update, deep=deep)
        if update:
            vars(copied).pop("digest", None)
        return copied

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hex, of the policy as canonical JSON; comments and order do not matter to it."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()

    @property
    def canonical(self) -> str:
        """The policy as canonical JSON (RFC 8785), each key with its value, also those that were left out."""
        return rfc8785.dumps(self.model_dump(mode="json")).decode()


def _lists_of(rules: Policy | DomainRules, path: str) -> dict[str, Sequence[str]]:
    lists = {
        f"{path}{section}.{key}": getattr(getattr(rules, section, None), key, None) for section, key in LISTS_OF_PEOPLE
    }
    return {key: people for key, people in lists.items() if people}


def load_policy(source: str | Path = SMALL_TEAM) -> Policy:
    """Read a policy file, or a packaged policy such as `builtin:healthcare`; nothing means that for a small team.

    Raises:
        ConfigurationError: no such file or packaged policy, no TOML, or a key or value that is not allowed.

    """
    source = str(source or SMALL_TEAM)
    try:
        content = tomllib.loads(_text_of(source))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read the policy {source}: {error}. Mend governance.policy.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{source} is not valid TOML: {error}. Mend that line and start again.") from error
    try:
        return Policy.model_validate(content)
    except ValidationError as error:
        raise ConfigurationError("\n".join(_explain(problem, source) for problem in error.errors())) from error


def _text_of(source: str) -> str:
    if not source.startswith(BUILTIN):
        return Path(source).read_text("utf-8")
    name = source.removeprefix(BUILTIN)
    if name not in PRESETS:
        known = ", ".join(f"{BUILTIN}{each}" for each in PRESETS)
        raise ConfigurationError(f"there is no packaged policy {source!r}. There are: {known}.")
    return resources.files("governance").joinpath(f"policies/{name}.toml").read_text("utf-8")


def _explain(problem: Any, source: str) -> str:
    path = [str(part) for part in problem["loc"]]
    key = ".".join(part for part in path if part != "[key]") or "the file"
    if problem["type"] == "extra_forbidden":
        allowed = ", ".join(_section_at(path[:-1]).model_fields)
        return f"{source}: unknown key '{key}'. Allowed here are: {allowed}."
    if problem["type"] == "missing":
        return f"{source}: '{key}' is missing. Copy it from the packaged policy for a small team."
    return f"{source}: '{key}' is {problem['input']!r}, but {problem['msg'][0].lower()}{problem['msg'][1:]}."


def _section_at(path: list[str]) -> type[BaseModel]:
    if not path:
        return Policy
    if path[0] == "domains":
        return _section_at(path[2:]) if path[2:] else DomainRules
    sections: dict[str, type[BaseModel]] = {
        "evidence": Evidence,
        "approval": Approval,
        "training": TrainingRules,
        "feedback": FeedbackRules,
        "curation": CurationRules,
        "channels": ChannelRules,
        "people": PeopleRules,
        "roles": RoleRules,
        "rollout": RolloutRules,
        "rollback": RollbackRules,
        "break_glass": BreakGlassRules,
        "poisoning": PoisoningRules,
        "canaries": Canary,
        "privacy": PrivacyRules,
        "retention": RetentionRules,
        "erasure": ErasureRules,
    }
    return sections.get(path[0], Gate)
