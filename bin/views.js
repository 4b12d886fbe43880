// Tables of the command line: rows the library gave, as text. Names come from a heap, so control characters in them are shown, not sent.
'use strict';

/** Edges that have an index for a name. */
const INDEXED = new Set(['element', 'hidden']);

function bytes(n) {
  if (n < 1000) return `${n} B`;
  const power = Math.min(3, Math.floor(Math.log10(n) / 3));
  return `${(n / 1000 ** power).toFixed(1)} ${['B', 'kB', 'MB', 'GB'][power]}`;
}

/** One line, at most `max` characters, harmless to a terminal. */
function plain(name, max = 60) {
  // eslint-disable-next-line no-control-regex -- control characters are what it looks for
  const safe = name.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (c) => {
    return `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
  return safe.length > max ? `${safe.slice(0, max - 1)}…` : safe;
}

/** DevTools shows no distance for what only synthetic roots reach. */
function distance(d) {
  return d < 0 || d >= 100_000_000 ? '-' : String(d);
}

function edgeName({ type, name }) {
  return INDEXED.has(type) ? `[${name}]` : plain(name, 40);
}

/** Columns padded to their widest cell; the last one is text and stays as it is. */
function table(head, rows) {
  const last = head.length - 1;
  const widths = head.map((title, i) => rows.reduce((widest, row) => Math.max(widest, row[i].length), title.length));
  const line = (cells) => cells.map((cell, i) => (i === last ? cell : cell.padStart(widths[i]))).join('  ');
  return [line(head), ...rows.map(line)].join('\n');
}

function classTable(rows, total) {
  const cells = rows.map((row) => [
    distance(row.distance),
    String(row.count),
    bytes(row.selfSize),
    bytes(row.retainedSize),
    total > 0 ? `${((100 * row.retainedSize) / total).toFixed(1)} %` : '-',
    plain(row.name)
  ]);
  return table(['distance', 'objects', 'self', 'retained', 'share', 'class'], cells);
}

function edgeTable(title, edges) {
  const cells = edges.map((edge) => [
    distance(edge.node.distance),
    bytes(edge.node.selfSize),
    bytes(edge.node.retainedSize),
    edge.type,
    `${edgeName(edge)} ${plain(edge.node.name)} @${edge.node.id}`
  ]);
  return `${plain(title, 120)}\n${table(['distance', 'self', 'retained', 'edge', 'name and object'], cells)}`;
}

function nodeTable(rows) {
  const cells = rows.map((row) => [
    distance(row.distance),
    bytes(row.selfSize),
    bytes(row.retainedSize),
    plain(row.className, 30),
    `${plain(row.name)} @${row.id}`
  ]);
  return table(['distance', 'self', 'retained', 'class', 'object'], cells);
}

/** Each suspect as a paragraph: what is the matter, then the path to who holds it. */
function suspectsText(suspects, width = 80) {
  if (suspects.length === 0) return 'no suspects: nothing that a program holds stands out';
  return suspects
    .map((suspect, i) => {
      const path = suspect.path.map((step) => `${edgeName({ type: step.type, name: step.edge })} -> ${plain(step.className, 40)} @${step.id}`);
      const half = Math.ceil(path.length / 2);
      if (suspect.omittedSteps > 0) path.splice(half, 0, `(${suspect.omittedSteps} more)`);
      return [wrapped(`${i + 1}. ${plain(suspect.explanation, 1000)}`, width), ...path.map((step) => `     ${step}`)].join('\n');
    })
    .join('\n\n');
}

function wrapped(text, width) {
  const lines = [''];
  for (const word of text.split(' ')) {
    const last = lines.length - 1;
    if (lines[last] !== '' && lines[last].length + word.length + 1 > width) lines.push(`   ${word}`);
    else lines[last] += `${lines[last] === '' ? '' : ' '}${word}`;
  }
  return lines.join('\n');
}

function nodeText(node, references, path) {
  const lines = [
    `${plain(node.name, 120)} @${node.id}`,
    `  class     ${plain(node.className)}`,
    `  type      ${node.type}`,
    `  self      ${bytes(node.selfSize)} (${node.selfSize})`,
    `  retained  ${bytes(node.retainedSize)} (${node.retainedSize})`,
    `  distance  ${distance(node.distance)}`,
    `  edges     ${node.edgeCount}`,
    `  dominator @${node.dominator}`
  ];
  if (path.length > 0) lines.push('', 'shortest path from a root', ...path.map((step) => `  ${edgeName(step)} -> ${plain(step.node.name)} @${step.node.id}`));
  if (references.length > 0) lines.push('', edgeTable('references', references));
  return lines.join('\n');
}

function diffTable(rows) {
  const signed = (n, text = String) => `${n > 0 ? '+' : n < 0 ? '-' : ''}${text(Math.abs(n))}`;
  const cells = rows.map((row) => [
    String(row.addedCount),
    String(row.removedCount),
    signed(row.countDelta),
    bytes(row.addedSize),
    bytes(row.removedSize),
    signed(row.sizeDelta, bytes),
    plain(row.name)
  ]);
  return table(['new', 'gone', 'net', 'new bytes', 'gone bytes', 'net bytes', 'class'], cells);
}

function stringTable(rows) {
  return table(
    ['copies', 'bytes', 'text'],
    rows.map((row) => [String(row.count), bytes(row.selfSize), `"${plain(row.value, 80)}"`])
  );
}

module.exports = { bytes, classTable, diffTable, edgeTable, nodeTable, nodeText, stringTable, suspectsText };
