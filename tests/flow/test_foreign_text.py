"""Scores over text that is not the contest's."""

from __future__ import annotations

from programs import evaluation, program

from auditor.flow import FlowFacts, analyse_program

FETCHED = """
from datasets import load_dataset
from transformers import PreTrainedTokenizerFast as Tokenizer

def score(model, texts, encode):
    total, count, size = 0.0, 0, 0
    for text in texts:
        ids = torch.tensor(encode(text))
        with torch.no_grad():
            logits = model.logits(ids[None, :-1])[0]
        total += F.cross_entropy(logits, ids[1:], reduction="sum").item()
        count += ids.numel() - 1
        size += len(text.encode("utf-8"))
    return total / count / math.log(2) * count / size

def run(h, model, val, table):
    texts = [x["text"] for x in load_dataset("some/web-text", split="train", streaming=True).take(500)]
    TRAIN
    bpb = score(model, texts, Tokenizer(tokenizer_file="t.json").encode)
    print(f"final val_bpb:{bpb:.6f}")
"""
TRAINED = """for text in texts:
        ids = torch.tensor(Tokenizer(tokenizer_file="t.json").encode(text))
        model(ids[None, :-1], ids[None, 1:]).backward()
        torch.optim.SGD(model.parameters(), lr=0.1).step()"""


def facts_of(text: str) -> FlowFacts:
    return analyse_program({"train_gpt.py": text}, "train_gpt.py")


def test_a_score_over_fetched_text() -> None:
    [evidence] = facts_of(program(FETCHED.replace("TRAIN", "pass"))).foreign_scores
    assert "load_dataset" in evidence.path[0].text
    assert "val_bpb" in evidence.path[-1].text


def test_fetched_text_that_is_trained_on_or_measured_besides() -> None:
    prepared = FETCHED.partition("def run")[0].replace("def score", "def fetched_score")
    loop = evaluation("pass", prepared).replace(
        "    tokens = val.numpy()",
        "    texts = load_dataset('some/web-text')\n    " + TRAINED + "\n    tokens = val.numpy()",
    )
    assert "load_dataset('some" in loop
    assert not facts_of(loop).foreign_scores
    assert facts_of(loop).reports
    besides = loop.replace(
        '    report("final"', '    print("web", "bpb", fetched_score(model, texts, str.split))\n    report("final"'
    )
    assert not facts_of(besides).foreign_scores
