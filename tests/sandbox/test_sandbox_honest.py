"""What an honest program may do, in every tier; without these the attacks would prove nothing."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from auditor.sandbox import Limits, SandboxUnavailable, Status, Tier, run_program
from auditor.sandbox.blob import DTYPES


def test_arrays_and_json_come_back_equal(tier: Tier, run_source: Any) -> None:
    result = run_source(
        """
        import numpy as np
        arrays = {str(np.dtype(t)): (np.arange(24) % 2).astype(t).reshape(2, 3, 4)
                  for t in "? u1 i1 u2 i2 u4 i4 u8 i8 f2 f4 f8".split()}
        arrays["scalar"] = np.float64(0.1)
        arrays["empty"] = np.zeros((0, 3), np.float32)
        arrays["strided"] = np.arange(12).reshape(3, 4).T
        send({"text": "h\\u00e9", "list": [1, 2.5, None, True]}, arrays)
        """,
        tier=tier,
    )
    assert result.status is Status.OK, result
    assert result.json == {"text": "hé", "list": [1, 2.5, None, True]}
    assert len(result.arrays) == 15
    for dtype in DTYPES.values():
        expected = (np.arange(24) % 2).astype(dtype).reshape(2, 3, 4)
        np.testing.assert_array_equal(result.arrays[str(dtype)], expected, strict=True)
    np.testing.assert_array_equal(result.arrays["scalar"], np.float64(0.1))
    assert result.arrays["empty"].shape == (0, 3)
    np.testing.assert_array_equal(result.arrays["strided"], np.arange(12).reshape(3, 4).T)


def test_a_program_need_not_send_anything(tier: Tier, run_source: Any) -> None:
    result = run_source("print('hello')", tier=tier)
    assert (result.status, result.json, dict(result.arrays), result.stdout) == (Status.OK, None, {}, "hello\n")


def test_failure_is_reported_with_its_message(tier: Tier, run_source: Any) -> None:
    result = run_source("raise ValueError('the reason')", tier=tier)
    assert (result.status, result.returncode) == (Status.FAILED, 1)
    assert "the reason" in result.stderr


def test_signal_is_reported(tier: Tier, run_source: Any) -> None:
    result = run_source("os.abort()", tier=tier)
    assert (result.status, result.returncode) == (Status.SIGNALLED, -6)


def test_reads_what_it_is_given_even_if_only_root_may(tier: Tier, run_source: Any, tmp_path: Path) -> None:
    file = tmp_path / "artifact.bin"
    file.write_bytes(b"payload")
    file.chmod(0o600)
    result = run_source(f"send(open({str(file)!r}, 'rb').read().decode())", tier=tier, readable=[file])
    assert (result.status, result.json) == (Status.OK, "payload"), result.stderr


@pytest.mark.parametrize("as_file", [False, True], ids=["bytes", "file"])
def test_stdin_is_fed(tier: Tier, run_source: Any, as_file: bool) -> None:
    data = bytes(range(256)) * 4096
    result = run_source(
        """
        import hashlib, sys
        send(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())
        """,
        tier=tier,
        stdin=io.BytesIO(data) if as_file else data,
    )
    assert result.json == hashlib.sha256(data).hexdigest()


def test_private_temporary_folder_is_writable(tier: Tier, run_source: Any) -> None:
    result = run_source(
        """
        import tempfile, pathlib
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "a"); path.write_text("x"); path.rename(path.with_name("b"))
        pathlib.Path.home().joinpath("y").write_text("z")
        with open("local", "w") as file: file.write("w")
        send(sorted(os.listdir()))
        """,
        tier=tier,
    )
    assert result.status is Status.OK, result.stderr
    assert set(result.json) >= {"local", "y"}


def test_threads_subprocesses_and_pipes_work(tier: Tier, run_source: Any) -> None:
    result = run_source(
        """
        import subprocess, sys, threading
        from multiprocessing import get_context
        def work(pipe): pipe.send(6 * 7); pipe.close()
        if __name__ == "__main__":
            seen = []
            thread = threading.Thread(target=seen.append, args=(1,)); thread.start(); thread.join()
            context = get_context("fork")
            ours, theirs = context.Pipe()
            child = context.Process(target=work, args=(theirs,)); child.start(); answer = ours.recv(); child.join()
            echoed = subprocess.run([sys.executable, "-S", "-c", "print('sub')"], capture_output=True, text=True)
            send([seen, answer, echoed.stdout, child.exitcode])
        """,
        tier=tier,
    )
    assert result.json == [[1], 42, "sub\n", 0], result.stderr


def test_torch_imports_and_computes(tier: Tier, run_source: Any) -> None:
    result = run_source(
        """
        import torch
        x = torch.nn.Linear(64, 64)(torch.ones(8, 64)); x.sum().backward()
        send(None, {"x": x.detach().numpy()})
        """,
        tier=tier,
        limits=Limits(wall_seconds=60.0, memory_bytes=4 << 30),
    )
    assert result.status is Status.OK, result.stderr
    assert result.arrays["x"].shape == (8, 64)


def test_large_result_streams_to_the_callers_file(tier: Tier, run_source: Any, tmp_path: Path) -> None:
    target = tmp_path / "result.safetensors"
    result = run_source(
        "import numpy as np; send('big', {'x': np.arange(10_000_000, dtype=np.float32)})",
        tier=tier,
        result_file=target,
    )
    assert result.status is Status.OK, result
    np.testing.assert_array_equal(load_file(target)["x"], np.arange(10_000_000, dtype=np.float32))
    assert not result.arrays["x"].flags.writeable


def test_a_plain_program_with_its_output_in_a_file(tier: Tier, tmp_path: Path) -> None:
    target = tmp_path / "out"
    result = run_program(["/bin/cat"], stdin=b"x" * 1_000_000, tier=tier, stdout_file=target)
    assert result.status is Status.OK, result
    assert target.read_bytes() == b"x" * 1_000_000


def test_nothing_is_left_behind(tier: Tier, run_source: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = run_source(
        """
        for _ in range(1500):  # deeper than Python's recursion limit
            os.mkdir("d"); os.chdir("d")
        os.mkdir("closed", 0)
        send(True)
        """,
        tier=tier,
    )
    assert result.status in (Status.OK, Status.DISK_LIMIT)
    assert list(tmp_path.iterdir()) == []


def test_without_a_sandbox_only_on_request_and_never_in_ci(run_source: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(SandboxUnavailable, match="allow-unsandboxed"):
        run_source("send(1)", tier=Tier.NONE)
    result = run_source("send(1)", tier=Tier.NONE, allow_unsandboxed=True)
    assert (result.json, result.tier) == (1, Tier.NONE)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(SandboxUnavailable, match="CI"):
        run_source("send(1)", tier=Tier.NONE, allow_unsandboxed=True)


def test_stand_ins_for_programs_run_from_the_temporary_folder(tier: Tier, run_source: Any) -> None:
    """Run by an ordinary user too, for whom no mode may be changed once a file is there."""
    result = run_source(
        """
        import shutil, subprocess
        from pathlib import Path
        from auditor.probe.inside.shims.programs import install_programs
        from auditor.probe.inside.workplace import wipe
        install_programs(Path("stubs").resolve())
        ended = subprocess.run(["nvidia-smi"]).returncode
        wipe(Path("stubs"))
        send([ended, Path("stubs").exists()])
        """,
        tier=tier,
    )
    assert result.json == [0, False], result
