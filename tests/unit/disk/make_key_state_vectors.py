#!/usr/bin/env python3
"""Writes the vectors that key_state_test.cc replays: random calls on class Drive of tests/protocol/commit_model.py, with its answers and states.

usage: tests/unit/disk/make_key_state_vectors.py > tests/golden/disk/key_state_vectors.txt
One call a line: name, arguments, `=` the answer, `|` the state after it. Versions are id:expect:epoch (expect `-` none, `*` any)."""
import pathlib, random, sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "protocol"))
import commit_model as model

model.BROKEN, model.LIFE = "", model.INF


def version(i, v):
    return f"{i}:{'*' if v[3] == model.INF else v[3] or '-'}:{v[2]}"


def state(d):
    held = ",".join(version(i, d.held[i]) for i in sorted(d.held, reverse=True)) or "."
    fences = ",".join(str(i) for i in sorted(d.fenced)) or "."
    return f"{held} {fences} {d.final} {d.final_at}"


def run(seed):
    r = random.Random(seed)
    d = model.Drive()
    birth = r.choice((0, 0, 2))
    d.empty(birth)
    print(f"drive {birth} {int(d.refilling)}")
    for now in range(1, 25):
        i = r.choice(list(d.held)) if d.held and r.random() < .3 else min(r.randrange(1, 13), r.randrange(1, 13))
        v = (i, None if i % 4 == 0 else "v", r.randrange(0, 4), r.choice((0, model.INF, model.INF, r.randrange(0, 12))))
        call, a, text = r.choice((
            ("commit", (i, v), version(i, v)), ("commit", (i, v), version(i, v)), ("roll", (i, v), version(i, v)), ("heal", (i, v), version(i, v)),
            ("fence", (i, i), str(i)), ("withdraw", (i, i), str(i)), ("retire", (i, i), str(i)),
            ("purge", (i,), str(i)), ("readmit", (birth,), str(birth))))
        if call == "readmit" and r.random() < .8: continue
        if call == "retire" and i not in d.held and r.random() < .8: continue
        if call == "purge" and d.newest() == i and i % 4: continue          # the model is only ever asked to purge tombstones
        d.now = now
        answer = getattr(d, call)(*a)
        print(call, text, "=", answer[0] if call == "fence" else answer, "|", now, state(d))


for seed in range(250): run(seed)
