"""In whatever order people decide, one at a time or all at once, a proposal ends once, and as the rules say."""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from itertools import permutations, product
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory
from threading import Barrier

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from governance.errors import AlreadyDecidedError, NotEntitledError, ProposalClosedError
from storage.database import Database
from storage.proposals import Verdict, decisions_on
from tests.governance.installation import APPROVER, EXPERT, OTHER, STARTER, Installation

Vote = tuple[str, Verdict]
ENTITLED = (EXPERT, APPROVER, OTHER)
"""Nobody contributed here, so only whoever started the run is kept from deciding."""
ENDS = {"proposal.approved", "proposal.rejected", "proposal.expired", "proposal.void"}


def expected(votes: Sequence[Vote], quorum: int) -> tuple[list[str], str]:
    """Say what each vote leads to, and how the proposal stands then, from the rules as they are told to people."""
    state, approved, told = "open", set[str](), []
    for person, verdict in votes:
        if state != "open":
            told.append("closed")
        elif person in approved:
            told.append("already")
        elif person not in ENTITLED:
            told.append("refused")
        elif verdict == "reject":
            told.append(state := "rejected")
        else:
            approved.add(person)
            told.append(state := "approved" if len(approved) == quorum else "open")
    return told, state


class Case:
    """A copy of an installation with one open proposal."""

    def __init__(self, house: Installation, proposal_id: str, quorum: int) -> None:
        self.house = house
        self.proposal_id = proposal_id
        self.house.clock.advance(hours=1)
        self.quorum = quorum

    def vote(self, vote: Vote) -> str:
        person, verdict = vote
        try:
            outcome = self.house.governance.decide(self.proposal_id, person, verdict, "a reason")
        except ProposalClosedError:
            return "closed"
        except AlreadyDecidedError:
            return "already"
        except NotEntitledError:
            return "refused"
        assert outcome.promoted == (outcome.proposal.state == "approved")
        return outcome.proposal.state

    def check(self, told: Sequence[str], state: str) -> None:
        """Look at everything that the outcome shows in."""
        house = self.house
        actions = [json.loads(body)["action"] for body in house.log()]
        proposal = house.proposal(self.proposal_id)
        counted = [each for each in told if each in {"open", "approved", "rejected"}]
        with house.database.read() as session:
            assert len(decisions_on(session, self.proposal_id)) == len(counted)
        assert sum(action.startswith("decision.") for action in actions) == len(counted)
        assert proposal.state == state
        ends = [action for action in actions if action in ENDS]
        assert ends == ([] if state == "open" else [f"proposal.{state}"])
        assert house.serving() == (proposal.adapter_digest if state == "approved" else None)
        adapter = {"open": "proposed", "approved": "serving", "rejected": "rejected"}[state]
        assert house.adapter(proposal.adapter_digest).state == adapter
        assert house.audit.verify(house.database).verified


Open = Callable[[int], AbstractContextManager[Case]]


@pytest.fixture(scope="module")
def open_case(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Open:
    """Give a way to have an open proposal under a quorum, which is prepared once for each quorum."""
    prepared: dict[int, tuple[Path, str]] = {}

    def prepare(quorum: int) -> tuple[Path, str]:
        if quorum not in prepared:
            folder = tmp_path_factory.mktemp(f"quorum-{quorum}")
            (folder / "a.db").write_bytes(sqlite_template.read_bytes())
            house = Installation(Database(f"sqlite:///{folder / 'a.db'}"), folder)
            house.use_policy(approval={"quorum": quorum})
            prepared[quorum] = folder, house.proposed(shares={}).id
            with house.database.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            house.database.close()
        return prepared[quorum]

    @contextmanager
    def opened(quorum: int) -> Iterator[Case]:
        source, proposal_id = prepare(quorum)
        with TemporaryDirectory() as folder:
            copy = Path(folder) / "copy"
            copytree(source, copy)
            house = Installation(Database(f"sqlite:///{copy / 'a.db'}"), copy)
            house.use_policy(approval={"quorum": quorum})
            yield Case(house, proposal_id, quorum)
            house.database.close()

    return opened


@pytest.mark.parametrize("quorum", [1, 2, 3])
@pytest.mark.parametrize("verdicts", list(product(["approve", "reject"], repeat=3)), ids="-".join)
def test_every_order_of_three_people_s_decisions_ends_as_the_rules_say(
    open_case: Open, verdicts: tuple[Verdict, ...], quorum: int
) -> None:
    ends = set()
    for order in permutations(zip(ENTITLED, verdicts, strict=True)):
        with open_case(quorum) as case:
            told = [case.vote(vote) for vote in order]
            assert (told, case.house.proposal(case.proposal_id).state) == expected(order, quorum)
            case.check(told, expected(order, quorum)[1])
            ends.add(case.house.proposal(case.proposal_id).state)
    if "reject" not in verdicts:
        assert ends == {"approved"}  # the order of approvals makes no difference
    if verdicts.count("approve") < quorum:
        assert ends == {"rejected"}  # nor where the approvals would not have been enough


@given(
    votes=st.lists(
        st.tuples(st.sampled_from([STARTER, *ENTITLED]), st.sampled_from(["approve", "approve", "reject"])),
        min_size=1,
        max_size=10,
    ),
    quorum=st.integers(1, 3),
)
@example(votes=[(APPROVER, "approve")] * 3 + [(STARTER, "reject"), (OTHER, "approve"), (OTHER, "reject")], quorum=2)
@settings(max_examples=25, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_any_sequence_with_repeats_and_people_who_may_not_decide_ends_as_the_rules_say(
    open_case: Open, votes: list[Vote], quorum: int
) -> None:
    told, state = expected(votes, quorum)
    with open_case(quorum) as case:
        assert [case.vote(vote) for vote in votes] == told
        case.check(told, state)


@pytest.mark.parametrize("round_", range(3))
@pytest.mark.parametrize(
    ("verdicts", "quorum"), [(("approve", "approve", "reject"), 2), (("approve", "approve", "approve"), 2)]
)
def test_decisions_at_the_same_moment_end_as_some_order_of_them_would(
    database: Database, tmp_path: Path, verdicts: tuple[Verdict, ...], quorum: int, round_: int
) -> None:
    house = Installation(database, tmp_path)
    house.use_policy(approval={"quorum": quorum})
    case = Case(house, house.proposed(shares={}).id, quorum)
    votes = [*zip(ENTITLED, verdicts, strict=True), (STARTER, "approve"), (APPROVER, "approve")]
    together = Barrier(len(votes))

    def vote(place: int) -> str:
        together.wait()
        return case.vote(votes[place])

    with ThreadPoolExecutor(len(votes)) as pool:
        told = list(pool.map(vote, range(len(votes))))
    state = house.proposal(case.proposal_id).state

    possible = set()
    for order in permutations(range(len(votes))):
        each, end = expected([votes[place] for place in order], quorum)
        possible.add((tuple(dict(zip(order, each, strict=True))[place] for place in range(len(votes))), end))
    assert (tuple(told), state) in possible
    case.check(told, state)
