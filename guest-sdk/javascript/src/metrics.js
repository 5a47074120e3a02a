// Metrics of the plugin itself, declared in its manifest. Calls, events, faults and times are counted by the agent already.

import * as host from "#host/metrics";

const texts = (labels) => labels.map(String);

/** Adds to a counter. `labels` are the values, in the order in which the manifest declares their keys. */
export const counterAdd = (name, amount = 1, labels = []) => host.counterAdd(name, texts(labels), BigInt(amount));
/** Sets a gauge. */
export const gaugeSet = (name, value, labels = []) => host.gaugeSet(name, texts(labels), Number(value));
/** Records one observation of a histogram. */
export const histogramRecord = (name, value, labels = []) =>
  host.histogramRecord(name, texts(labels), Number(value));
