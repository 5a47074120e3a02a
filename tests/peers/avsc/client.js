// client.js HOST PORT EVENTS BATCH: sends the events of a file, the first by append, the rest by appendBatch,
// all requests in flight together. Prints how many calls were answered OK.
'use strict';

const fs = require('fs');
const net = require('net');
const { service, fromLine } = require('./protocol');

const [host, port, file, batch] = process.argv.slice(2);
const events = fs.readFileSync(file, 'utf8').split('\n').filter(Boolean).map(fromLine);
const socket = net.connect(Number(port), host);
socket.on('error', fail);

const client = service.createClient();
client.createChannel(socket);

const calls = [['append', events[0]]];
for (let at = 1; at < events.length; at += Number(batch)) {
  calls.push(['appendBatch', events.slice(at, at + Number(batch))]);
}

let answered = 0;
for (const [name, argument] of calls) {
  client[name](argument, (error, status) => {
    if (error) fail(error);
    if (status !== 'OK') fail(new Error(`${name} was answered ${status}`));
    answered += 1;
    if (answered === calls.length) {
      console.log(`answered ${answered}`);
      socket.end();
    }
  });
}

function fail(error) {
  console.error(error);
  process.exit(1);
}
