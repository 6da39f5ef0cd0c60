"""How state machines of Hypothesis are run here: the same examples each time, none of them timed."""

from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test


def run_examples(machine: type[RuleBasedStateMachine], examples: int, steps: int) -> None:
    """Run so many examples of at most so many steps."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
            derandomize=True,
        ),
    )
