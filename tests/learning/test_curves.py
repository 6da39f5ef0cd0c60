from learning.curves import loss_curve, thinned
from learning.training import TrainingProgress


def test_a_step_that_was_taken_again_after_an_interruption_counts_once() -> None:
    events = [TrainingProgress("training", step, 3, loss) for step, loss in [(1, 5.0), (2, 4.0), (2, 3.0), (3, 2.0)]]
    assert loss_curve([TrainingProgress("loading"), *events]) == [[1, 5.0], [2, 3.0], [3, 2.0]]


def test_a_long_curve_is_thinned_out_between_its_first_and_its_last_step() -> None:
    curve = [[float(step), 1 / step] for step in range(1, 1001)]
    kept = thinned(curve, 5)
    assert [step for step, _ in kept] == [1.0, 251.0, 501.0, 750.0, 1000.0]
    assert thinned(curve[:5], 5) == curve[:5]
