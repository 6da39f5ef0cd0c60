"""One training run from start to end: feedback, snapshot, training, evaluation, gates, proposal.

Each step is stored before the next begins, so a run that was killed goes on from where it stood.
"""

import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from governance.flows import Governance
from governance.gates import GateResult, judge
from learning.base_model import BaseModel
from learning.cancelling import RunCancelled, remove_checkpoints, sole_training, told, watching
from learning.curation import Snapshot, read_snapshot
from learning.curves import loss_curve, thinned
from learning.dataset import Dataset, build_dataset
from learning.engine import Engine
from learning.evaluation import Report, examine_snapshot, suspected_phrases, with_canaries, write_report
from learning.evaluation.evaluator import Evaluator, guarded_in
from learning.plan import note_evaluation
from learning.recipe import Method, Recipe, load_recipe
from learning.start import Start, choose_start, examine
from learning.training import (
    TrainingCancelled,
    TrainingInterrupted,
    TrainingJob,
    TrainingProgress,
    TrainingResult,
    read_progress,
    stop_trainer,
    train,
)
from storage.adapters import Adapter, answering_adapter, find_adapter, serving_adapter
from storage.artifacts import ArtifactStore
from storage.database import Database
from storage.domains import DEFAULT_DOMAIN
from storage.errors import ApprenticeError
from storage.feedback import count_feedback, list_feedback
from storage.proposals import Proposal, proposal_for
from storage.runs import Run, list_runs
from storage.settings import Settings

PROGRESS_SECONDS = 2.0
"""How often progress is written to the database, and a request to cancel looked for; events are passed on at once."""


class NothingToLearnError(ApprenticeError):
    """There is nothing accepted that the recipe's method learns from."""


@dataclass(frozen=True)
class RunEvent:
    """What a run is doing now. `total` is 0 where the length is not known; `seconds_left` None likewise.

    The event "plan" has the plan of the training (learning/plan.py); others have none.
    """

    run_id: str
    phase: str
    message: str
    step: int = 0
    total: int = 0
    seconds_left: float | None = None
    plan: dict[str, Any] | None = None


@dataclass(frozen=True)
class PipelineResult:
    """How a run ended; `proposal` is None when a gate kept the adapter back."""

    run: Run
    adapter: Adapter
    gates: list[GateResult]
    proposal: Proposal | None


OnEvent = Callable[[RunEvent], None]
LESSONS: dict[Method, str] = {
    "sft": "correction",
    "dpo": "preference (a correction, a choice between two answers, or votes for and against answers to one question)",
    "kto": "vote, choice between two answers or correction",
    "combined": "feedback",
}
"""What each method learns from, in words."""


