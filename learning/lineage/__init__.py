"""Where something comes from, and what it led to, through answers, adapters, runs, data sets, feedback and people.

Back: answer <- adapter <- run and data set <- its rows <- feedback <- person. Forward: the same the other way round. It
says who did what to what, and never what somebody said: of texts it knows only that they were erased.
"""

from learning.lineage.nodes import Direction, Node, Trace
from learning.lineage.tracing import trace

__all__ = ["Direction", "Node", "Trace", "trace"]
