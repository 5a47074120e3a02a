// Package metrics records metrics of the plugin itself. Names and the keys of labels are declared in its manifest,
// plugin.kdl; labels here are the values, in the order of the declared keys. What is not declared is not recorded.
package metrics

import "millrace/plugin/internal/host"

// Add adds to a counter.
func Add(name string, amount uint64, labels ...string) { host.CounterAdd(name, labels, amount) }

// Set sets a gauge.
func Set(name string, value float64, labels ...string) { host.GaugeSet(name, labels, value) }

// Record records one observation of a histogram.
func Record(name string, value float64, labels ...string) { host.HistogramRecord(name, labels, value) }
