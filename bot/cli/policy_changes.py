"""Commands that change the policy in force: propose a file, decide on it, and see what is in force and what waits."""

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from sqlmodel import Session

from bot.assembly import Parts, open_parts
from bot.cli.adapters import PersonOption, ReasonOption
from bot.cli.output import ConfigOption, JsonOption, PolicyArgument, print_json, print_rows
from bot.whoami import operator
from governance.policy import load_policy
from governance.policy_approval import asked_text, missing_text
from governance.policy_changes import PolicyCase, read_policy_case
from governance.policy_difference import compare_policies
from governance.policy_versions import why_not_in_force
from governance.policy_words import explain_policy
from storage.people import find_person, names_of
from storage.policies import PolicyVersion, find_version, list_versions, version_in_force
from storage.proposals import Verdict
from storage.settings import load_settings

DigestArgument = Annotated[
    str, typer.Argument(help="The policy's digest, or the start of it; `policy status` has it.", metavar="DIGEST")
]
ProposerOption = Annotated[
    str | None,
    typer.Option(
        "--as", help="Who proposes: a Slack user id that has used the bot; else the operator.", metavar="USER"
    ),
]
WithdrawerOption = Annotated[
    str | None,
    typer.Option("--as", help="Who proposed it: that person's Slack user id; else the operator.", metavar="USER"),
]


def register(commands: typer.Typer) -> None:
    """Add these commands to the group `policy`."""
    for command in (propose, withdraw, approve, reject, status, show):
        commands.command()(command)


