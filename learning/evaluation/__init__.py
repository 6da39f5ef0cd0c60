"""Whether the new adapter is better than what serves now, and what an approver should know of it.

It answers what it was told, in any wording; prefers what people preferred; knows what it knew; refuses and keeps secret
what it should; is as fast and as brief as before. Each figure has its n and its interval; each answer that changed
sides is listed with both answers. Nothing here starts a model by being imported.
"""

from learning.evaluation.comparing import Answered, Subject, evaluate
from learning.evaluation.judging import is_right
from learning.evaluation.private_data import Datum, find_data, guarded_data, masked
from learning.evaluation.questions import (
    Benchmark,
    EvaluationError,
    Examination,
    Pair,
    Question,
    examine_benchmark,
    examine_snapshot,
    general_questions,
    read_benchmark,
    suspected_phrases,
    unsafe_questions,
    with_canaries,
)
from learning.evaluation.report import (
    PAGE_FILE,
    REPORT_FILE,
    Change,
    Judged,
    Leak,
    Report,
    ScoredPair,
    read_report,
    write_report,
)

__all__ = [
    "PAGE_FILE",
    "REPORT_FILE",
    "Answered",
    "Benchmark",
    "Change",
    "Datum",
    "EvaluationError",
    "Examination",
    "Judged",
    "Leak",
    "Pair",
    "Question",
    "Report",
    "ScoredPair",
    "Subject",
    "evaluate",
    "examine_benchmark",
    "examine_snapshot",
    "find_data",
    "general_questions",
    "guarded_data",
    "is_right",
    "masked",
    "read_benchmark",
    "read_report",
    "suspected_phrases",
    "unsafe_questions",
    "with_canaries",
    "write_report",
]
