"""Static analysis of the C and C++ kernels that build hints: may output i depend on token i?"""

from auditor.kernels.analyse import analyse_kernel
from auditor.kernels.facts import FunctionFacts, KernelFacts, Leak

__all__ = ["FunctionFacts", "KernelFacts", "Leak", "analyse_kernel"]
