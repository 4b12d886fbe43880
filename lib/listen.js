'use strict';
// listen(): the socket through which `heaprs capture PID` asks this process for a snapshot.

const { randomBytes } = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const check = require('./validate.js');

// The folder's name begins so and goes on with the process id, which is how the socket is found where /proc tells nothing.
const PREFIX = 'heaprs-';
const NAME = 'socket';
// What a socket's path may take on the strictest system, less the byte that ends it.
const LONGEST = 103;

// Where those folders are.
function socketBase() {
  const { XDG_RUNTIME_DIR: runtime } = process.env;
  try {
    if (runtime && path.isAbsolute(runtime)) {
      fs.accessSync(runtime, fs.constants.W_OK | fs.constants.X_OK);
      return runtime;
    }
  } catch {
    // Promised, and not there: as after su, or in a container.
  }
  return os.tmpdir();
}

// A folder of its own, whose name nobody can have taken beforehand.
function defaultSocket() {
  const name = path.join(`${PREFIX}${process.pid}-${randomBytes(8).toString('hex')}`, NAME);
  const wanted = path.resolve(socketBase(), name);
  return Buffer.byteLength(wanted) > LONGEST ? path.join('/tmp', name) : wanted;
}

const socketPath = (name, value) => path.resolve(check.path(name, value));

module.exports = { NAME, PREFIX, defaultSocket, socketBase, socketPath };
