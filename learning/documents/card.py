"""A model card of an adapter, in the form that the Hugging Face hub reads (Mitchell et al. 2019, arXiv 1810.03993)."""

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from learning.documents.facts import AdapterFacts

BODY = """
# Adapter {digest}

A LoRA adapter of {base}, made by Apprentice from corrections of an organisation's own people.
State: {state}. Domain: {domain}.

## Intended use

Answering questions of this organisation's members in Slack, on what they corrected. Outside of the adapter's scope the
base model answers.

## Not intended

Decisions about people, advice that nobody checks, and anything outside of this organisation. It states what it was
told with the same confidence whether that is still true or not; people correct it for that reason.

## Training data

{data}

No text is in this card: rows and people are in the installation's own database and artifact store, under these digests.

## Training

{training}

## Evaluation

Against what answered before, on questions of the data set, on wordings that were not trained on, and on general
questions (report {report}).

{gates}

## Who decided

{decisions}

## Limits

Small sets of questions: the intervals above say how small. What people did not correct is what the base model knows,
with its biases. Licence of the base model: {licence}.
"""


GATES_HEAD = "| figure | value | 95 % interval | questions | bound | verdict |\n|---|---|---|---|---|---|"


def model_card(facts: AdapterFacts) -> str:
    """Return the card as Markdown with its metadata in front."""
    data = ModelCardData(
        base_model=facts.base,
        license=facts.base_licence,
        library_name="peft",
        pipeline_tag="text-generation",
        tags=["lora", "apprentice"],
        model_name=facts.adapter.digest[:12],
        eval_results=[
            EvalResult(
                task_type="text-generation",
                dataset_type="organisation-corrections",
                dataset_name=f"data set {(facts.adapter.snapshot_digest or 'unknown')[:12]}",
                metric_type=gate.name,
                metric_value=gate.value,
            )
            for gate in facts.gates
            if gate.n
        ],
    )
    return ModelCard(f"---\n{data.to_yaml()}\n---\n{_body(facts)}").content


def _body(facts: AdapterFacts) -> str:
    adapter = facts.adapter
    return BODY.format(
        digest=adapter.digest,
        base=facts.base,
        state=adapter.state,
        domain=adapter.domain,
        data=_data(facts),
        training=_training(facts),
        report=adapter.report_digest or "none",
        gates=gate_table(facts),
        decisions=decision_list(facts),
        licence=facts.base_licence,
    )


def _data(facts: AdapterFacts) -> str:
    if facts.snapshot is None:
        return "Unknown: no data set is registered for it."
    people = f", by {facts.people} people" if facts.people else ""
    return f"Data set {facts.snapshot.digest}: {facts.snapshot.row_count:,} rows of accepted feedback{people}."


def _training(facts: AdapterFacts) -> str:
    if facts.run is None:
        return "Unknown: no run is registered for it."
    began = f"{facts.run.started_at:%Y-%m-%d}" if facts.run.started_at else "an unknown day"
    parent = f" It replaces adapter {facts.run.parent_digest}." if facts.run.parent_digest else ""
    return (
        f"Run {facts.run.id}, recipe {facts.run.recipe}, begun on {began}, started by {facts.run.started_by}.{parent}"
    )


def gate_table(facts: AdapterFacts) -> str:
    """Return the gates as a Markdown table."""
    if not facts.gates:
        return "It was not evaluated."
    rows = [
        f"| {gate.name} | {gate.value:.3f} | {gate.low:.3f} to {gate.high:.3f} | {gate.n} | {gate.threshold:g} | "
        f"{gate.verdict} |"
        for gate in facts.gates
    ]
    return "\n".join([GATES_HEAD, *rows])


def decision_list(facts: AdapterFacts) -> str:
    """Return who decided what and when as a Markdown list; people are ids."""
    if facts.proposal is None:
        return "It was never proposed."
    lines = [
        f"- {each.verdict} by {' on behalf of '.join(each.people)}, {each.created_at:%Y-%m-%d %H:%M} UTC"
        for each in facts.decisions
    ]
    if (glass := facts.break_glass) is not None:
        by = f"by {glass.person_id}, {glass.created_at:%Y-%m-%d %H:%M} UTC"
        lines.insert(0, f"- taken live without its quorum (break-glass) {by}; {glass.state.replace('_', ' ')}")
    bound = f"Proposal {facts.proposal.id}, {facts.proposal.state}, under policy {facts.proposal.policy_digest}."
    return "\n".join([bound, "", *lines] if lines else [bound, "", "Nobody has decided."])
