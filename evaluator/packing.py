"""``evaluate pack``: a checkpoint becomes a canonical artifact, and its counted size is reported."""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

from evaluator.artifact.pack import pack
from evaluator.refusal import Refused, refusing
from evaluator.resolve import DEFAULT_CONTEST
from evaluator.size import count_code
from reference_model import GPTConfig, load_names, load_preset, state_layout
from rules.contest.profile import load_profile


def pack_checkpoint(
    checkpoint: Path, preset: str, config_file: Path | None, bits: int | None, output: Path, code: Sequence[Path]
) -> str:
    """Write the artifact of ``checkpoint`` to ``output``.

    Args:
        checkpoint: safetensors or torch file; read in the jail like any other untrusted file.
        preset: model preset; its name map is tried on the checkpoint's names.
        config_file: TOML with fields of :class:`GPTConfig` that replace the preset's, or None.
        bits: width of the codes of large matrices, or None to keep the tensors as they are.
        output: where to write.
        code: files and folders whose bytes count.

    Returns:
        one line: what was written, and how it stands against the byte cap.

    Raises:
        Refused: the checkpoint is not that model's, or the configuration is wrong.
    """
    with refusing("unknown-preset"):
        config, names = load_preset(preset), load_names(preset)
    if config_file is not None:
        config = _configured(config, config_file)
    with tempfile.TemporaryDirectory(prefix="evaluate-pack-") as folder:
        packed = pack(
            checkpoint,
            Path(folder),
            config=config.to_mapping(),
            layout=state_layout(config),
            to_canonical=names.to_canonical,
            bits=bits,
        )
    files, _ = count_code(code)
    try:
        output.write_bytes(packed.data)
    except OSError as error:
        raise Refused("unwritable", f"{output}: {error.strerror}") from error
    cap = load_profile(DEFAULT_CONTEST).caps.total_bytes
    code_bytes = sum(files.values())
    total = len(packed.data) + code_bytes
    stands = f"{cap - total:,} bytes left" if total <= cap else f"{total - cap:,} bytes OVER the cap"
    return (
        f"{output}: {len(packed.data):,} bytes, {packed.quantised} tensors quantised and {packed.kept} kept; "
        f"with {code_bytes:,} bytes of code {total:,} of {cap:,}: {stands}"
    )


def _configured(config: GPTConfig, file: Path) -> GPTConfig:
    try:
        changes = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Refused("bad-config", f"{file}: {error}") from error
    with refusing("bad-config"):
        return GPTConfig.from_mapping({**config.to_mapping(), **changes})
