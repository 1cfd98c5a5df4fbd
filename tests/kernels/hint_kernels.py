"""Hint kernels in C, our own, in the shapes that submissions give them."""

from __future__ import annotations

STATE = """#include <stdint.h>
#define CELLS 65536

typedef struct {
    uint32_t hash;
    uint32_t length;
    uint16_t best[CELLS];
    uint32_t count[CELLS];
} Memory;

static uint32_t cell(uint32_t hash) {
    return (hash * 2654435761u) % CELLS;
}

static void remember(Memory *m, uint16_t word) {
    uint32_t at = cell(m->hash);
    if (m->best[at] == word) {
        m->count[at] += 1;
    } else {
        m->best[at] = word;
        m->count[at] = 1;
    }
    m->hash = (m->hash * 31u + word) % 61u;
    m->length += 1;
}

static uint32_t hash_of(const uint16_t *words, int count) {
    uint32_t hash = 7u;
    for (int j = 0; j < count; j++) {
        hash = hash * 31u + words[j];
    }
    return hash;
}
"""


def walk(body: str, extra: str = "", parameters: str = "") -> str:
    """A kernel that walks ``stream`` and fills ``near_hint``, ``near_gate`` and ``far_hint``."""
    return f"""{STATE}
{extra}
int build(void *memory, const uint16_t *stream, int64_t n, const uint8_t *starts, {parameters}
          uint16_t *near_hint, float *near_gate, uint16_t *far_hint) {{
    Memory *m = (Memory *)memory;
    if (!m || !stream || n < 0) {{
        return -1;
    }}
    for (int64_t k = 0; k < n; ++k) {{
{body}
    }}
    return 0;
}}
"""


READ = "const uint16_t word = stream[k];\n"
NEAR = "near_hint[k] = m->best[cell(m->hash)];\nnear_gate[k] = (float)m->count[cell(m->hash)];\n"
FAR = "far_hint[k] = m->best[cell(m->hash ^ 7u)];\n"
PUSH = "remember(m, word);\n"

LEAKING = {
    "an if on a table of the token": READ
    + FAR
    + f"if (!starts[word]) {{ {NEAR} }} else {{ near_hint[k] = 0; near_gate[k] = 0.0f; }}\n"
    + PUSH,
    "a flag kept in between": READ
    + "const uint8_t first = starts[word];\nuint8_t open = !first && m->length > 0;\n"
    + FAR
    + f"if (open) {{ {NEAR} }}\n"
    + PUSH,
    "a ternary": READ + FAR + "near_hint[k] = starts[word] ? 0 : m->best[cell(m->hash)];\n" + PUSH,
    "a product": READ + FAR + "near_gate[k] = (float)m->count[cell(m->hash)] * (1 - starts[word]);\n" + PUSH,
    "the token in the key": READ + FAR + "near_hint[k] = m->best[cell(m->hash ^ word)];\n" + PUSH,
    "a comparison with the hint": READ
    + FAR
    + "uint16_t h = m->best[cell(m->hash)];\nnear_gate[k] = h == word ? 1.0f : 0.0f;\n"
    + PUSH,
    "continue before the write": READ
    + FAR
    + "near_hint[k] = 0;\n"
    + f"if (starts[word]) {{ {PUSH} continue; }}\n"
    + NEAR
    + PUSH,
    "a switch": READ
    + FAR
    + "switch (starts[word]) { case 0: near_hint[k] = m->best[cell(m->hash)]; break; default: near_hint[k] = 0; }\n"
    + PUSH,
    "state pushed before one of the writes": READ + FAR + PUSH + NEAR,
    "the next token": "const uint16_t word = stream[k];\n"
    + FAR
    + "if (k + 1 < n && starts[stream[k + 1]]) { near_gate[k] = 1.0f; }\n"
    + "near_hint[k] = m->best[cell(m->hash)];\n"
    + "remember(m, stream[k + 1]);\n",
    "a pointer to the token": "const uint16_t *here = stream + k;\n"
    "const uint16_t word = *here;\n" + FAR + "if (starts[*here]) { *(near_gate + k) = 0.5f; }\n" + PUSH,
    "a loop that the token ends": READ
    + FAR
    + "uint32_t h = 0;\nfor (int j = 0; j < 4; j++) { if (starts[word]) break; h += m->count[j]; }\n"
    + "near_gate[k] = (float)h;\n"
    + PUSH,
}

AHEAD = (
    READ
    + FAR
    + "if (m->length & 1u) { near_gate[k] = 1.0f; }\n"
    + PUSH
    + "m->length = k + 1 < n ? starts[stream[k + 1]] : 0;\n"
)
"""A flag of the next token, put by for the next iteration."""

