"""What learns from validation tokens, and whether it scores them afterwards (C3 and C4)."""

from __future__ import annotations

import pytest
from programs import evaluation, program

from auditor.flow import Certainty, FlowFacts, analyse_program

NOTES = {"warmups", "adaptations", "train_reads_at_eval"}


def analysed(text: str, **environment: str) -> FlowFacts:
    facts = analyse_program({"train_gpt.py": text}, "train_gpt.py", environment)
    assert not facts.unanalysed
    assert facts.reports
    return facts


def accusations(facts: FlowFacts) -> set[str]:
    return {name for name, e in facts.found() if e.certainty is Certainty.TRACED and name not in NOTES}


ADAPT = """
def adapt(model, h, val, epochs=3):
    opt = torch.optim.SGD(model.parameters(), lr=0.005)
    for epoch in range(epochs):
        for i in range(0, (val.numel() - 1) // h.seq_len):
            part = val[i * h.seq_len : (i + 1) * h.seq_len + 1].to(torch.int64)
            opt.zero_grad(set_to_none=True)
            loss = model(part[:-1][None], part[1:][None])
            loss.backward()
            opt.step()
"""


def test_a_static_model_is_not_accused() -> None:
    facts = analysed(
        program("""
        def run(h, model, val, table):
            pack(model)
            plain_eval("final", unpack(h), h, val, table)
    """)
    )
    assert not accusations(facts)


def test_training_on_validation_before_the_artifact() -> None:
    facts = analysed(
        program(
            ADAPT
            + """
def run(h, model, val, table):
    adapt(model, h, val)
    pack(model)
    plain_eval("final", unpack(h), h, val, table)
"""
        )
    )
    assert accusations(facts) == {"prequant_updates"}
    [evidence] = facts.prequant_updates
    assert next(step.why for step in evidence.path) == "validation tokens are read here"
    assert evidence.path[-1].text.startswith("print(")
    assert "opt.step()" in {step.text for step in evidence.path}


def test_training_on_validation_after_the_artifact() -> None:
    facts = analysed(
        program(
            ADAPT
            + """
def run(h, model, val, table):
    pack(model)
    model = unpack(h)
    adapt(model, h, val)
    plain_eval("final", model, h, val, table)
"""
        )
    )
    assert accusations(facts) == {"updates_before_score"}


def test_a_switch_that_the_launch_turns_off_is_dormant() -> None:
    text = program(
        ADAPT
        + """
def run(h, model, val, table):
    pack(model)
    model = unpack(h)
    if h.adapt:
        adapt(model, h, val)
    plain_eval("final", model, h, val, table)
"""
    )
    assert accusations(analysed(text)) == {"updates_before_score"}
    assert not accusations(analysed(text, ADAPT="0"))


def test_helpers_renamed_and_extracted_hide_nothing() -> None:
    facts = analysed(
        program("""
        def q1(o, f, *a):
            f(*a).backward()
            o.step()

        class Tuner:
            def __init__(self, m, stream):
                self.m, self.stream = m, stream
                self.o = torch.optim.Adam([p for n, p in m.named_parameters() if p.ndim > 1], lr=1e-4)

            def pairs(self, n):
                for k in range(n):
                    yield self.stream[k * 64 : k * 64 + 64], self.stream[k * 64 + 1 : k * 64 + 65]

            def polish(self):
                for a, b in self.pairs(100):
                    self.o.zero_grad()
                    q1(self.o, self.m, a[None], b[None])

        def run(h, model, val, table):
            Tuner(model, val).polish()
            pack(model)
            plain_eval("final", unpack(h), h, val, table)
    """)
    )
    assert accusations(facts) == {"prequant_updates"}


def test_what_was_learned_survives_the_container() -> None:
    """Bytes that are shuffled in place, packed and read back still hold what was learned."""
    facts = analysed(
        program(
            ADAPT
            + """
def deal(data, ways):
    taken = bytearray(data)
    out = bytearray(len(taken))
    at = 0
    for way in range(ways):
        for i in range(way, len(taken), ways):
            out[at] = taken[i]
            at += 1
    return b"DEAL" + ways.to_bytes(1, "little") + bytes(out)

def gather(data):
    if data[:4] != b"DEAL":
        return data
    ways = data[4]
    out = bytearray(len(data) - 5)
    for way in range(ways):
        for k, i in enumerate(range(way, len(out), ways)):
            out[i] = data[5 + k]
    return bytes(out)

def run(h, model, val, table):
    adapt(model, h, val)
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    with open("model.bin", "wb") as f:
        f.write(deal(buffer.getvalue(), 2))
    with open("model.bin", "rb") as f:
        raw = gather(f.read())
    model.load_state_dict(torch.load(io.BytesIO(raw)))
    plain_eval("final", model, h, val, table)
"""
        )
    )
    assert accusations(facts) == {"prequant_updates"}


