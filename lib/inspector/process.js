'use strict';
// What can be known of another process on Linux before anything is sent to it: from /proc.

const fs = require('node:fs');
const os = require('node:os');
const { fail } = require('../errors.js');

const LISTEN = '0A';

// Whether /proc tells of processes here.
const hasProc = process.platform === 'linux' && fs.existsSync('/proc/self/status');

// Throws where there is no such process, or none that we may look at.
function assertReachable(pid) {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (error.code === 'ESRCH') throw fail('ERR_HEAPRS_NOT_FOUND', `there is no process ${pid}`);
    throw fail('ERR_HEAPRS_PERMISSION', `process ${pid} belongs to another user; run heaprs as that user or as root`);
  }
}

// Whether the process catches a signal. One that it doesn't catch would end it.
function catches(pid, signal) {
  const mask = /^SigCgt:\s*([0-9a-f]+)$/m.exec(read(pid, 'status'))?.[1];
  if (mask === undefined) throw fail('ERR_HEAPRS_UNAVAILABLE', `/proc/${pid}/status does not tell which signals the process catches`);
  return ((BigInt(`0x${mask}`) >> BigInt(os.constants.signals[signal] - 1)) & 1n) === 1n;
}

// The arguments it was started with; NODE_OPTIONS among its first variables, where they may be read.
function nodeOptions(pid) {
  const words = read(pid, 'cmdline').split('\0');
  let environment = '';
  try {
    environment = read(pid, 'environ');
  } catch {
    // Another user's, or gone: the command line has to do.
  }
  const variable = environment.split('\0').find((entry) => entry.startsWith('NODE_OPTIONS='));
  return [...words, ...(variable ? variable.slice('NODE_OPTIONS='.length).split(/\s+/) : [])];
}

function sameNetwork(pid) {
  try {
    return fs.readlinkSync(`/proc/${pid}/ns/net`) === fs.readlinkSync('/proc/self/ns/net');
  } catch {
    return true; // not allowed to know: the attempt will tell
  }
}

// The numbers of the process's sockets.
function socketInodes(pid) {
  const inodes = new Set();
  let descriptors;
  try {
    descriptors = fs.readdirSync(`/proc/${pid}/fd`);
  } catch (error) {
    if (error.code === 'ENOENT') throw fail('ERR_HEAPRS_NOT_FOUND', `process ${pid} has ended`);
    throw fail('ERR_HEAPRS_PERMISSION', `the descriptors of process ${pid} may not be read; run heaprs as its user or as root`, { cause: error });
  }
  for (const descriptor of descriptors) {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(fs.readlinkSync(`/proc/${pid}/fd/${descriptor}`))?.[1];
      if (inode) inodes.add(inode);
    } catch {
      // Closed meanwhile.
    }
  }
  return inodes;
}

// The paths of the Unix sockets that the process listens on, as it sees them.
function unixListeners(pid) {
  const ACCEPTS = 0x10000;
  const inodes = socketInodes(pid);
  const rows = read(pid, 'net/unix').split('\n').slice(1).map((line) => /^\S+ \S+ \S+ (\S+) \S+ \S+ +(\d+) (\/.*)$/.exec(line));
  return rows.filter((row) => row && parseInt(row[1], 16) & ACCEPTS && inodes.has(row[2])).map(([, , , name]) => name);
}

// Whether one of its threads has that name.
function hasThread(pid, name) {
  for (const thread of fs.readdirSync(`/proc/${pid}/task`)) {
    try {
      if (read(pid, `task/${thread}/comm`).trimEnd() === name) return true;
    } catch {
      // Ended meanwhile.
    }
  }
  return false;
}

// What to put before a path of the process to reach it from here: '' where it has our own file system.
function rootOf(pid) {
  try {
    const link = (of, name) => fs.readlinkSync(`/proc/${of}/${name}`);
    const same = ['ns/mnt', 'root'].every((name) => link(pid, name) === link('self', name));
    return same ? '' : `/proc/${pid}/root`;
  } catch {
    return ''; // no /proc, or not allowed to know
  }
}

// The TCP addresses that the process listens on: [{ host, port }].
function listening(pid) {
  const inodes = socketInodes(pid);
  const found = [];
  for (const table of ['net/tcp', 'net/tcp6']) {
    let text;
    try {
      text = read(pid, table);
    } catch {
      continue; // no IPv6 here
    }
    for (const line of text.split('\n').slice(1)) {
      const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
      if (state !== LISTEN || !inodes.has(inode)) continue;
      const [address, port] = local.split(':');
      found.push({ host: reachableHost(address), port: parseInt(port, 16) });
    }
  }
  return found;
}

// The address as the kernel prints it (words in host order), or loopback where it listens on all.
function reachableHost(hex) {
  const words = hex.match(/.{8}/g).map((word) => Buffer.from(word, 'hex').reverse());
  const bytes = os.endianness() === 'LE' ? Buffer.concat(words) : Buffer.from(hex, 'hex');
  if (bytes.every((byte) => byte === 0)) return bytes.length === 4 ? '127.0.0.1' : '::1';
  if (bytes.length === 4) return bytes.join('.');
  return bytes.toString('hex').match(/.{4}/g).join(':');
}

function read(pid, name) {
  try {
    return fs.readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT' && !fs.existsSync(`/proc/${pid}`)) throw fail('ERR_HEAPRS_NOT_FOUND', `process ${pid} has ended`);
    throw fail('ERR_HEAPRS_PERMISSION', `/proc/${pid}/${name} may not be read: ${error.message}`, { cause: error });
  }
}

module.exports = { assertReachable, catches, hasProc, hasThread, listening, nodeOptions, rootOf, sameNetwork, unixListeners };
