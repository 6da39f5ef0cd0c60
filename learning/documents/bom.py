"""A bill of materials of an adapter: CycloneDX 1.6 with a model card in it (ECMA-424), as JSON."""

import json
from importlib.metadata import version
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion

from learning.documents.facts import AdapterFacts

MADE_WITH = ("torch", "transformers", "peft", "trl")


def bill_of_materials(facts: AdapterFacts) -> str:
    """Return the bill as JSON: the adapter, its base model, its data set, and what it was made with.

    The same facts give the same bytes: its serial number follows from the adapter's digest, its time is the adapter's.
    """
    adapter = facts.adapter
    bom = Bom(serial_number=uuid5(NAMESPACE_URL, f"apprentice:{adapter.digest}"))
    bom.metadata.timestamp = adapter.created_at
    own = _component(ComponentType.MACHINE_LEARNING_MODEL, "adapter", adapter.digest)
    own.properties.update(
        Property(name=f"apprentice:gate:{gate.name}", value=f"{gate.value:.4f}") for gate in facts.gates
    )
    bom.metadata.component = own
    base = _component(ComponentType.MACHINE_LEARNING_MODEL, facts.base, adapter.base_digest)
    parts = [base]
    if adapter.snapshot_digest:
        parts.append(_component(ComponentType.DATA, "accepted feedback", adapter.snapshot_digest))
    parts += [
        Component(type=ComponentType.LIBRARY, name=name, version=version(name), bom_ref=name) for name in MADE_WITH
    ]
    for part in parts:
        bom.components.add(part)
    bom.register_dependency(own, parts)
    return _sorted(make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string())


def _component(kind: ComponentType, name: str, digest: str) -> Component:
    known = [HashType(alg=HashAlgorithm.SHA_256, content=digest)] if len(digest) == 64 else []  # noqa: PLR2004 - SHA-256 in hex
    return Component(type=kind, name=name, version=digest[:12], bom_ref=f"{kind.value}:{digest}", hashes=known)


def _sorted(text: str) -> str:
    content: dict[str, Any] = json.loads(text)
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
