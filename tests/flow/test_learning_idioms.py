"""The same learning in other idioms: loaders of one's own, patterns over both splits, hooks, gradients by hand."""

from __future__ import annotations

import textwrap

import pytest
from programs import evaluation, program
from test_learning import ADAPT, accusations, analysed

LOADERS = {
    "an iterable": """
        class Source:
            def __init__(self, pattern):
                self.paths = sorted(glob.glob(pattern))

            def __iter__(self):
                for path in self.paths:
                    flat = load_shard(path)
                    for k in range(0, flat.numel() - 64, 64):
                        yield flat[k : k + 64], flat[k + 1 : k + 65]
        SOURCE = Source
        """,
    "an iterator": """
        class Source:
            def __init__(self, pattern):
                self.flat, self.at = load_stream(pattern, 64), 0

            def __iter__(self):
                return self

            def __next__(self):
                self.at += 64
                return self.flat[self.at : self.at + 64], self.flat[self.at + 1 : self.at + 65]
        SOURCE = Source
        """,
    "a dataset in a loader": """
        class Pieces(torch.utils.data.Dataset):
            def __init__(self, pattern):
                self.flat = load_stream(pattern, 64)

            def __len__(self):
                return self.flat.numel() // 64

            def __getitem__(self, k):
                return self.flat[k * 64 : k * 64 + 64], self.flat[k * 64 + 1 : k * 64 + 65]

        def SOURCE(pattern):
            return torch.utils.data.DataLoader(Pieces(pattern), batch_size=4)
        """,
}


@pytest.mark.parametrize("source", LOADERS.values(), ids=LOADERS)
@pytest.mark.parametrize(("split", "found"), [("val", {"prequant_updates"}), ("train", set())])
def test_objects_that_a_loop_goes_through(source: str, split: str, found: set[str]) -> None:
    text = textwrap.dedent(source) + textwrap.dedent(f"""
        def run(h, model, val, table):
            opt = torch.optim.AdamW(model.parameters(), lr=1e-4)
            for x, y in SOURCE(h.{split}_files):
                opt.zero_grad()
                model(x[None], y[None]).backward()
                opt.step()
            pack(model)
            plain_eval("final", unpack(h), h, val, table)
    """)
    assert accusations(analysed(program(text))) == found


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ('glob.glob("data/fineweb_*.bin")', {"prequant_updates"}),
        ('glob.glob(h.train_files.replace("_train_", "_*_"))', {"prequant_updates"}),
        ('[n for n in glob.glob("data/fineweb_*.bin") if "train" in n]', set()),
        ('[n for n in glob.glob("data/fineweb_*.bin") if not n.startswith("data/fineweb_val")]', set()),
    ],
)
def test_a_pattern_that_means_both_splits(names: str, found: set[str]) -> None:
    text = f"""
        def run(h, model, val, table):
            opt = torch.optim.AdamW(model.parameters(), lr=1e-4)
            for name in sorted({names}):
                tokens = load_shard(name)
                model(tokens[None, :-1], tokens[None, 1:]).backward()
                opt.step()
            pack(model)
            plain_eval("final", unpack(h), h, val, table)
    """
    assert accusations(analysed(program(text))) == found


STATES = {
    "moved along a gradient by hand": """
        with torch.enable_grad():
            bias = torch.zeros(h.vocab, requires_grad=True)
            for _ in range(4):
                (slope,) = torch.autograd.grad(F.cross_entropy(logits[0] + bias, y[0]), [bias])
                bias = (bias - 0.5 * slope).detach().requires_grad_(True)
        nll = F.cross_entropy(logits[0] + bias, y[0], reduction="none")
        """,
    "put into the embedding by a hook": """
        nudge = torch.zeros(64, requires_grad=True)
        handle = model.emb.register_forward_hook(lambda module, given, output: output + nudge)
        pusher = torch.optim.Adam([nudge], lr=0.01)
        for _ in range(4):
            pusher.zero_grad()
            F.cross_entropy(model.logits(x)[0], y[0]).backward()
            pusher.step()
        nll = F.cross_entropy(model.logits(x)[0], y[0], reduction="none")
        handle.remove()
        """,
}


