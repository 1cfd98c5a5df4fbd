"""Static analysis of the C and C++ kernels that build hints: may output i depend on token i?"""

from auditor.kernels.analyse import analyse_kernel
from auditor.kernels.channels import Channel, channel_state
from auditor.kernels.facts import FunctionFacts, KernelFacts, Leak
from auditor.kernels.submitted import SubmittedKernel, kernel_facts

__all__ = [
    "Channel",
    "FunctionFacts",
    "KernelFacts",
    "Leak",
    "SubmittedKernel",
    "analyse_kernel",
    "channel_state",
    "kernel_facts",
]
