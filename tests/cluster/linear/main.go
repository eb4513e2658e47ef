// linear [-timeout 60s] [-html FILE] HISTORY...: is each key of the recorded histories linearizable?
//
// A history has one operation a line, as JSON (record). Exit status: 0 yes, 1 no (the page shows where; -html), 2 it is not a
// history, 3 a key took longer than the timeout.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sort"
	"time"

	"github.com/anishathalye/porcupine"
)

type record struct {
	Client  int               `json:"client"`
	Op      string            `json:"op"` // put, create, match, delete, read, list
	Key     string            `json:"key"`
	Value   string            `json:"value"`   // written; the ETag
	Expect  string            `json:"expect"`  // of match
	Outcome string            `json:"outcome"` // ok, 412, 404, unknown
	Seen    map[string]string `json:"seen"`    // of read and list: each key's ETag, "" for nothing
	Call    int64             `json:"call"`    // ns of one monotonic clock
	Return  int64             `json:"return"`
}

func read(paths []string) ([]record, error) {
	var out []record
	for _, path := range paths {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		lines := bufio.NewScanner(file)
		lines.Buffer(nil, 1<<24)
		for number := 1; lines.Scan(); number++ {
			var one record
			if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", path, number, err)
			}
			out = append(out, one)
		}
		file.Close()
		if err := lines.Err(); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return out, nil
}

type verdict struct {
	keys, operations, unknown int
	longest                   time.Duration // of one key's check
	slowest                   string
	illegal, undecided        []string
}

func check(histories map[string][]porcupine.Operation, timeout time.Duration) verdict {
	var out verdict
	keys := make([]string, 0, len(histories))
	for key := range histories {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	for _, key := range keys {
		out.keys++
		out.operations += len(histories[key])
		for _, op := range histories[key] {
			if op.Output.(output).outcome == unknown {
				out.unknown++
			}
		}
		began := time.Now()
		switch porcupine.CheckOperationsTimeout(model, histories[key], timeout) {
		case porcupine.Illegal:
			out.illegal = append(out.illegal, key)
		case porcupine.Unknown:
			out.undecided = append(out.undecided, key)
		}
		if took := time.Since(began); took > out.longest {
			out.longest, out.slowest = took, key
		}
	}
	return out
}

// The operations of the key around the point that no order explains.
func explain(key string, history []porcupine.Operation, page string) {
	_, info := porcupine.CheckOperationsVerbose(model, history, 0)
	best := 0
	for _, partition := range info.PartialLinearizations() {
		for _, order := range partition {
			if len(order) > best {
				best = len(order)
			}
		}
	}
	fmt.Printf("%s: at most %d of %d operations fit one order\n", key, best, len(history))
	if err := porcupine.VisualizePath(model, info, page); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	fmt.Printf("%s: see %s\n", key, page)
}

func main() {
	timeout := flag.Duration("timeout", time.Minute, "for one key; 0: none")
	page := flag.String("html", "violation.html", "where to draw the first violation")
	flag.Parse()
	records, err := read(flag.Args())
	if err == nil && len(records) == 0 {
		err = fmt.Errorf("no operations: name the files of the history")
	}
	var histories map[string][]porcupine.Operation
	if err == nil {
		histories, err = byKey(records)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	found := check(histories, *timeout)
	fmt.Printf("%d keys, %d operations on them, %d of unknown outcome; the slowest key (%s) took %v\n", found.keys, found.operations,
		found.unknown, found.slowest, found.longest.Round(time.Microsecond))
	if len(found.illegal) > 0 {
		fmt.Printf("NOT linearizable: %q\n", found.illegal)
		explain(found.illegal[0], histories[found.illegal[0]], *page)
		os.Exit(1)
	}
	if len(found.undecided) > 0 {
		fmt.Printf("undecided within %v: %q\n", *timeout, found.undecided)
		os.Exit(3)
	}
	fmt.Println("linearizable")
}
