package plugin

import "strings"

// Instance says who this instance is.
type Instance struct {
	// Agent is the name of the agent.
	Agent string
	// Component is the name that the component has in the configuration.
	Component string
	// Lane is which one of the instances that share the work this is; Lanes is how many there are.
	Lane, Lanes int
	// Generation goes up with every reload that changes the component.
	Generation uint64
}

// Issue is one mistake in the configuration. It is an error.
type Issue struct {
	// Path is a JSON pointer into the options, such as /limits/low; empty for all of them.
	Path string
	// Reason says what is wrong there, and what was expected.
	Reason string
}

// Error tells the issue as text.
func (i Issue) Error() string { return strings.TrimPrefix(i.Path+": "+i.Reason, ": ") }

// Issues is all mistakes in the configuration. It is an error.
type Issues []Issue

// Add adds a mistake.
func (i *Issues) Add(path, reason string) { *i = append(*i, Issue{path, reason}) }

// Err gives the issues as an error; nil if there are none.
func (i Issues) Err() error {
	if len(i) == 0 {
		return nil
	}
	return i
}

// Error tells the issues as text.
func (i Issues) Error() string {
	lines := make([]string, len(i))
	for n, issue := range i {
		lines[n] = issue.Error()
	}
	return strings.Join(lines, "\n")
}

// NoConfig is for plugins without options: any option is a mistake.
type NoConfig struct{}