def propose(
    file: PolicyArgument,
    reason: ReasonOption = "",
    person: ProposerOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask for the approval of another policy. Those decide whom the policy in force lets decide on adapters.

    Until enough of them have approved, the one in force holds on. Whoever proposes does not decide.

    Example: `apprentice policy propose policy.toml --reason "two people approve from now on"`
    """
    policy, parts = load_policy(file), open_parts(load_settings(config))
    version = parts.governance.policies.propose(policy, _proposer(parts, person), reason)
    with parts.database.read() as session:
        case = read_policy_case(session, version)
    if as_json:
        print_json(_row(version) | {"expires": version.expires_at, "asked": asked_text(case.asked)})
        return
    console = Console(highlight=False)
    console.print(f"Proposed: {escape(version.name)} ({version.digest[:12]}). The policy in force holds on until then.")
    _print_difference(console, case)
    console.print(_still_asked(case), markup=False, soft_wrap=True)


def withdraw(
    digest: DigestArgument,
    reason: ReasonOption,
    person: WithdrawerOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a proposed policy back, as whoever proposed it; a reason is required.

    Example: `apprentice policy withdraw 3f9a0c12 --reason "it names the wrong people"`
    """
    parts = open_parts(load_settings(config))
    with parts.database.read() as session:
        version = find_version(session, digest)
    done = parts.governance.policies.withdraw(version.id, _proposer(parts, person), reason)
    if as_json:
        print_json(_row(done))
    else:
        message = f"Withdrawn: {done.name} ({done.digest[:12]}). The policy in force holds on."
        Console(highlight=False).print(message, markup=False, soft_wrap=True)


def approve(
    digest: DigestArgument,
    person: PersonOption,
    reason: ReasonOption = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Approve a proposed policy; it is in force once enough people have. A running bot follows within seconds.

    Example: `apprentice policy approve 3f9a0c12 --as U0MARCUS`
    """
    _decide(open_parts(load_settings(config)), digest, person, "approve", reason, as_json=as_json)


def reject(
    digest: DigestArgument,
    person: PersonOption,
    reason: ReasonOption,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Reject a proposed policy; a reason is required.

    Example: `apprentice policy reject 3f9a0c12 --as U0MARCUS --reason "one approver is too few"`
    """
    _decide(open_parts(load_settings(config)), digest, person, "reject", reason, as_json=as_json)


def status(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Say which policy is in force, whether the file is another, and list all that were proposed, newest first.

    Example: `apprentice policy status`
    """
    settings = load_settings(config)
    parts = open_parts(settings)
    source = settings.governance.policy
    with parts.database.read() as session:
        current, rows = version_in_force(session), [_row(each) for each in list_versions(session)]
    differs = why_not_in_force(load_policy(source), source, parts.governance.policy)
    if as_json:
        print_json({"in_force": current.digest if current else None, "file_differs": bool(differs), "versions": rows})
        return
    if current is None:
        Console(highlight=False).print(
            f"No policy is in force yet; the first start of `apprentice up` puts {escape(source)} in force."
        )
        return
    print_rows(rows, as_json=False, empty="")


def show(
    digest: Annotated[str, typer.Argument(help="Of a proposed or earlier one; else the one in force.")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say in plain words what the policy in force allows, or what a proposed one would change, and who decided.

    Example: `apprentice policy show 3f9a0c12`
    """
    parts = open_parts(load_settings(config))
    with parts.database.read() as session:
        version = find_version(session, digest) if digest else version_in_force(session)
        case = read_policy_case(session, version) if version else None
        names = _names(session, case) if case else {}
    if case is None:
        policy = parts.governance.policy
        print_json(policy.model_dump(mode="json")) if as_json else _print_words(policy.name, explain_policy(policy))
        return
    if as_json:
        decisions = [each.model_dump(exclude={"id", "version_id"}) for each in case.decisions]
        rules = case.policy.model_dump(mode="json")
        withdrawn = {"withdrawn_reason": case.version.withdrawn_reason}
        print_json(_row(case.version) | withdrawn | {"decisions": decisions, "policy": rules})
        return
    _print_case(case, names)


def _names(session: Session, case: PolicyCase) -> dict[str, str]:
    return names_of(session, [case.version.proposed_by, *(one for each in case.decisions for one in each.people)])


def _decide(parts: Parts, reference: str, person: str, verdict: Verdict, reason: str, *, as_json: bool) -> None:
    with parts.database.read() as session:
        version, decider = find_version(session, reference), find_person(session, person)
    outcome = parts.governance.policies.decide(version.id, decider.id, verdict, reason)
    if as_json:
        print_json(_row(outcome.version))
    else:
        Console(highlight=False).print(outcome.message, markup=False)


def _proposer(parts: Parts, person: str | None) -> str:
    if person is None:
        return operator()
    with parts.database.read() as session:
        return find_person(session, person).id


def _row(version: PolicyVersion) -> dict[str, Any]:
    by = version.proposed_by
    return {
        "digest": version.digest,
        "name": version.name,
        "state": version.state,
        "adopted_by": by if version.is_first else None,
        "proposed_by": None if version.is_first else by,
        "reason": version.reason,
        "proposed": None if version.is_first else version.created_at,
        "decided": version.decided_at,
    }


def _print_case(case: PolicyCase, names: dict[str, str]) -> None:
    version = case.version
    state = version.state.replace("_", " ")
    _print_words(f"{version.name} ({version.digest[:12]}), {state}", explain_policy(case.policy))
    console = Console(highlight=False)
    console.print(_origin(version, names), markup=False, soft_wrap=True)
    if version.state == "proposed":
        _print_difference(console, case)
    for each in case.decisions:
        said = "approved" if each.verdict == "approve" else "rejected"
        why = f": {each.reason}" if each.reason else ""
        who = " on behalf of ".join(names.get(person, person) for person in each.people)
        console.print(f"{who} {said} it{why}", markup=False, soft_wrap=True)
    if version.state == "withdrawn":
        console.print(f"withdrawn: {version.withdrawn_reason}", markup=False, soft_wrap=True)
    if version.state == "proposed":
        console.print(_still_asked(case), markup=False, soft_wrap=True)


def _origin(version: PolicyVersion, names: dict[str, str]) -> str:
    by, at = names.get(version.proposed_by, version.proposed_by), f"{version.created_at:%Y-%m-%d %H:%M} UTC"
    if version.is_first:
        return f"adopted at the first start by {by}, {at}"
    return f"proposed by {by}, {at}" + (f": {version.reason}" if version.reason else "")


def _print_words(title: str, sentences: list[str]) -> None:
    console = Console(highlight=False)
    console.print(f"[bold]{escape(title)}[/]")
    for sentence in sentences:
        console.print(f"- {escape(sentence)}", soft_wrap=True)


def _print_difference(console: Console, case: PolicyCase) -> None:
    if case.old is None:
        return
    found = compare_policies(case.old, case.policy)
    for what, lines in (("no longer", found.no_longer), ("from now on", found.from_now_on), ("key", found.keys)):
        for line in lines:
            console.print(f"{what}: {line}", markup=False, soft_wrap=True)


def _still_asked(case: PolicyCase) -> str:
    until = f"Open until {case.version.expires_at:%Y-%m-%d %H:%M} UTC."
    return f"{asked_text(case.asked)} {missing_text(case.ballot.missing)} {until}"
