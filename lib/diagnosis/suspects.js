'use strict';
// What has grown between two opened snapshots of a process, as the `suspects` of a leak report.

const { compareSnapshots } = require('../snapshot.js');

const LIMIT = 5;
// Classes that grew by less, where nothing else is known, are noise.
const LEAST_OF_CLASS = 64 * 1024;

// { suspects, classes }, best first: what has grown and who holds it, and the classes of which there is more, whoever holds them. Without a base,
// what holds most, as if all of it had grown.
async function leakSuspects(base, current) {
  if (!base) {
    const rows = new Map((await current.summary()).map((row) => [row.name, { sizeDelta: row.selfSize }]));
    const all = ({ count, retainedSize }) => ({ newSize: retainedSize, retainedDelta: retainedSize, countDelta: count });
    const found = await current.suspects({ limit: LIMIT });
    return { suspects: found.map((suspect) => leakSuspect({ ...suspect, growth: all(suspect) }, rows.get(suspect.className))), classes: [] };
  }
  const found = await current.suspects({ base, limit: LIMIT });
  const { rows } = await compareSnapshots(base, current);
  const classes = new Map(rows.map((row) => [row.name, row]));
  const grown = found.filter(({ growth }) => growth.retainedDelta > 0 || growth.countDelta > 0);
  return { suspects: grown.map((suspect) => leakSuspect(suspect, classes.get(suspect.className))), classes: grownClasses(rows) };
}

function grownClasses(rows) {
  const grown = rows.filter(({ countDelta, sizeDelta }) => countDelta > 0 && sizeDelta >= LEAST_OF_CLASS);
  grown.sort((a, b) => b.sizeDelta - a.sizeDelta);
  return grown.slice(0, LIMIT).map(({ name, countDelta, sizeDelta }) => ({
    className: name,
    countDelta,
    sizeDelta,
    retainedDelta: sizeDelta,
    holder: HELD_BY_NONE,
    retainingPath: [],
    explanation: `There are ${countDelta.toLocaleString('en')} more objects of class ${name} than in the first of two captures, and no single place of the program holds them${HINTS.get(name) ?? ''}.`
  }));
}

const HELD_BY_NONE = 'no single place of the program; V8 or Node.js may hold them';
const HINTS = new Map([
  ['(symbol)', ': symbols made by Symbol.for() are registered for good, so it must not be called with ever new keys'],
  ['(compiled code)', ': look for code that is made again and again, by eval, new Function, vm or templates']
]);

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
