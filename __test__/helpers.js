'use strict';
// What several test files need: heaprs as users load it, a scratch directory, a program of its own in a process of its own.

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const heaprs = require('..');

const root = path.join(__dirname, '..');
const cli = path.join(root, 'bin', 'heaprs.js');

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

// Runs `heaprs capture PID`.
function capture(pid, ...args) {
  const child = spawn(process.execPath, [cli, 'capture', String(pid), ...args]);
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (text) => (output.stdout += text));
  child.stderr.on('data', (text) => (output.stderr += text));
  const ended = new Promise((resolve) => child.on('close', (code) => resolve({ code, ...output })));
  return { child, ended };
}

async function until(condition) {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20));
}

// What `promise` rejects with; fails when it does not.
async function rejection(promise) {
  const error = await promise.then(() => undefined, (e) => e);
  if (!(error instanceof Error)) throw new Error(`expected a rejection with an Error, not ${error}`);
  return error;
}

module.exports = { capture, cli, heaprs, project, rejection, root, run, scratch, until };
