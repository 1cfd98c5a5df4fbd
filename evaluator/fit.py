"""Which model an artifact's tensors belong to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from evaluator.artifact import Decoded, fits, match
from evaluator.artifact.match import Shape, distance
from evaluator.artifact.revealed import differences
from evaluator.refusal import Refused, refusing
from evaluator.resolve import AUTO
from reference_model import GPTConfig, NameMap, load_names, load_preset, preset_names, state_layout


@dataclass(frozen=True, slots=True)
class Fitted:
    """The model that the artifact's tensors fit.

    Attributes:
        preset: its name, or where the configuration comes from.
        config: the model.
        names: artifact name by canonical name.
    """

    preset: str
    config: GPTConfig
    names: Mapping[str, str]


def fit(decoded: Decoded, preset: str) -> Fitted:
    """The model of ``decoded``: a preset by name, the one in its header, or the one preset that its shapes fit.

    Presets of equal shapes that compute the same function (they differ in how parameters start) count as one.

    Raises:
        Refused: no preset or more than one model fits, or the tensors do not match, with the list of differences
            and the preset whose shapes come closest.
    """
    if preset == AUTO and decoded.config is not None:
        with refusing("bad-config"):
            config = GPTConfig.from_mapping(decoded.config)
        return Fitted(
            "from the artifact's header", config, match(decoded, state_layout(config), NameMap({}).to_canonical)
        )
    if preset == AUTO:
        preset = _only_fitting(decoded.shapes)
    with refusing("unknown-preset"):
        config, names = load_preset(preset), load_names(preset)
    try:
        return Fitted(preset, config, match(decoded, state_layout(config), names.to_canonical))
    except Refused as refused:
        raise Refused(refused.reason, f"{_suggestion(decoded.shapes, preset)}{refused.message}") from None


def _only_fitting(shapes: Mapping[str, Shape]) -> str:
    candidates = [
        name for name in preset_names() if fits(shapes, state_layout(load_preset(name)), load_names(name).to_canonical)
    ]
    if candidates and len({load_preset(name).function() for name in candidates}) == 1:
        return candidates[0]
    if candidates:
        found = f"{len(candidates)} presets fit ({', '.join(candidates)})"
        raise Refused("no-preset", f"{found}; name one with --preset")
    closest = _closest(shapes)
    layout, names = state_layout(load_preset(closest)), load_names(closest).to_canonical(shapes)
    differ = "; ".join(differences({names[name]: shape for name, shape in shapes.items()}, layout)[:5])
    raise Refused(
        "no-preset",
        f"no preset fits; the closest by shapes is {closest}"
        + (f" ({differ})" if differ else "")
        + f"; name one of {', '.join(preset_names())} with --preset",
    )


def _closest(shapes: Mapping[str, Shape]) -> str:
    def misfit(name: str) -> int:
        return distance(shapes, state_layout(load_preset(name)), load_names(name).to_canonical)

    return min(preset_names(), key=misfit)


def _suggestion(shapes: Mapping[str, Shape], preset: str) -> str:
    closest = _closest(shapes)
    if closest == preset:
        return ""
    layout = state_layout(load_preset(closest))
    word = "fits" if fits(shapes, layout, load_names(closest).to_canonical) else "comes closest"
    return f"preset {closest} {word}, {preset} does not fit: "
