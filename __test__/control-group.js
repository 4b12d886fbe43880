'use strict';
// A control group for memory, for the tests of one file. Version 1, where tests run as root on a machine of their own.

const fs = require('node:fs');
const path = require('node:path');

const GROUPS = '/sys/fs/cgroup/memory';
const group = path.join(GROUPS, `heaprs-test-${process.pid}`);

// Why there can't be one, or false.
function noGroups() {
  try {
    fs.mkdirSync(group);
    fs.rmdirSync(group);
    return false;
  } catch {
    return 'needs the right to make a control group';
  }
}

// Makes the group, with a limit, for the length of a test. Programs join it by themselves.
function limited(t, megabytes) {
  fs.mkdirSync(group);
  t.after(() => fs.rmdirSync(group));
  fs.writeFileSync(path.join(group, 'memory.limit_in_bytes'), String(megabytes << 20));
}

module.exports = { GROUPS, group, limited, noGroups };
