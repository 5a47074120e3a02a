// Package plugin is the SDK for plugins of Millrace, the durable log agent, in Go.
//
// A plugin is a type that has the methods of a role (package interceptor, source, sink or codec), made by a
// function that gets the options. The agent lends it batches of events; it reads the columns it needs and notes
// what should change.
//
//	type Config struct {
//		LongerThan int `json:"longer-than" plugin:"required"`
//	}
//
//	type Filter struct{ longerThan int }
//
//	func configure(config Config, _ plugin.Instance) (*Filter, error) {
//		return &Filter{config.LongerThan}, nil
//	}
//
//	func (f *Filter) Intercept(batch *plugin.Batch, edits *plugin.Edits) error {
//		for row, body := range batch.Bodies().All() {
//			if len(body) > f.longerThan {
//				edits.Drop(row)
//			}
//		}
//		return nil
//	}
//
//	func init() { interceptor.Export(configure) }
//
//	func main() {}
//
// What is read from a batch is lent: byte slices, and what is made of them, are good until the call returns. Copy
// what should stay.
package plugin
