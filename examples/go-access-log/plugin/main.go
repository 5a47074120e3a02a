// Turns lines of the access log of nginx or Apache (common and combined format) into JSON with typed fields. What is
// no such line goes to the dead-letter channel, with the reason.
package main

import (
	"fmt"
	"slices"
	"strings"

	"millrace/plugin"
	"millrace/plugin/interceptor"
)

// Config has the options, as they stand in the configuration of the agent.
type Config struct {
	// BadLines is what happens to a line that is not of an access log: reject or keep.
	BadLines string `json:"bad-lines"`
	// Headers is the fields that become headers, too.
	Headers []string `json:"headers"`
}

// SetDefaults says what holds for options that are not there.
func (c *Config) SetDefaults() { c.BadLines = "reject" }

// The fields that can be headers.
var fields = []string{"client", "user", "method", "path", "status"}

// AccessLog parses lines.
type AccessLog struct {
	config Config
}

func configure(config Config, _ plugin.Instance) (*AccessLog, error) {
	var issues plugin.Issues
	if config.BadLines != "reject" && config.BadLines != "keep" {
		issues.Add("/bad-lines", "expected reject or keep")
	}
	for i, name := range config.Headers {
		if !slices.Contains(fields, name) {
			issues.Add(fmt.Sprintf("/headers/%d", i), "expected one of "+strings.Join(fields, ", "))
		}
	}
	return &AccessLog{config}, issues.Err()
}

// Intercept parses the lines of one batch.
func (a *AccessLog) Intercept(batch *plugin.Batch, edits *plugin.Edits) error {
	var entry Entry
	write := func(out []byte) []byte { return entry.AppendJSON(out) }
	for row, line := range batch.Bodies().All() {
		if reason := entry.Parse(line); reason != "" {
			if a.config.BadLines == "reject" {
				edits.Reject(row, reason)
			}
			continue
		}
		edits.SetBodyFunc(row, write)
		for _, name := range a.config.Headers {
			edits.SetHeader(row, name, entry.Header(name))
		}
	}
	return nil
}

func init() { interceptor.Export(configure) }

func main() {}
