package guest

import (
	"time"
	"unsafe"

	"millrace/plugin"
	"millrace/plugin/internal/host"
)

//go:wasmexport millrace:plugin/lifecycle@0.1.0#configure
func lifecycleConfigure(
	options, optionsLength, agent, agentLength, component, componentLength, lane, lanes uint32, generation uint64,
) unsafe.Pointer {
	defer host.Guard()
	instance := plugin.Instance{
		Agent:      host.TextArgument(agent, agentLength),
		Component:  host.TextArgument(component, componentLength),
		Lane:       int(lane),
		Lanes:      int(lanes),
		Generation: generation,
	}
	result := host.Begin()
	if configure == nil {
		panic("the plugin calls Export of no role in an init function")
	}
	made, issues := configure(host.BytesArgument(options, optionsLength), instance)
	if len(issues) > 0 {
		result.Issues(issues)
	} else {
		Plugin = made
	}
	return result.End()
}

//go:wasmexport millrace:plugin/lifecycle@0.1.0#stop
func lifecycleStop(deadlineMs uint32) {
	defer host.Guard()
	if stopper, ok := Plugin.(Stopper); ok {
		stopper.Stop(time.Duration(deadlineMs) * time.Millisecond)
	}
	host.Done()
}
