'use strict';
// `heaprs run [options] app.js …`: `node -r heaprs/register app.js …`, with flags in place of variables.

const { spawn } = require('node:child_process');
const os = require('node:os');
const path = require('node:path');

/** A flag and the variable it stands for; `values` of null is a flag without a value. */
const FLAGS = {
  '--signal': 'HEAPRS_SIGNAL',
  '--near-heap-limit': 'HEAPRS_NEAR_HEAP_LIMIT',
  '--dir': 'HEAPRS_DIR',
  '--mode': 'HEAPRS_MODE',
  '--socket': 'HEAPRS_SOCKET'
};
const SWITCHES = {
  '--leak': ['HEAPRS_LEAK', 'on'],
  '--compress': ['HEAPRS_COMPRESS', 'on'],
  '--no-compress': ['HEAPRS_COMPRESS', 'off'],
  '--redact': ['HEAPRS_REDACT', 'on'],
  '--redact-names': ['HEAPRS_REDACT', 'names']
};

/** What of the arguments is heaprs's, what Node.js's, and what the program's: { env, node, program }, or { missing } what has no value. */
function split(args) {
  const env = {};
  const node = [];
  let i = 0;
  for (; i < args.length; i++) {
    const [, flag, value] = /^(--[^=]+)(?:=(.*))?$/s.exec(args[i]) ?? [];
    if (args[i] === '--') {
      i++;
      break;
    }
    if (Object.hasOwn(FLAGS, flag ?? '')) {
      const given = value ?? args[++i];
      if (given === undefined) return { missing: `${flag} wants a value` };
      env[FLAGS[flag]] = given;
    } else if (value === undefined && Object.hasOwn(SWITCHES, flag ?? '')) {
      const [name, setting] = SWITCHES[flag];
      env[name] = setting;
    } else if (args[i].startsWith('-')) {
      node.push(args[i]);
    } else {
      break;
    }
  }
  const program = args.slice(i);
  return program.length === 0 ? { missing: 'a program is missing' } : { env, node, program };
}

/** Runs the program to its end; resolves to what this process should end with, { code } or { signal }. */
function runProgram({ env, node, program }) {
  const register = path.join(__dirname, '..', 'register.js');
  const child = spawn(process.execPath, [...node, '-r', register, ...program], { stdio: 'inherit', env: { ...process.env, ...env } });
  // Ctrl-C reaches the program by itself; what is sent to this process alone is passed on.
  const ignored = () => {};
  const passed = ['SIGTERM', 'SIGHUP', 'SIGUSR2'].map((name) => [name, () => child.kill(name)]);
  if (os.platform() !== 'win32') for (const [name, pass] of [...passed, ['SIGINT', ignored], ['SIGQUIT', ignored]]) process.on(name, pass);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      process.removeAllListeners('SIGINT');
      for (const [name] of passed) process.removeAllListeners(name);
      resolve({ code, signal });
    });
  });
}

module.exports = { runProgram, split };
