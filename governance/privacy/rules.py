"""What an organisation decides about personal data: what becomes of what is found, and how long texts are kept."""

import hashlib
from typing import Annotated, Literal

import rfc8785
from pydantic import BaseModel, ConfigDict, Field

from governance.privacy.detection import VERSION
from governance.privacy.findings import Kind

PrivateTeaches = Literal["never", "reviewed", "always"]
Treatment = Literal["keep", "mask", "quarantine"]
Sector = Literal["general", "healthcare", "legal", "finance"]
Days = Annotated[int, Field(ge=1, le=36_500)]

TREATMENTS: dict[Kind, Treatment] = {
    "private_key": "mask",
    "key": "mask",
    "password": "mask",
    "card": "mask",
    "iban": "mask",
    "national_id": "mask",
    "birth_date": "mask",
    "email": "mask",
    "phone": "keep",
    "ip": "keep",
    "name": "keep",
    "record_number": "keep",
    "case_number": "keep",
    "account": "keep",
}
"""What becomes of a kind that the policy does not name; its comments say why."""
SECTORS: dict[Sector, dict[Kind, Treatment]] = {
    "general": {},
    "healthcare": {"name": "mask", "record_number": "mask", "phone": "quarantine"},
    "legal": {"name": "mask", "case_number": "quarantine", "account": "mask", "phone": "quarantine"},
    "finance": {"name": "mask", "account": "mask", "phone": "quarantine"},
}
"""What a sector treats in another way: what names a patient, a client's case or their money is data of theirs there."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PrivacyRules(_Section):
    """What becomes of personal data and secrets in feedback, before it is kept for training.

    `kinds` says it for each kind: `mask` puts the kind in brackets in place of the datum, `quarantine` sets the
    feedback aside until a reviewer decides, `keep` leaves it; a kind that is not named has the treatment of `sector`.
    `own_domains` are those whose e-mail addresses everybody may know. `private_teaches`: whether what was said in a
    direct message or a private channel is trained on, by an adapter that then answers everywhere: never, once a
    reviewer accepted it, or always.
    """

    sector: Sector = "general"
    own_domains: tuple[str, ...] = ()
    kinds: dict[Kind, Treatment] = {}
    private_teaches: PrivateTeaches = "never"

    def treatment(self, kind: Kind) -> Treatment:
        """Return what becomes of a kind."""
        return self.kinds.get(kind) or SECTORS[self.sector].get(kind) or TREATMENTS[kind]

    def learns(self, *, private: bool, reviewed: bool) -> bool:
        """Tell whether accepted feedback is trained on, by where it was said and whether a reviewer accepted it."""
        return not private or self.private_teaches == "always" or (self.private_teaches == "reviewed" and reviewed)

    @property
    def stamp(self) -> str:
        """What feedback is marked with that these rules and these detectors have looked at, 16 hex characters."""
        rules = self.model_dump(mode="json", exclude={"private_teaches"})
        return hashlib.sha256(rfc8785.dumps({"detectors": VERSION, "rules": rules})).hexdigest()[:16]


class RetentionRules(_Section):
    """After how many days texts are erased; None keeps them.

    `questions_days`: questions and answers on which nobody gave feedback that stands. `feedback_days`: feedback that
    was declined or taken back. What an adapter learned from is neither: it stays until a person is erased.
    `done_days` and `failed_days`: jobs and messages in inbox and outbox, once they are done or given up.
    """

    questions_days: Days | None = None
    feedback_days: Days | None = None
    done_days: Days = 7
    failed_days: Days = 30


class ErasureRules(_Section):
    """What becomes of an adapter that learned from somebody who is erased.

    `retire` takes it out at once, and the one before it, or the base model, answers; `retrain` lets it answer until a
    run without that person has made the next one, which the schedule starts.
    """

    adapters: Literal["retire", "retrain"] = "retire"
