'use strict';
// What has grown between two opened snapshots of a process, as the `suspects` of a leak report.

const { compareSnapshots } = require('../snapshot.js');

const LIMIT = 5;

// Best first. Without a base, what holds most, as if all of it had grown.
async function leakSuspects(base, current) {
  if (!base) {
    const rows = new Map((await current.summary()).map((row) => [row.name, { sizeDelta: row.selfSize }]));
    const all = ({ count, retainedSize }) => ({ newSize: retainedSize, retainedDelta: retainedSize, countDelta: count });
    return (await current.suspects({ limit: LIMIT })).map((suspect) => leakSuspect({ ...suspect, growth: all(suspect) }, rows.get(suspect.className)));
  }
  const found = await current.suspects({ base, limit: LIMIT });
  const { rows } = await compareSnapshots(base, current);
  const classes = new Map(rows.map((row) => [row.name, row]));
  return found
    .filter(({ growth }) => growth.retainedDelta > 0 || growth.countDelta > 0)
    .map((suspect) => leakSuspect(suspect, classes.get(suspect.className)));
}

function leakSuspect({ className, kind, growth, holder, path, explanation }, row) {
  return {
    className,
    countDelta: growth.countDelta,
    sizeDelta: row ? row.sizeDelta : growth.newSize,
    retainedDelta: growth.retainedDelta,
    holder: holderPath(holder),
    retainingPath: path.map(({ edge, className: node, id }) => ({ edge, node, id })),
    explanation,
    kind
  };
}

// From "Map `global.sessions`" to "global.sessions (Map)", which is how the contract writes it.
function holderPath(holder) {
  const [, before, what, name, after] = /^(listeners of '.*' on )?(\S[^`]*?) `([^`]+)`(.*)$/.exec(holder) ?? [];
  return name === undefined ? holder : `${before ?? ''}${name} (${what})${after}`;
}

module.exports = { leakSuspects };
