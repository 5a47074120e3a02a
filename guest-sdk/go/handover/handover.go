// Package handover lets an instance leave something in memory to the next generation.
package handover

// Handover is a plugin that leaves something.
type Handover interface {
	// Save gives what the instance keeps. Called between two batches on the instance that leaves.
	Save() (Snapshot, error)
	// Restore takes it over. Called after the plugin is configured, before its first batch. An error ends the
	// swap, and the old instance goes on.
	Restore(snapshot Snapshot) error
}

// Snapshot is what an instance keeps, in a form of the plugin's own.
type Snapshot struct {
	// Schema is the name of that form, Version its version.
	Schema  string
	Version uint32
	Data    []byte
}

// Export says that the plugin P of this component is a Handover. Call it in an init function, beside the Export of the role.
func Export[P Handover]() {}
