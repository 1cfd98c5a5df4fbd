"""Packed scripts of every known kind come out as they went in; nothing of them runs."""

from __future__ import annotations

import ast
import base64
import bz2
import gzip
import lzma
import zlib
from pathlib import Path

import brotli
import pytest
import zstandard
from folders import INNER, make, packed, raw_lzma2

from auditor.submission import Location, ProblemKind, ReadLimits, Submission, UnparsableSourceError, read_submission

DATA = INNER.encode()
B85 = base64.b85encode(lzma.compress(DATA)).decode()
RAW85 = base64.b85encode(raw_lzma2(INNER)).decode()
B64_LINES = base64.encodebytes(lzma.compress(DATA)).decode()
WRAPPED = [RAW85[i : i + 70] for i in range(0, len(RAW85), 70)]
RAW_CALL = "format=L.FORMAT_RAW,filters=[{'id':L.FILTER_LZMA2}]"

STUBS = {
    "raw lzma2, base85": f"import lzma as L,base64 as B\nexec(L.decompress(B.b85decode('{RAW85}'),{RAW_CALL}))",
    "positional format": "import lzma as L,base64 as B\n"
    f"exec(L.decompress(B.b85decode('{RAW85}'),3,None,[{{'id':33}}]))",
    "filter preset": "import lzma as L,base64 as B\nexec(L.decompress(B.b85decode('"
    f"{RAW85}'),format=L.FORMAT_RAW,filters=[{{'id':L.FILTER_LZMA2,'preset':9|L.PRESET_EXTREME}}]))",
    "xz": f"import lzma,base64\nexec(lzma.decompress(base64.b85decode(b'{B85}')))",
    "alone": "import lzma,base64\nexec(lzma.decompress(base64.b85decode("
    f"{base64.b85encode(lzma.compress(DATA, lzma.FORMAT_ALONE))!r}),lzma.FORMAT_ALONE))",
    "zlib": "from zlib import decompress\nfrom base64 import b85decode\n"
    f"exec(decompress(b85decode({base64.b85encode(zlib.compress(DATA)).decode()!r})).decode())",
    "zlib, raw deflate": "import zlib,base64\nexec(zlib.decompress(base64.b64decode("
    f"{base64.b64encode(zlib.compress(DATA, wbits=-15))!r}),-15))",
    "gzip": f"import gzip,base64 as b\nexec(gzip.decompress(b.a85decode({base64.a85encode(gzip.compress(DATA))!r})))",
    "bz2": f"import bz2,binascii\nexec(bz2.decompress(binascii.unhexlify({bz2.compress(DATA).hex()!r})))",
    "brotli": "import brotli as B,base64 as b\n"
    f'exec(B.decompress(b.b85decode("{base64.b85encode(brotli.compress(DATA)).decode()}")))',
    "zstd": "import zstandard as z,base64\nexec(z.ZstdDecompressor().decompress(base64.b85decode("
    f"{base64.b85encode(zstandard.compress(DATA))!r})))",
    "base32": f"import zlib,base64\nexec(zlib.decompress(base64.b32decode({base64.b32encode(zlib.compress(DATA))!r})))",
    "base16": f"import zlib,base64\nexec(zlib.decompress(base64.b16decode({base64.b16encode(zlib.compress(DATA))!r})))",
    "bytes.fromhex": f"import zlib\nexec(zlib.decompress(bytes.fromhex({zlib.compress(DATA).hex()!r})))",
    "bytes literal": f"import zlib\nexec(zlib.decompress({zlib.compress(DATA)!r}))",
    "compile": f"import lzma,base64;exec(compile(lzma.decompress(base64.b85decode('{B85}')),'train_gpt.py','exec'))",
    "linecache": "import lzma as L,base64 as B,linecache as C\n"
    f"S=L.decompress(B.b85decode('{B85}')).decode()\nF=__file__+'.__decompressed__.py'\n"
    "C.cache[F]=(len(S),None,S.splitlines(True),F)\nexec(compile(S,F,'exec'))",
    "wrapper size": f"import lzma as L,base64 as B\n__wrapper_size__=52497\nexec(L.decompress(B.b85decode('{B85}')))",
    "implicit concatenation": "import lzma as L,base64 as B\n_D = (\n"
    + "\n".join(f"    {part!r}" for part in WRAPPED)
    + f"\n)\nexec(L.decompress(B.b85decode(_D),{RAW_CALL}))",
    "joined tuple": "import lzma as L,base64 as B\n_D = (\n"
    + "\n".join(f"    {part!r}," for part in WRAPPED)
    + f"\n)\nexec(L.decompress(B.b85decode(''.join(_D)),{RAW_CALL}))",
    "joined string": f"import lzma as L,base64 as B\nexec(L.decompress(B.b85decode(''.join('{RAW85}')),{RAW_CALL}))",
    "newlines replaced": f'import lzma,base64\nD=b"""{B64_LINES}"""\n'
    'exec(lzma.decompress(base64.b64decode(D.replace(b"\\n",b""))))',
    "newlines translated": "import lzma as L,base64 as B\n"
    f'D=b"""\n{chr(10).join(WRAPPED)}\n"""\nexec(L.decompress(B.b85decode(D.translate(None,b"\\n ")),{RAW_CALL}))',
    "added pieces": f"import lzma,base64\nD='{B85[:500]}'\nD+='{B85[500:]}'\n"
    "exec(lzma.decompress(base64.b85decode(D)))",
    "function": "import lzma,base64\ndef load(x, f=base64.b85decode):\n    return lzma.decompress(f(x))\n"
    f"exec(load('{B85}'))",
    "lambda": f"import lzma,base64\nu=lambda x: lzma.decompress(base64.b85decode(x))\nexec(u('{B85}'))",
    "main guard": "import lzma,base64\ndef main():\n    code = lzma.decompress(base64.b85decode("
    f"'{B85}'))\n    exec(compile(code, __file__, 'exec'), globals())\nif __name__ == '__main__':\n    main()",
    "import by name": f"exec(__import__('lzma').decompress(__import__('base64').b85decode('{B85}')))",
    "try": "try:\n    import lzma, base64\nexcept ImportError:\n    lzma = None\n"
    f"exec(lzma.decompress(base64.b85decode('{B85}')))",
    "xor": f"import zlib\nexec(zlib.decompress(bytes(b ^ 7 for b in {bytes(b ^ 7 for b in zlib.compress(DATA))!r})))",
    "reversed": f"import zlib\nexec(zlib.decompress({zlib.compress(DATA)[::-1]!r}[::-1]))",
    "written, then run_path": "import lzma,base64,tempfile,os,runpy\n"
    f"c=lzma.decompress(base64.b85decode('{B85}'))\nd=tempfile.mkdtemp()\nf=os.path.join(d,'train_gpt.py')\n"
    "open(f,'wb').write(c)\nrunpy.run_path(f,run_name='__main__')",
    "written beside, then subprocess": "import lzma,base64,subprocess,sys\nfrom pathlib import Path\n"
    f"p=Path(__file__).resolve().parent/'run_me.py'\np.write_bytes(lzma.decompress(base64.b85decode('{B85}')))\n"
    "subprocess.run([sys.executable, str(p)], check=True)",
    "written, then a module loader": "import lzma,base64,importlib.util as IU\n"
    f"with open('/tmp/x.py','wb') as f:\n    f.write(lzma.decompress(base64.b85decode('{B85}')))\n"
    "s=IU.spec_from_file_location('__main__','/tmp/x.py')\nm=IU.module_from_spec(s)\ns.loader.exec_module(m)",
}


