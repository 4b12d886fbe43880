'use strict';
// A control group for memory, for the tests of one file and for the soak: of version 1 or 2, where the process runs as root on a machine of its own.
// One of version 2 is killed as a whole (`memory.oom.group`), as Kubernetes has it.

const fs = require('node:fs');
const path = require('node:path');

const MEMORY_1 = '/sys/fs/cgroup/memory';
const MEMORY_2 = '/sys/fs/cgroup';
const version = fs.existsSync(path.join(MEMORY_1, 'memory.limit_in_bytes')) ? 1 : 2;

// What a process goes back to.
const GROUPS = version === 1 ? MEMORY_1 : MEMORY_2;
const group = path.join(GROUPS, `heaprs-${process.pid}`);

const FILES = {
  1: { limit: 'memory.limit_in_bytes', used: 'memory.usage_in_bytes', peak: 'memory.max_usage_in_bytes', events: 'memory.oom_control' },
  2: { limit: 'memory.max', used: 'memory.current', peak: 'memory.peak', events: 'memory.events' }
}[version];

const read = (dir, name) => fs.readFileSync(path.join(dir, name), 'utf8');

// Why there can't be one, or false.
function noGroups() {
  try {
    fs.mkdirSync(group);
    const known = fs.existsSync(path.join(group, FILES.limit));
    fs.rmdirSync(group);
    return !known && 'needs control groups for memory';
  } catch {
    return 'needs the right to make a control group';
  }
}

// A new group, with a limit. Programs join it by themselves.
function makeGroup(dir, megabytes) {
  fs.mkdirSync(dir);
  fs.writeFileSync(path.join(dir, FILES.limit), String(megabytes << 20));
  if (version === 2) {
    fs.writeFileSync(path.join(dir, 'memory.oom.group'), '1');
    // Nothing is to be had beyond the limit.
    if (fs.existsSync(path.join(dir, 'memory.swap.max'))) fs.writeFileSync(path.join(dir, 'memory.swap.max'), '0');
  }
}

// The group of this file's tests, for the length of one.
function limited(t, megabytes) {
  makeGroup(group, megabytes);
  t.after(() => fs.rmdirSync(group));
}

// This process joins `dir`.
const joinGroup = (dir) => fs.writeFileSync(path.join(dir, 'cgroup.procs'), String(process.pid));

// How many processes the kernel has killed for its memory. Where a group goes as a whole it counts the one that it has chosen twice.
const kills = (dir = group) => Number(/^oom_kill (\d+)$/m.exec(read(dir, FILES.events))[1]);

const usedMemory = (dir = group) => Number(read(dir, FILES.used));

// `undefined` where the kernel doesn't tell (version 2 before Linux 5.19).
function mostMemory(dir = group) {
  return fs.existsSync(path.join(dir, FILES.peak)) ? Number(read(dir, FILES.peak)) : undefined;
}

// What `kills` says after one process has been killed that was alone.
const KILLED_ALONE = version;

module.exports = { GROUPS, KILLED_ALONE, group, joinGroup, kills, limited, makeGroup, mostMemory, noGroups, usedMemory };
