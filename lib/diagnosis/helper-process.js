'use strict';
// Two captures compared in a process of its own, so that reading them takes nothing of this one's memory: it has a budget and a deadline,
// gives way to everything else, and ends when this process does.

const os = require('node:os');
const path = require('node:path');
const { spawn } = require('node:child_process');
const { fail } = require('../errors.js');

const SCRIPT = path.join(__dirname, 'helper.js');
const DEADLINE_MS = 2 * 60 * 1000;
// Of the memory that is free, and in all.
const MEMORY_SHARE = 0.5;
const MOST_MEMORY = 2 * 2 ** 30;
// An answer of a few kilobytes, or something is wrong.
const MOST_OUTPUT = 4 * 2 ** 20;
// What the helper sees of the environment: what loading needs, nothing that was meant for the app.
const KEPT = ['PATH', 'LD_LIBRARY_PATH', 'TMPDIR', 'TEMP', 'TMP', 'SystemRoot', 'NAPI_RS_NATIVE_LIBRARY_PATH'];

// Resolves to { suspects, classes, cpuMs, peakBytes }. Without a base, the suspects are what holds most.
function compareInHelper(base, current) {
  return new Promise((resolve, reject) => {
    const gaveUp = (why, code = 'ERR_HEAPRS_UNAVAILABLE', cause) => reject(fail(code, `the captures could not be compared: ${why}`, { cause }));
    const budget = Math.floor(Math.min(freeMemory() * MEMORY_SHARE, MOST_MEMORY));
    let child;
    try {
      child = spawn(process.execPath, ['--max-old-space-size=256', SCRIPT, JSON.stringify({ budget, compare: base !== undefined })], {
        cwd: __dirname,
        env: environment(),
        stdio: ['pipe', 'pipe', 'pipe', current.fd, ...(base ? [base.fd] : [])],
        windowsHide: true
      });
    } catch (error) {
      gaveUp(`a helper process could not be started: ${error.message}`, undefined, error);
      return;
    }
    // None of this keeps the process alive. When it ends, the helper reads the end of its standard input, and ends, too.
    child.unref();
    for (const stream of [child.stdin, child.stdout, child.stderr]) {
      stream?.unref?.();
      stream?.on('error', () => {});
    }
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr']) {
      child[name]?.setEncoding('utf8').on('data', (text) => {
        output[name] += text;
        if (output[name].length > MOST_OUTPUT) child.kill('SIGKILL');
      });
    }
    let late = false;
    const deadline = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, DEADLINE_MS).unref();
    child.on('error', (error) => {
      clearTimeout(deadline);
      gaveUp(`a helper process could not be started: ${error.message}`, undefined, error);
    });
    child.on('close', (code, signal) => {
      clearTimeout(deadline);
      try {
        const answer = JSON.parse(output.stdout);
        if (answer.error) gaveUp(answer.error, answer.code);
        else resolve(answer);
      } catch {
        if (late) gaveUp(`the helper process was not ready after ${DEADLINE_MS / 1000} s`, 'ERR_HEAPRS_TIMEOUT');
        else gaveUp(signal ? `the helper process was ended by ${signal}` : `the helper process ended with code ${code}: ${output.stderr.slice(-500).trim()}`);
      }
    });
  });
}

function environment() {
  const env = { ELECTRON_RUN_AS_NODE: '1' };
  for (const name of KEPT) if (process.env[name] !== undefined) env[name] = process.env[name];
  return env;
}

// Node 20.13 and 22 know what a container may use.
function freeMemory() {
  return typeof process.availableMemory === 'function' ? process.availableMemory() : os.freemem();
}

module.exports = { compareInHelper };
