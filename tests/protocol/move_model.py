#!/usr/bin/env python3
"""A slot of a placement group moves from drive A to drive B: disk/group_move.h and cluster/slot_move.h as a program.

A slot is what a coordinator sees of one drive of a group. It is taken for one honest drive: what it has answered
it keeps, unless the drive that the placement table names was emptied, and then it is born anew in an epoch of the
table that is newer (rule 8 of commit_model.py). So that is all that is checked here: whoever answers for the slot,
to whomever, has all that the slot has taken since its last birth. Three movers at once, each of whom may pause
between any two steps, and whose calls may arrive late; drives that are emptied and replaced; coordinators with old
tables; moves that are given up.

Usage: move_model.py [--runs N] [--seed S] [--break RULE]. Each RULE leaves one rule out, and a violation follows:
"""
import argparse
import random
import sys

RULES = {
    'confirm': 'the table may name B without B having said, since it was read, that the slot is its own',
    'epochs': 'the table may name B although an epoch was raised since A said that it is sealed',
    'raise': 'giving up does not raise the epoch in the table before A takes the slot back',
    'fence': 'giving up raises the epoch before A refuses the movers that were there',
    'term': 'drives heed movers of older terms',
    'step': 'B takes pages of rows that come late',
    'life': 'drives take calls of movers that have begun before they were emptied, or the move taken back',
    'other': 'B goes on with what it copied when A has begun to leave anew since',
    'changes': 'changes are forgotten before they are durable on B',
    'away': 'a drive that was replaced answers for slots that the table does not give it',
    'sealed': 'A goes on answering after it was sealed',
}
KEYS = 3


class Violation(Exception):
    pass


class Drive:
    def __init__(self, name, member):
        self.name = name
        self.online = True
        self.reset('here' if member else 'away', 1)

    def reset(self, place, epoch):
        self.place, self.epoch = place, epoch
        self.rows, self.changed, self.number = {}, {}, 0
        self.move, self.life, self.other, self.term, self.step, self.cursor = None, 0, 0, 0, 0, 0

    def answers(self):
        return self.online and self.place in ('here', 'leaving')


class Refused(Exception):
    pass


