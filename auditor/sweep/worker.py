"""One process of the pool: it imports the engine once, then audits whatever its standard input names.

It starts as ``python -m auditor.sweep.worker`` and ends when its input does. Whatever goes wrong with one submission
becomes that submission's answer.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from pathlib import Path
from typing import IO

import msgspec

from auditor.options import Options, ProbeOptions
from auditor.rule import Rule
from auditor.rule_packs import load_rules
from auditor.sweep.likeness import likeness
from auditor.sweep.messages import Answer, Task, order_from, task_from
from auditor.sweep.one import Context, judge
from auditor.sweep.repository import Blob, BlobReader

_MOST_ABSENT = 50


def main() -> None:
    """Answer tasks until the input ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing that an imported library prints may end up between the answers
    order = order_from(sys.stdin.buffer.readline())
    # The soft limit only: the sandbox sets limits of its own for what it starts.
    resource.setrlimit(resource.RLIMIT_DATA, (order.memory, resource.RLIM_INFINITY))
    rules = load_rules()
    options = Options(as_of=order.as_of, probe=None if order.probe is None else ProbeOptions(order.probe))
    with BlobReader(Path(order.repository)) as reader:
        for line in sys.stdin.buffer:
            _say(answers, _answer(task_from(line), reader, rules, options))


def _answer(task: Task, reader: BlobReader, rules: tuple[Rule, ...], options: Options) -> Answer:
    start = time.perf_counter()
    try:
        answer = _audit(task, reader, rules, options)
    except (Exception, RecursionError, MemoryError) as error:  # noqa: BLE001 - one bad submission never stops a sweep
        lines = str(error).splitlines() or [""]
        answer = Answer(task.key, "failed", f"{type(error).__name__}: {lines[0][:300]}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    return msgspec.structs.replace(answer, seconds=round(time.perf_counter() - start, 3), memory=peak)


def _audit(task: Task, reader: BlobReader, rules: tuple[Rule, ...], options: Options) -> Answer:
    blobs = [Blob(*blob) for blob in task.blobs]
    context = Context(task.folder, task.changes, task.record)
    judged = judge(context, blobs, task.digest, reader, rules, options)
    alike = likeness(judged.submission)
    absent = tuple(f"{problem.file}: {problem.message}" for problem in judged.problems[:_MOST_ABSENT])
    return Answer(
        task.key,
        "audited",
        audit=judged.audit,
        code=alike.code,
        shape=alike.shape,
        launch=alike.launch,
        absent=absent,
    )


def _say(answers: IO[bytes], answer: Answer) -> None:
    try:
        line = msgspec.json.encode(answer)
    except UnicodeEncodeError:
        line = msgspec.json.encode(
            Answer(answer.key, "failed", "a report that is no UTF-8", seconds=answer.seconds, memory=answer.memory)
        )
    answers.write(line + b"\n")
    answers.flush()


if __name__ == "__main__":
    main()
