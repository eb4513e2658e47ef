// The sequential behaviour of one key of an unversioned bucket, to be searched for by porcupine (the algorithm of
// Wing and Gong 1993 with Lowe's memory of what was tried, "Testing for linearizability", 2017).
package main

import (
	"fmt"
	"math"
	"sort"

	"github.com/anishathalye/porcupine"
)

// What a client did to one key. A value is named by its ETag; all written values of a history are different.
type input struct {
	kind   string // put, create (If-None-Match: *), match (If-Match), delete, read
	value  string // written
	expect string // by match
	doubt  *doubt // of writes of unknown outcome
}

// Writes of unknown outcome may take effect at any later moment, or never, and n of them in a key's history could be tried in 2^n
// ways. Two rules leave out only what changes no verdict:
//   - where such a write has no effect, or is overwritten before anybody could tell, it can as well be the last of all;
//   - those whose value nobody ever saw are worth the same (two puts, two deletes, two creates), so they take effect in the order
//     in which they were sent.
type doubt struct {
	certain int // how many operations of the key have a known outcome
	class   int // of those worth the same; -1: worth the same as no other
	turn    int // within its class
}

var classes = map[string]int{"put": 0, "delete": 1, "create": 2}

type state struct {
	held      string // "" is nothing
	certain   int    // how many operations of known outcome have been
	turns     [3]int // of each class, how many have been
	unnoticed bool   // it is held by a write of unknown outcome, on which nothing has depended yet
}

type outcome int

const (
	done    outcome = iota // the write took effect; the read told a value
	exists                 // 412: the key holds a value, and for match another one than expected
	absent                 // 404 of match: the key holds nothing
	unknown                // it took effect at some moment after its call, or never
)

type output struct {
	outcome outcome
	seen    string // by read; "" is nothing
}

func step(before, in, out interface{}) (bool, interface{}) {
	now, op, answer := before.(state), in.(input), out.(output)
	if answer.outcome == unknown {
		return stepInDoubt(now, op)
	}
	now.certain++
	if op.kind == "read" || answer.outcome != done {
		now.unnoticed = false
	}
	switch {
	case op.kind == "read":
		return now.held == answer.seen, now
	case answer.outcome == exists:
		return now.held != "" && !op.allowed(now.held), now
	case answer.outcome == absent:
		return now.held == "", now
	}
	may := op.allowed(now.held) && !(now.unnoticed && op.blind())
	now.held, now.unnoticed = op.value, false
	return may, now
}

func stepInDoubt(now state, op input) (bool, interface{}) {
	if class := op.doubt.class; class >= 0 {
		if now.turns[class] != op.doubt.turn {
			return false, now
		}
		now.turns[class]++
	}
	last := now.certain == op.doubt.certain
	if !op.allowed(now.held) {
		return last, now
	}
	may := last || !(now.unnoticed && op.blind())
	now.held, now.unnoticed = op.value, true
	return may, now
}

// Whether the write takes effect where this is held.
func (op input) allowed(held string) bool {
	switch op.kind {
	case "create":
		return held == ""
	case "match":
		return held != "" && held == op.expect
	}
	return true
}

// Whether it does the same whatever is held.
func (op input) blind() bool { return op.kind == "put" || op.kind == "delete" }

func short(value string) string {
	if value == "" {
		return "nothing"
	}
	if len(value) > 8 {
		return value[:8]
	}
	return value
}

func describe(in, out interface{}) string {
	op, answer := in.(input), out.(output)
	told := map[outcome]string{done: "done", exists: "412", absent: "404", unknown: "unknown"}[answer.outcome]
	switch op.kind {
	case "read":
		return "read: " + short(answer.seen)
	case "match":
		return fmt.Sprintf("put %s if it is %s: %s", short(op.value), short(op.expect), told)
	case "create":
		return fmt.Sprintf("put %s if nothing is there: %s", short(op.value), told)
	case "delete":
		return "delete: " + told
	}
	return fmt.Sprintf("put %s: %s", short(op.value), told)
}

var model = porcupine.Model{
	Init:              func() interface{} { return state{} },
	Step:              step,
	DescribeOperation: describe,
	DescribeState:     func(now interface{}) string { return short(now.(state).held) },
}

// A write of unknown outcome has no end: it may take effect after all else, where nobody sees whether it did, which
// is also how it never takes effect.
const never = math.MaxInt64

// Operations by key, each sorted by call.
func byKey(records []record) (map[string][]porcupine.Operation, error) {
	out := map[string][]porcupine.Operation{}
	written := map[string]string{}
	for number, r := range records {
		if r.Return < r.Call || r.Call < 0 {
			return nil, fmt.Errorf("operation %d ends before it begins", number+1)
		}
		if r.Op == "list" { // a page of a listing is a read of each key that it covers, at some moment of its own
			for key, seen := range r.Seen {
				out[key] = append(out[key], porcupine.Operation{ClientId: r.Client, Input: input{kind: "read"},
					Call: r.Call, Output: output{done, seen}, Return: r.Return})
			}
			continue
		}
		op := porcupine.Operation{ClientId: r.Client, Input: input{kind: r.Op, value: r.Value, expect: r.Expect}, Call: r.Call, Return: r.Return}
		answer, known := map[string]outcome{"ok": done, "412": exists, "404": absent, "unknown": unknown}[r.Outcome]
		switch r.Op {
		case "read":
			known = known && answer == done && len(r.Seen) == 1
			answer = done
		case "put", "delete":
			known = known && (answer == done || answer == unknown)
		case "create":
			known = known && answer != absent
		case "match":
		default:
			known = false
		}
		if !known {
			return nil, fmt.Errorf("operation %d: %s with outcome %q", number+1, r.Op, r.Outcome)
		}
		if r.Op != "read" && r.Op != "delete" {
			if before, twice := written[r.Value]; twice || r.Value == "" {
				return nil, fmt.Errorf("operation %d writes the value %q, which is written to %s already", number+1, r.Value, before)
			}
			written[r.Value] = r.Key
		}
		if answer == unknown {
			op.Return = never
		}
		op.Output = output{answer, r.Seen[r.Key]}
		out[r.Key] = append(out[r.Key], op)
	}
	for _, operations := range out {
		sort.SliceStable(operations, func(i, j int) bool { return operations[i].Call < operations[j].Call })
		weighDoubts(operations)
	}
	return out, nil
}

// Fills in input.doubt of the operations of a key, which are sorted by call.
func weighDoubts(operations []porcupine.Operation) {
	certain, seen := 0, map[string]bool{"": false}
	for _, op := range operations {
		if op.Output.(output).outcome != unknown {
			certain++
			seen[op.Output.(output).seen] = true
		}
		seen[op.Input.(input).expect] = true
	}
	turns := [3]int{}
	for i := range operations {
		op := operations[i].Input.(input)
		if operations[i].Output.(output).outcome != unknown {
			continue
		}
		op.doubt = &doubt{certain: certain, class: -1}
		if class, shared := classes[op.kind]; shared && (op.kind == "delete" || !seen[op.value]) {
			op.doubt.class, op.doubt.turn = class, turns[class]
			turns[class]++
		}
		operations[i].Input = op
	}
}
