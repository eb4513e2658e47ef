package main

import (
	"fmt"
	"math/rand"
	"testing"

	"github.com/anishathalye/porcupine"
)

// The model without the rules of doubt: a write of unknown outcome may have no effect at any moment.
func plainStep(before, in, out interface{}) (bool, interface{}) {
	held, op, answer := before.(string), in.(input), out.(output)
	allowed := op.allowed(held)
	switch {
	case op.kind == "read":
		return held == answer.seen, held
	case answer.outcome == exists:
		return held != "" && !allowed, held
	case answer.outcome == absent:
		return held == "", held
	case answer.outcome == unknown && !allowed:
		return true, held
	}
	return allowed, op.value
}

// Few operations on few values at once, many of unknown outcome: about as many good histories as bad ones.
func random(dice *rand.Rand) []record {
	var out []record
	values := []string{"", "x"}
	for i := 0; i < 4+dice.Intn(6); i++ {
		call := int64(dice.Intn(20))
		one := record{Key: "k", Call: call, Return: call + int64(dice.Intn(8)), Outcome: "ok"}
		one.Op = []string{"put", "create", "match", "delete", "read", "read", "read"}[dice.Intn(7)]
		seen := values[dice.Intn(len(values))]
		switch one.Op {
		case "read":
			one.Seen = map[string]string{"k": seen}
		case "match":
			if one.Expect = seen; seen == "" {
				one.Expect = "x"
			}
		}
		if one.Op == "put" || one.Op == "create" || one.Op == "match" {
			one.Value = fmt.Sprint("v", i)
			values = append(values, one.Value)
		}
		if one.Op != "read" && dice.Intn(2) == 0 {
			one.Outcome = "unknown"
		} else if one.Op == "create" && dice.Intn(2) == 0 {
			one.Outcome = "412"
		} else if one.Op == "match" {
			one.Outcome = []string{"ok", "412", "404"}[dice.Intn(3)]
		}
		out = append(out, one)
	}
	return out
}

func TestRulesOfDoubtChangeNoVerdict(t *testing.T) {
	plain := porcupine.Model{Init: func() interface{} { return "" }, Step: plainStep}
	dice := rand.New(rand.NewSource(1))
	count := map[bool]int{}
	for round := 0; round < 30000; round++ {
		records := random(dice)
		histories, err := byKey(records)
		if err != nil {
			t.Fatal(err)
		}
		expected := porcupine.CheckOperations(plain, histories["k"])
		if porcupine.CheckOperations(model, histories["k"]) != expected {
			for _, op := range histories["k"] {
				t.Log(op.Call, op.Return, describe(op.Input, op.Output))
			}
			t.Fatalf("round %d: linearizable %v by the plain model, not so by ours", round, expected)
		}
		count[expected]++
	}
	t.Logf("%d linearizable, %d not", count[true], count[false])
	if count[true] < 3000 || count[false] < 3000 {
		t.Error("the random histories are too much alike")
	}
}
