"""A submission's folder as data: scripts, metadata, logs and the launch they document. Nothing of it runs."""

from auditor.submission.commands import Command
from auditor.submission.folder import FileKind, SubmittedFile
from auditor.submission.kernels import Kernel
from auditor.submission.launch import LaunchConfiguration, Setting, SettingSource
from auditor.submission.problems import Problem, ProblemKind, ReadLimits, UnreadableSubmissionError
from auditor.submission.reader import Submission, read_submission
from auditor.submission.source import Location, PackInfo, Source, UnparsableSourceError

__all__ = [
    "Command",
    "FileKind",
    "Kernel",
    "LaunchConfiguration",
    "Location",
    "PackInfo",
    "Problem",
    "ProblemKind",
    "ReadLimits",
    "Setting",
    "SettingSource",
    "Source",
    "Submission",
    "SubmittedFile",
    "UnparsableSourceError",
    "UnreadableSubmissionError",
    "read_submission",
]