@pytest.mark.parametrize("stub", STUBS.values(), ids=STUBS.keys())
def test_a_stub_comes_out_as_it_went_in(tmp_path: Path, stub: str) -> None:
    submission = read_submission(make(tmp_path, {"train_gpt.py": stub}))
    assert submission.main is not None
    assert submission.main.text == INNER
    assert submission.main.name.startswith("train_gpt.py!")
    assert submission.main.packed is not None
    assert submission.main.packed.outer == "train_gpt.py"
    assert not [problem for problem in submission.problems if problem.kind is not ProblemKind.BAD_METADATA]


@pytest.mark.parametrize("stub", STUBS.values(), ids=STUBS.keys())
def test_the_stubs_of_these_tests_are_valid(stub: str) -> None:
    ast.parse(stub)


def test_the_line_map_leads_to_the_literal(tmp_path: Path) -> None:
    stub = (
        "# a comment\nimport lzma, base64\nDATA = (\n    '"
        + B85
        + "'\n)\n\nexec(lzma.decompress(base64.b85decode(DATA)))\n"
    )
    submission = read_submission(make(tmp_path, {"train_gpt.py": stub}))
    inner = submission.main
    assert inner is not None
    assert inner.name == "train_gpt.py!inner"
    assert inner.line_map(5) == Location("train_gpt.py", 4)
    assert inner.lines[6].startswith("def main")
    assert inner.packed is not None
    assert inner.packed.codecs == ("base85", "lzma")
    assert inner.packed.packed_bytes == len(B85)
    assert submission.entry is not None
    assert submission.entry.line_map(5) == Location("train_gpt.py", 5)


