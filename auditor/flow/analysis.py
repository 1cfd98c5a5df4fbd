"""Analyse a submission: the public entry of the flow package."""

from __future__ import annotations

import dataclasses
import sys
import traceback
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from auditor.findings import Step
from auditor.flow.engine import BudgetExceededError
from auditor.flow.facts import Certainty, Evidence, FlowFacts
from auditor.flow.library.dispatch import Auditing
from auditor.flow.prefixes import may_precede
from auditor.flow.program import Sources
from auditor.flow.provenance import BYTES, Fact, Mark, Site
from auditor.flow.witness import Witness

if TYPE_CHECKING:
    from auditor.kernels import Spread
    from auditor.submission import Submission

BUDGET = 300_000
"""Abstract steps; the largest real record needs about 100,000."""
_STACK = 20_000
_WRAPPER = 1_000
"""A script that ends within so few steps without a score is a wrapper."""

_FIELDS = {
    "target-key": ("target_keyed_reads", "a table is read by a hashed key that contains the token being predicted"),
    "unnormalised": ("unnormalised_mixtures", "counts are divided by something that is not their sum over all tokens"),
    "scaled": ("unnormalised_mixtures", "the score of a token is scaled as those of the other tokens are not"),
    "pseudo-expert": ("pseudo_experts", "an entropy takes part in a mixture of negative log-likelihoods"),
    "target-gate": ("target_gates", "whether, or how, a probability is mixed depends on the very token that it scores"),
    "leak": ("leaks", "a score depends on its own token, or on a later one, before it is credited"),
    "oracle": ("oracle_choices", "the better of two scores is kept after the token is known"),
    "oracle-difference": ("oracle_choices", "what a score depends on is the better of two after the token is known"),
    "byte-sum": ("byte_spreads", "a product of byte probabilities is mixed with a token's probability"),
    "byte-spread": ("byte_spreads", "a token's log-probability is spread over its bytes and mixed there"),
}
_LEARNED = {
    "slot": ("slot_updates", "state fitted to these tokens scores them"),
    "gradient": ("slot_updates", "state computed with the gradient of these tokens' loss scores them"),
    "weights": ("updates_before_score", "weights trained on these tokens score them"),
    "prequant": ("prequant_updates", "weights trained on these tokens are quantised and then score them"),
    "table": ("rescores", "a table that already holds these tokens scores them"),
    "calibration": ("val_calibrations", "weights computed with statistics of these tokens score them"),
    "search": ("val_calibrations", "what was kept because it scores these tokens better scores them"),
    "checkpoint": (
        "val_calibrations",
        "the moment of training at which these tokens score best was kept to score them",
    ),
}


def analyse(
    submission: Submission, native: Collection[Spread] = (), *, all_flags: bool = False, budget: int = BUDGET
) -> FlowFacts:
    """Follow a submission's program from its entry, as launched.

    Args:
        submission: the folder as data.
        native: what its compiled functions do with losses that they are given.
        all_flags: also follow branches that the launch configuration switches off; what is found only there is dormant.
        budget: abstract steps after which the analysis stops and says so.

    Never raises for a submission: what goes wrong inside is named in ``unanalysed``.
    """
    entry = submission.main
    if entry is None:
        return FlowFacts(unanalysed=("no entry script",))
    if entry.problem is not None:
        return FlowFacts(unanalysed=(f"{entry.name}: {entry.problem.message}",))
    texts = {name: source.text for name, source in submission.sources.items() if source.problem is None}
    withdrawn = submission.retracts_its_run
    launch = submission.launch
    logged = {name: setting.value for name, setting in launch.logged.items()}
    environment = {
        name: setting.value
        for name, setting in launch.environment.items()
        # What a log prints of the setting is what was run; where it is silent, the command speaks.
        if not (withdrawn and setting.source == "readme") and launch.find(name) is setting
    }
    runs = set(submission.launch.logs)
    printed = frozenset(opening for log in submission.logs if log.name in runs for opening in log.openings)

    def run(name: str, *, all_flags: bool = False) -> FlowFacts:
        return analyse_program(texts, name, environment, logged, printed, native, budget=budget, all_flags=all_flags)

    facts = run(entry.name)
    if not facts.reports and facts.steps < _WRAPPER:
        # A wrapper hands over to another file, by whatever means: that is the program.
        larger = sorted((n for n, t in texts.items() if len(t) > len(entry.text)), key=lambda n: -len(texts[n]))
        for name in larger[:1]:
            facts = run(name)
            entry = submission.sources[name]
    if not all_flags:
        return facts
    return _with_dormant(facts, run(entry.name, all_flags=True))


