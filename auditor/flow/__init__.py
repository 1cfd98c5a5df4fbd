"""Data flow of a submission: libcst in, facts out.

lower                 parse, and one traversal into :mod:`ir`
engine ... library    an abstract interpreter of the program as launched
provenance, affine    what values carry: where in time they come from
spans, zeros          which part of a window that is, and on which path
analysis, facts       the entry, and what rules read
"""

from auditor.flow.analysis import analyse, analyse_program
from auditor.flow.facts import Certainty, Evidence, FlowFacts

__all__ = ["Certainty", "Evidence", "FlowFacts", "analyse", "analyse_program"]
