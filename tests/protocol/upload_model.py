#!/usr/bin/env python3
"""The end of a multipart upload, in steps of whole calls: whether an upload whose rows some drive still has is open or over (erasure/upload_end.h). The rules of single keys are those of
commit_model.py; here the row of an upload, the version completed from it and what replaced that are on each drive or not, and drives miss calls, go away (one perhaps for
good), come back stale and are emptied, within the fault budget: at most m drives lack a version that is acknowledged and not ended, lost drives included. The coordinator may die between any two
calls. Checked: an upload that nobody has ended is never judged to be over; one that has ended is never judged to be open, which would bring its rows back; and when all drives that will ever
come back are there, the rows can be told, so that the refill of an emptied drive ends.

usage: upload_model.py N K RUNS [broken] [first_seed]     exit status 1 when something was found
broken, each is caught with the geometry and the seed named:
  lost    drives that were emptied are taken to lack the row (4 2 1 lost 2)
  trace   the drive that drops the rows of an upload keeps no trace of it (4 2 1 trace 18393)
  few     rows on fewer drives than a part needs may be those of an open upload (4 2 1 few 2811)
  silent  drives that do not answer are taken to lack the row (4 2 1 silent 7)
"""
import random, sys


class Drive:
    """row: of the upload: None, 'open' or 'over' (a tombstone). version: newest of the key: 0 none, 1 completed from the upload, 2 what replaced it."""
    def __init__(s): s.up, s.gone = True, False; s.empty(); s.refilling = False
    def empty(s): s.row, s.version, s.refilling = None, 0, True

    def retire(s, version):
        """the version is final here; what it replaced goes. The one completed from the upload ends it"""
        if s.version != version: return
        if version == 1 and s.row == "open": s.row = "over"
        if version == 1 and BROKEN == "trace": s.row = None                      # and the tombstone that the client's call brought, too


