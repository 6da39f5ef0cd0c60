"""The errors of the rules; each tells the person what the rule is and what to do next."""

from storage.errors import ApprenticeError


class NotEntitledError(ApprenticeError):
    """The policy does not let this person do that."""


class AlreadyDecidedError(ApprenticeError):
    """The person has decided on the proposal before; one decision a person."""


class ReasonRequiredError(ApprenticeError):
    """The decision needs a reason, and none was given."""


class ReasonTooLongError(ApprenticeError):
    """The reason is longer than is kept."""


class ProposalClosedError(ApprenticeError):
    """The proposal takes no decisions any more: decided, expired, or void."""


class TrainingPausedError(ApprenticeError):
    """No training begins at present, because somebody paused it."""


class PauseLengthError(ApprenticeError):
    """A pause of so many hours is not possible."""


class DelegationError(ApprenticeError):
    """A vote cannot be handed to this person, or not until then."""


class PinLengthError(ApprenticeError):
    """A pin of so many days is not possible."""


class AuditLogError(ApprenticeError):
    """The audit log, its key or its checkpoints are not as they must be."""
