// An interceptor that masks long numbers in bodies: the numbers of payment cards, above all.
//
// A place to begin: change Config, change Intercept, run `go test`.
package main

import (
	"strconv"

	"millrace/plugin"
	"millrace/plugin/interceptor"
)

// How long a run of digits is that is masked. Longer and shorter ones stay.
const (
	shortest = 13
	longest  = 19
	side     = shortest / 2
)

// Config has the options, as they stand in the configuration of the agent.
type Config struct {
	// Mask is the character that takes the place of a digit.
	Mask string `json:"mask"`
	// Keep is how many digits at the end of each run stay.
	Keep int `json:"keep"`
}

// SetDefaults says what holds for options that are not there.
func (c *Config) SetDefaults() { c.Mask, c.Keep = "#", 4 }

// MyPlugin masks.
type MyPlugin struct {
	mask byte
	keep int
}

func configure(config Config, _ plugin.Instance) (*MyPlugin, error) {
	var issues plugin.Issues
	if len(config.Mask) != 1 || config.Mask[0] >= 0x80 {
		issues.Add("/mask", "expected one ASCII character")
	}
	if config.Keep < 0 || config.Keep > shortest {
		issues.Add("/keep", "expected 0 to 13")
	}
	if err := issues.Err(); err != nil {
		return nil, err
	}
	return &MyPlugin{mask: config.Mask[0], keep: config.Keep}, nil
}

// Intercept masks the runs of one batch, and counts them in the header "redacted".
func (p *MyPlugin) Intercept(batch *plugin.Batch, edits *plugin.Edits) error {
	for row, body := range batch.Bodies().All() {
		if runs := p.redact(body); runs > 0 {
			edits.SetBody(row, body)
			edits.SetHeader(row, "redacted", strconv.Itoa(runs))
		}
	}
	return nil
}

// Masks the runs in a body, in place, and says how many there were.
func (p *MyPlugin) redact(body []byte) int {
	runs := 0
	// A run of 13 digits has one at every 13th place, and another six places before or behind it: only there is it
	// worth to look more closely.
	for at := shortest - 1; at < len(body); at += shortest {
		if !isDigit(body[at]) || !isDigit(body[at-side]) && (at+side >= len(body) || !isDigit(body[at+side])) {
			continue
		}
		start, end := at, at+1
		for start > 0 && isDigit(body[start-1]) {
			start--
		}
		for end < len(body) && isDigit(body[end]) {
			end++
		}
		if length := end - start; length >= shortest && length <= longest {
			for i := start; i < end-p.keep; i++ {
				body[i] = p.mask
			}
			runs++
		}
		// The next run begins behind the byte at end, which is no digit.
		at = end
	}
	return runs
}

func isDigit(b byte) bool { return b-'0' <= 9 }

func init() { interceptor.Export(configure) }

func main() {}
