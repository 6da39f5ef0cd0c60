"""The commands `bench ...`: measure this product beside what a user would pick instead, on this machine."""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from bot.assembly import open_parts
from bot.bench.rounds import rounds_of
from bot.cli.output import ConfigOption
from bot.cli.temporary import temporary_folder
from bot.demo.company import HANDBOOK
from learning.evaluation import read_benchmark
from learning.evaluation.questions import BenchmarkFact
from learning.recipe import load_recipe
from storage.errors import ConfigurationError
from storage.settings import Settings, load_settings

if TYPE_CHECKING:
    from bot.bench.poisoning import Train
    from bot.training_run import ProgressBars

bench_commands = typer.Typer(help="Measure, beside what one would use instead.", no_args_is_help=True)
METHODS: tuple[Literal["sft", "dpo"], ...] = ("sft", "dpo")
"""The ways of training whose steps are timed."""


def _checked(file: Path | None) -> Path | None:
    """Find out before the work, not after it, that the result cannot be kept."""
    if file is not None and (file.is_dir() or not file.absolute().parent.is_dir()):
        raise ConfigurationError(f"{file} cannot be written. Give --json a file in a folder that exists.")
    return file


OutOption = Annotated[
    Path | None, typer.Option("--json", callback=_checked, help="Write the result here.", metavar="FILE")
]
ROWS = ("as_told", "in_other_words", "general_before", "general_after", "general_lost")


def register(app: typer.Typer) -> None:
    """Add this group to `app`."""
    app.add_typer(bench_commands, name="bench")


@bench_commands.command()
def learning(
    data: Annotated[Path, typer.Option(help="The benchmark file.", metavar="FILE")],
    batches: Annotated[int, typer.Option(min=1, help="In how many rounds the facts come, one after the other.")] = 1,
    system: Annotated[
        bool, typer.Option("--system", help="Also measure it with worked examples, as people are answered.")
    ] = False,
    baseline: Annotated[bool, typer.Option(help="Measure plain TRL fine-tuning beside it.")] = True,
    recipe: Annotated[str, typer.Option(help="The recipe, instead of the configured one.")] = "",
    json_file: OutOption = None,
    config: ConfigOption = None,
) -> None:
    """Teach a benchmark's facts as corrections, and ask for them as told, in other words, and what was known before.

    Nothing of the configured installation is touched: data is kept in a folder that is removed afterwards.

    Example: `apprentice bench learning --data handbook.json --json result.json`
    """
    benchmark = read_benchmark(data)
    rounds_of(benchmark.facts, batches)
    settings = load_settings(config)
    recipe = recipe or settings.training.recipe
    load_recipe(recipe)

    from bot.bench.learning import measure  # noqa: PLC0415 - the model libraries load only here
    from bot.training_run import ProgressBars, open_engine  # noqa: PLC0415

    with temporary_folder("apprentice-bench-") as folder:
        parts = open_parts(_apart(settings, folder, recipe))
        with ProgressBars() as bars, open_engine(parts, bars) as engine:
            result = measure(
                benchmark, parts, engine, batches=batches, system=system, baseline=baseline, show=bars.show
            )
    _write(json_file, result)
    _show_learning(result)


@bench_commands.command()
def training(
    method: Annotated[str, typer.Option(help="'sft', 'dpo', or 'all'.")] = "all",
    json_file: OutOption = None,
    config: ConfigOption = None,
) -> None:
    """Time training steps: ours, TRL with its defaults, TRL with the flags that fit this machine; same rows, same LoRA.

    Example: `apprentice bench training --json result.json`
    """
    methods = [each for each in METHODS if method in {each, "all"}]
    if not methods:
        raise ConfigurationError(f"--method is {method!r}; allowed are 'sft', 'dpo' and 'all'.")
    settings = load_settings(config)

    from bot.bench.training import measure  # noqa: PLC0415 - the model libraries load only here
    from bot.training_run import ProgressBars  # noqa: PLC0415
    from learning.base_model import prepare  # noqa: PLC0415

    with temporary_folder("apprentice-bench-") as folder, ProgressBars() as bars:
        base = prepare(settings.model.base, settings.cache_folder)
        threads, prompt = settings.inference.threads, settings.model.system_prompt
        result = measure(base, prompt, threads, folder, methods, bars.show)
    _write(json_file, result)
    _show_training(result)


