'use strict';
// The process that `npm run soak -- faults` watches. Each line it prints is one kind of fault, over and over at random moments:
//
//   child    the child is killed: another attempt, or inline, makes a whole file
//   parent   this program in another process is killed while it captures: nothing under the final name but whole files, and its child ends
//   disk     the disk is full at a random byte (a limit of file sizes): an error, nothing left
//   port     a port closed during a capture is bound again at once
//   https    one connection is kept alive over all captures
//
//   node faults.cjs HEAPRS DIRECTORY ROUNDS

const assert = require('node:assert');
const { execFileSync, spawn } = require('node:child_process');
const { randomBytes, randomInt } = require('node:crypto');
const fs = require('node:fs');
const https = require('node:https');
const net = require('node:net');
const path = require('node:path');

const [, , package_, directory] = process.argv;
const rounds = Number(process.argv[4]);
const heaprs = require(package_);
const file = path.join(directory, 'x.heapsnapshot');
globalThis.kept = Array.from({ length: 30_000 }, (_, i) => ({ i, s: 's' + i }));

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const children = (pid = process.pid) => fs.readdirSync(`/proc/${pid}/task`).flatMap((id) => {
  try {
    return fs.readFileSync(`/proc/${pid}/task/${id}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  } catch {
    return []; // a thread that has just ended
  }
});
const capture = (options) => heaprs.captureHeapSnapshot({ file, overwrite: true, ...options });
const descriptors = () => fs.readdirSync('/proc/self/fd').length;

async function whole(result) {
  const snapshot = await heaprs.openSnapshot(result.file);
  assert.equal(snapshot.info.nodes, result.nodes);
  snapshot.close();
}

// A capture, and its child once there is one.
async function begun(options) {
  let settled = false;
  const pending = capture(options);
  pending.catch(() => {}).then(() => (settled = true));
  let child;
  while (!settled && child === undefined) {
    await wait(1);
    [child] = children();
  }
  return { pending, child };
}

const faults = {
  async child() {
    const counts = {};
    const { durationMs } = await capture({ mode: 'fork' });
    for (let n = 0; n < rounds; n++) {
      const { pending } = await begun({ mode: 'auto' });
      await wait(Math.random() * durationMs);
      for (const pid of children()) try { process.kill(pid, 'SIGKILL'); } catch { /* through already */ }
      const result = await pending;
      await whole(result);
      const key = `${result.mode}, ${result.attempts} attempts`;
      counts[key] = (counts[key] ?? 0) + 1;
    }
    return counts;
  },

  async parent() {
    const counts = { absent: 0, whole: 0 };
    const target = path.join(directory, 'theirs.heapsnapshot');
    for (let n = 0; n < rounds; n++) {
      const code = `const heaprs = require(${JSON.stringify(package_)}); globalThis.kept = Array.from({ length: 30_000 }, (_, i) => ({ i }));
        console.log('begins'); heaprs.captureHeapSnapshot({ file: ${JSON.stringify(target)}, mode: 'fork' }).then(() => setInterval(() => {}, 1000));`;
      const parent = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
      await new Promise((resolve) => parent.stdout.once('data', resolve));
      await wait(Math.random() * 600);
      const theirs = children(parent.pid);
      parent.kill('SIGKILL');
      await new Promise((resolve) => parent.once('exit', resolve));
      const alive = (pid) => { try { return !/\) [ZX]/.test(fs.readFileSync(`/proc/${pid}/stat`, 'utf8')); } catch { return false; } };
      while (theirs.some(alive)) await wait(5);
      if (fs.existsSync(target)) {
        (await heaprs.openSnapshot(target)).close();
        fs.rmSync(target);
        counts.whole++;
      } else counts.absent++;
      // Temporary files of the killed are the next capture's to remove, after a minute.
      for (const name of fs.readdirSync(directory)) {
        assert.match(name, /^\.heaprs-.*\.tmp$|^x\.heapsnapshot$/);
        if (name.endsWith('.tmp')) fs.utimesSync(path.join(directory, name), 0, 0);
      }
    }
    await capture({ mode: 'fork' });
    assert.deepEqual(fs.readdirSync(directory), ['x.heapsnapshot']);
    return counts;
  },

  async disk() {
    const counts = {};
    const { fileBytes } = await capture({ mode: 'fork' });
    const limit = (bytes) => execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${bytes}:`]);
    for (let n = 0; n < rounds; n++) {
      limit(randomInt(Math.floor(fileBytes * 0.95)));
      const { code } = await capture({ mode: n % 2 ? 'fork' : 'auto' }).catch((e) => e);
      counts[code] = (counts[code] ?? 0) + 1;
      assert.deepEqual(fs.readdirSync(directory), ['x.heapsnapshot']);
    }
    limit('unlimited');
    assert.deepEqual(Object.keys(counts), ['ERR_HEAPRS_NO_SPACE']);
    return counts;
  },

  async port() {
    const listen = (port) => new Promise((resolve, reject) => { const s = net.createServer().on('error', reject).listen(port, () => resolve(s)); });
    for (let n = 0; n < rounds; n++) {
      const server = await listen(0);
      const { port } = server.address();
      const { pending } = await begun({ mode: 'fork' });
      await new Promise((resolve) => server.close(resolve));
      const again = await listen(port);
      await pending;
      await new Promise((resolve) => again.close(resolve));
    }
    return { 'bound again': rounds };
  },

  async https() {
    const psk = randomBytes(16);
    const options = { ciphers: 'PSK', minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' };
    let connections = 0;
    const server = https.createServer({ ...options, keepAliveTimeout: 600_000, pskCallback: () => psk }, (request, response) => response.end(request.url)).listen(0);
    server.on('secureConnection', () => connections++);
    await new Promise((resolve) => server.once('listening', resolve));
    const agent = new https.Agent({ ...options, keepAlive: true, maxSockets: 1, checkServerIdentity() {}, pskCallback: () => ({ psk, identity: 'x' }) });
    const ask = (text) => new Promise((resolve, reject) => https.get({ port: server.address().port, path: `/${text}`, agent }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (data) => (body += data)).on('end', () => resolve(body));
    }).on('error', reject));
    let answers = 0;
    for (let n = 0; n < rounds; n++) {
      let through = false;
      const pending = capture({ mode: 'fork' }).finally(() => (through = true));
      do assert.equal(await ask(answers), `/${answers++}`); while (!through);
      await pending;
    }
    assert.equal(await ask('after'), '/after');
    agent.destroy();
    await new Promise((resolve) => server.close(resolve));
    assert.equal(connections, 1);
    return { answers, connections };
  },
};

async function main() {
  await capture({ mode: 'fork' });
  await faults.port.call(null);
  const before = descriptors();
  for (const [name, fault] of Object.entries(faults)) {
    const counts = await fault();
    for (let n = 0; n < 100 && descriptors() > before; n++) await wait(50);
    assert.deepEqual([children(), Math.max(0, descriptors() - before)], [[], 0], `${name}: children, descriptors`);
    console.log(process.version, name.padEnd(7), JSON.stringify(counts));
  }
}

main();
