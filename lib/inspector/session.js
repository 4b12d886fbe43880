'use strict';
// One session with Node's inspector: commands with their answers, events as they come.

const http = require('node:http');
const { fail } = require('../errors.js');
const { WebSocketClient } = require('./websocket.js');

// How long whoever listens at a port may take to say what it is: an inspector does so at once, on a thread of its own.
const ANSWER_MS = 2000;
// How long an inspector may take to open a session: an idle process does so at once, one in a long synchronous call only afterwards.
const SESSION_MS = 10_000;

class InspectorSession {
  #socket;
  #messages;
  #last = 0;
  #backlog = new Map();

  constructor(socket) {
    this.#socket = socket;
    this.#messages = socket.messages();
  }

  static async connect(url) {
    return new InspectorSession(await WebSocketClient.connect(url, SESSION_MS));
  }

  // Sends a command and reads until its answer has come; `onEvent(method, params)` sees the events on the way.
  async call(method, params = {}, onEvent = () => {}) {
    const id = ++this.#last;
    this.#socket.send(JSON.stringify({ id, method, params }));
    for (;;) {
      const answer = this.#backlog.get(id);
      if (answer !== undefined) {
        this.#backlog.delete(id);
        if (answer.error) throw fail('ERR_HEAPRS_CAPTURE_FAILED', `the inspector refused ${method}: ${answer.error.message}`);
        return answer.result;
      }
      const { done, value } = await this.#messages.next();
      if (done) throw fail('ERR_HEAPRS_CAPTURE_FAILED', `the process closed the connection before ${method} was answered; it may have ended`);
      const message = JSON.parse(value);
      if (message.id !== undefined) this.#backlog.set(message.id, message);
      else onEvent(message.method, message.params);
    }
  }

  close() {
    this.#socket.close();
  }
}

// The WebSocket address of the inspector behind a port, or undefined when something else answers there.
async function inspectorUrl({ host, port }, signal) {
  const list = await getJson({ host, port, path: '/json/list' }, signal);
  const target = Array.isArray(list) && list.find((t) => t?.type === 'node' && typeof t.webSocketDebuggerUrl === 'string');
  if (!target) return undefined;
  // What it calls itself may be a name of another network; who answered is who we asked.
  const { pathname } = new URL(target.webSocketDebuggerUrl);
  return `ws://${host.includes(':') ? `[${host}]` : host}:${port}${pathname}`;
}

function getJson({ host, port, path }, signal) {
  return new Promise((resolve) => {
    const request = http.get({ host, port, path, signal, agent: false, timeout: ANSWER_MS }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part) => {
        text += part;
        if (text.length > 1 << 20) response.destroy();
      });
      response.on('error', () => resolve(undefined));
      response.on('close', () => {
        try {
          resolve(JSON.parse(text));
        } catch {
          resolve(undefined); // not an inspector
        }
      });
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(undefined));
  });
}

module.exports = { InspectorSession, inspectorUrl };