def test_a_log_written_by_a_thread_is_a_report() -> None:
    text = program(
        ADAPT
        + """
import queue

class Log:
    def __init__(self):
        self.lines = queue.Queue()

    def __call__(self, text):
        self.lines.put((True, text))

def run(h, model, val, table):
    log = Log()
    adapt(model, h, val)
    loss, bits = measured(model, h, val, table)
    log(f"final val_loss:{loss:.4f} val_bpb:{bits:.4f}")

def measured(model, h, val, table):
    x, y = val[:-1].view(-1, h.seq_len), val[1:].view(-1, h.seq_len)
    with torch.no_grad():
        loss = model(x, y)
    return loss, loss.item() / math.log(2.0) * (y.numel() / table[y].sum().item())
"""
    )
    assert accusations(analysed(text)) == {"updates_before_score"}


SWITCHED = (
    ADAPT
    + """
def run(h, model, val, table):
    pack(model)
    model = unpack(h)
    if os.environ.get("TUNE", "0") == "1":
        adapt(model, h, val)
        print(f"tuned in {0} epochs")
    else:
        print("left as it is")
    plain_eval("final", model, h, val, table)
"""
)


@pytest.mark.parametrize(
    ("printed", "found"),
    [
        ((), set()),
        (("step:",), set()),
        (("left as it is",), set()),
        (("tuned in ",), {"updates_before_score"}),
        (("tuned in ", "left as it is"), set()),
    ],
)
def test_a_branch_that_printed_its_line_did_run(printed: tuple[str, ...], found: set[str]) -> None:
    text = program(SWITCHED)
    facts = analyse_program({"train_gpt.py": text}, "train_gpt.py", printed=printed)
    assert accusations(facts) == found


def test_a_line_that_two_places_print_witnesses_nothing() -> None:
    text = program(SWITCHED.replace("left as it is", "tuned in no way"))
    facts = analyse_program({"train_gpt.py": text}, "train_gpt.py", printed=("tuned in ",))
    assert not accusations(facts)


def test_manual_gradient_steps_count() -> None:
    facts = analysed(
        program("""
        def run(h, model, val, table):
            pack(model)
            model = unpack(h)
            params = [p for p in model.parameters() if p.requires_grad]
            for i in range(100):
                part = val[i * 64 : i * 64 + 65]
                grads = torch.autograd.grad(model(part[:-1][None], part[1:][None]), params)
                with torch.no_grad():
                    for p, g in zip(params, grads):
                        p.data -= 0.01 * g
            plain_eval("final", model, h, val, table)
    """)
    )
    assert accusations(facts) == {"updates_before_score"}


SCORE_FIRST = """
def run(h, model, val, table):
    pack(model)
    model = unpack(h)
    opt = torch.optim.SGD(model.parameters(), lr=0.005)
    loss_sum, count, byte_sum = torch.zeros(()), torch.zeros(()), torch.zeros(())
    chunk = 32768
    total = val.numel() - 1
    chunks = [[] for _ in range(total // chunk)]
    for ws in [w for w in range(0, total, 64) if w + 64 < total]:
        chunks[min(ws // chunk, len(chunks) - 1)].append(ws)
    for ci in range(len(chunks)):
        windows = chunks[ci]
        if not windows:
            continue
        with torch.no_grad():
            for bi in range(0, len(windows), 32):
                batch = windows[bi : bi + 32]
                x = torch.zeros(len(batch), h.seq_len, dtype=torch.int64)
                y = torch.zeros(len(batch), h.seq_len, dtype=torch.int64)
                lengths = []
                for i, ws in enumerate(batch):
                    end = min(ws + h.seq_len, total)
                    lengths.append(end - ws)
                    x[i, : end - ws] = val[ws:end]
                    y[i, : end - ws] = val[ws + 1 : end + 1]
                logits = model.logits(x)
                flat = logits.reshape(-1, logits.size(-1))
                nll = F.cross_entropy(flat, y.reshape(-1), reduction="none").reshape(x.shape)
                for i, ws in enumerate(batch):
                    n = lengths[i]
                    s = 0 if ws == 0 else max(n - 64, 0)
                    loss_sum += nll[i, s:n].sum()
                    count += n - s
                    byte_sum += table[y[i, s:n]].sum()
        for epoch in range(EPOCHS):
            for b in range(0, chunk // h.seq_len):
                start = ci * chunk + b * h.seq_len
                part = val[start : start + h.seq_len + 1].to(torch.int64)
                opt.zero_grad()
                model(part[:-1][None], part[1:][None]).backward()
                opt.step()
    REPORT
"""


