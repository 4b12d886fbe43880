'use strict';
// What a library author tests: one that forgets to forget, and one that does not.

class Session {
  constructor(id) {
    this.id = id;
  }
}

const sessions = new Map();
let next = 0;

exports.open = async () => sessions.set(next, new Session(next)) && next++;
exports.close = async (id) => sessions.delete(id);
