'use strict';
// What a diagnosis has found: { suspects, diagnosis, files, classes?, error? }, where `diagnosis` says how, and at what cost; `classes` have
// grown, and are suspects where nothing better is found.

// Nothing, and why.
function nothing(reason) {
  return { suspects: [], diagnosis: { method: 'none', ...(reason && { reason }), pauseMs: 0, childCpuMs: 0, peakBytes: 0 }, files: [] };
}

// What a capture has cost, as a finding without suspects.
function costsOf({ mode, pauseMs, childCpuMs, childPeakBytes, kept }) {
  return { ...nothing(), diagnosis: { method: mode, pauseMs, childCpuMs, peakBytes: childPeakBytes }, files: files({ kept }) };
}

function files({ kept }) {
  return kept ? [kept] : [];
}

// The later finding, with what both have cost.
function merge(one, two) {
  const [a, b] = [one.diagnosis, two.diagnosis];
  const diagnosis = { ...b, pauseMs: a.pauseMs + b.pauseMs, childCpuMs: a.childCpuMs + b.childCpuMs, peakBytes: Math.max(a.peakBytes, b.peakBytes) };
  return { ...two, diagnosis, files: [...one.files, ...two.files] };
}

module.exports = { costsOf, files, merge, nothing };
