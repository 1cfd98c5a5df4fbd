"""Training on the validation stream before the weights are quantised."""

from __future__ import annotations

from ..places import Place
from ..template import Family, Idiom

FROM_TRAIN = (
    (
        "held = STREAM",
        """shard = sorted(glob.glob(SETTINGS.train_files))[0]
held = torch.from_numpy(np.fromfile(shard, dtype="<u2", offset=1024).astype(np.int64))""",
    ),
)
"""What makes a twin: it continues on training data."""


def _inline(name: str, text: str) -> Idiom:
    head = "held = STREAM\nwhere = next(MODEL.parameters()).device\n"
    return Idiom(name, {Place.BEFORE_QUANT: head + text}, FROM_TRAIN)


def _helper(name: str, module: str, call: str) -> Idiom:
    return Idiom(name, {Place.MODULE: module, Place.BEFORE_QUANT: f"held = STREAM\n{call}"}, FROM_TRAIN)


_LOADER = Idiom(
    "loader-over-val-files",
    {
        Place.MODULE: """
class ShardReader:
    def __init__(self, pattern, seq_len):
        self.paths = sorted(glob.glob(pattern))
        self.seq_len = seq_len

    def __iter__(self):
        for path in self.paths:
            flat = torch.from_numpy(np.fromfile(path, dtype="<u2", offset=1024).astype(np.int64))
            for at in range(0, flat.numel() - self.seq_len, self.seq_len):
                yield flat[at : at + self.seq_len], flat[at + 1 : at + self.seq_len + 1]
""",
        Place.BEFORE_QUANT: """
finisher = torch.optim.AdamW(MODEL.parameters(), lr=1e-4)
for source, goal in ShardReader(SETTINGS.val_files, 1024):
    finisher.zero_grad(set_to_none=True)
    MODEL(source[None].to(next(MODEL.parameters()).device), goal[None].to(next(MODEL.parameters()).device)).backward()
    finisher.step()
""",
    },
    twin=(("SETTINGS.val_files", "SETTINGS.train_files"),),
)

FAMILY = Family(
    "prequant-ttt",
    frozenset({"prequant-val-ttt", "ttt-before-score", "causal-dependence"}),
    frozenset({"C1", "C3"}),
    (
        _inline(
            "inline",
            """
tuner = torch.optim.AdamW(MODEL.parameters(), lr=5e-4, weight_decay=0.0)
MODEL.train()
for epoch in range(6):
    for at in range(0, held.numel() - 1024, 1024):
        rows = held[at : at + 1025].to(device=where, dtype=torch.int64)
        tuner.zero_grad(set_to_none=True)
        MODEL(rows[None, :-1], rows[None, 1:]).backward()
        tuner.step()
""",
        ),
        _helper(
            "helper",
            """
def ttt_adapt_adamw(net, tokens, epochs=3, seq_len=1024, lr=1e-4):
    chosen = [w for w in net.parameters() if w.requires_grad]
    opt = torch.optim.AdamW(chosen, lr=lr)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=epochs)
    for epoch in range(epochs):
        for at in range(0, tokens.numel() - seq_len, seq_len):
            local = tokens[at : at + seq_len + 1].to(device=chosen[0].device, dtype=torch.int64)
            x, y = local[:-1].reshape(-1, seq_len), local[1:].reshape(-1, seq_len)
            opt.zero_grad(set_to_none=True)
            loss = net(x, y)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(chosen, 1.0)
            opt.step()
        sched.step()
""",
            "ttt_adapt_adamw(MODEL, held)",
        ),
        _helper(
            "class-with-innocent-name",
            """
class FinalPolish:
    def __init__(self, net):
        self.net = net
        self.opt = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9)

    def one(self, piece):
        self.opt.zero_grad(set_to_none=True)
        self.net(piece[None, :-1], piece[None, 1:]).backward()
        self.opt.step()

    def run(self, data, width):
        home = next(self.net.parameters()).device
        for at in range(0, data.numel() - width, width):
            self.one(data[at : at + width + 1].to(device=home, dtype=torch.int64))
""",
            "FinalPolish(MODEL).run(held, 512)",
        ),
        _LOADER,
        _inline(
            "frozen-blocks",
            """
for n, w in MODEL.named_parameters():
    w.requires_grad_("blocks.0." not in n)
tuner = torch.optim.AdamW([w for w in MODEL.parameters() if w.requires_grad], lr=2e-4)
for at in range(0, held.numel() - 2048, 2048):
    rows = held[at : at + 2049].to(device=where, dtype=torch.int64)
    MODEL(rows[None, :-1], rows[None, 1:]).backward()
    tuner.step()
    tuner.zero_grad(set_to_none=True)
for w in MODEL.parameters():
    w.requires_grad_(True)
""",
        ),
        _inline(
            "manual-sgd",
            """
for at in range(0, held.numel() - 1024, 1024):
    rows = held[at : at + 1025].to(device=where, dtype=torch.int64)
    cost = MODEL(rows[None, :-1], rows[None, 1:])
    for w, g in zip(MODEL.parameters(), torch.autograd.grad(cost, list(MODEL.parameters()), allow_unused=True)):
        if g is not None:
            w.data.add_(g, alpha=-1e-3)
""",
        ),
        _inline(
            "average-of-adapted",
            """
twin_model = copy.deepcopy(MODEL)
tuner = torch.optim.Adam(twin_model.parameters(), lr=1e-4)
for at in range(0, held.numel() - 1024, 1024):
    rows = held[at : at + 1025].to(device=where, dtype=torch.int64)
    tuner.zero_grad()
    twin_model(rows[None, :-1], rows[None, 1:]).backward()
    tuner.step()
blended = {k: 0.5 * v + 0.5 * twin_model.state_dict()[k] for k, v in MODEL.state_dict().items()}
MODEL.load_state_dict(blended)
""",
        ),
        _inline(
            "random-windows",
            """
tuner = torch.optim.AdamW(MODEL.parameters(), lr=1e-4)
for _step in range(200):
    starts = torch.randint(0, held.numel() - 513, (16,)).tolist()
    rows = torch.stack([held[a : a + 513] for a in starts]).to(device=where, dtype=torch.int64)
    tuner.zero_grad(set_to_none=True)
    MODEL(rows[:, :-1], rows[:, 1:]).backward()
    tuner.step()
""",
        ),
    ),
)
