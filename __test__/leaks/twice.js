'use strict';
// Held by two collections at once: neither retains them alone.
class Account { constructor(i) { this.id = i; this.owner = 'owner ' + i; this.history = [{ i }, { i }]; } }
const byId = new Map();
const byOwner = new Map();
function open(i) {
  const account = new Account(i);
  byId.set(i, account);
  byOwner.set(account.owner, account);
}
for (let i = 0; i < 20000; i++) open(i);
exports.open = open;