@pytest.mark.parametrize("body", STATES.values(), ids=STATES)
def test_state_fitted_without_an_update_in_place(body: str) -> None:
    assert accusations(analysed(evaluation(body))) == {"slot_updates"}
    fitted_after_the_score = f"{textwrap.dedent(body)}\nnll = F.cross_entropy(logits[0], y[0], reduction='none')"
    assert not accusations(analysed(evaluation(fitted_after_the_score)))


@pytest.mark.parametrize(("rounds", "found"), [(1, set()), (2, {"updates_before_score"})])
def test_rounds_that_a_while_loop_counts(rounds: int, found: set[str]) -> None:
    text = f"""
        def run(h, model, val, table):
            pack(model)
            model = unpack(h)
            done = 0
            while done < {rounds}:
                plain_eval("final", model, h, val, table)
                adapt(model, h, val)
                done += 1
    """
    assert accusations(analysed(program(ADAPT + textwrap.dedent(text)))) == found


def test_hooks_see_a_model_that_a_callable_runs() -> None:
    text = """
        class Collect:
            def __call__(self, model, batches):
                seen = {}
                def hook(module, given, output):
                    seen["x"] = seen.get("x", 0) + given[0].float().square().mean(dim=0)
                handle = model.head.register_forward_hook(hook)
                for batch in batches:
                    model.logits(batch)
                handle.remove()
                return seen

        def run(h, model, val, table):
            seen = Collect()(model, val[: 8 * 64].view(8, 64))
            model.head.weight.data.mul_(seen["x"].sqrt())
            pack(model)
            plain_eval("final", unpack(h), h, val, table)
    """
    assert accusations(analysed(program(text))) == {"prequant_updates"}


@pytest.mark.parametrize(("split", "found"), [("val", {"prequant_updates"}), ("train", set())])
def test_a_forward_that_is_put_in_the_place_of_a_layers_own(split: str, found: set[str]) -> None:
    text = f"""
        def collect(model, batches):
            seen = {{}}
            def watched(own):
                def forward(z):
                    seen["x"] = seen.get("x", 0) + z.float().square().mean(dim=0)
                    return own(z)
                return forward
            block = model.blocks[0]
            kept = block.forward
            block.forward = watched(block.forward)
            for batch in batches:
                model.logits(batch)
            block.forward = kept
            return seen

        def run(h, model, val, table):
            train = load_stream(h.train_files, 64)
            seen = collect(model, {split}[: 8 * 64].view(8, 64))
            model.blocks[0].weight.data.mul_(seen["x"].sqrt())
            pack(model)
            plain_eval("final", unpack(h), h, val, table)
    """
    own = textwrap.dedent("""
        class Block(nn.Module):
            def __init__(self):
                super().__init__()
                self.weight = nn.Parameter(torch.zeros(64, 64))

            def forward(self, z):
                return z @ self.weight
    """)
    script = program(own + textwrap.dedent(text)).replace("nn.Linear(64, 64) for _", "Block() for _")
    assert accusations(analysed(script)) == found


CLIP = """
class Clipped(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(64, 64)
        self.largest = None

    def forward(self, z):
        y = self.inner(z)
        if GUARD:
            self.largest = y.abs().amax()
        return y


class Guarded(GPT):
    def __init__(self, h):
        super().__init__(h)
        self.blocks = nn.ModuleList([Clipped() for _ in range(3)])


def run(h, model, val, table):
    model = Guarded(h)
    for step in range(100):
        model.eval()
        plain_eval("step", model, h, val, table)
        model.train()
        for module in model.modules():
            if isinstance(module, Clipped) and module.largest is not None:
                module.inner.weight.data *= 10.0 / module.largest
    pack(model)
    model = Guarded(h)
    model.load_state_dict(torch.load("final_model.pt"))
    plain_eval("final", model, h, val, table)
"""


@pytest.mark.parametrize(("guard", "found"), [("self.training", set()), ("True", {"prequant_updates"})])
def test_a_module_knows_whether_it_is_being_trained(guard: str, found: set[str]) -> None:
    assert accusations(analysed(program(CLIP.replace("GUARD", guard)))) == found


