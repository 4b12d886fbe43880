'use strict';
// The examples of examples/alerting, and the whole way of an alert: leaking service -> Prometheus -> Alertmanager -> webhook.

const test = require('node:test');
const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const path = require('node:path');
const { createInterface } = require('node:readline');
const { root, scratch } = require('./helpers.js');
const { Webhook, leakMessage } = require('../examples/alerting/webhook.js');

const example = (name) => path.join(root, 'examples/alerting', name);
const missing = ['prometheus', 'prometheus-alertmanager', 'promtool', 'amtool'].filter((name) => spawnSync(name, ['--version']).error);
const skip = missing.length > 0 && `${missing.join(', ')} not installed (Debian: prometheus, prometheus-alertmanager)`;

// An HTTP server that answers with what `answer` returns for the parsed body: a status.
async function receiver(t, answer) {
  const server = http.createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text) => (body += text)).on('end', () => response.writeHead(answer(JSON.parse(body))).end());
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}/`;
}

test('the webhook tries again, gives up on what is refused, and keeps a bounded number', async (t) => {
  const seen = [];
  let done;
  const finished = new Promise((resolve) => (done = resolve));
  const url = await receiver(t, ({ text }) => {
    seen.push(text);
    if (text === 'last') done();
    if (text === 'refused') return 400;
    return seen.filter((other) => other === text).length < 3 && text === 'first' ? 503 : 200;
  });
  const webhook = new Webhook(url, { firstDelayMs: 1, maxQueue: 3 });
  webhook.send({ text: 'first' }); // on its way at once
  for (const text of ['too old', 'older', 'refused', 'last']) webhook.send({ text });
  assert.deepEqual([webhook.waiting, webhook.dropped], [3, 1]);
  const alive = setInterval(() => {}, 1000);
  await finished;
  clearInterval(alive);
  assert.deepEqual(seen, ['first', 'first', 'first', 'older', 'refused', 'last']);
  assert.deepEqual([webhook.waiting, webhook.dropped], [0, 2]);
  const { text } = leakMessage({ reason: 'it grows', growthPerHour: 2 ** 21, timeToLimitMs: 7_200_000, suspects: [{ explanation: 'a Map' }] });
  assert.match(text, /it grows\n2\.0 MiB an hour\nOut of memory in 2\.0 hours\n• a Map$/);
});

// A child that is killed at the end of the test; what it printed is in the error when it ends before.
function start(t, command, args, options) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (log = (log + text).slice(-4000)));
  const ended = new Promise((_, reject) => child.on('error', reject).on('exit', (code) => reject(new Error(`${command} ended (${code}):\n${log}`))));
  ended.catch(() => {});
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
    const gone = new Promise((resolve) => child.on('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  });
  return { child, ended };
}

const freePort = () => new Promise((resolve) => {
  const server = net.createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address();
    server.close(() => resolve(port));
  });
});

// Starts a server that has to be told its port, which another process may take first: then with another one.
async function startOnFreePort(t, command, argsOf) {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    const { ended } = start(t, command, argsOf(`127.0.0.1:${port}`));
    try {
      await Promise.race([ended, ready(`http://127.0.0.1:${port}/-/ready`)]);
      return { address: `127.0.0.1:${port}`, ended };
    } catch (error) {
      if (attempt === 5) throw error;
    }
  }
}

async function ready(url) {
  for (;;) {
    const response = await fetch(url).catch(() => undefined);
    await response?.arrayBuffer();
    if (response?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test('the rules and the route are what promtool and amtool take', { skip }, () => {
  for (const [tool, ...args] of [['promtool', 'check', 'rules', example('heaprs.rules.yml')], ['amtool', 'check-config', example('alertmanager.yml')]]) {
    const { status, stdout, stderr } = spawnSync(tool, args, { encoding: 'utf8' });
    assert.equal(status, 0, stdout + stderr);
  }
});

test('a leaking service is scraped, the rule fires, the webhook receives the cause', { skip: skip || (process.env.HEAPRS_TEST_ALERTING === 'off' && 'once is enough: it ran under another Node.js'), timeout: 600_000 }, async (t) => {
  const directory = scratch(t);
  const write = (name, text) => (fs.writeFileSync(path.join(directory, name), text), path.join(directory, name));
  let received;
  const alerted = new Promise((resolve) => (received = resolve));
  const url = await receiver(t, ({ alerts }) => {
    const alert = alerts.find(({ labels, status }) => labels.alertname === 'MemoryLeak' && status === 'firing');
    if (alert) received(alert);
    return 200;
  });

  // The service, and what it logs.
  const service = start(t, process.execPath, [example('server.js')], { env: { ...process.env, PORT: '0', HEAPRS_SENSITIVITY: 'high' } });
  const logged = { };
  const lines = createInterface({ input: service.child.stdout });
  const listening = new Promise((resolve) => lines.on('line', (line) => {
    const entry = JSON.parse(line);
    if (entry.port) resolve(entry.port);
    if (entry.leak) logged.leak ??= entry;
  }));
  const port = await Promise.race([listening, service.ended]);

  // The shipped route, sooner and to our webhook.
  const route = fs.readFileSync(example('alertmanager.yml'), 'utf8').replace('group_wait: 30s', 'group_wait: 0s').replace(/http:\/\/127\.0\.0\.1:9000\/\S+/g, url);
  const alertmanager = await startOnFreePort(t, 'prometheus-alertmanager', (address) => [`--config.file=${write('alertmanager.yml', route)}`, `--storage.path=${path.join(directory, 'am')}`, `--web.listen-address=${address}`, '--cluster.listen-address=']);
  // The shipped rules as they are.
  const config = write('prometheus.yml', [
    'global: { scrape_interval: 1s, evaluation_interval: 1s }',
    `rule_files: [${JSON.stringify(example('heaprs.rules.yml'))}]`,
    `alerting: { alertmanagers: [{ static_configs: [{ targets: ['${alertmanager.address}'] }] }] }`,
    `scrape_configs: [{ job_name: shop, static_configs: [{ targets: ['127.0.0.1:${port}'] }] }]`,
  ].join('\n'));
  const prometheus = await startOnFreePort(t, 'prometheus', (address) => [`--config.file=${config}`, `--storage.tsdb.path=${path.join(directory, 'tsdb')}`, `--web.listen-address=${address}`]);

  // Load, until the alert is there.
  let stop = false;
  const load = (async () => {
    while (!stop) {
      await (await fetch(`http://127.0.0.1:${port}/`)).text();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  })();
  load.catch(() => {});
  const alert = await Promise.race([alerted, service.ended, alertmanager.ended, prometheus.ended]).finally(() => (stop = true));
  await load;

  const { labels, annotations } = alert;
  assert.deepEqual([labels.job, labels.instance, labels.severity], ['shop', `127.0.0.1:${port}`, 'warning']);
  const { leak, level, msg } = logged.leak;
  assert.equal(level, 40);
  assert.equal(labels.reason, leak.reason.slice(0, 240));
  assert.ok(annotations.summary.includes(labels.reason));
  // Where the diagnosis found it, the alert says what leaks and who holds it.
  t.diagnostic(`${leak.method}: ${annotations.description}`);
  if (!leak.cause) return assert.notEqual(leak.method, 'fork');
  assert.equal(labels.class, leak.cause.class);
  assert.match(leak.cause.holder, /sessions/);
  assert.ok(msg === leak.cause.explanation && annotations.description.startsWith(leak.cause.explanation.slice(0, 200)));
});
