// The clients: asks URL for logins, a bounded number at once and in all, until the parent process goes away.
//
//   node load.mjs URL IN_FLIGHT TOTAL

import { Agent, get } from 'node:http';

const [url, inFlight, total] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const agent = new Agent({ keepAlive: true, maxSockets: inFlight });
let left = total;

process.on('disconnect', () => process.exit(0));

function once() {
  return new Promise((resolve, reject) => {
    get(`${url}/login?user=user${left}`, { agent }, (response) => response.resume().on('end', resolve)).on('error', reject);
  });
}

async function client() {
  while (left-- > 0) {
    await once();
    // A person thinks before the next click; a loop without this would measure the loop.
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

try {
  await Promise.all(Array.from({ length: inFlight }, client));
} catch (error) {
  // The service stopping under a request is the ordinary end of the demo.
  if (process.connected) console.error(`load: ${error.message}`);
} finally {
  agent.destroy();
  if (process.connected) process.disconnect();
}
