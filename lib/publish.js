'use strict';
// The diagnostics channel 'heaprs:dump': the result of each finished capture or dump, { error } of each failed one.

const channels = require('node:diagnostics_channel');

const channel = channels.channel('heaprs:dump');

function publishDump(result, error) {
  if (channel.hasSubscribers) channel.publish(error === undefined ? result : { error });
}

// The same promise, which tells the channel before its caller.
async function published(promise) {
  try {
    const result = await promise;
    publishDump(result);
    return result;
  } catch (error) {
    publishDump(undefined, error);
    throw error;
  }
}

module.exports = { publishDump, published };