LEGAL = {
    "the push comes last": READ + FAR + NEAR + PUSH,
    "a gate on the token before": READ
    + "const uint16_t last = k > 0 ? stream[k - 1] : 0;\n"
    + FAR
    + f"if (!starts[last]) {{ {NEAR} }}\n"
    + PUSH,
    "a copy taken before the push": READ
    + "uint16_t h = m->best[cell(m->hash)];\nuint32_t c = m->count[cell(m->hash)];\n"
    + PUSH
    + "near_hint[k] = h;\nnear_gate[k] = (float)c;\n",
    "the flag is used in the update": READ
    + "const uint8_t first = starts[word];\n"
    + FAR
    + NEAR
    + "if (first) { m->hash = 0; m->length = 0; }\n"
    + PUSH,
    "an error return after the writes": READ + FAR + NEAR + PUSH + "if (m->count[cell(word)] == 0) { return -2; }\n",
    "update and error return inside one branch, constants in the other": READ
    + f"if (m->length > 3) {{ {NEAR} {PUSH} if (starts[word]) {{ return -3; }} }}\n"
    + "else { near_hint[k] = 0; near_gate[k] = 0.0f; remember(m, word); }\n",
    "a context rebuilt from the stream": READ
    + "uint32_t h = 0;\nfor (int j = 0; j < 8 && j < k; j++) { h = h * 31u + stream[k - 1 - j]; }\n"
    + "near_hint[k] = m->best[cell(h)];\n"
    + PUSH,
    "a context of symbolic length": READ
    + "uint32_t h = 0;\nfor (int64_t j = 0; j < order; j++) { h = h * 31u + stream[k - (order - j)]; }\n"
    + "near_hint[k] = m->best[cell(h)];\n"
    + PUSH,
    "a context whose length is looked up": READ
    + "uint32_t h = hash_of(&stream[k - starts[3]], starts[3]);\n"
    + "near_hint[k] = m->best[cell(h)];\n"
    + PUSH,
    "a window that ends before": READ
    + "uint32_t h = 0;\nfor (int64_t j = k > 8 ? k - 8 : 0; j < k; j++) { h ^= stream[j]; }\n"
    + "near_hint[k] = m->best[cell(h)];\n"
    + PUSH,
    "a branch that is never taken": READ + FAR + f"if (starts[word] && 0) {{ {NEAR} }}\n" + PUSH,
    "the hint for the token that follows": "const uint16_t word = stream[k];\n"
    "near_hint[k] = m->best[cell(word)];\n"
    "if (k + 1 < n) { m->best[cell(word)] = stream[k + 1]; }\n",
}

MACROS = """
#define IS_FIRST(w) (starts[(w)])
#define HERE stream[k]
#define PUT(array, value) array[k] = (value)
"""

MEMBERS = """
#include <cstdint>
#include <algorithm>

class Mixer {{
    static constexpr int CELLS = 4096;
    uint16_t best_[CELLS];
    uint32_t hash_ = 0;
    const int64_t* tokens_ = nullptr;
    const uint8_t* starts_ = nullptr;
    double near_beta_, far_beta_;

    struct Pick {{ int hint; double beta; }};

    void look(bool closed, int& hint, double& beta) const {{
        if (closed) {{ hint = -1; beta = 0.0; return; }}
        hint = best_[hash_ % CELLS];
        beta = near_beta_;
    }}

    void push(uint16_t word) {{ best_[hash_ % CELLS] = word; hash_ = hash_ * 31u + word; }}

public:
    Mixer(double near_beta = 1.0) : hash_(0), near_beta_(near_beta), far_beta_(0.0) {{
        std::fill(best_, best_ + CELLS, 0);
    }}

    void fill(const int64_t* pos, int n, int32_t* hints, double* betas) {{
        for (int i = 0; i < n; i++) {{
            int64_t p = pos[i];
            auto word = uint16_t(tokens_[p]);
            auto before = (p > 0) ? uint16_t(tokens_[p - 1]) : uint16_t(0);
            bool closed = starts_ && starts_[{which}];
            int near; double beta;
            look(closed, near, beta);
            Pick picks[2]; int found = 0;
            if (near >= 0) picks[found++] = {{near, beta}};
            int best = -1; double strength = 0.0;
            if (found > 0) {{ best = picks[0].hint; strength = picks[0].beta; }}
            hints[i] = best;
            betas[i] = strength;
            push(word);
        }}
    }}
}};

extern "C" {{
void mixer_fill(void* self, const int64_t* pos, int n, int32_t* hints, double* betas) {{
    static_cast<Mixer*>(self)->fill(pos, n, hints, betas);
}}
}}
"""
