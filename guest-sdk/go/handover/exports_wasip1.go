package handover

import (
	"unsafe"

	"millrace/plugin/internal/guest"
	"millrace/plugin/internal/host"
)

//go:wasmexport millrace:plugin/handover@0.1.0#save
func save() unsafe.Pointer {
	defer host.Guard()
	snapshot, err := guest.Plugin.(Handover).Save()
	result := host.Begin()
	if err != nil {
		result.FailText(err.Error())
	} else {
		result.Snapshot(snapshot.Schema, snapshot.Version, snapshot.Data)
	}
	return result.End()
}

//go:wasmexport millrace:plugin/handover@0.1.0#restore
func restore(schema, schemaLength, version, data, dataLength uint32) unsafe.Pointer {
	defer host.Guard()
	snapshot := Snapshot{
		Schema:  host.TextArgument(schema, schemaLength),
		Version: version,
		Data:    append([]byte{}, host.BytesArgument(data, dataLength)...),
	}
	err := guest.Plugin.(Handover).Restore(snapshot)
	result := host.Begin()
	if err != nil {
		result.FailText(err.Error())
	}
	return result.End()
}
