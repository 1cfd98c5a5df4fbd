"""Inside the sandbox: a published script's own model, quantiser and serialiser, at shrunken sizes on the CPU.

``python -m original_driver JOB`` with a job as JSON. Sends the bytes of the artifact that the script wrote, the tensors
that its own loader makes of them, and the logits of its own model with these tensors.
"""

from __future__ import annotations

import ast
import builtins
import io
import json
import os
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import storing_lrzip
import torch
from machine import stand_in

from auditor.probe.downlevel import downlevel
from auditor.sandbox.child import send


def load(path: Path) -> tuple[dict[str, Any], str]:
    """The script's namespace, ``main`` not run, and its source, unpacked where it is a stub."""
    text = path.read_text()
    if len(text.splitlines()) < 8:
        packed: list[Any] = []
        exec(compile(text, str(path), "exec"), {"exec": packed.append, "__builtins__": builtins})
        text = packed[0] if isinstance(packed[0], str) else packed[0].decode()
    for quote in "'\"":
        text = text.replace(f"torch.device({quote}cuda{quote},h.local_rank)", "torch.device('cpu')")
        text = text.replace(f"torch.device({quote}cuda{quote}, h.local_rank)", "torch.device('cpu')")
    text = downlevel(text)
    module = types.ModuleType("original")
    sys.modules["original"] = module
    exec(compile(text, str(path), "exec"), module.__dict__)
    return module.__dict__, text


def randomise(model: torch.nn.Module, generator: torch.Generator) -> None:
    """Values under which no part of the model is idle: matrices of unit gain, controls near their start."""
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim >= 2 and parameter.shape[-1] >= 64 and parameter.shape[-2] >= 16:
                parameter.copy_(noise / parameter.shape[-1] ** 0.5)
            else:
                parameter.add_(noise, alpha=0.1)


def constructor(script: dict[str, Any], args: Any) -> Any:
    """``GPT(...)`` with the arguments that the script's own ``main`` passes."""
    for node in ast.walk(ast.parse(script["__text__"])):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "GPT" and node.keywords:
            return eval(compile(ast.Expression(node), "GPT(...)", "eval"), script, {"args": args})
    raise LookupError("no call of GPT in the script")


def statements(text: str, first: str, last: str) -> ast.Module:
    """The statements of ``main`` from the one that starts with ``first`` to the one that contains ``last``."""
    main = next(node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef) and node.name == "main")
    sources = [ast.get_source_segment(text, node) or "" for node in main.body]
    begin = next(i for i, source in enumerate(sources) if source.startswith(first))
    end = next(i for i, source in enumerate(sources) if i >= begin and last in source)
    return ast.Module(main.body[begin : end + 1], [])


def from_main(
    script: dict[str, Any], job: dict[str, Any], generator: torch.Generator
) -> tuple[Any, bytes, dict[str, Any]]:
    """A script that serialises inside ``main``: those statements run as they are."""
    args = script["Hyperparameters"]()
    model = constructor(script, args).float()
    randomise(model, generator)
    names: dict[str, Any] = {
        "args": args,
        "base_model": model,
        "export_sd": model.state_dict(),
        "code": "x" * job["code_bytes"],
        "master_process": True,
        "distributed": False,
        "log0": print,
    }
    exec(compile(statements(script["__text__"], job["first"], job["last"]), "main", "exec"), script | names)
    data = Path(job["file"]).read_bytes()
    raw = unpacked(data)
    stored = torch.load(io.BytesIO(raw), weights_only=False)
    if "quantized" in stored:
        return model, data, script["dequantize_state_dict_int8"](stored)
    template = {name: value.detach() for name, value in model.state_dict().items()}
    return model, data, script["dequantize_mixed_int6"](stored["w"], stored["m"], template)


def unpacked(data: bytes) -> bytes:
    """zlib or zstd undone by the libraries that the scripts use."""
    import zlib

    import zstandard

    if data[:4] == b"\x28\xb5\x2f\xfd":
        return bytes(zstandard.ZstdDecompressor().decompress(data))
    return zlib.decompress(data)


class RandomBatches:
    """Calibration tokens in place of training shards."""

    def __init__(self, *_: Any) -> None:
        self.generator = torch.Generator().manual_seed(7)
        self.vocabulary = int(os.environ["VOCAB_SIZE"])

    def next_batch(self, *_: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """int64 [2, 48], twice."""
        tokens = torch.randint(self.vocabulary, (2, 48), generator=self.generator)
        return tokens, tokens


def from_functions(
    script: dict[str, Any], job: dict[str, Any], generator: torch.Generator
) -> tuple[Any, bytes, dict[str, Any]]:
    """A script with functions ``serialize`` and ``deserialize``."""
    h = script["Hyperparameters"]()
    script["ShuffledSequenceLoader"] = RandomBatches
    script["BOS_ID"] = 1
    model = script["GPT"](h).float()
    randomise(model, generator)
    model.looping_active = True
    script["serialize"](h, model, "pass")
    loaded = script["deserialize"](h, torch.device("cpu"))
    loaded.looping_active = True
    state = loaded.state_dict()
    flat = script["_unbank_state_dict"](state, h.num_layers) if "_unbank_state_dict" in script else state
    return loaded, Path(job["file"]).read_bytes(), flat


def main() -> None:
    """Run one job."""
    job = json.loads(sys.argv[1])
    storing = storing_lrzip.install(Path.cwd() / "bin")
    os.environ.update(job["environment"], PATH=f"/usr/bin:/bin:{storing}", RUN_ID="original")
    stand_in()
    script, text = load(Path(job["script"]))
    script["__text__"] = text
    generator = torch.Generator().manual_seed(20260101)
    run = from_main if "first" in job else from_functions
    model, data, state = run(script, job, generator)
    if run is from_main:
        model.load_state_dict(state, strict=True)
    tokens = torch.randint(2, int(os.environ["VOCAB_SIZE"]), (1, job["length"]), generator=generator)
    tokens[:, ::37] = 1
    model.eval()
    with torch.no_grad():
        logits = logits_of(script, model, tokens)
    arrays = {f"state.{name}": value.detach().float().numpy() for name, value in state.items()}
    arrays |= {"artifact": np.frombuffer(data, np.uint8), "tokens": tokens.numpy(), "logits": logits.float().numpy()}
    send({"tensors": len(state)}, arrays)


def logits_of(script: dict[str, Any], model: Any, tokens: torch.Tensor) -> torch.Tensor:
    """The model's own logits; the baseline has no method for them, so its loss function is asked for its input."""
    if hasattr(model, "forward_logits"):
        logits: torch.Tensor = model.forward_logits(tokens)
        return logits
    seen: list[torch.Tensor] = []
    functional = script["F"]
    original = functional.cross_entropy

    def remember(logits: torch.Tensor, *args: Any, **options: Any) -> Any:
        seen.append(logits)
        return original(logits, *args, **options)

    functional.cross_entropy = remember
    try:
        model(tokens, tokens)
    finally:
        functional.cross_entropy = original
    return seen[0].reshape(*tokens.shape, -1)


if __name__ == "__main__":
    main()
