'use strict';
// The client side of a WebSocket (RFC 6455) as far as Node's inspector speaks it: text messages, no extensions, loopback.
// The global WebSocket is missing in Node.js 20 and reads as fast as it can; here messages are pulled, so that whoever
// writes them to a slow disk slows the sender down instead of filling memory.

const crypto = require('node:crypto');
const http = require('node:http');
const { fail } = require('../errors.js');

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const CONTINUATION = 0;
const TEXT = 1;
const CLOSE = 8;
const PING = 9;
const PONG = 10;
// Far above what V8 sends in one message (a piece of a snapshot is 100 KB): a length beyond it is no inspector's.
const MAX_MESSAGE = 256 * 1024 * 1024;

class WebSocketClient {
  #socket;
  #frames;

  constructor(socket, head) {
    this.#socket = socket;
    this.#frames = frames(socket, head);
  }

  // Connects to `ws://host:port/path`.
  static connect(url, timeoutMs) {
    const { hostname, port, pathname } = new URL(url);
    const key = crypto.randomBytes(16).toString('base64');
    const accept = crypto.createHash('sha1').update(key + GUID).digest('base64');
    const headers = { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': key };
    const request = http.get({ hostname: hostname.replace(/^\[|\]$/g, ''), port, path: pathname, headers, timeout: timeoutMs });
    return new Promise((resolve, reject) => {
      request.on('timeout', () => request.destroy(fail('ERR_HEAPRS_TIMEOUT', `nobody answered at ${url} within ${timeoutMs} ms`)));
      request.on('error', reject);
      request.on('response', (response) => {
        response.resume();
        reject(fail('ERR_HEAPRS_IO', `${url} is no inspector: it answered ${response.statusCode} instead of opening a WebSocket`));
      });
      request.on('upgrade', (response, socket, head) => {
        if (response.headers['sec-websocket-accept'] !== accept) {
          socket.destroy();
          reject(fail('ERR_HEAPRS_IO', `${url} is no WebSocket: its answer to the handshake is wrong`));
          return;
        }
        socket.setTimeout(0);
        socket.setNoDelay(true);
        resolve(new WebSocketClient(socket, head));
      });
    });
  }

  send(text) {
    this.#write(TEXT, Buffer.from(text));
  }

  // The messages as they come; ends when the other side closes. Nothing is read while nobody asks.
  async *messages() {
    let parts = [];
    for await (const { opcode, final, payload } of this.#frames) {
      if (opcode === PING) this.#write(PONG, payload);
      else if (opcode === CLOSE) return;
      else if (opcode === TEXT || opcode === CONTINUATION) {
        parts.push(payload);
        if (parts.reduce((sum, part) => sum + part.length, 0) > MAX_MESSAGE) throw tooLong();
        if (final) {
          const message = parts.length === 1 ? parts[0] : Buffer.concat(parts);
          parts = [];
          yield message.toString();
        }
      }
    }
  }

  close() {
    if (!this.#socket.destroyed) {
      this.#socket.on('error', () => {}); // it may be gone already, which is what is wanted
      this.#write(CLOSE, Buffer.from([0x03, 0xe8]));
      this.#socket.end();
      this.#socket.destroySoon();
    }
  }

  #write(opcode, payload) {
    const { length } = payload;
    const extended = length < 126 ? 0 : length < 65536 ? 2 : 8;
    const frame = Buffer.allocUnsafe(2 + extended + 4 + length);
    frame[0] = 0x80 | opcode;
    frame[1] = 0x80 | (extended === 0 ? length : extended === 2 ? 126 : 127);
    if (extended === 2) frame.writeUInt16BE(length, 2);
    if (extended === 8) frame.writeBigUInt64BE(BigInt(length), 2);
    const mask = crypto.randomBytes(4);
    mask.copy(frame, 2 + extended);
    for (let i = 0; i < length; i++) frame[6 + extended + i] = payload[i] ^ mask[i & 3];
    this.#socket.write(frame);
  }
}

// Cuts the byte stream into frames.
async function* frames(socket, head) {
  let buffered = [head];
  let have = head.length;
  const stream = socket[Symbol.asyncIterator]();

  async function take(length) {
    while (have < length) {
      const { done, value } = await stream.next();
      if (done) return undefined;
      buffered.push(value);
      have += value.length;
    }
    const all = buffered.length === 1 ? buffered[0] : Buffer.concat(buffered, have);
    buffered = [all.subarray(length)];
    have -= length;
    return all.subarray(0, length);
  }

  for (;;) {
    const start = await take(2);
    if (start === undefined) return;
    let length = start[1] & 0x7f;
    if (length === 126) length = (await take(2))?.readUInt16BE();
    else if (length === 127) length = Number((await take(8))?.readBigUInt64BE());
    if (!(length <= MAX_MESSAGE)) throw tooLong();
    const payload = await take(length);
    if (payload === undefined) return;
    yield { opcode: start[0] & 0x0f, final: (start[0] & 0x80) !== 0, payload };
  }
}

function tooLong() {
  return fail('ERR_HEAPRS_IO', 'the inspector sent a message that is cut off or too long to be one of its own');
}

module.exports = { WebSocketClient };
