'use strict';
// Analyses each file that captures.cjs names, in a process of its own: the one that is captured has no memory of an analysis to tell from that of its captures.

const assert = require('node:assert');
const fs = require('node:fs');
const heaprs = require(process.argv[2]);

async function analyse({ file, nodes, edges }) {
  const tail = Buffer.alloc(16);
  const fd = fs.openSync(file);
  fs.readSync(fd, tail, 0, 16, fs.fstatSync(fd).size - 16);
  fs.closeSync(fd);
  assert.match(tail.toString(), /"\s*\]\s*\}\s*$/, 'the footer');
  const snapshot = await heaprs.openSnapshot(file);
  try {
    assert.deepEqual([snapshot.info.nodes, snapshot.info.edges], [nodes, edges], 'the counts');
    const row = async (name) => (await snapshot.summary({ search: name })).find((found) => found.name === name) ?? null;
    const rows = [await row('Landmark'), await row('Kept')];
    return rows.map((found) => found && { count: found.count, distance: found.distance, selfSize: found.selfSize, retainedSize: found.retainedSize });
  } finally {
    snapshot.close();
  }
}

process.on('message', (result) => {
  analyse(result).then((rows) => process.send({ rows }), ({ message }) => process.send({ message }));
});
