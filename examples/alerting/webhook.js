'use strict';
// Leaks to a Slack-style webhook: each is tried again when it fails, what waits is bounded, and nothing of it can harm the app.
//
//   const { Webhook, leakMessage } = require('./webhook.js');
//   const webhook = new Webhook(process.env.SLACK_WEBHOOK_URL);
//   new LeakDetector().on('leak', (leak) => webhook.send(leakMessage(leak))).start();

class Webhook {
  #queue = [];
  #sending = false;

  constructor(url, { attempts = 6, firstDelayMs = 1000, maxQueue = 20, timeoutMs = 10_000 } = {}) {
    Object.assign(this, { url, attempts, firstDelayMs, maxQueue, timeoutMs, dropped: 0 });
  }

  // Returns at once. When too many wait, the oldest goes: the newest says most about now.
  send(message) {
    this.#queue.push(message);
    while (this.#queue.length > this.maxQueue) {
      this.#queue.shift();
      this.dropped++;
    }
    if (!this.#sending) void this.#drain();
  }

  get waiting() {
    return this.#queue.length;
  }

  async #drain() {
    this.#sending = true;
    while (this.#queue.length > 0) {
      if (!(await this.#deliver(this.#queue.shift()))) this.dropped++;
    }
    this.#sending = false;
  }

  async #deliver(message) {
    for (let attempt = 0; attempt < this.attempts; attempt++) {
      if (attempt > 0) await delay(this.firstDelayMs * 2 ** (attempt - 1));
      try {
        const response = await fetch(this.url, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(message),
          signal: AbortSignal.timeout(this.timeoutMs)
        });
        await response.arrayBuffer();
        if (response.ok) return true;
        // The message itself is wrong: it will not get better. 429 means later.
        if (response.status < 500 && response.status !== 429) return false;
      } catch {
        // Not reachable: once more.
      }
    }
    return false;
  }
}

// Waiting for the next attempt does not keep the process alive.
const delay = (ms) => new Promise((resolve) => setTimeout(resolve, ms).unref());

function leakMessage({ reason, growthPerHour, timeToLimitMs, suspects }) {
  const lines = [`*Memory leak* in \`${process.title}\` (pid ${process.pid}): ${reason}`, `${(growthPerHour / 2 ** 20).toFixed(1)} MiB an hour`];
  if (timeToLimitMs !== null) lines.push(`Out of memory in ${(timeToLimitMs / 3_600_000).toFixed(1)} hours`);
  for (const { explanation } of suspects.slice(0, 3)) lines.push(`• ${explanation}`);
  return { text: lines.join('\n') };
}

module.exports = { Webhook, leakMessage };