@bench_commands.command()
def recipes(
    data: Annotated[Path, typer.Option(help="The benchmark file.", metavar="FILE")],
    variant: Annotated[
        list[str] | None, typer.Option(help="Only this variant; may be given more than once.", metavar="NAME")
    ] = None,
    json_file: OutOption = None,
    config: ConfigOption = None,
) -> None:
    """Compare the ideas in a recipe: none, each alone, the default, and the default with or without each.

    Each variant trains an adapter, which takes minutes. Nothing of the configured installation is touched.

    Example: `apprentice bench recipes --data handbook.json --variant none --variant default`
    """
    from bot.bench.recipes import chosen, compare  # noqa: PLC0415 - the model libraries load only here
    from bot.training_run import ProgressBars, open_engine  # noqa: PLC0415

    benchmark, wanted = read_benchmark(data), chosen(variant or [])
    settings = load_settings(config)
    with temporary_folder("apprentice-bench-") as folder:
        apart = settings.apart(folder)
        with ProgressBars() as bars, open_engine(open_parts(apart), bars) as engine:
            result = []
            for row in compare(benchmark, apart, engine, folder, wanted, bars.show):
                result.append(row)
                _write(json_file, result)  # each takes minutes; what is known outlives a kill
    columns = ("told", "other words", "lost", "own lost", "kl", "s")
    table = Table("variant", *columns, box=None, header_style="bold", pad_edge=False)
    for row in result:
        shares = (row[name] for name in ("as_told", "in_other_words", "general_lost", "own_general_lost"))
        table.add_row(
            row["variant"], *(f"{share:.2f}" for share in shares), f"{row['general_kl']:.3f}",
            f"{row['train_seconds']:.0f}",
        )  # fmt: skip
    Console().print(table)


@bench_commands.command()
def curation(
    rows: Annotated[int, typer.Option(min=100, help="How many pieces of made-up feedback.")] = 1_000_000,
    baseline: Annotated[bool, typer.Option(help="Measure the `datasets` library beside it.")] = True,
    json_file: OutOption = None,
    config: ConfigOption = None,
) -> None:
    """Build the snapshot of made-up feedback; say how fast, in how much memory, and what became of it.

    Nothing of the configured installation is touched, and the packaged policy holds. Everything lies in the
    folder for temporary files (TMPDIR) meanwhile; how much that is, docs/benchmarks.md says.

    Example: `apprentice bench curation --rows 100000 --json result.json`
    """
    from bot.bench.curation import measure  # noqa: PLC0415 - as above
    from bot.training_run import ProgressBars  # noqa: PLC0415

    settings = load_settings(config)
    with temporary_folder("apprentice-bench-") as folder, ProgressBars() as bars:
        parts = open_parts(settings.apart(folder))
        result = measure(rows, parts, config, baseline=baseline, show=bars.show)
        parts.database.close()
    _write(json_file, result)
    _show_curation(result)


@bench_commands.command()
def serving(
    at_once: Annotated[
        list[int] | None, typer.Option(min=1, max=16, help="So many questions at once; may be given more than once.")
    ] = None,
    vllm_url: Annotated[
        str, typer.Option(help="Time this vLLM too, which must see this machine's temporary files.", metavar="URL")
    ] = "",
    json_file: OutOption = None,
    config: ConfigOption = None,
) -> None:
    """Time answers to several questions at once: ours, and transformers one by one, in a batch, and continuously.

    With one adapter for all, and with four that take turns; each answer is compared with that of plain `generate`.
    Then the serving adapter is swapped 100 times while four questions at a time are answered, and after that they are
    answered for as long without swaps.

    Example: `apprentice bench serving --at-once 8 --json result.json`
    """
    from bot.bench.serving import AT_ONCE, measure  # noqa: PLC0415 - the model libraries load only here
    from bot.training_run import ProgressBars  # noqa: PLC0415
    from learning.base_model import prepare  # noqa: PLC0415

    settings = load_settings(config)
    with temporary_folder("apprentice-bench-") as folder, ProgressBars() as bars:
        base = prepare(settings.model.base, settings.cache_folder)
        threads, prompt = settings.inference.threads, settings.model.system_prompt
        result = measure(base, prompt, threads, folder, bars.show, sorted(set(at_once or AT_ONCE)), vllm_url)
    _write(json_file, result)
    _show_serving(result)