def test_the_concrete_tree_of_the_inner_code(tmp_path: Path) -> None:
    inner = read_submission(make(tmp_path, {"train_gpt.py": packed(INNER)})).main
    assert inner is not None
    assert inner.tree.code == INNER
    assert inner.tree is inner.tree
    assert inner.parse_seconds > 0


def test_a_payload_file_beside_the_script(tmp_path: Path) -> None:
    stub = "import lzma, os\nhere = os.path.dirname(os.path.abspath(__file__))\n"
    stub += "exec(lzma.decompress(open(os.path.join(here, 'code.xz'), 'rb').read()))\n"
    inner = read_submission(make(tmp_path, {"train_gpt.py": stub, "code.xz": lzma.compress(DATA)})).main
    assert inner is not None
    assert inner.packed is not None
    assert (inner.text, inner.packed.payload, inner.packed.line) == (INNER, "code.xz", 3)


def test_several_files_in_one_payload(tmp_path: Path) -> None:
    parts = "\n# CUT\n".join(
        ["exec(open('/x/helper.py').read())\n", INNER, "#include <stdint.h>\nint f(int x) { return x; }\n"]
    )
    stub = "import lzma,base64,os,tempfile\n"
    stub += f"parts=lzma.decompress(base64.b85decode('{base64.b85encode(lzma.compress(parts.encode())).decode()}'))"
    stub += ".decode().split('\\n# CUT\\n')\nd=tempfile.mkdtemp()\n"
    stub += "for n,c in zip(['run.py','helper.py','k/state.c'],parts):\n f=os.path.join(d,n)\n open(f,'w').write(c)\n"
    stub += "exec(open(os.path.join(d,'run.py')).read())\n"
    submission = read_submission(make(tmp_path, {"train_gpt.py": stub}))
    assert list(submission.sources) == ["train_gpt.py", "train_gpt.py!run.py", "train_gpt.py!helper.py"]
    assert submission.sources["train_gpt.py!helper.py"].text == INNER
    assert [(kernel.name, kernel.language) for kernel in submission.kernels] == [("train_gpt.py!k/state.c", "c")]


def test_layers_up_to_four(tmp_path: Path) -> None:
    code = INNER
    for _ in range(4):
        code = packed(code)
    submission = read_submission(make(tmp_path, {"train_gpt.py": code}))
    deepest = submission.sources["train_gpt.py!inner!inner!inner!inner"]
    assert deepest.text == INNER
    assert deepest.packed is not None
    assert deepest.packed.layers == 4
    assert deepest.line_map(9) == Location("train_gpt.py", 2)


def test_a_fifth_layer_is_a_problem(tmp_path: Path) -> None:
    code = INNER
    for _ in range(5):
        code = packed(code)
    assert ProblemKind.TOO_DEEP in kinds(read_submission(make(tmp_path, {"train_gpt.py": code})))


def test_environment_that_a_stub_sets(tmp_path: Path) -> None:
    stub = "import os\nos.environ.setdefault('TTT_LR','1e-3')\nos.environ.update(LOOPS='3')\nos.environ['K']='v'\n"
    launch = read_submission(make(tmp_path, {"train_gpt.py": stub + packed(INNER)})).launch
    assert {name: setting.value for name, setting in launch.environment.items()} == {
        "TTT_LR": "1e-3",
        "LOOPS": "3",
        "K": "v",
    }
    assert launch.environment["TTT_LR"].line == 2


