"""``evaluate pack``, from the checkpoint's bytes to the report."""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from evaluator.artifact import decode, match
from evaluator.artifact.match import NameMapping
from evaluator.packing.assembly import Assembly
from evaluator.packing.calibration import calibrate, training_tokens
from evaluator.packing.cap import Measures, escalation, first_that_fits
from evaluator.packing.checkpoint import read_checkpoint
from evaluator.packing.groups import TensorGroup, tensor_groups
from evaluator.packing.loss import Loss, bits_per_byte
from evaluator.packing.recipes import RECIPES, Recipe
from evaluator.packing.writing import check_tools, write
from evaluator.refusal import Refused, refusing
from evaluator.resolve import DEFAULT_CONTEST
from evaluator.size import count_code
from evaluator.stream import ValidationStream, open_stream
from reference_model import GPTConfig, load_names, load_preset, state_layout
from rules.contest.profile import ContestProfile, load_profile


@dataclass(frozen=True, slots=True)
class PackOptions:
    """What the caller asked for.

    Attributes:
        checkpoint: read in the jail like any other untrusted file.
        preset: model preset; its name map is tried on the checkpoint's names.
        config: TOML with fields of :class:`GPTConfig` that replace the preset's.
        recipe: name of a :class:`Recipe`.
        output: where to write.
        code: files and folders whose bytes count.
        contest: whose cap and validation data.
        cap: bytes of artifact and code together; None: the contest's.
        training: folder of training shards, for recipes that are calibrated.
        training_tokens: how many of them to look at.
        data, tokenizer: validation shards and their SentencePiece model, to say what quantisation costs.
        targets: how many targets to score for that.
    """

    checkpoint: Path
    preset: str
    config: Path | None = None
    recipe: str = "canonical"
    output: Path = Path("artifact.ptz")
    code: tuple[Path, ...] = ()
    contest: str = DEFAULT_CONTEST
    cap: int | None = None
    training: Path | None = None
    training_tokens: int = 65_536
    data: Path | None = None
    tokenizer: Path | None = None
    targets: int = 20_480


@dataclass(frozen=True, slots=True)
class PackReport:
    """What was written.

    Attributes:
        output: the artifact.
        artifact_bytes: its size.
        code_bytes: bytes of the code that counts beside it.
        cap: what both may have together.
        measures: what was given up to fit.
        groups: where the bytes go.
        loss: what quantisation costs, if data were given.
    """

    output: Path
    artifact_bytes: int
    code_bytes: int
    cap: int
    measures: Measures
    groups: tuple[TensorGroup, ...]
    loss: Loss | None

    def __str__(self) -> str:
        total = self.artifact_bytes + self.code_bytes
        head = (
            f"{self.output}: {self.artifact_bytes:,} bytes, {self.measures}; "
            f"with {self.code_bytes:,} bytes of code {total:,} of {self.cap:,}: {self.cap - total:,} bytes left"
        )
        return "\n".join([head, *map(str, self.groups), *([str(self.loss)] if self.loss else [])])


