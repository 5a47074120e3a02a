// Package guest keeps the one plugin of a component, and turns errors into what the agent understands.
package guest

import (
	"errors"
	"time"

	"millrace/plugin"
	"millrace/plugin/internal/wire"
)

// Stopper is implemented by plugins that want to end in order.
type Stopper interface{ Stop(within time.Duration) }

// Plugin is what was configured; nil before.
var Plugin any

// Made by Export.
var configure func(options []byte, instance plugin.Instance) (any, []wire.Issue)

// Export sets how the plugin is made. There is one per component.
func Export[C, P any](role string, make func(C, plugin.Instance) (P, error)) {
	if configure != nil {
		panic("a component holds one plugin, and " + role + ".Export is called for a second one")
	}
	configure = func(options []byte, instance plugin.Instance) (any, []wire.Issue) {
		return Configure(make, options, instance)
	}
}

// Configure reads the options and makes the plugin.
func Configure[C, P any](
	make func(C, plugin.Instance) (P, error), options []byte, instance plugin.Instance,
) (any, []wire.Issue) {
	var config C
	if issues := plugin.ReadConfig(options, &config); len(issues) > 0 {
		return nil, wireIssues(issues)
	}
	made, err := make(config, instance)
	if err == nil {
		return made, nil
	}
	var issues plugin.Issues
	var issue plugin.Issue
	switch {
	case errors.As(err, &issues):
	case errors.As(err, &issue):
		issues = plugin.Issues{issue}
	default:
		issues = plugin.Issues{{Reason: err.Error()}}
	}
	return nil, wireIssues(issues)
}

func wireIssues(issues plugin.Issues) []wire.Issue {
	list := make([]wire.Issue, len(issues))
	for i, issue := range issues {
		list[i] = wire.Issue(issue)
	}
	return list
}