REFUSED = {
    "marshal": "import marshal,zlib\nexec(marshal.loads(zlib.decompress({0!r})))",
    "pickle": "import pickle\nexec(pickle.loads({0!r}))",
    "truncated": "import zlib\nexec(zlib.decompress({0!r}[:-200]))",
    "not text": "import zlib\nexec(zlib.compress({0!r}))",
    "unknown cipher": "import mycipher\nexec(mycipher.open({0!r}))",
    "from the network": "import urllib.request as u\nexec(u.urlopen('http://example.invalid').read())",
}


@pytest.mark.parametrize("stub", REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_unwrapped_is_named(tmp_path: Path, stub: str) -> None:
    submission = read_submission(make(tmp_path, {"train_gpt.py": stub.format(zlib.compress(DATA))}))
    assert kinds(submission) & {ProblemKind.UNDECODABLE_PACKER, ProblemKind.DYNAMIC_CODE}
    assert all(problem.file == "train_gpt.py" for problem in submission.problems if problem.line)


@pytest.mark.parametrize(
    ("codec", "bomb"),
    [
        ("zlib", zlib.compress(b"#" * (64 << 20), 9)),
        ("bz2", bz2.compress(b"#" * (64 << 20))),
        ("lzma", lzma.compress(b"#" * (64 << 20), preset=0)),
        ("brotli", brotli.compress(b"#" * (64 << 20), quality=1)),
        ("zstandard", zstandard.compress(b"#" * (64 << 20))),
    ],
    ids=["zlib", "bz2", "lzma", "brotli", "zstd"],
)
def test_bombs_stop_at_the_limit(tmp_path: Path, codec: str, bomb: bytes) -> None:
    call = "zstandard.ZstdDecompressor().decompress" if codec == "zstandard" else f"{codec}.decompress"
    stub = f"import {codec},base64\nexec({call}(base64.b85decode({base64.b85encode(bomb)!r})))"
    submission = read_submission(make(tmp_path, {"train_gpt.py": stub}), limits=ReadLimits(unpacked_bytes=1 << 20))
    assert any("more than 1048576 bytes" in problem.message for problem in submission.problems)


def test_loops_without_end_stop_at_the_step_limit(tmp_path: Path) -> None:
    stub = "x = 0\nfor a in range(9000):\n    for b in range(9000):\n        x += 1\nexec(x)\n"
    assert ProblemKind.UNDECODABLE_PACKER in kinds(read_submission(make(tmp_path, {"train_gpt.py": stub})))


@pytest.mark.parametrize(
    "code",
    ["x = 'a' * 10**12\nexec(x)", "x = bytes(10**12)\nexec(x)", "x = 'ab'\nfor i in range(99):\n    x = x + x\nexec(x)",
     "x = [0]\nfor i in range(99):\n    x = x + x\nexec(str(x))", "f = lambda: f()\nexec(f())",
     "x = 'a,' * 9999999\nexec(x.split(','))", "x = ('a' * 9999999).replace('a', 'b' * 9999999)\nexec(x)"],
)  # fmt: skip
def test_values_that_would_fill_the_memory_stay_unknown(tmp_path: Path, code: str) -> None:
    submission = read_submission(make(tmp_path, {"train_gpt.py": code}))
    assert kinds(submission) & {ProblemKind.DYNAMIC_CODE, ProblemKind.UNDECODABLE_PACKER, ProblemKind.TOO_DEEP}


def test_model_eval_is_no_eval(tmp_path: Path) -> None:
    code = "import re\nmodel.eval()\nre.compile('x')\nresult = model.exec(1)\n"
    assert kinds(read_submission(make(tmp_path, {"train_gpt.py": code}))) == {ProblemKind.BAD_METADATA}


def test_inner_code_that_is_not_python(tmp_path: Path) -> None:
    submission = read_submission(make(tmp_path, {"train_gpt.py": packed("this is — no code\n" * 30)}))
    assert submission.main is not None
    assert submission.main.problem is not None
    assert submission.main.problem.kind is ProblemKind.UNPARSABLE
    with pytest.raises(UnparsableSourceError, match="line 1"):
        _ = submission.main.tree


def kinds(submission: Submission) -> set[ProblemKind]:
    return {problem.kind for problem in submission.problems}
