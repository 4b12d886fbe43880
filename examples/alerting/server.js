'use strict';
// An Express service with a leak: each request leaves a session behind. heaprs finds it, pino logs it, Prometheus scrapes it.
//
//   PORT=3000 HEAPRS_SENSITIVITY=high node server.js
//   while sleep 0.02; do curl -s localhost:3000 >/dev/null; done
//
// needs: npm install heaprs express pino prom-client

const express = require('express');
const { LeakDetector } = require('heaprs');
const metrics = require('heaprs/prometheus');
const pino = require('pino');
const { register } = require('prom-client');

const logger = pino();

const detector = new LeakDetector({ sensitivity: process.env.HEAPRS_SENSITIVITY ?? 'medium' });
detector.on('leak', ({ reason, growthPerHour, timeToLimitMs, suspects: [suspect], diagnosis }) => {
  const cause = suspect && { class: suspect.className, holder: suspect.holder, explanation: suspect.explanation };
  logger.warn({ leak: { reason, growthPerHour, timeToLimitMs, cause, method: diagnosis.method } }, cause?.explanation ?? reason);
});
detector.on('diagnosisError', (err) => logger.error({ err }, 'the leak could not be diagnosed'));
metrics.register(register, { detector: detector.start() });

class Session {
  constructor(id) {
    this.id = id;
    this.visited = Array.from({ length: 1000 }, (_, i) => id + i / 2);
  }
}

const sessions = new Map();

const app = express();
app.get('/', (request, response) => {
  const session = new Session(sessions.size);
  sessions.set(session.id, session); // and never deleted
  response.send('hello\n');
});
app.get('/metrics', async (request, response) => {
  response.type(register.contentType).send(await register.metrics());
});

const server = app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => logger.info({ port: server.address().port }, 'listening'));
