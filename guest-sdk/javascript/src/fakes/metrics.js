// Stands for the metrics of the agent in tests: keeps what is counted.

export const recorded = [];

export const counterAdd = (name, labels, amount) => recorded.push({ name, labels, value: Number(amount) });
export const gaugeSet = (name, labels, value) => recorded.push({ name, labels, value });
export const histogramRecord = (name, labels, value) => recorded.push({ name, labels, value });
