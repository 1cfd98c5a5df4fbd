"""A submission's folder as data: scripts, metadata, logs and the launch they document. Nothing of it runs."""

from auditor.submission.commands import Command
from auditor.submission.folder import FileKind, SubmittedFile
from auditor.submission.kernels import Kernel
from auditor.submission.launch import LaunchConfiguration, Setting, SettingSource
from auditor.submission.logs import Counter, Fact, Log, Score, SourceDump
from auditor.submission.metadata import Metadata, SeedResult
from auditor.submission.problems import Problem, ProblemKind, ReadLimits, UnreadableSubmissionError
from auditor.submission.reader import Submission, read_submission
from auditor.submission.source import Location, PackInfo, Source, UnparsableSourceError

__all__ = [
    "Command",
    "Counter",
    "Fact",
    "FileKind",
    "Kernel",
    "LaunchConfiguration",
    "Location",
    "Log",
    "Metadata",
    "PackInfo",
    "Problem",
    "ProblemKind",
    "ReadLimits",
    "Score",
    "SeedResult",
    "Setting",
    "SettingSource",
    "Source",
    "SourceDump",
    "Submission",
    "SubmittedFile",
    "UnparsableSourceError",
    "UnreadableSubmissionError",
    "read_submission",
]
