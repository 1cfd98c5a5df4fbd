"""Static analysis of C and C++: may a hint depend on the token that it is for, and what becomes of losses?"""

from auditor.kernels.analyse import analyse_kernel
from auditor.kernels.channels import Channel, channel_state
from auditor.kernels.facts import FunctionFacts, KernelFacts, Leak, Spread
from auditor.kernels.submitted import SubmittedKernel, kernel_facts

__all__ = [
    "Channel",
    "FunctionFacts",
    "KernelFacts",
    "Leak",
    "Spread",
    "SubmittedKernel",
    "analyse_kernel",
    "channel_state",
    "kernel_facts",
]