@bench_commands.command()
def rollback(
    rounds: Annotated[int, typer.Option(min=1, help="Rollbacks in each of the two ways.")] = 5,
    people: Annotated[int, typer.Option(min=1, max=16, help="So many ask, each again soon after an answer.")] = 4,
    json_file: OutOption = None,
    config: ConfigOption = None,
) -> None:
    """Time a rollback under questions: from `apprentice rollback`, or the button, to the next answer that is shown.

    The model, the engine, the bot and the local workspace are real, the adapters random. Nothing of the configured
    installation is touched. Exits with status 1 when a question failed.

    Example: `apprentice bench rollback --json result.json`
    """
    from bot.bench.rollback import measure  # noqa: PLC0415 - the model libraries load only here
    from bot.training_run import ProgressBars  # noqa: PLC0415

    settings = load_settings(config)
    with temporary_folder("apprentice-bench-") as folder, ProgressBars() as bars:
        result = measure(settings, folder, rounds, people, bars.show)
    _write(json_file, result)
    _show_rollback(result)
    raise typer.Exit(bool(result["failed"] or result["failed_attempts"]))


@bench_commands.command()
def slack(
    seconds: Annotated[float, typer.Option(min=0.1, help="How long each rate lasts.")] = 4.0,
    rate: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Only this many events a second; may be given more than once.", metavar="N"),
    ] = None,
    database: Annotated[
        str, typer.Option(help="A PostgreSQL database, in place of SQLite; nothing in it is touched.", metavar="URL")
    ] = "",
    json_file: OutOption = None,
) -> None:
    """Time how soon events from Slack are acknowledged, at growing rates, beside a Bolt app that stores nothing.

    Slack is the local workspace; the engine is a stub that answers at once. Nothing of the configured installation is
    touched.

    Example: `apprentice bench slack --json result.json`
    """
    from bot.bench.slack import RATES, measure  # noqa: PLC0415 - as above
    from bot.training_run import ProgressBars  # noqa: PLC0415

    with temporary_folder("apprentice-bench-") as folder, ProgressBars() as bars:
        result = measure(rate or RATES, seconds, folder, database, bars.show)
    _write(json_file, result)
    _show_slack(result)


@bench_commands.command()
def privacy(
    data: Annotated[Path, typer.Option(help="The folder of marked lines, lines_LANGUAGE.txt.", metavar="FOLDER")],
    json_file: OutOption = None,
) -> None:
    """Find personal data and secrets in marked lines: what share is found, and is right, beside what one would use.

    Example: `apprentice bench privacy --data tests/governance/privacy --json result.json`
    """
    from bot.bench.privacy import measure, read_lines  # noqa: PLC0415 - as above

    lines = read_lines(data)
    result = measure(lines)
    _write(json_file, result)
    _show_privacy(result)


@bench_commands.command()
def audit(
    records: Annotated[int, typer.Option(min=1, help="How many are written with each number of writers.")] = 4_000,
    verified: Annotated[int, typer.Option(min=1, help="How many the log has that is verified.")] = 1_000_000,
    writers: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Only so many threads that write at once; may be given more than once.", metavar="N"),
    ] = None,
    database: Annotated[
        str, typer.Option(help="A PostgreSQL database, in place of SQLite; nothing in it is touched.", metavar="URL")
    ] = "",
    json_file: OutOption = None,
) -> None:
    """Time the audit log, written record by record and verified, beside a plain table with a commit a record.

    Everything lies in the folder for temporary files (TMPDIR) meanwhile, about 700 bytes a record.

    Example: `apprentice bench audit --json result.json`
    """
    from bot.bench.audit import WRITERS, measure  # noqa: PLC0415 - as above
    from bot.training_run import ProgressBars  # noqa: PLC0415

    with temporary_folder("apprentice-bench-") as folder, ProgressBars() as bars:
        result = measure(records, verified, writers or WRITERS, folder, database, bars.show)
    _write(json_file, result)
    _show_audit(result)


