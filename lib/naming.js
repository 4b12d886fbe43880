'use strict';
// Where files go and what they are called when nobody says: as V8's own dumps.

const path = require('node:path');
const { native } = require('./native.js');

// Heap.{yyyymmdd}.{hhmmss}.{pid}.{threadId}.{seq}.heapsnapshot, in local time.
function defaultName({ pid = process.pid, now = new Date() } = {}) {
  const { threadId } = require('node:worker_threads');
  const two = (n) => String(n).padStart(2, '0');
  const date = `${now.getFullYear()}${two(now.getMonth() + 1)}${two(now.getDate())}`;
  const time = `${two(now.getHours())}${two(now.getMinutes())}${two(now.getSeconds())}`;
  const seq = String(native().nextSequence()).padStart(3, '0');
  return `Heap.${date}.${time}.${pid}.${threadId}.${seq}.heapsnapshot`;
}

// The value of --diagnostic-dir, or ''. Node offers no way to ask for it, so look where it can be given; the command
// line wins over NODE_OPTIONS, the last one given wins within each.
function diagnosticDir() {
  return fromArguments(process.execArgv) || fromArguments(splitOptions(process.env.NODE_OPTIONS || '')) || '';
}

function fromArguments(args) {
  let found = '';
  for (let i = 0; i < args.length; i++) {
    const [, inline] = /^--diagnostic[-_]dir(?:=(.*))?$/s.exec(args[i]) || [];
    if (inline !== undefined) found = inline;
    else if (/^--diagnostic[-_]dir$/.test(args[i])) found = args[++i] || '';
  }
  return found;
}

// NODE_OPTIONS as Node splits it: at spaces, with "…" and backslashes inside them.
function splitOptions(text) {
  const args = [];
  for (const [part] of text.matchAll(/(?:[^\s"]|"(?:\\.|[^"\\])*")+/g)) {
    args.push(part.replace(/"((?:\\.|[^"\\])*)"/g, (_, quoted) => quoted.replace(/\\(.)/g, '$1')));
  }
  return args;
}

const inDirectory = (directory, name) => (directory ? path.join(directory, name) : name);

module.exports = { defaultName, diagnosticDir, inDirectory };
