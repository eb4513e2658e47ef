// Reads a compose file as Compose v2 does, by the library that it is built on, and prints what it understood as JSON.
package main

import (
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/cli"
)

func understood(file string) ([]byte, error) {
	options, err := cli.NewProjectOptions([]string{file}, cli.WithOsEnv, cli.WithName("ostraka"))
	if err != nil {
		return nil, err
	}
	project, err := cli.ProjectFromOptions(options)
	if err != nil {
		return nil, err
	}
	return project.MarshalJSON()
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: compose_v2 FILE")
		os.Exit(2)
	}
	text, err := understood(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Stdout.Write(text)
}
