'use strict';
// A limit for the snapshots in a directory: the oldest go, and nothing goes but what heaprs has written.
//
// heaprs's own are regular files of this user's with one name, which heaprs gives when nobody says another (V8's own dumps are called
// the same), and whose header carries heaprs's mark.

const fs = require('node:fs');
const path = require('node:path');
const zlib = require('node:zlib');
const check = require('./validate.js');

const quotaOptions = (name, value) => check.options(value, { maxFiles: check.integer(1), maxBytes: check.integer(1) }, name);

const NAME = /^Heap\.\d{8}\.\d{6}\.\d+\.\d+\.\d{3,}\.heapsnapshot(\.gz)?$/;
// The mark stands in the header, which is about 2 KB; packed it is less.
const HEAD_BYTES = 16 * 1024;

// Removes the oldest of heaprs's files beside `file` until they are within the quota; `file` itself counts and stays. Resolves to the
// names of those that went. What can't be removed stays: the capture has succeeded.
async function enforceQuota(file, { maxFiles = Infinity, maxBytes = Infinity }) {
  const directory = path.dirname(file);
  const ours = [];
  for (const name of await fs.promises.readdir(directory).catch(() => [])) {
    const entry = path.join(directory, name);
    const stat = NAME.test(name) && entry !== file ? await ownSnapshot(entry) : undefined;
    if (stat) ours.push({ entry, stat });
  }
  ours.sort((a, b) => a.stat.mtimeMs - b.stat.mtimeMs || (a.entry < b.entry ? -1 : 1));
  let count = ours.length + 1;
  let bytes = (await fs.promises.stat(file).then((stat) => stat.size, () => 0)) + ours.reduce((sum, { stat }) => sum + stat.size, 0);
  const removed = [];
  for (const { entry, stat } of ours) {
    if (count <= maxFiles && bytes <= maxBytes) break;
    const now = await fs.promises.lstat(entry).catch(() => undefined);
    if (!now || now.ino !== stat.ino || now.dev !== stat.dev) continue;
    try {
      await fs.promises.unlink(entry);
    } catch (error) {
      if (error.code !== 'ENOENT') continue;
    }
    removed.push(entry);
    count--;
    bytes -= stat.size;
  }
  return removed;
}

// What lstat says of a snapshot that heaprs has written; undefined for anything else.
async function ownSnapshot(file) {
  const { O_RDONLY, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = fs.constants;
  let handle;
  try {
    const stat = await fs.promises.lstat(file);
    if (!stat.isFile() || stat.nlink !== 1 || (process.geteuid && stat.uid !== process.geteuid())) return undefined;
    handle = await fs.promises.open(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    const opened = await handle.stat();
    if (opened.ino !== stat.ino || opened.dev !== stat.dev) return undefined;
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    return isMarked(buffer.subarray(0, bytesRead)) ? stat : undefined;
  } catch {
    return undefined; // gone, or not ours to read: not ours to remove either
  } finally {
    await handle?.close();
  }
}

function isMarked(bytes) {
  const packed = bytes[0] === 0x1f && bytes[1] === 0x8b;
  const text = (packed ? zlib.gunzipSync(bytes, { finishFlush: zlib.constants.Z_SYNC_FLUSH, maxOutputLength: 1 << 24 }) : bytes).toString('latin1');
  const [head] = text.split('"nodes":');
  return head.startsWith('{"snapshot":{') && head.includes('"heaprs":{');
}

module.exports = { enforceQuota, quotaOptions };