@bench_commands.command()
def poisoning(
    data: Annotated[
        list[Path] | None,
        typer.Option(
            help="A benchmark file, in place of the demo's handbook; may be given more than once.", metavar="FILE"
        ),
    ] = None,
    people: Annotated[int, typer.Option(help="How many honest people.")] = 30,
    colluding: Annotated[
        list[int] | None,
        typer.Option(min=1, help="So many people plant together; may be given more than once.", metavar="N"),
    ] = None,
    case: Annotated[
        list[str] | None, typer.Option(help="Only this case; may be given more than once.", metavar="NAME")
    ] = None,
    train: Annotated[
        bool, typer.Option("--train", help="Train on what each case teaches, minutes for each, and ask the adapter.")
    ] = False,
    json_file: OutOption = None,
    config: ConfigOption = None,
) -> None:
    """Plant corrections among a month of honest ones; say what is found, what is taught, and who is suspected wrongly.

    Everything is made up, and nothing of the configured installation is touched; the packaged policy holds. The result
    is written after each case; --case does one alone, or those that a kill left.

    Example: `apprentice bench poisoning --train --case "5: a false fact over the month" --json result.json`
    """
    from bot.bench.planting import check, honest_month  # noqa: PLC0415 - as above
    from bot.bench.poisoning import COLLUDING, chosen, play  # noqa: PLC0415
    from bot.training_run import ProgressBars  # noqa: PLC0415

    facts = [fact for file in data or [HANDBOOK] for fact in read_benchmark(file).facts]
    check(facts, people)
    to_play = chosen(colluding or COLLUDING, case or [])
    settings = load_settings(config)
    result: dict[str, Any] = {"people": people, "honest_corrections": len(honest_month(facts, people)), "cases": []}
    with temporary_folder("apprentice-bench-") as folder, ProgressBars() as bars, ExitStack() as stack:
        apart = settings.apart(folder)
        trainer = stack.enter_context(_trainer(facts, apart, bars)) if train else None
        for played in play(facts, people, to_play, apart, bars.show, trainer):
            result["cases"].append(played)
            _write(json_file, result)
    _show_poisoning(result)


@contextmanager
def _trainer(facts: Sequence[BenchmarkFact], settings: Settings, bars: "ProgressBars") -> Iterator["Train"]:
    from bot.bench.planted_answers import Trainer  # noqa: PLC0415 - the model libraries load only here
    from bot.training_run import open_engine  # noqa: PLC0415

    with open_engine(open_parts(settings), bars) as engine:
        yield Trainer(engine, facts, bars.show).measure


def _apart(settings: Settings, folder: Path, recipe: str) -> Settings:
    apart = settings.apart(folder)
    return apart.model_copy(update={"training": apart.training.model_copy(update={"recipe": recipe})})


def _write(file: Path | None, result: dict[str, Any] | list[dict[str, Any]]) -> None:
    if file is not None:
        file.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _show_learning(result: dict[str, Any]) -> None:
    columns = {"ours": result["ours"]["adapter"]}
    if "system" in result["ours"]:
        columns["with worked examples"] = result["ours"]["system"]
    if "baseline" in result:
        columns["plain fine-tuning"] = result["baseline"]["adapter"]
    table = Table("", *columns, box=None, header_style="bold", pad_edge=False)
    for row in ROWS:
        table.add_row(row.replace("_", " "), *(f"{column[row]:.2f}" for column in columns.values()))
    console = Console()
    console.print(table)
    for name, side in (("ours", result["ours"]), ("plain fine-tuning", result.get("baseline"))):
        if side is not None:
            console.print(
                f"{name}: {side['train_seconds']:.0f} s of training, {side['total_seconds']:.0f} s in all, "
                f"{side['peak_mb']:.0f} MB at most.",
                highlight=False,
            )