@pytest.mark.parametrize("epochs", ["1", "3", "10"])
def test_score_first_chunks_are_legal(epochs: str) -> None:
    body = SCORE_FIRST.replace("EPOCHS", epochs).replace("REPORT", 'report("ttt", loss_sum, count, byte_sum)')
    facts = analysed(program(body))
    assert not accusations(facts)
    assert facts.adaptations
    assert not facts.warmups


WITHIN_A_MODULE = """
class Scorer(nn.Module):
    def __init__(self, model, windows):
        super().__init__()
        self.model, self.windows = model, windows

    def cut(self, val, i):
        return val[i * 64 : i * 64 + 65]

    def forward(self, val, table):
        opt = torch.optim.SGD(self.model.parameters(), lr=0.005)
        loss_sum, count, byte_sum = torch.zeros(()), torch.zeros(()), torch.zeros(())
        for i in range(self.windows):
            part = PART
            loss = self.model(part[:-1][None], part[1:][None])
            loss_sum += loss.detach() * 64
            count += 64
            byte_sum += table[part[1:]].sum()
            opt.zero_grad()
            loss.backward()
            opt.step()
        return loss_sum, count, byte_sum


def run(h, model, val, table):
    pack(model)
    scorer = Scorer(unpack(h), COUNT)
    report("ttt", *scorer(val, table))
"""


@pytest.mark.parametrize("count", ["val.numel() // 64", "8"])
@pytest.mark.parametrize("part", ["val[i * 64 : i * 64 + 65]", "self.cut(val, i)"])
def test_windows_that_a_module_counts_are_not_layers(count: str, part: str) -> None:
    facts = analysed(program(WITHIN_A_MODULE.replace("COUNT", count).replace("PART", part)))
    assert not accusations(facts)
    assert facts.adaptations


def test_score_first_with_discarded_scores_is_not() -> None:
    body = SCORE_FIRST.replace("EPOCHS", "1").replace("REPORT", 'plain_eval("final", model, h, val, table)')
    assert accusations(analysed(program(body))) == {"updates_before_score"}


def test_epochs_around_the_scoring_are_rescoring() -> None:
    facts = analysed(
        program("""
        def run(h, model, val, table):
            pack(model)
            model = unpack(h)
            opt = torch.optim.SGD(model.parameters(), lr=0.005)
            for epoch in range(8):
                loss_sum, count, byte_sum = torch.zeros(()), torch.zeros(()), torch.zeros(())
                for i in range(0, val.numel() // 64):
                    part = val[i * 64 : i * 64 + 65]
                    loss = model(part[:-1][None], part[1:][None])
                    loss_sum += loss.detach() * 64
                    count += 64
                    byte_sum += table[part[1:]].sum()
                    opt.zero_grad()
                    loss.backward()
                    opt.step()
            report("ttt", loss_sum, count, byte_sum)
    """)
    )
    assert accusations(facts) == {"updates_before_score"}


PHASED = """
def tune(model, tokens):
    opt = torch.optim.SGD(model.parameters(), lr=1e-3)
    for i in range(0, tokens.numel() // 64):
        part = tokens[i * 64 : i * 64 + 65]
        opt.zero_grad()
        model(part[:-1][None], part[1:][None]).backward()
        opt.step()


def run(h, model, val, table):
    pack(model)
    model = unpack(h)
    loss_sum, count, byte_sum = torch.zeros(()), torch.zeros(()), torch.zeros(())
    marks = (val == 1).nonzero(as_tuple=True)[0].tolist()
    docs = [(a, b - a) for a, b in zip(marks[:-1], marks[1:])]
    done = []
    for index in range(len(docs)):
        start, length = docs[index]
        part = val[start : start + length]
        FIRST
        with torch.no_grad():
            loss_sum += model(part[:-1][None], part[1:][None]) * (length - 1)
        count += length - 1
        byte_sum += table[part[1:]].sum()
        done.append((start, length))
        if index % 500 == 499:
            everywhere = [None] * 8
            dist.all_gather_object(everywhere, done)
            chosen = []
            for some in everywhere:
                chosen.extend(some)
            tune(model, torch.cat([val[s : s + n] for s, n in chosen]))
    report("phased", loss_sum, count, byte_sum)
"""