class Run:
    def __init__(s, seed):
        s.r = random.Random(seed * 1000 + N * 10 + K); s.d = [Drive() for _ in range(N)]; s.wrong = ""
        s.miss = s.r.choice((.05, .3)); s.wipe = s.r.choice((.02, .15))

    def reach(s, need):
        """the drives that take a call of a write: those that are up, each perhaps not, at least `need`; None: the write fails"""
        up = [d for d in s.d if d.up]
        took = [d for d in up if s.r.random() > s.miss]
        while len(took) < need and len(took) < len(up): took = took + [s.r.choice([d for d in up if d not in took])]
        return took if len(took) >= need else None

    def judge(s, d_asked=None):
        """as upload_state(): what the drives that answer say of the upload"""
        seen = [d for d in s.d if d.up]
        full = [d for d in seen if not d.refilling]
        if len(full) < R: return "unknown"
        if any(d.version == 1 for d in seen): return "completed"
        if any(d.row == "over" for d in seen): return "over"
        have = sum(d.row == "open" for d in seen)
        if not have: return "over"
        silent = 0 if BROKEN == "silent" else N - len(seen)
        lacking = sum(d.row is None and (not d.refilling or BROKEN == "lost") for d in seen)
        if N - (N - len(seen) if BROKEN == "silent" else 0) - lacking < W: return "over"
        if have + silent < K and BROKEN != "few": return "over"
        return "open" if lacking == 0 or N - lacking - silent >= W else "unknown"

    def heal(s):
        said = s.judge()
        ended = s.ended
        if said == "over" and ended == "no": s.wrong = "an open upload is taken to be over"
        parts = sum(d.row == "open" for d in s.d)                             # as many shards of a part are left at most
        if said == "open" and parts < K: s.wrong = "an upload whose parts cannot be rebuilt is taken to be open"
        if said == "open" and ended == "yes": s.wrong = "an upload that has ended is taken to be open"
        for d in s.d:
            if not d.up: continue
            if said == "open": d.row = "open"
            if said == "over" and d.row == "open" or said == "over" and d.refilling: d.row = "over"
            if said == "completed" and d.version != 1: d.version = 1
            if said == "completed": d.retire(1)
            if said != "unknown": d.refilling = False
        return said

    def heal_key(s):
        newest = max(d.version for d in s.d)
        for d in s.d:
            if d.up and newest: d.version = newest; d.retire(newest)

    def purge(s):
        if all(d.up and not d.refilling and d.row == "over" for d in s.d):
            for d in s.d: d.row = None

    def may_empty(s, e):
        if sum(not d.up or d.refilling for d in s.d if d is not e) >= N - K: return False
        newest = max(d.version for d in s.d)
        if newest and e.version == newest and sum(d.version == newest for d in s.d if d is not e) < K: return False
        if s.ended == "yes" and e.row == "over" and not any(d.row == "over" for d in s.d if d is not e): return False
        return s.ended != "no" or sum(d.row == "open" for d in s.d if d is not e) >= K

    def faults(s):
        for d in s.d:
            x = s.r.random()
            if x < .15 and d.up and sum(not o.up or o.refilling for o in s.d if o is not d) < N - W: d.up = False; d.gone = s.r.random() < .3
            elif x < .5 and not d.up and not d.gone: d.up = True
            elif .5 <= x < .5 + s.wipe and s.may_empty(d): d.empty(); d.up, d.gone = True, False

    def go(s):
        s.ended = "no"                                                        # "doubt": completed, and nobody was told; "yes": the client knows
        took = s.reach(W)
        for d in took: d.row = "open"
        ends = s.r.random() < .8; dies = s.r.random() < .4
        plan = ["commit", *s.r.sample(["tombstone", "retire"], 2), "replace"] if ends else []
        for _ in range(s.r.randrange(5, 40)):
            s.faults()
            if plan and s.r.random() < .4:
                call = plan.pop(0)
                if call == "commit":
                    took = s.reach(W)
                    if took is None or any(d.refilling for d in took): plan.insert(0, call); continue
                    s.ended = "doubt"
                    for d in took: d.version = 1
                    if dies: plan = ["replace"] if s.r.random() < .5 else ["retire", "replace"]
                elif call == "tombstone":
                    took = s.reach(W)
                    for d in took or []: d.row = "over"
                    if took: s.ended = "yes"
                elif call == "retire":
                    for d in s.d:
                        if d.up and s.r.random() < .9: d.retire(1)
                elif call == "replace":
                    # by rule 5 what is replaced was seen final: whoever reads it on the way retires it
                    for d in s.d:
                        if d.up: d.retire(1)
                    took = s.reach(W)
                    if took is None: plan.insert(0, call); continue
                    for d in took: d.version = 2
                continue
            (s.heal, s.heal_key, s.purge)[s.r.randrange(3) if not plan else s.r.randrange(2)]()
            if s.wrong: return
        for d in s.d: d.up = d.up or not d.gone
        for _ in range(4): s.heal_key(); s.heal()
        full = sum(d.up and not d.refilling for d in s.d)
        held_back = s.ended != "no" and full >= R and any(d.up and d.refilling for d in s.d)
        s.stuck = not s.wrong and held_back and (s.ended == "yes" or not any(d.gone for d in s.d))


def main():
    bad = stuck = 0; first = int(sys.argv[5]) if len(sys.argv) > 5 else 0
    for seed in range(first, first + RUNS):
        run = Run(seed); run.stuck = False; run.go()
        if run.wrong and not bad or run.stuck and not stuck:
            print("seed", seed, run.wrong or "stuck"); [print("  ", vars(d)) for d in run.d]
        bad += bool(run.wrong); stuck += run.stuck
    print(f"n={N} k={K} w={W} r={R} {BROKEN}: {RUNS} runs; {bad} wrong, {stuck} stuck")
    return bad + stuck > 0


if __name__ == "__main__":
    N, K, RUNS = map(int, sys.argv[1:4]); BROKEN = sys.argv[4] if len(sys.argv) > 4 and sys.argv[4] != "-" else ""
    W = max(K, N // 2 + 1); R = N - W + 1
    sys.exit(main())
