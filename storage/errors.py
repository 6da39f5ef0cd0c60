"""Every error that a person may see. Its message says what happened, to what, and what to do next."""


class ApprenticeError(Exception):
    """Base of all errors that the product raises on purpose; `str(error)` is written for the person who sees it."""


class ConfigurationError(ApprenticeError):
    """A setting is missing, unknown or of the wrong kind."""


class DatabaseUnreachableError(ApprenticeError):
    """The database cannot be opened, or does not answer."""


class SchemaOutdatedError(ApprenticeError):
    """The database's schema is not the one that this version of the code needs."""


class AlreadyRunningError(ApprenticeError):
    """Another process holds the lease on this database."""


class NotFoundError(ApprenticeError):
    """Nothing is stored under the given identifier."""


class IllegalStateError(ApprenticeError):
    """The asked-for change of state is not one that the state machine allows."""


class ArtifactError(ApprenticeError):
    """A stored file is missing, half-written, or not what its digest says."""


class InvalidFeedbackError(ApprenticeError):
    """What a person said cannot be kept as feedback, for example an empty or over-long correction."""


class InvalidChannelSettingsError(ApprenticeError):
    """A channel cannot be set like that; `field` names what is wrong."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class UnreadableRecordError(ApprenticeError):
    """The audit log's table holds something that Apprentice cannot have written."""