def pack_checkpoint(options: PackOptions, say: Callable[[str], None] = lambda _line: None) -> PackReport:
    """Write the artifact that ``options`` ask for.

    Args:
        options: what to do.
        say: told each stage, one line at a time.

    Raises:
        Refused: the checkpoint is not that model's, an option is wrong or missing, or ``over-cap``: the artifact does
            not fit with everything given up. Nothing is written then.
    """
    recipe, (config, to_canonical) = _recipe(options), _model(options)
    sizes, _ = count_code(options.code)
    code_bytes = sum(sizes.values())
    with refusing("unknown-contest"):
        profile = load_profile(options.contest)
    cap = profile.caps.total_bytes if options.cap is None else options.cap
    stream = _stream(options, profile)
    with tempfile.TemporaryDirectory(prefix="evaluate-pack-") as folder:
        say("reading the checkpoint")
        checkpoint = read_checkpoint(options.checkpoint, Path(folder), state_layout(config), to_canonical)
        calibration = None
        if recipe.calibrated and options.training is not None:
            tokens = training_tokens(options.training, options.training_tokens)
            say(f"calibrating on {len(tokens):,} training tokens")
            calibration = calibrate(checkpoint, config, tokens)
        assembly = Assembly(checkpoint, recipe, calibration)
        sizes_tried: list[int] = []
        written: dict[Measures, bytes] = {}

        def fits(measures: Measures) -> bool:
            data = write(recipe, assembly.entries(measures), checkpoint.names, config.to_mapping())
            sizes_tried.append(len(data))
            say(f"{measures}: {len(data):,} bytes")
            if len(data) + code_bytes <= cap:
                written[measures] = data
            return measures in written

        chosen = first_that_fits(escalation(recipe, config.num_layers), fits)
        if chosen is None:
            raise Refused("over-cap", _over(options.recipe, min(sizes_tried), cap, code_bytes))
        try:
            options.output.write_bytes(written[chosen])
        except OSError as error:
            raise Refused("unwritable", f"{options.output}: {error.strerror}") from error
        groups = tuple(tensor_groups(assembly.entries(chosen)))
        loss = None
        if stream is not None:
            say(f"scoring {min(options.targets, stream.positions):,} targets twice")
            ours = {name: torch.from_numpy(values) for name, values in checkpoint.weights.items()}
            theirs = _read_back(options.output, Path(folder), config, to_canonical)
            loss = Loss(
                targets=min(options.targets, stream.positions),
                float_bpb=bits_per_byte(ours, config, stream, options.targets),
                packed_bpb=bits_per_byte(theirs, config, stream, options.targets),
            )
    return PackReport(options.output, len(written[chosen]), code_bytes, cap, chosen, groups, loss)


def _recipe(options: PackOptions) -> Recipe:
    if options.recipe not in RECIPES:
        raise Refused("unknown-recipe", f"no recipe {options.recipe!r}; there are {', '.join(RECIPES)}")
    recipe = RECIPES[options.recipe]
    if recipe.calibrated and options.training is None:
        raise Refused("no-calibration", f"recipe {options.recipe} learns from training tokens: give --calibrate FOLDER")
    check_tools(recipe)
    return recipe


def _model(options: PackOptions) -> tuple[GPTConfig, NameMapping]:
    with refusing("unknown-preset"):
        config, names = load_preset(options.preset), load_names(options.preset)
    if options.config is None:
        return config, names.to_canonical
    try:
        changes = tomllib.loads(options.config.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Refused("bad-config", f"{options.config}: {error}") from error
    with refusing("bad-config"):
        return GPTConfig.from_mapping({**config.to_mapping(), **changes}), names.to_canonical


def _over(recipe: str, smallest: int, cap: int, code_bytes: int) -> str:
    """Why it does not fit; ``smallest`` is what the strongest measures left."""
    over = smallest + code_bytes - cap
    return (
        f"recipe {recipe} needs {smallest:,} bytes with everything given up that it can, and {code_bytes:,} bytes of "
        f"code beside them: {over:,} more than the cap of {cap:,}"
    )


def _stream(options: PackOptions, profile: ContestProfile) -> ValidationStream | None:
    if options.data is None and options.tokenizer is None:
        return None
    if options.data is None or options.tokenizer is None:
        raise Refused("no-tokenizer", "the loss is in bits per byte: give --data and --tokenizer together")
    return open_stream(options.data, options.tokenizer, profile)


def _read_back(artifact: Path, workdir: Path, config: GPTConfig, to_canonical: NameMapping) -> dict[str, Tensor]:
    """The weights in the file that was just written, decoded in the jail like anybody's."""
    layout, decoded = state_layout(config), decode(artifact, workdir)
    names, stored = match(decoded, layout, to_canonical), load_file(decoded.tensors)
    return {name: stored[names[name]].reshape(shape) for name, shape in layout.items()}
