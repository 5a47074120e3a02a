// Flume's protocol in words of our own, and events as lines of JSON: {"headers": {…}, "body": "hex"}.
'use strict';

const avro = require('avsc');

exports.service = avro.Service.forProtocol({
  protocol: 'AvroSourceProtocol',
  namespace: 'org.apache.flume.source.avro',
  types: [
    { type: 'enum', name: 'Status', symbols: ['OK', 'FAILED', 'UNKNOWN'] },
    {
      type: 'record',
      name: 'AvroFlumeEvent',
      fields: [
        { name: 'headers', type: { type: 'map', values: 'string' } },
        { name: 'body', type: 'bytes' },
      ],
    },
  ],
  messages: {
    append: { request: [{ name: 'event', type: 'AvroFlumeEvent' }], response: 'Status' },
    appendBatch: {
      request: [{ name: 'events', type: { type: 'array', items: 'AvroFlumeEvent' } }],
      response: 'Status',
    },
  },
});

exports.fromLine = (line) => {
  const { headers, body } = JSON.parse(line);
  return { headers, body: Buffer.from(body, 'hex') };
};

exports.toLine = ({ headers, body }) => JSON.stringify({ headers, body: body.toString('hex') });