def _show_training(result: dict[str, Any]) -> None:
    console = Console()
    for method, sides in result.items():
        table = Table(
            method.upper(), "s a step", "rows a s", "MB", "ours is", box=None, header_style="bold", pad_edge=False
        )
        for side, figures in sides.items():
            if side != "times_faster":
                faster = sides["times_faster"].get(side)
                table.add_row(
                    side.replace("_", " "), f"{figures['seconds_per_step']:.2f}", f"{figures['rows_per_second']:.1f}",
                    str(figures["peak_mb"]), f"{faster:.1f} x as fast" if faster else "",
                )  # fmt: skip
        console.print(table)


def _show_serving(result: dict[str, Any]) -> None:
    table = Table(
        "engine", "at once", "adapters", "tokens a s", "first token, p95", "as generate", "MB", box=None,
        header_style="bold", pad_edge=False,
    )  # fmt: skip
    for row in result["results"]:
        table.add_row(
            row["engine"], str(row["concurrency"]), str(row["adapters"]), f"{row['tokens_per_s']:.1f}",
            f"{row['ttft_p95_s']:.2f} s", f"{row['same_text']:.0%}", str(row["peak_mb"] or ""),
        )  # fmt: skip
    console = Console()
    console.print(table)
    for at_once, most in result["limit_tokens_per_s"].items():
        reached = f"{result['share_of_limit'][at_once]:.0%} of the {most:.0f} tokens a second that the machine allows"
        console.print(f"{at_once} at once: {reached}.", highlight=False)
    swaps = result["swaps"]
    console.print(f"{swaps['count']} swaps of adapters: {swaps['failed']} answers failed.", highlight=False)
    for what, pauses in ((f"with swaps, {swaps['seconds']} s", swaps), ("without, as long", swaps["undisturbed"])):
        console.print(
            f"{what}: the longest pause between two tokens was {pauses['longest_pause_ms']} ms; "
            f"{pauses['long_pauses']} of {pauses['answers']} answers paused for over 100 ms.",
            highlight=False,
        )


def _show_rollback(result: dict[str, Any]) -> None:
    columns = {
        "done_s": "done", "in_force_s": "in force", "first_text_s": "next answer begins",
        "next_answer_s": "next answer", "last_of_taken_out_s": "last of the one taken out",
    }  # fmt: skip
    table = Table("seconds from the start", *columns.values(), box=None, header_style="bold", pad_edge=False)
    for way in ("command", "button"):
        rows = (result[way][name] for name in columns)
        table.add_row(way, *(f"{each['median']:.2f} ({each['min']:.2f} to {each['max']:.2f})" for each in rows))
    console = Console()
    console.print(table)
    console.print(
        f"{result['asked']} questions by {result['people']} people, {2 * result['rounds']} rollbacks: "
        f"{result['failed']} failed, {result['failed_attempts']} attempts had to be repeated.",
        highlight=False,
    )


def _show_curation(result: dict[str, Any]) -> None:
    console = Console()
    table = Table(
        f"{result['rows']:,} rows",
        "s",
        "CPU s",
        "rows a s",
        "a CPU s",
        "MB at most",
        box=None,
        header_style="bold",
        pad_edge=False,
    )
    for side in ("ours", "datasets"):
        if figures := result.get(side):
            table.add_row(
                side,
                f"{figures['seconds']:.1f}",
                f"{figures['cpu_seconds']:.1f}",
                f"{figures['rows_per_second']:,}",
                f"{figures['rows_per_cpu_second']:,}",
                f"{figures['peak_mb']:,}",
            )
    console.print(table)
    ours = result["ours"]
    for title, figures in (("seconds", ours["phases"]), ("became", ours["counts"]), ("left out", ours["left_out"])):
        console.print(f"{title}: " + ", ".join(f"{value:,} {name}" for name, value in figures.items()), highlight=False)