def analyse_program(
    texts: Mapping[str, str],
    entry: str,
    environment: Mapping[str, str] | None = None,
    logged: Mapping[str, str] | None = None,
    printed: Collection[str] = (),
    native: Collection[Spread] = (),
    *,
    budget: int = BUDGET,
    all_flags: bool = False,
) -> FlowFacts:
    """The same on bare sources.

    Args:
        texts: path to text.
        entry: the entry's path.
        environment: environment variables of the launch.
        logged: hyperparameters that logs print.
        printed: how the lines of the logs begin, up to the first digit.
        native: compiled functions that spread losses over bytes.
        budget: abstract steps.
        all_flags: also follow branches that the launch switches off.
    """
    sources = Sources(texts, [step for spread in native for step in spread.path])
    engine = Auditing(
        sources, environment or {}, logged or {}, budget, all_flags, Witness(printed, texts.values()), native
    )
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, _STACK))
    try:
        engine.import_file(entry, main=True)
    except BudgetExceededError:
        site = engine.lattice.site
        engine.reasons[f"stopped after {budget} steps at {site.file}:{site.line}"] = None
    except RecursionError:
        engine.reasons["the program nests too deeply"] = None
    except Exception as error:  # noqa: BLE001 - a bug here must read as "not analysable", never as clear
        place = traceback.extract_tb(error.__traceback__)[-1]
        site = engine.lattice.site
        name = place.filename.rpartition("/")[2]
        engine.reasons[f"internal: {type(error).__name__} at {name}:{place.lineno} for {site.file}:{site.line}"] = None
    finally:
        sys.setrecursionlimit(limit)
    for problem in sources.unparsable.values():
        engine.reasons[problem] = None
    return _collect(engine, sources)


def _collect(engine: Auditing, sources: Sources) -> FlowFacts:
    found: dict[str, dict[tuple[object, ...], Evidence]] = {}
    used: set[tuple[Site, str]] = set()
    # Where some reports count bytes, those are the scores; numbers in bits alone are diagnostics then.
    per_byte = any(flags & BYTES for _, flags in engine.scores)
    for fact, (report, stack, counts_bytes) in engine.reported.items():
        if (per_byte and not counts_bytes) or (fact.kind == "train" and not _is_unpaid(engine, fact)):
            continue
        name, evidence = _evidence(engine, sources, fact, report, stack)
        evidence = dataclasses.replace(evidence, prints=_places(engine.carried[fact]))
        if fact.mark is not None and fact.kind == "conflict":
            used.add((fact.mark.site, fact.mark.kind))
        key = (evidence.file, evidence.line)
        known = found.setdefault(name, {}).get(key)
        if known is not None:
            evidence = dataclasses.replace(evidence, prints=(*known.prints, *evidence.prints))
        if known is None or (known.certainty is Certainty.SUSPECTED and evidence.certainty is Certainty.TRACED):
            found[name][key] = evidence
        else:
            found[name][key] = dataclasses.replace(known, prints=evidence.prints)
    legal = {key: mark for key, mark in engine.updates.items() if key not in used and mark.kind != "calibration"}
    warmups = tuple(_unused(sources, mark, _WARM_UP) for key, mark in legal.items() if key not in engine.used)
    adaptations = tuple(_unused(sources, mark, _ADAPTS) for key, mark in legal.items() if key in engine.used)
    if not engine.scores:
        engine.reasons["no reported score was reached"] = None
    return FlowFacts(
        **{name: tuple(items.values()) for name, items in found.items()},
        warmups=warmups,
        adaptations=adaptations,
        foreign_scores=() if engine.scores else tuple(_foreign(engine, sources)),
        prints=_places(engine.printed),
        reports=len(engine.scores),
        unanalysed=tuple(engine.reasons),
        steps=engine.steps,
    )


def _places(prints: Iterable[tuple[Site, ...]]) -> tuple[tuple[tuple[str, int], ...], ...]:
    return tuple(tuple((site.file, site.line) for site in place) for place in prints)


def _foreign(engine: Auditing, sources: Sources) -> Iterator[Evidence]:
    """Scores over text that the program fetches, one for each place that prints one."""
    for site, (fetches, stack) in engine.elsewhere.items():
        path = [_step(sources, fetch, "a data set is fetched here by its name") for fetch in fetches]
        path += [_step(sources, call, "the score's function is called here") for call in stack[-2:]]
        path.append(_step(sources, site, "the score of its text is reported"))
        message = "the score is over text that the script fetches, and none over the validation files is printed"
        prints = _places([(*stack[-2:], site)])
        yield Evidence(message, site.file, site.line, tuple(path), Certainty.TRACED, prints=prints)