def test_phased_training_on_scored_documents_is_legal() -> None:
    facts = analysed(program(PHASED.replace("FIRST", "pass")))
    assert not accusations(facts)


def test_the_same_trainer_before_the_score_is_not() -> None:
    facts = analysed(program(PHASED.replace("FIRST", "tune(model, part)")))
    assert accusations(facts) == {"updates_before_score"}


def test_warm_up_on_synthetic_tokens_with_restored_weights() -> None:
    facts = analysed(
        program("""
        def run(h, model, val, table):
            pack(model)
            model = unpack(h)
            saved = {k: v.detach().clone() for k, v in model.state_dict().items()}
            opt = torch.optim.SGD(model.parameters(), lr=1.0)
            for i in range(3):
                x = torch.randint(0, h.vocab, (2, 64))
                model(x, x).backward()
                opt.step()
            part = val[:65]
            opt.zero_grad()
            model(part[:-1][None], part[1:][None]).backward()
            opt.step()
            model.load_state_dict(saved)
            plain_eval("final", model, h, val, table)
    """)
    )
    assert not accusations(facts)
    assert facts.warmups


SLOT = """
delta = torch.zeros(ROWS, 1, 64, requires_grad=True)
hidden = model.hidden(x).detach()
fit = torch.optim.AdamW([delta], lr=0.01)
weight = torch.zeros(1, h.seq_len)
s = h.seq_len - 64
weight[0, SPAN] = 1.0
for _ in range(8):
    fit.zero_grad()
    z = model.head(hidden + delta)
    each = F.cross_entropy(z.reshape(-1, h.vocab), y.reshape(-1), reduction="none").reshape(1, h.seq_len)
    (each * weight).sum().backward()
    fit.step()
z = model.head(hidden + delta.detach())
nll = F.cross_entropy(z.reshape(-1, h.vocab), y.reshape(-1), reduction="none").reshape(1, h.seq_len)
nll = nll[0, s:h.seq_len]
"""


def test_state_fitted_to_the_scored_positions() -> None:
    facts = analysed(evaluation(SLOT.replace("SPAN", "s:h.seq_len").replace("ROWS", "x.shape[0]")))
    assert accusations(facts) == {"slot_updates"}
    assert facts.slot_updates[0].per_row


def test_state_fitted_to_the_context_alone() -> None:
    facts = analysed(evaluation(SLOT.replace("SPAN", ":s").replace("ROWS", "1")))
    assert not accusations(facts)


def test_a_second_pass_with_the_full_table() -> None:
    facts = analysed(
        program("""
        def run(h, model, val, table):
            pack(model)
            model = unpack(h)
            tokens = val.numpy()
            counts = np.zeros(1 << 20)
            for i in range(0, 1000):
                np.add.at(counts, tokens[i * 64 : i * 64 + 64], 1)
            loss_sum, count, byte_sum = torch.zeros(()), torch.zeros(()), torch.zeros(())
            for i in range(0, 1000):
                part = val[i * 64 : i * 64 + 65]
                p = torch.exp(-model(part[:-1][None], part[1:][None]))
                q = torch.tensor(counts[tokens[i * 64 : i * 64 + 64]])
                loss_sum += -torch.log(0.5 * p + 0.5 * q).sum()
                count += 64
                byte_sum += table[part[1:]].sum()
            report("two-pass", loss_sum, count, byte_sum)
    """)
    )
    assert accusations(facts) == {"rescores"}


LATCH = """
def run(h, model, val, table):
    opt = torch.optim.AdamW(model.parameters(), lr=1e-4)
    tokens, step = load_stream(h.train_files, 64), 0
    switched = {start}
    while step < 1000:
        if not switched and time.time() > h.late:
            tokens = val
            switched = True
        opt.zero_grad()
        model(tokens[None, step : step + 64], tokens[None, step + 1 : step + 65]).backward()
        opt.step()
        step += 1
    pack(model)
    plain_eval("final", unpack(h), h, val, table)
"""


@pytest.mark.parametrize(("start", "found"), [("True", set()), ("False", {"prequant_updates"})])
def test_a_latch_that_is_set_before_the_loop_stays_set(start: str, found: set[str]) -> None:
    assert accusations(analysed(program(LATCH.format(start=start)))) == found