def _show_slack(result: dict[str, Any]) -> None:
    console = Console()
    for side, title in (("rates", f"ours, {result['database']}"), ("plain", "plain Bolt")):
        columns = ("sent", "a second", "acknowledged", "a second", "lost", "p50 ms", "p99 ms")
        table = Table(f"events a second: {title}", *columns, box=None, header_style="bold", pad_edge=False)
        for row in result[side]:
            table.add_row(*(str(value) for value in row.values()))
        console.print(table)
    console.print(
        f"At most {result['saturation_events_per_s']} acknowledgements a second, plain Bolt "
        f"{result['plain_saturation_events_per_s']}. The engine is {result['engine']}.",
        highlight=False,
    )
    at, p50, p99 = result["ours_to_plain"].values()
    console.print(f"At {at} events a second ours takes {p50} (p50) and {p99} (p99) times as long.", highlight=False)


def _show_privacy(result: dict[str, Any]) -> None:
    sides = {"ours": "ours", "detect_secrets": "detect-secrets", "expressions": "expressions"}
    columns = [f"{title}: {figure}" for title in sides.values() for figure in ("found", "right")]
    table = Table("kind", "marked", *columns, box=None, header_style="bold", pad_edge=False)
    for kind in [*result["ours"]["kinds"], "all"]:
        rows = [result[side]["kinds"].get(kind, result[side]["all"]) for side in sides]
        shares = [_as_share(row[figure]) for row in rows for figure in ("recall", "precision")]
        table.add_row(kind.replace("_", " "), str(rows[0]["marked"]), *shares)
    console = Console()
    console.print(table)
    for side, title in sides.items():
        figures = result[side]
        console.print(
            f"{title}: {_as_share(figures['clean_lines'])} of the {result['unmarked_lines']} lines without a mark left "
            f"alone, {figures['lines_per_second']:,} lines a second.",
            highlight=False,
        )


def _as_share(share: float | None) -> str:
    return "-" if share is None else f"{share:.2f}"


def _show_audit(result: dict[str, Any]) -> None:
    columns = ("ours, records a second", "plain table", "ours to plain")
    table = Table(f"writers, {result['database']}", *columns, box=None, header_style="bold", pad_edge=False)
    for row in result["appends"]:
        figures = (row["writers"], row["ours_per_s"], row["plain_per_s"], row["ours_to_plain"])
        table.add_row(*(str(figure) for figure in figures))
    console = Console()
    console.print(table)
    console.print(f"Where 5,000 records are one change: {result['at_once_per_s']:,} a second.", highlight=False)
    verify = result["verify"]
    console.print(
        f"Verified {verify['records']:,} records in {verify['seconds']} s, {verify['records_per_s']:,} a second: "
        f"{verify['times_reading']} times as long as only reading them.",
        highlight=False,
    )


def _show_poisoning(result: dict[str, Any]) -> None:
    console = Console()
    columns = ("said", "taught", "set aside", "honest set aside")
    table = Table("planted", *columns, box=None, header_style="bold", pad_edge=False)
    for case in result["cases"]:
        planted = (str(case["planted"][figure]) for figure in ("said", "learned", "set_aside"))
        table.add_row(case["case"], *planted, str(case["honest"]["set_aside"]))
    console.print(table)
    for case in result["cases"]:
        found, wrongly = (_as_counts(case[side]["found"]) for side in ("planted", "honest"))
        console.print(f"{case['case']}: {found}; of the honest: {wrongly}.", highlight=False)
    console.print(f"{result['people']} honest people said {result['honest_corrections']} things.", highlight=False)
    for case in result["cases"]:
        if "trained" in case:
            console.print(f"{case['case']}: {_as_answered(case['trained'])}.", highlight=False)


def _as_answered(trained: dict[str, Any]) -> str:
    asked = trained["asked"].items()
    counts = (f"{kind.replace('_', ' ')} {each['as_wanted']} of {each['asked']}" for kind, each in asked)
    failed = [gate["name"] for gate in trained["gates"] if gate["verdict"] == "failed"]
    return f"answered as wanted {', '.join(counts)}; gates failed: {', '.join(failed) or 'none'}"


def _as_counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items()) or "nothing"
