'use strict';
// V8's tracking of object ids, which a snapshot starts and which slows allocation: whether somebody still needs it.

const { native } = require('./native.js');

let wanted = false;

// From now on ids of different snapshots are compared with each other.
function keepObjectIds() {
  wanted = true;
}

function releaseObjectIds() {
  wanted = false;
  native().releaseObjectIds();
}

// After a snapshot that needed ids for itself only.
function releaseUnwantedObjectIds() {
  if (!wanted && !debuggerAttached()) native().releaseObjectIds();
}

// The object ids belong to whoever is looking at the heap through the inspector.
function debuggerAttached() {
  try {
    return require('node:inspector').url() !== undefined;
  } catch {
    return false; // a Node.js without inspector
  }
}

module.exports = { debuggerAttached, keepObjectIds, releaseObjectIds, releaseUnwantedObjectIds };