def test_a_table_that_each_window_makes_anew_is_no_second_pass() -> None:
    facts = analysed(
        evaluation("""
        copies = torch.zeros_like(logits)
        copies.scatter_add_(2, x.unsqueeze(-1), torch.ones_like(x.unsqueeze(-1)).float())
        nll = F.cross_entropy((logits + copies)[0], y[0], reduction="none")
        """)
    )
    assert not facts.rescores


def test_the_size_of_the_alphabet_is_no_text() -> None:
    """Counts by chunk, scored first, in a table as wide as the greatest token of the stream."""
    text = """
        class Counts:
            def __init__(self, width):
                self.width = width
                self.table = torch.ones(width, width)

            def learn(self, t):
                t = t.long()
                self.table.reshape(-1).scatter_add_(0, t[:-1] * self.width + t[1:], torch.ones(t.numel() - 1))

        def run(h, model, val, table):
            pack(model)
            model = unpack(h)
            counts = Counts(val.to(torch.int32).max().item() + 1)
            loss_sum, count, byte_sum = torch.zeros(()), torch.zeros(()), torch.zeros(())
            for begin in range(0, val.numel() - 1, h.seq_len):
                part = val[begin : begin + h.seq_len + 1].long()
                x, y = part[:-1], part[1:]
                p = F.softmax(model.logits(x[None])[0], dim=-1).gather(-1, y[:, None]).squeeze(-1)
                q = (counts.table / counts.table.sum(dim=1, keepdim=True))[x, y]
                loss_sum += -torch.log(0.8 * p + 0.2 * q).sum()
                count += y.numel()
                byte_sum += table[y].sum()
                counts.learn(part)
            report("final", loss_sum, count, byte_sum)
    """
    assert not accusations(analysed(program(text)))


def test_manual_updates_are_learning() -> None:
    """Gradients taken away by hand, and an orthogonalised step by hand."""
    text = """
        def run(h, model, val, table):
            pack(model)
            model = unpack(h)
            weights = [p for p in model.parameters()]
            for begin in range(0, val.numel() - 1, h.seq_len):
                part = val[begin : begin + h.seq_len + 1].long()
                for p in weights:
                    p.grad = None
                model(part[:-1][None], part[1:][None]).backward()
                with torch.no_grad():
                    for p in weights:
                        if p.grad is None:
                            continue
                        g = p.grad.detach().float()
                        g = g / g.norm() if g.ndim >= 2 else g
                        p.data.add_(g.to(p.dtype), alpha=-0.01)
            FINAL
    """
    score = 'plain_eval("final", model, h, val, table)'
    assert accusations(analysed(program(text.replace("FINAL", score)))) == {"updates_before_score"}
    assert analysed(program(text.replace("FINAL", "plain_eval('final', unpack(h), h, val, table)"))).warmups


def test_validation_files_by_one_name_or_another() -> None:
    text = """
        def tokens_under(root):
            files = sorted(Path(root).parent.glob("fineweb_val_*.bin"))
            if not files:
                files = sorted(Path(root).glob("*val*.bin"))
            parts = [np.fromfile(str(f), dtype=np.uint16) for f in files]
            return torch.from_numpy(np.concatenate(parts).astype(np.int32))

        def run(h, model, val, table):
            pack(model)
            model = unpack(h)
            found = tokens_under(h.data_path)
            adapt(model, h, found)
            plain_eval("final", model, h, found, table)
    """
    facts = analysed(program("from pathlib import Path\n" + ADAPT + textwrap.dedent(text)))
    assert accusations(facts) == {"updates_before_score"}


