'use strict';
// A full garbage collection on request, without flags.

const v8 = require('node:v8');
const vm = require('node:vm');
const { native } = require('./native.js');

let exposed;

function collectGarbage() {
  try {
    native().collectGarbage();
  } catch (error) {
    if (error.code !== 'ERR_HEAPRS_UNAVAILABLE') throw error;
    exposed ??= globalThis.gc ?? exposeGc();
    exposed();
  }
}

// V8's own function, for a runtime whose symbols can't be used: a context made while the flag is set has it.
function exposeGc() {
  v8.setFlagsFromString('--expose-gc');
  return vm.runInNewContext('gc');
}

module.exports = { collectGarbage };
