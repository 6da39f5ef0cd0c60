"""Commands that write what people outside read: model cards, bills of materials, bundles, and a compliance export."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from bot.assembly import open_parts
from bot.cli.output import ConfigOption, JsonOption, print_json
from bot.whoami import operator
from learning.documents.bundle import verify_bundle, write_bundle
from learning.documents.facts import gather
from storage.settings import load_settings

commands = typer.Typer(help="Documents for people outside.", no_args_is_help=True)
AdapterArgument = Annotated[str, typer.Argument(help="A digest, or the start of one.", metavar="ADAPTER")]
FileArgument = Annotated[Path, typer.Argument(help="The zip; replaced when it exists.", metavar="FILE")]


def register(app: typer.Typer) -> None:
    """Add this group to `app`."""
    app.add_typer(commands, name="documents")


@commands.command()
def card(adapter: AdapterArgument, config: ConfigOption = None) -> None:
    """Print the model card of an adapter, in the form that the Hugging Face hub reads.

    Example: `apprentice documents card 3f9a0c12`
    """
    from learning.documents.card import model_card  # noqa: PLC0415 - its library loads only where it is needed

    parts = open_parts(load_settings(config))
    with parts.database.read() as session:
        print(model_card(gather(session, adapter, parts.settings.model.base)), end="")


@commands.command()
def bom(adapter: AdapterArgument, config: ConfigOption = None) -> None:
    """Print the bill of materials of an adapter, as CycloneDX 1.6 JSON.

    Example: `apprentice documents bom 3f9a0c12`
    """
    from learning.documents.bom import bill_of_materials  # noqa: PLC0415 - its library loads only where it is needed

    parts = open_parts(load_settings(config))
    with parts.database.read() as session:
        print(bill_of_materials(gather(session, adapter, parts.settings.model.base)), end="")


@commands.command()
def bundle(
    adapter: AdapterArgument, file: FileArgument, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Write an adapter with its documents to one signed zip.

    Example: `apprentice documents bundle 3f9a0c12 adapter.zip`
    """
    from learning.documents.bom import bill_of_materials  # noqa: PLC0415 - its library loads only where it is needed
    from learning.documents.card import model_card  # noqa: PLC0415 - as above

    parts = open_parts(load_settings(config))
    with parts.database.read() as session:
        facts = gather(session, adapter, parts.settings.model.base)
    digest = facts.adapter.digest
    folder = parts.store.verify(digest)
    files = {f"adapter/{path.name}": path.read_bytes() for path in sorted(folder.iterdir())}
    documents = {"README.md": model_card(facts), "adapter.cdx.json": bill_of_materials(facts)}
    contents = files | {name: text.encode() for name, text in documents.items()}
    write_bundle(file, digest, contents, parts.audit.key)
    if as_json:
        print_json({"adapter": digest, "file": str(file), "files": sorted(contents)})
    else:
        Console().print(
            f"Wrote adapter {digest[:12]} with {len(contents)} files to {escape(str(file))}.", highlight=False
        )


@commands.command()
def verify(
    file: FileArgument,
    key: Annotated[Path | None, typer.Option(help="The signer's public key (PEM) that you were given.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Check a bundle against its signature; exit with status 1 and the first file that is not as it was signed.

    Example: `apprentice documents verify adapter.zip --key audit_ed25519.pub.pem`
    """
    signed = verify_bundle(file, key)
    if as_json:
        print_json({"adapter": signed.adapter, "files": signed.files, "key": signed.key})
        return
    trust = "the one given" if key else "found in the file itself: compare it with the one that you were given"
    said = f"Verified: adapter {signed.adapter[:12]}, {signed.files} files as they were signed."
    Console().print(f"{said} The key is {signed.key}, {trust}.", highlight=False, soft_wrap=True)


@commands.command()
def compliance(file: FileArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Write one zip with an index that maps what is held to the EU AI Act, NIST AI RMF and ISO/IEC 42001.

    It holds ids and digests, and no text of people.

    Example: `apprentice documents compliance compliance-2026.zip`
    """
    from learning.documents.compliance import export_compliance  # noqa: PLC0415 - as above

    parts = open_parts(load_settings(config))
    parts.governance.check_role("export_log", operator())
    with parts.database.read() as session:
        names = export_compliance(file, session, parts.governance.policy, parts.audit, parts.settings.model.base)
    if as_json:
        print_json({"file": str(file), "files": names})
    else:
        Console().print(f"Wrote {len(names)} files to {escape(str(file))}; begin with index.md.", highlight=False)