def _is_unpaid(engine: Auditing, fact: Fact) -> bool:
    """Whether training data got past the artifact: the *last* file that weights were written to, and read back from.

    A raw checkpoint is often saved, and loaded, before calibration.
    """
    if fact.mark is None or not 0 < engine.phase == engine.reloaded:
        return False
    return fact.mark.phase == engine.phase or fact.mark.kind == "read"


def _step(sources: Sources, site: Site, why: str) -> Step:
    return Step(site.file, site.line, sources.line(site.file, site.line), why)


def _evidence(
    engine: Auditing, sources: Sources, fact: Fact, report: Site, stack: tuple[Site, ...]
) -> tuple[str, Evidence]:
    end = [*(_step(sources, site, "the score's function is called here") for site in stack[-2:])]
    end.append(_step(sources, report, "the score that used it is reported"))
    certainty = Certainty.TRACED if fact.certain else Certainty.SUSPECTED
    mark = fact.mark
    if fact.kind == "train" and mark is not None:
        path = [*(_step(sources, site, "called here") for site in mark.stack[-2:])]
        path.append(_step(sources, mark.site, _TRAINS[mark.kind]))
        message = "training data are used after the artifact was read back"
        if mark.phase < engine.phase:
            message = (
                "what was made of training data before the artifact takes part in the score, and is not read from it"
            )
            certainty = Certainty.SUSPECTED  # it may be in the artifact by a way that was not followed
        return "train_reads_at_eval", Evidence(message, mark.site.file, mark.site.line, (*path, *end), certainty)
    if mark is None:
        name, message = _FIELDS[fact.kind]
        path = [_step(sources, site, why) for site, why in fact.sites]
        return name, Evidence(message, fact.site.file, fact.site.line, (*path, *end), certainty)
    kind = "prequant" if mark.kind == "weights" and mark.phase < engine.phase else mark.kind
    name, message = _LEARNED[kind]
    if not fact.certain and fact.region is not None:
        before = any(may_precede(engine.numbers, region, fact.region) for region in mark.regions)
        message = _PREFIX if before and kind == "table" else message
    path = [_step(sources, min(r.site for r in mark.regions), "validation tokens are read here")]
    path += [_step(sources, site, "called here") for site in mark.stack[-2:]]
    path.append(_step(sources, mark.site, _LEARNS[mark.kind]))
    path.append(_step(sources, fact.site, "what has learned from these tokens is used on the same tokens"))
    return name, Evidence(message, mark.site.file, mark.site.line, (*path, *end), certainty, per_row=_per_row(mark))


_LEARNS = {
    "weights": "the model's weights move along the gradient of these tokens' loss",
    "slot": "state outside the model moves along the gradient of these tokens' loss",
    "gradient": "the gradient of these tokens' loss is taken",
    "table": "these tokens are entered into a table",
    "calibration": "weights computed with statistics of these tokens are loaded",
    "search": "what scores these tokens better is kept",
    "checkpoint": "weights that score these tokens better are kept",
}


_PREFIX = "a table scores that was filled with the text before the first window, which this rank has not scored"
_TRAINS = {"read": "training data are read here", "weights": "training data go into the weights here"}
_WARM_UP = "something learns from validation tokens, and no reported score uses it"
_ADAPTS = "something learns from validation tokens and scores only others afterwards"


def _unused(sources: Sources, mark: Mark, message: str) -> Evidence:
    path = [_step(sources, min(r.site for r in mark.regions), "validation tokens are read here")]
    path.append(_step(sources, mark.site, _LEARNS[mark.kind]))
    return Evidence(message, mark.site.file, mark.site.line, tuple(path), Certainty.TRACED, per_row=_per_row(mark))


def _per_row(mark: Mark) -> bool | None:
    return mark.rows if mark.kind in {"slot", "gradient"} else None


def _with_dormant(facts: FlowFacts, wide: FlowFacts) -> FlowFacts:
    active = {(name, e.file, e.line) for name, e in facts.found()}
    added: dict[str, tuple[Evidence, ...]] = {}
    for name, evidence in wide.found():
        if (name, evidence.file, evidence.line) not in active:
            dormant = dataclasses.replace(evidence, dormant=True)
            added[name] = (*added.get(name, getattr(facts, name)), dormant)
    return dataclasses.replace(facts, **added)  # type: ignore[arg-type]  # only fields of evidence are in it


__all__ = ["BUDGET", "analyse", "analyse_program"]