class World:
    def __init__(self, rng, broken):
        self.rng, self.broken = rng, broken
        self.a, self.b = Drive('A', True), Drive('B', False)
        self.table = {'slot': 'A', 'epoch': 1, 'revision': 1}
        self.history = [dict(self.table)]
        self.promised = {}  # of the slot: key -> value
        self.next_value = 0
        self.terms = 1
        self.given_up = False
        self.late = []  # calls that may arrive still

    def off(self, rule):
        return self.broken == rule

    def drive(self, name):
        return self.a if name == 'A' else self.b

    def put_table(self, expected, **change):
        if self.table['revision'] != expected:
            return False
        self.table = {**self.table, **change, 'revision': expected + 1}
        self.history.append(dict(self.table))
        return True

    # --- coordinators, some of them with an old table
    def coordinate(self):
        table = self.rng.choice(self.history[-4:])
        drive = self.drive(table['slot'])
        answers = drive.answers() or (self.off('sealed') and drive.online and drive.place == 'left')
        if not answers or table['epoch'] < drive.epoch:
            return
        drive.epoch = max(drive.epoch, table['epoch'])
        key = self.rng.randrange(KEYS)
        if drive.rows != self.promised:
            raise Violation(f'{drive.name} ({drive.place}) answers with {drive.rows}, promised: {self.promised}')
        if self.rng.random() < 0.7:
            self.next_value += 1
            drive.rows[key] = self.promised[key] = self.next_value
            if drive.place == 'leaving':
                drive.number += 1
                drive.changed[key] = drive.number

    # --- a drive loses all: found empty, epochs raised in the table, formatted
    def lose(self):
        drive = self.rng.choice([self.a, self.b])
        if not drive.online:
            return
        drive.online = False
        drive.reset('lost', 0)

    def replace(self):
        drive = self.rng.choice([self.a, self.b])
        if drive.online:
            return
        if drive.place == 'lost':
            named = self.table['slot'] == drive.name
            epoch = self.table['epoch'] + 1 if named else self.table['epoch']
            self.put_table(self.table['revision'], epoch=epoch)
            drive.reset('raised', epoch)
            drive.named = named
        elif drive.place == 'raised':
            if drive.named:  # born anew: of the others it learns again what was committed
                drive.place = 'here'
                self.promised = {}
            else:
                drive.place = 'here' if self.off('away') else 'away'
                drive.epoch = 0
            drive.online = True

    # --- calls of movers on drives
    def check(self, drive, term, life=None):
        if not drive.online:
            raise Refused('away')
        if life is not None and (drive.move is None or (life != drive.life and not self.off('life'))):
            raise Refused('unknown')
        if drive.move is not None:
            if term < drive.term and not self.off('term'):
                raise Refused('stale')
            drive.term = max(term, drive.term)

    def begin(self, drive, term, place, wanted, life, other=0):
        self.check(drive, term)
        if drive.move is not None:
            if other != drive.other and not self.off('other'):
                raise Refused('copied from another life')
            return
        if drive.place not in wanted:
            raise Refused('conflict')
        drive.place, drive.move, drive.life, drive.other = place, 1, life, other
        drive.term, drive.step, drive.cursor = term, 0, 0
        if place == 'arriving':
            drive.rows = {}

    def seal(self, term, life):
        self.check(self.a, term, life)
        if self.a.place not in ('leaving', 'left'):
            raise Refused('conflict')
        self.a.place = 'left'
        return self.a.epoch

    def import_rows(self, term, life, step, cursor, rows):
        self.check(self.b, term, life)
        if self.b.place != 'arriving' or (step <= self.b.step and not self.off('step')):
            raise Refused('late')
        for key, value in rows.items():
            if value is None:
                self.b.rows.pop(key, None)
            else:
                self.b.rows[key] = value
        self.b.step, self.b.cursor = max(step, self.b.step), cursor

    def own(self, term, life, epoch):
        self.check(self.b, term, life)
        if self.b.place not in ('arriving', 'here'):
            raise Refused('conflict')
        self.b.place = 'here'
        self.b.epoch = max(self.b.epoch, epoch)

    def take_back(self, term, life, epoch):
        self.check(self.a, term, life)
        if self.a.place not in ('leaving', 'left'):
            raise Refused('conflict')
        self.a.place, self.a.move, self.a.epoch, self.a.changed = 'here', None, max(self.a.epoch, epoch), {}

    def drop(self, drive, term, life, wanted):
        self.check(drive, term, life)
        if drive.place in wanted:
            drive.rows, drive.place, drive.move = {}, 'away', None

    def arrive_late(self):
        if self.late and self.rng.random() < 0.5:
            call = self.late.pop(self.rng.randrange(len(self.late)))
            try:
                call()
            except Refused:
                pass


