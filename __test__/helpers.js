'use strict';
// What several test files need: heaprs as users load it, a scratch directory, a program of its own in a process of its own.

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const heaprs = require('..');

const root = path.join(__dirname, '..');

// A fresh directory, removed after the test.
function scratch(t) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'heaprs-test-'));
  t.after(() => fs.rmSync(directory, { recursive: true, force: true }));
  return directory;
}

// A fresh directory in which heaprs is installed.
function project(t) {
  const directory = scratch(t);
  fs.mkdirSync(path.join(directory, 'node_modules'));
  fs.symlinkSync(root, path.join(directory, 'node_modules/heaprs'), 'junction');
  return directory;
}

// Runs `code` (in which `heaprs` is loaded) in a new process of this Node.js. Resolves to its end and all it printed.
function run(code, { args = [], env = {}, cwd, node = [], shell, detached, timeout = 120_000 } = {}) {
  const source = `const heaprs = require(${JSON.stringify(root)});\n${code}`;
  const command = [process.execPath, ...node, '-e', source, ...args];
  const child = shell
    ? spawn('bash', ['-c', `${shell}; exec "$@"`, 'bash', ...command], { env: { ...process.env, ...env }, cwd, detached })
    : spawn(command[0], command.slice(1), { env: { ...process.env, ...env }, cwd, detached });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (s) => (output.stdout += s));
  child.stderr.setEncoding('utf8').on('data', (s) => (output.stderr += s));
  const timer = setTimeout(() => child.kill('SIGKILL'), timeout);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, ...output, json: () => JSON.parse(output.stdout) });
    });
  });
}

// What `promise` rejects with; fails when it does not.
async function rejection(promise) {
  const error = await promise.then(() => undefined, (e) => e);
  if (!(error instanceof Error)) throw new Error(`expected a rejection with an Error, not ${error}`);
  return error;
}

module.exports = { heaprs, project, rejection, root, run, scratch };
