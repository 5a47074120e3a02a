// server.js EVENTS: takes events and writes them to a file. The first batch is answered FAILED and forgotten.
// Prints the port. Ends when its standard input does.
'use strict';

const fs = require('fs');
const net = require('net');
const { service, toLine } = require('./protocol');

const [file] = process.argv.slice(2);
const out = fs.openSync(file, 'w');
let refused = false;

const server = service
  .createServer()
  .onAppend((event, answer) => answer(null, take([event])))
  .onAppendBatch((events, answer) => answer(null, take(events)));

function take(events) {
  if (!refused) {
    refused = true;
    return 'FAILED';
  }
  fs.writeSync(out, events.map((event) => toLine(event) + '\n').join(''));
  return 'OK';
}

const listener = net.createServer((socket) => {
  socket.on('error', () => {});
  server.createChannel(socket);
});
listener.listen(0, '127.0.0.1', () => console.log(`listening ${listener.address().port}`));
process.stdin.on('end', () => process.exit(0)).resume();
