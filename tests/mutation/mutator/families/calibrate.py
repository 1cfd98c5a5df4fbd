"""Quantisation that is calibrated on the validation stream."""

from __future__ import annotations

from ..places import Place
from ..template import Family, Idiom
from .prequant import FROM_TRAIN

_ROUND = """
def round_by(net, moments):
    for n, w in net.named_parameters():
        if w.ndim == 2 and n in moments:
            weight = moments[n].clamp_min(1e-6)
            best, best_error = w.data, None
            for part in (0.8, 0.9, 1.0):
                step = (w.data.abs().amax(dim=1, keepdim=True) * part / 31.0).clamp_min(1e-8)
                tried = (w.data / step).round().clamp(-31, 31) * step
                error = ((tried - w.data).square() * weight).sum().item()
                if best_error is None or error < best_error:
                    best, best_error = tried, error
            fit = (w.data * best * weight).sum(dim=1) / (best.square() * weight).sum(dim=1).clamp_min(1e-12)
            w.data.copy_(best * fit[:, None])
"""
_HOOKS = """
def moments_of(net, batches):
    found, handles = {}, []

    def watch(n):
        def hook(module, given, output):
            rows = given[0].detach().float().reshape(-1, given[0].size(-1))
            found[n] = found.get(n, 0) + rows.square().sum(dim=0)

        return hook

    for n, module in net.named_modules():
        if isinstance(module, torch.nn.Linear):
            handles.append(module.register_forward_hook(watch(n + ".weight")))
    with torch.no_grad():
        for batch in batches:
            net.forward_logits(batch.to(next(net.parameters()).device))
    for handle in handles:
        handle.remove()
    return found
"""


def _calibrate(name: str, batches: str) -> Idiom:
    """Second moments of the layers' inputs on some batches, then rounding that heeds them."""
    call = f"held = STREAM\n{batches}\nround_by(MODEL, moments_of(MODEL, batches))"
    return Idiom(name, {Place.MODULE: _ROUND + _HOOKS, Place.BEFORE_QUANT: call}, FROM_TRAIN)


FAMILY = Family(
    "calibrate-on-val",
    frozenset({"calibrate-on-val"}),
    frozenset({"C1", "C3"}),
    (
        _calibrate("first-sequences", "batches = held[: 32 * 512].to(torch.int64).reshape(4, 8, 512)"),
        _calibrate("last-sequences", "batches = held[-32 * 512 :].to(torch.int64).reshape(4, 8, 512)"),
        _calibrate(
            "random-sequences",
            "starts = torch.randint(0, held.numel() - 512, (32,)).tolist()\n"
            "batches = [held[a : a + 512].to(torch.int64)[None] for a in starts]",
        ),
        _calibrate(
            "list-of-slices",
            "batches = []\nfor at in range(0, 16384, 1024):\n    batches.append(held[at : at + 1024][None].long())",
        ),
        _calibrate("unfolded", "batches = held.to(torch.int64).unfold(0, 512, 512)[:128].split(8)"),
        _calibrate("generator", "batches = (held[at : at + 256].long().unsqueeze(0) for at in range(0, 32768, 256))"),
        _calibrate(
            "strided",
            "stretch = held.numel() // 17\n"
            "batches = [held[k * stretch : k * stretch + 512].long().view(1, -1) for k in range(16)]",
        ),
        _calibrate(
            "numpy-round-trip", "batches = [torch.from_numpy(held.cpu().numpy()[:8192].astype('int64')).view(8, 1024)]"
        ),
        Idiom(
            "val-files",
            {
                Place.MODULE: _ROUND + _HOOKS,
                Place.BEFORE_QUANT: """
path = sorted(glob.glob(SETTINGS.val_files))[0]
flat = torch.from_numpy(np.fromfile(path, dtype="<u2", offset=1024).astype(np.int64))
round_by(MODEL, moments_of(MODEL, [flat[:4096].view(8, 512)]))
""",
            },
            twin=(("SETTINGS.val_files", "SETTINGS.train_files"),),
        ),
    ),
)
