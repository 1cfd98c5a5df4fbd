"""The kernels of one submission, analysed, with each leak's state in the documented run."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from auditor.findings import Step
from auditor.kernels.analyse import analyse_kernel
from auditor.kernels.channels import Channel, channel_state
from auditor.kernels.facts import FunctionFacts, KernelFacts, Leak
from auditor.submission import Kernel, Submission

_LARGEST = 1_000_000
_EXTENSION = re.compile(r"\b(?:NB_MODULE|PYBIND11_MODULE|PyInit_)\s*\(?\s*(\w+)")
"""How C++ names the Python module that it becomes."""


@dataclass(frozen=True, slots=True)
class SubmittedKernel:
    """One kernel of a submission.

    Attributes:
        kernel: where it stands.
        facts: what the analysis found, its lines those of ``kernel.file``.
        channels: the state of each of ``facts.leaks``, in their order.
    """

    kernel: Kernel
    facts: KernelFacts
    channels: tuple[Channel, ...]


def kernel_facts(submission: Submission) -> list[SubmittedKernel]:
    """Analyse every kernel of a submission.

    A file that no script names may still be built beforehand and imported: its leaks are at most unknown, and what of
    it cannot be read does not count.
    """
    return [_facts(kernel, submission) for kernel in submission.kernels]


def _imported(kernel: Kernel, submission: Submission) -> bool:
    """Whether a script imports the extension that a kernel is built into, so that no script need name the file."""
    names = "|".join(re.escape(name) for name in _EXTENSION.findall(kernel.text))
    if not names:
        return False
    imports = re.compile(rf"^\s*(?:import|from)\s+(?:\w+\.)*(?:{names})\b", re.MULTILINE)
    return any(imports.search(source.text) for source in submission.sources.values())


def _facts(kernel: Kernel, submission: Submission) -> SubmittedKernel:
    if not kernel.reached and _imported(kernel, submission):
        kernel = replace(kernel, reached=True)
    if len(kernel.text) > _LARGEST:
        return SubmittedKernel(kernel, KernelFacts(kernel.file, (), ("longer than a million characters",)), ())
    facts = analyse_kernel(kernel.text, kernel.file, line_offset=kernel.line - 1 if kernel.verbatim else 0)
    if not kernel.verbatim:
        facts = _moved(facts, lambda _: kernel.line)
    if kernel.language == "cuda" and re.search(r"__global__[^{;]*\btok(?:en)?s?_?\w*\s*[,)]", kernel.text):
        facts = replace(facts, not_analysable=(*facts.not_analysable, "a CUDA kernel over tokens is not interpreted"))
    if not kernel.reached:
        readable = tuple(replace(function, not_analysable=()) for function in facts.functions)
        facts = replace(facts, functions=readable, not_analysable=())
    channels = tuple(_channel(leak, f, kernel, submission) for f in facts.functions for leak in f.leaks)
    return SubmittedKernel(kernel, facts, channels)


def _channel(leak: Leak, function: FunctionFacts, kernel: Kernel, submission: Submission) -> Channel:
    if not _called(function.name, kernel, submission):
        return Channel("off", f"nothing calls {function.name}")
    channel = channel_state(leak, submission.launch, submission.logs, submission.sources)
    if channel.state == "on" and not kernel.reached:
        return Channel("unknown", f"no script names {kernel.name}, and {channel.reason}")
    return channel


def _called(name: str, kernel: Kernel, submission: Submission) -> bool:
    """Whether anything but its definition names a function."""
    word = re.compile(rf"\b{re.escape(name)}\b")
    inside = len(word.findall(kernel.text))
    return inside > 1 or any(
        len(word.findall(source.text)) > (inside if source.name == kernel.file else 0)
        for source in submission.sources.values()
    )


def _moved(facts: KernelFacts, line: Callable[[int], int]) -> KernelFacts:
    def step(old: Step) -> Step:
        return replace(old, line=line(old.line))

    def leak(old: Leak) -> Leak:
        return replace(old, source=step(old.source), path=tuple(step(s) for s in old.path))

    def function(old: FunctionFacts) -> FunctionFacts:
        return replace(old, line=line(old.line), leaks=tuple(leak(found) for found in old.leaks))

    spreads = tuple(replace(old, path=tuple(step(s) for s in old.path)) for old in facts.spreads)
    return replace(facts, functions=tuple(function(old) for old in facts.functions), spreads=spreads)
