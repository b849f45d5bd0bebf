// Ory Hydra as it is published on the Go module proxy.
package main

import "github.com/ory/hydra/v2/cmd"

func main() { cmd.Execute() }