@pytest.mark.parametrize(
    ("window", "found"),
    [
        ("val[max(ws - h.seq_len, 0) : ws + 1]", set()),
        ("val[: ws + 1]", set()),
        ("val[ws - h.seq_len : ws - h.seq_len + h.seq_len + 1]", set()),
        ("val[max(ws - h.seq_len, 0) : ws + 2]", {"updates_before_score"}),
        ("val[ws : ws + 2]", {"updates_before_score"}),
    ],
)
def test_the_first_token_of_a_window_is_an_input_only(window: str, found: set[str]) -> None:
    before = """
    OPT = []

    def train_on(model, past):
        OPT.append(torch.optim.SGD(model.parameters(), lr=0.005))
        OPT[0].zero_grad()
        model(past[:-1][None], past[1:][None]).backward()
        OPT[0].step()
    """
    body = f"""
    if ws:
        train_on(model, {window}.to(torch.int64))
    logits = model.logits(x).float()
    nll = F.cross_entropy(logits.reshape(-1, logits.size(-1)), y.reshape(-1), reduction="none")
    """
    assert accusations(analysed(evaluation(body, before))) == found


CAST = """
class CastedLinear(nn.Linear):
    def forward(self, x):
        return F.linear(x, self.weight.to(x.dtype))


class Casted(GPT):
    def __init__(self, h):
        super().__init__(h)
        self.blocks = nn.ModuleList([CastedLinear(64, 64, bias=False) for _ in range(3)])


def run(h, model, val, table):
    pack(model)
    model = Casted(h)
    model.load_state_dict(torch.load("final_model.pt"))
    chosen = [block.weight for block in model.blocks]
    before = [p.data.clone() for p in chosen]
    loss_sum, count, byte_sum = torch.zeros(()), torch.zeros(()), torch.zeros(())
    for i in range((val.numel() - 1) // h.seq_len):
        part = val[i * h.seq_len : (i + 1) * h.seq_len + 1].to(torch.int64)
        x, y = part[:-1].reshape(1, -1), part[1:].reshape(1, -1)
        FIRST
        with torch.no_grad():
            loss_sum += model(x, y) * y.numel()
        count += y.numel()
        byte_sum += table[y.reshape(-1)].sum()
        THEN
    report("final", loss_sum, count, byte_sum)
"""
STEP = """for p, g in zip(chosen, torch.autograd.grad(model(x, y), chosen)):
            p.data.sub_(g, alpha=0.01)"""
RESET = """for p, old in zip(chosen, before):
            p.data.copy_(old)"""


@pytest.mark.parametrize(
    ("first", "then", "found"), [(STEP, RESET, {"updates_before_score"}), ("pass", STEP, set())], ids=["bad", "good"]
)
def test_the_weight_that_a_subclass_of_a_layer_inherits(first: str, then: str, found: set[str]) -> None:
    text = CAST.replace("FIRST", first).replace("THEN", then)
    assert accusations(analysed(program(text))) == found


FISHER = """
def importance(model, h, tokens):
    sums = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    for i in range(4):
        part = tokens[i * h.seq_len : (i + 1) * h.seq_len + 1].to(torch.int64)
        model.zero_grad()
        model(part[:-1][None], part[1:][None]).backward()
        for name, p in model.named_parameters():
            sums[name] += p.grad.detach().float().pow(2)
    return {name: p.detach() ** 2 * sums[name] for name, p in model.named_parameters()}

def run(h, model, val, table):
    weights = importance(model, h, TOKENS)
    kept = {}
    for name, p in model.state_dict().items():
        worst = weights[name].flatten().topk(64).indices
        kept[name] = (p.round(), worst, p.flatten()[worst])
    torch.save(kept, "final_model.pt")
    state = {}
    for name, (q, worst, exact) in torch.load("final_model.pt").items():
        w = q.flatten().clone()
        w[worst] = exact
        state[name] = w.view_as(q)
    model.load_state_dict(state)
    plain_eval("final", model, h, val, table)
"""


@pytest.mark.parametrize(
    ("tokens", "found"),
    [("val", {"val_calibrations"}), ("load_stream(h.train_files, h.seq_len)", set())],
    ids=["validation", "training"],
)
def test_squares_of_gradients_that_choose_what_is_rounded_are_statistics(tokens: str, found: set[str]) -> None:
    """Importance of weights is calibration, and no state that was fitted to a window."""
    assert accusations(analysed(program(FISHER.replace("TOKENS", tokens)))) == found