def mover(world, term, gives_up):
    """Yields between steps. As cluster::carry_out() and give_up()."""
    a, b, rng = world.a, world.b, world.rng

    def send(call):
        # lost on the way, or answered to nobody, or late
        fate = rng.random()
        if fate < 0.1:
            world.late.append(call)
            raise Refused('deadline')
        result = call()
        if fate < 0.15:
            raise Refused('deadline')
        return result

    if world.given_up or gives_up:
        world.given_up = True
        for _ in range(3):
            if not a.online:
                raise Refused('away')
            known, life_a, life_b = a.move is not None, a.life, b.life
            if known and not world.off('fence'):
                send(lambda: world.check(a, term, life_a))
            yield
            table = dict(world.table)
            if table['slot'] == 'B':
                return
            epoch = table['epoch'] + (0 if world.off('raise') else 1)
            yield
            if known and not world.off('raise'):
                if not world.put_table(table['revision'], epoch=epoch):
                    continue
            yield
            if known:
                send(lambda: world.take_back(term, life_a, epoch))
            yield
            send(lambda: world.drop(b, term, life_b, ('arriving', 'here')))
            return
        return

    if world.table['slot'] == 'A':
        if not a.online or not b.online:
            raise Refused('away')
        yield
        send(lambda: world.begin(a, term, 'leaving', ('here',), rng.getrandbits(64)))
        yield
        life_a = a.life
        yield
        send(lambda: world.begin(b, term, 'arriving', ('away',), rng.getrandbits(64), life_a))
        yield
        step, cursor, life_b = b.step, b.cursor, b.life
        if b.other != life_a and not world.off('other'):
            return
        while cursor < KEYS:
            if not a.online or a.move is None:
                raise Refused('away')
            page, step = {cursor: a.rows.get(cursor)}, step + 1
            yield
            cursor += 1
            send(lambda s=step, c=cursor, p=page: world.import_rows(term, life_b, s, c, p))
        sealed = False
        for _ in range(20):
            yield
            if sealed:
                before = dict(world.table)
                yield
                epoch = send(lambda: world.seal(term, life_a))
            if not a.online or a.move is None:
                raise Refused('away')
            through, page = a.number, {key: a.rows.get(key) for key in a.changed}
            if world.off('changes'):
                a.changed = {}
            yield
            if page:
                step += 1
                send(lambda s=step, p=page: world.import_rows(term, life_b, s, KEYS, p))
                yield
                a.changed = {k: n for k, n in a.changed.items() if n > through} if a.online else {}
                continue
            if not sealed:
                sealed = True
                continue
            yield
            if b.place != 'here':
                send(lambda e=epoch: world.own(term, life_b, e))
            yield
            now = dict(world.table)
            yield
            if not b.online or b.place != 'here' or b.move is None or b.life != life_b:
                if not world.off('confirm'):
                    raise Refused('lost')
            if now['epoch'] != before['epoch'] and not world.off('epochs'):
                continue
            yield
            if now['slot'] == 'A' and world.put_table(now['revision'], slot='B'):
                if b.place in ('raised', 'away'):
                    raise Violation('the table names a drive that has lost the slot, and is not born anew')
                break
        else:
            return
    for _ in range(4):
        yield  # until all know the table
    world.history = world.history[-1:]
    life_a = a.life
    send(lambda: world.drop(a, term, life_a, ('left',)))


def run(seed, broken):
    rng = random.Random(seed)
    world = World(rng, broken)
    movers = []
    losses = rng.choice([0, 0, 1, 2])
    patience = 0
    for step in range(400):
        action = rng.random()
        if action < 0.35:
            world.coordinate()
        elif action < 0.40:
            world.arrive_late()
        elif action < 0.42 and losses:
            losses -= 1
            world.lose()
        elif action < 0.46:
            world.replace()
        elif len(movers) < 3 and (action < 0.52 or not movers):
            if any(term == world.terms for term, _ in movers) or rng.random() < 0.5:
                world.terms += 1  # another leads; otherwise the same one tries again
            movers.append((world.terms, mover(world, world.terms, gives_up=rng.random() < 0.05)))
        elif movers:
            one = rng.choice(movers)
            try:
                next(one[1])
            except (StopIteration, Refused):
                movers.remove(one)
    return world.table['slot'] == 'B'


def main():
    parser = argparse.ArgumentParser(description=__doc__ + '\n'.join(f'  {k}: {v}' for k, v in RULES.items()),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--runs', type=int, default=3000)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--break', dest='broken', choices=sorted(RULES))
    args = parser.parse_args()
    moved = 0
    for seed in range(args.seed, args.seed + args.runs):
        try:
            moved += run(seed, args.broken)
        except Violation as violation:
            print(f'seed {seed}: {violation}')
            return 1
    print(f'{args.runs} runs, {moved} moved, no violation')
    return 0


if __name__ == '__main__':
    sys.exit(main())
