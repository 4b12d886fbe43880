// A small login service with two leaks that people really write. It runs under node:http alone; heaprs watches it.
//
// Leak 1: `sessions` is a Map that only ever grows. Somebody planned to evict the old ones.
// Leak 2: every request subscribes to the shared `config` emitter and nobody unsubscribes, so each closure, with the request's
//         session in its scope, lives as long as the emitter. The warning about it was silenced with setMaxListeners(0).

import { EventEmitter } from 'node:events';
import { createServer } from 'node:http';
import { randomUUID } from 'node:crypto';
import { LeakDetector } from 'heaprs';

const sessions = new Map();
const config = new EventEmitter().setMaxListeners(0);

class Session {
  constructor(user) {
    this.id = randomUUID();
    this.user = user;
    this.created = new Date();
    this.history = [];
    this.menu = Buffer.from(`<li>${user}</li>`.repeat(80)).toString(); // rendered once, kept with the session
  }
}

function login(user) {
  const session = new Session(user);
  sessions.set(session.id, session);
  config.on('reload', () => {
    session.history.push('configuration reloaded');
  });
  return session;
}

/** Starts the service on a free loopback port. The detector watches the whole process. */
export async function start() {
  const detector = new LeakDetector({ sensitivity: 'high' }).start();
  const server = createServer((request, response) => {
    const { id } = login(new URL(request.url, 'http://localhost').searchParams.get('user') ?? 'nobody');
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ session: id }));
  });
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    detector,
    url: `http://127.0.0.1:${server.address().port}`,
    sessions: () => sessions.size,
    async stop() {
      detector.stop();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  };
}