class Pipeline:
    """Runs training, one run at a time in a data folder, with one engine for the evaluation."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        store: ArtifactStore,
        governance: Governance,
        engine: Engine,
        base: BaseModel,
    ) -> None:
        self._settings = settings
        self._database = database
        self._store = store
        self._governance = governance
        self._engine = engine
        self._base = base
        self._stop = threading.Event()
        self._noted = 0.0

    def interrupt(self) -> None:
        """Stop the run that is under way, from another thread; it becomes `interrupted` and can be resumed."""
        self._stop.set()

    def run(self, started_by: str, on_event: OnEvent, domain: str = DEFAULT_DOMAIN) -> PipelineResult:
        """Finish the run that was interrupted, whatever its domain, or else do a new one for an adapter of this domain.

        Raises:
            ConfigurationError: the policy has no such domain.
            NothingToLearnError: nothing was accepted so far that the recipe learns from.
            AlreadyRunningError: another process trains with this data folder.
            TrainingCancelled: `interrupt` was called; the run can be resumed.
            RunCancelled: somebody asked for that, here or in another process; the run is not resumed.
            TrainingInterrupted: the trainer was killed; the run can be resumed.
            ApprenticeError: a step failed; the run is `failed` and keeps the reason.

        """
        with sole_training(self._settings.run_folder):
            self._settle_begun_runs()
            run = self._open_run(started_by, self._governance.policy.check_domain(domain))
            try:
                with watching(self._database, run.id, self._stop.set, PROGRESS_SECONDS):
                    return self._finish(run, self._telling(run, on_event))
            except (TrainingCancelled, TrainingInterrupted) as error:
                self._end(run, "interrupted", str(error))
                raise
            except ApprenticeError as error:
                self._end(run, "failed", str(error))
                raise
            except Exception as error:
                self._end(run, "failed", f"{type(error).__name__}: {error}")
                raise

    def _end(self, run: Run, state: Literal["interrupted", "failed"], error: str) -> None:
        """Note how a run ended without success; raise RunCancelled where that is because somebody asked."""
        ended = self._governance.finish_run(run.id, state, error)
        if ended.state == "cancelled":
            remove_checkpoints(self._settings.run_folder, run.id)
            raise RunCancelled(f"{told(self._database, ended)}. `apprentice train` starts a new one.")

    def _settle_begun_runs(self) -> None:
        """Whoever began these is dead, or they would hold the lock: what was trained is kept, what was not is not."""
        with self._database.read() as session:
            queued, running = list_runs(session, "queued"), list_runs(session, "running")
        for run in queued:
            self._governance.finish_run(run.id, "cancelled", "its process ended before training began")
        for run in running:
            stop_trainer(self._settings.run_folder / run.id)
            self._governance.finish_run(run.id, "interrupted", "its process ended")

    def _open_run(self, started_by: str, domain: str) -> Run:
        with self._database.read() as session:
            interrupted = list_runs(session, "interrupted")
            serving = serving_adapter(session, domain)
        if interrupted:
            return self._governance.resume_run(interrupted[0].id)
        recipe = load_recipe(self._settings.training.recipe)
        dataset = self._dataset(started_by, recipe.method, domain)
        run = self._governance.queue_run(
            started_by=started_by,
            recipe=recipe.name,
            base_digest=self._base.digest,
            parent_digest=serving.digest if serving else None,
            domain=domain,
        )
        return self._governance.start_run(run.id, dataset.digest, dataset.rows, dataset.manifest)

    def _dataset(self, started_by: str, method: Method, domain: str) -> Dataset:
        with self._database.read() as session:
            accepted = count_feedback(session, "accepted", self._governance.policy.labels_of(domain))
        if accepted:
            dataset = build_dataset(self._database, self._store, self._governance, started_by, domain=domain)
            if dataset.lessons(method):
                return dataset
        raise NothingToLearnError(
            f"there is no accepted {LESSONS[method]} to learn from. Give feedback in Slack first; "
            "`apprentice review list` and `apprentice dataset show` say what waits or was left out."
        )

    def _finish(self, run: Run, on_event: OnEvent) -> PipelineResult:
        assert run.snapshot_digest is not None
        folder = self._store.verify(run.snapshot_digest)
        snapshot = read_snapshot(folder)
        trained = self._train(run, folder, snapshot, on_event)
        digest = self._store.publish(lambda target: _copy_files(trained.adapter_folder, target))
        self._governance.register_adapter(run.id, digest, self._base.digest, run.parent_digest, run.snapshot_digest)
        gates = self._judge(run, digest, snapshot, on_event)
        proposal = self._propose(digest, snapshot)
        with self._database.read() as session:
            adapter = find_adapter(session, digest)
        remove_checkpoints(self._settings.run_folder, run.id)
        return PipelineResult(self._governance.finish_run(run.id, "succeeded"), adapter, gates, proposal)

    def _train(self, run: Run, snapshot_folder: Path, snapshot: Snapshot, on_event: OnEvent) -> TrainingResult:
        recipe = load_recipe(self._settings.training.recipe)
        start = self._start(run, recipe, snapshot)
        on_event(RunEvent(run.id, "start", start.reason))
        job = TrainingJob(
            base_name=self._base.name,
            base_path=str(self._base.path),
            base_digest=self._base.digest,
            snapshot_folder=str(snapshot_folder.resolve()),
            snapshot_digest=str(run.snapshot_digest),
            recipe=recipe,
            system_prompt=self._settings.model.system_prompt,
            cache_folder=str(self._settings.cache_folder.resolve()),
            threads=self._settings.inference.threads,
            dtype=self._settings.training.dtype,
            parent_digest=run.parent_digest,
            start_reason=start.reason,
            start_digest=start.adapter,
            start_folder=self._folder_of(start.adapter),
            start_snapshot_folder=self._folder_of(start.snapshot),
        )

        def tell(progress: TrainingProgress) -> None:
            message = f"loss {progress.loss:.2f}" if progress.loss is not None else progress.message
            place = progress.step, progress.total, progress.seconds_left
            on_event(RunEvent(run.id, progress.phase, message, *place, plan=progress.plan))

        folder = self._settings.run_folder / run.id
        try:
            return train(job, folder, tell, self._stop)
        finally:
            self._governance.keep_curve(run.id, thinned(loss_curve(read_progress(folder))))

    def _folder_of(self, digest: str | None) -> str | None:
        return str(self._store.verify(digest).resolve()) if digest else None

    def _start(self, run: Run, recipe: Recipe, snapshot: Snapshot) -> Start:
        """Decide by what served when the run was asked for, so that a resumed run starts where it started."""
        if run.parent_digest is None or recipe.start.origin == "base":
            return choose_start(recipe.start, None)
        with self._database.read() as session:
            serving = find_adapter(session, run.parent_digest)
        return choose_start(recipe.start, examine(serving, self._store, self._base.digest, recipe, snapshot))

    def _judge(self, run: Run, digest: str, snapshot: Snapshot, on_event: OnEvent) -> list[GateResult]:
        """Evaluate a candidate and judge it; one that was judged before the process was killed stays so."""
        with self._database.read() as session:
            adapter = find_adapter(session, digest)
        if adapter.state != "candidate":
            return [GateResult(**gate) for gate in adapter.gates]
        self._engine.load_adapter(digest, self._store.verify(digest))
        began = time.monotonic()
        report = self._evaluate(run, digest, snapshot, on_event)
        note_evaluation(self._settings.run_folder / run.id, time.monotonic() - began)
        gates = judge(self._governance.policy.rules_of(run.domain), report.gate_metrics())
        report_digest = self._store.publish(lambda folder: write_report(report, folder, gates))
        return self._governance.record_evaluation(digest, report_digest, report.gate_metrics())

    def _evaluate(self, run: Run, digest: str, snapshot: Snapshot, on_event: OnEvent) -> Report:
        def tell(phase: str, done: int, total: int) -> None:
            if self._stop.is_set():
                raise TrainingCancelled("the evaluation was stopped on request. Start again to go on.")
            on_event(RunEvent(run.id, phase, f"{done} of {total}", done, total))

        with self._database.read() as session:
            guarded = guarded_in(list_feedback(session))
        evaluator = Evaluator(self._engine, self._settings.model.system_prompt, self._settings.cache_folder)
        policy = self._governance.policy
        phrases = suspected_phrases(snapshot, policy)
        examination = with_canaries(examine_snapshot(snapshot), policy.canaries, phrases)
        return evaluator.evaluate(examination, digest, self._answering(run.domain), guarded, tell)

    def _answering(self, domain: str) -> str | None:
        """Return what answers in a domain now, loaded; of the default domain what does, not what should."""
        if domain == DEFAULT_DOMAIN:
            return self._engine.serving
        with self._database.read() as session:
            adapter = answering_adapter(session, domain)
        if adapter is not None:
            self._engine.load_adapter(adapter.digest, self._store.verify(adapter.digest))
        return adapter.digest if adapter else None

    def _propose(self, digest: str, snapshot: Snapshot) -> Proposal | None:
        with self._database.read() as session:
            adapter = find_adapter(session, digest)
            known = proposal_for(session, digest)
        if known is not None or adapter.state != "evaluated":
            return known
        return self._governance.propose(digest, snapshot.shares())

    def _telling(self, run: Run, on_event: OnEvent) -> OnEvent:
        """Pass events on, and keep one every `PROGRESS_SECONDS`, with the plan, for other processes to see."""
        plan = run.progress.get("plan")

        def tell(event: RunEvent) -> None:
            nonlocal plan
            on_event(event)
            plan = event.plan or plan
            if event.plan or time.monotonic() - self._noted >= PROGRESS_SECONDS:
                self._noted = time.monotonic()
                self._governance.note_progress(run.id, {**asdict(event), "plan": plan})

        return tell


def _copy_files(source: Path, target: Path) -> None:
    for path in source.iterdir():
        shutil.copyfile(path, target / path.name)
